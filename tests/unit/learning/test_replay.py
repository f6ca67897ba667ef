"""Transitions in features, from labels and from practice, and batches of both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from skillcore.episodes import ReplayCache
from skillcore.learning.replay import Transitions, mixed_batch


def features_of(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """(count, 3): row n is n, n, n."""
    return np.repeat(np.arange(count, dtype=np.float32)[:, None], 3, axis=1)


def some(count: int, level: float) -> Transitions:
    wide, flat = np.full((count, 3), level, np.float32), np.zeros(count, np.float32)
    return Transitions(wide, np.zeros((count, 4), np.float32), flat, wide, flat)


def test_an_episode_ends_without_a_value_only_where_it_succeeded() -> None:
    action, reward = np.ones((4, 4), np.float32), np.array([0, 0, 0, 1], np.float32)
    won = Transitions.of_episode(features_of(5), action, reward, succeeded=True)
    np.testing.assert_array_equal(won.features[:, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(won.next_features[:, 0], [1, 2, 3, 4])
    np.testing.assert_array_equal(won.rewards, reward)
    np.testing.assert_array_equal(won.continues, [1, 1, 1, 0])
    timeout = Transitions.of_episode(features_of(5), action, 0 * reward, succeeded=False)
    np.testing.assert_array_equal(timeout.continues, [1, 1, 1, 1])


def test_labels_reward_the_step_that_leads_to_success(make_cache: Callable[..., ReplayCache]) -> None:
    data = make_cache([("hdmi", "sim"), ("usb", "sim")])
    made = Transitions.of_labels(features_of(data.frames), data)
    # Six steps an episode; the last two frames of each show success. No step leads from one episode to the next.
    assert len(made) == 12
    np.testing.assert_array_equal(made.features[:, 0], [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12])
    np.testing.assert_array_equal(made.next_features[:, 0], made.features[:, 0] + 1)
    np.testing.assert_array_equal(made.rewards, [0, 0, 0, 0, 1, 1] * 2)
    np.testing.assert_array_equal(made.continues, 1.0 - made.rewards)
    np.testing.assert_array_equal(made.actions, data.action[data.step_frames])


def test_steps_without_a_label_are_left_out(make_cache: Callable[..., ReplayCache]) -> None:
    data = make_cache()
    labels = data.success.copy()
    labels[3] = -1
    data.success = labels
    made = Transitions.of_labels(features_of(data.frames), data)
    assert 3.0 not in made.next_features[:, 0]
    assert len(made) == 5


def test_joined_and_chosen_keep_the_order() -> None:
    joined = Transitions.joined([some(2, 1.0), Transitions.none(3), some(1, 2.0)])
    np.testing.assert_array_equal(joined.features[:, 0], [1, 1, 2])
    np.testing.assert_array_equal(joined.chosen(np.array([2, 0])).features[:, 0], [2, 1])
    assert joined.feature_dim == 3


@pytest.mark.parametrize(("share", "met"), [(0.0, 0), (0.25, 16), (0.5, 32), (1.0, 64)])
def test_a_batch_holds_the_share_of_practice_that_was_asked_for(share: float, met: int) -> None:
    rng = np.random.default_rng(0)
    batch = mixed_batch(some(5, 1.0), some(900, 2.0), size=64, online_share=share, rng=rng, device="cpu")
    levels = batch.features[:, 0].numpy()
    assert [int((levels == level).sum()) for level in (1.0, 2.0)] == [met, 64 - met]
    assert batch.actions.shape == (64, 4)
    assert batch.rewards.shape == batch.continues.shape == (64,)


@pytest.mark.parametrize("online", [0, 5])
def test_what_there_is_none_of_is_made_up_by_the_rest(online: int) -> None:
    rng, level = np.random.default_rng(0), 1.0 if online else 2.0
    prior = some(0 if online else 9, 2.0)
    batch = mixed_batch(some(online, 1.0), prior, size=32, online_share=0.5, rng=rng, device="cpu")
    np.testing.assert_array_equal(batch.features[:, 0].numpy(), np.full(32, level))


def test_rows_stay_together_and_follow_from_the_seed() -> None:
    numbered = Transitions(
        features_of(50),
        np.repeat(np.arange(50, dtype=np.float32)[:, None], 4, axis=1),
        np.arange(50, dtype=np.float32),
        features_of(50),
        np.arange(50, dtype=np.float32),
    )

    def drawn(seed: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        rng = np.random.default_rng(seed)
        batch = mixed_batch(numbered, numbered, size=16, online_share=0.5, rng=rng, device="cpu")
        columns = (batch.features[:, 0], batch.actions[:, 3], batch.rewards, batch.next_features[:, 2], batch.continues)
        for column in columns:
            np.testing.assert_array_equal(column.numpy(), columns[0].numpy())
        return columns[0].numpy()

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert not np.array_equal(drawn(1), drawn(2))
