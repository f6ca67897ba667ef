"""Recorded episodes: the labels that follow from how they ended, what can be trained, and what is kept back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.episodes import ReplayCache
from skillcore.errors import InputError
from skillcore.learning.recorded import (
    APART_EPISODES,
    HELD_OUT,
    completed_labels,
    doubts,
    held_out,
    refuse,
    shortages,
)
from skillcore.types import Episode, EpisodeInfo, Outcome, Pose

STEPS = 5


def recorded(seed: int, outcome: Outcome, variant: str = "hdmi", *, corrected: bool | None = None) -> Episode:
    """An episode as a real cell leaves it: no labels, no way to success. The tool goes down by 4 mm a step."""
    rng = np.random.default_rng(seed)
    frames = STEPS + 1
    pose = np.zeros((frames, 6), np.float32)
    pose[:, 0] = rng.uniform(-0.001, 0.001)
    pose[:, 2] = 0.004 * np.arange(frames)
    pose[:, 5] = np.linspace(0.0, 0.3, frames)
    return Episode(
        info=EpisodeInfo("insertion", variant, "bench", seed, "practice", outcome),
        images=rng.integers(0, 256, (frames, 2, 8, 8, 3), np.uint8),
        pose=pose,
        wrench=rng.normal(0.0, 1.0, (frames, 6)).astype(np.float32),
        action=rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32),
        executed=rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32),
        reward=np.zeros(STEPS, np.float32),
        score=np.full(frames, np.nan, np.float32),
        success=np.full(frames, -1, np.int8),
        truth=np.full(frames, -1, np.int8),
        seated_from_tcp=np.full((frames, 6), np.nan, np.float32),
        corrected=corrected,
    )


def cache(outcomes: Sequence[Outcome], variants: Sequence[str] = ("hdmi",)) -> ReplayCache:
    return ReplayCache.from_episodes(
        [recorded(seed, outcome, variants[seed % len(variants)]) for seed, outcome in enumerate(outcomes)]
    )


def test_labels_follow_from_how_episodes_ended() -> None:
    data = completed_labels(cache(["success", "timeout", "aborted"]))
    labels = data.labels.success.reshape(3, STEPS + 1)
    assert labels.tolist() == [[0, 0, 0, 0, 0, 1], [0] * 6, [-1] * 6]
    assert (data.by_outcome, data.by_person, data.by_hindsight, data.unlabelled) == (2, 0, 1, 1)
    assert any("nobody but their reward" in doubt for doubt in doubts(data, reward_model=True))
    assert any("aborted" in doubt for doubt in doubts(data, reward_model=True))


def test_the_way_leads_from_every_frame_to_where_the_episode_ended() -> None:
    episode = recorded(0, "success")
    data = completed_labels(ReplayCache.from_episodes([episode, recorded(1, "timeout")])).labels
    tools = [Pose.from_rotvec(pose[:3], pose[3:]) for pose in episode.pose]
    for frame, tool in enumerate(tools):
        way = data.seated_from_tcp[frame]
        met = tool @ Pose.from_rotvec(way[:3], way[3:])
        np.testing.assert_allclose(met.as_vector(), tools[-1].as_vector(), atol=1e-6)
    np.testing.assert_array_equal(data.seated_from_tcp[STEPS], 0.0)
    assert np.isnan(data.seated_from_tcp[STEPS + 1 :]).all()


def test_what_is_known_already_is_kept(make_labelled_episode: Callable[..., Episode]) -> None:
    before = ReplayCache.from_episodes([make_labelled_episode(seed) for seed in range(3)])
    data = completed_labels(before)
    np.testing.assert_array_equal(data.labels.success, before.success)
    np.testing.assert_array_equal(data.labels.seated_from_tcp, before.seated_from_tcp)
    assert (data.by_outcome, data.by_hindsight) == (0, 0)


def test_frames_that_may_show_success_are_no_failures_and_still_steps_to_learn_from() -> None:
    episode = recorded(0, "success")
    episode.pose[-2] = episode.pose[-1]
    data = completed_labels(ReplayCache.from_episodes([episode]))
    assert data.labels.success.tolist() == [0, 0, 0, 0, -1, 1]
    assert data.steps.success.tolist() == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        (["timeout"] * 4, ["the policy: none of the 4 episodes succeeded", "the reward model: .* shows a success"]),
        (["success", "timeout"], ["the reward model: .*only one episode shows a success"]),
        (["aborted"] * 3, ["the policy: none", "the reward model: .* shows a success"]),
        (["success"] * 2 + ["timeout"] * 2, []),
    ],
)
def test_what_cannot_be_trained_is_told_all_at_once(outcomes: list[Outcome], told: list[str]) -> None:
    import re

    found = shortages(completed_labels(cache(outcomes)), policy=True, reward_model=True)
    assert len(found) == len(told)
    for one, words in zip(found, told, strict=True):
        assert re.search(words, f"{one.part}: {one.reason}")
        assert one.cure
    if not told:
        refuse(found)
        return
    with pytest.raises(InputError) as caught:
        refuse(found)
    assert all(one.reason in caught.value.what for one in found)


def test_labelled_successes_alone_make_no_reward_model() -> None:
    episodes = [recorded(seed, "success") for seed in range(3)]
    for episode in episodes:
        episode.success[:] = 1
    (found,) = shortages(completed_labels(ReplayCache.from_episodes(episodes)), policy=True, reward_model=True)
    assert found.part == "the reward model"
    assert "shows a failure" in found.reason
    assert "--reward-from" in found.cure


def test_without_a_failed_episode_a_doubt_is_told() -> None:
    data = completed_labels(cache(["success"] * 3))
    assert any("no near miss" in doubt for doubt in doubts(data, reward_model=True))
    assert not any("no near miss" in doubt for doubt in doubts(data, reward_model=False))


def test_whole_variants_are_kept_back_those_that_are_preferred_first() -> None:
    data = completed_labels(cache(["success", "success", "success", "timeout"] * 6, ("a", "b", "c", "a", "b", "c")))
    apart = held_out(data, preferred=("c", "z"), seed=0)
    of = np.array(data.labels.variants)
    assert set(of[apart.validation]) == {"c"}
    assert "c" not in set(of[apart.training])
    assert "none of which was trained on" in apart.words


def test_of_one_variant_episodes_are_kept_back() -> None:
    data = completed_labels(cache(["success", "timeout"] * 10))
    apart = held_out(data, preferred=(), seed=0)
    assert apart.words == APART_EPISODES
    assert len(apart.validation) == 20 * HELD_OUT


OUTCOMES = st.lists(st.sampled_from(["success", "timeout", "aborted"]), min_size=2, max_size=14)


@settings(deadline=None)
@given(OUTCOMES, st.integers(1, 4), st.integers(0, 100))
def test_both_parts_show_success_and_failure(outcomes: list[Outcome], variants: int, seed: int) -> None:
    names = [f"v{number}" for number in range(variants)]
    data = completed_labels(cache(outcomes, names))
    if shortages(data, policy=True, reward_model=True):
        return
    apart = held_out(data, preferred=names[:1], seed=seed)
    assert sorted([*apart.training, *apart.validation]) == list(range(len(outcomes)))
    for part in (apart.training, apart.validation):
        assert data.has_success[part].any()
        assert data.has_failure[part].any()
    again = held_out(data, preferred=names[:1], seed=seed)
    assert again.validation.tolist() == apart.validation.tolist()
