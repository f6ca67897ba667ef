"""The training loop: its schedule, what it draws, and that it learns the same from the same seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.learning.images import NO_AUGMENTATION
from skillcore.learning.training import Schedule, domains_of, train_on_images


def test_the_learning_rate_rises_and_falls() -> None:
    schedule = Schedule(steps=1000, learning_rate=0.01)
    rates = [schedule.rate(step) for step in range(1000)]
    assert rates[0] == pytest.approx(0.01 / 20)
    assert rates[19] == pytest.approx(0.01, rel=1e-2)
    assert max(rates) <= 0.01
    assert rates[:20] == sorted(rates[:20])
    assert rates[20:] == sorted(rates[20:], reverse=True)
    assert rates[-1] == pytest.approx(0.0, abs=1e-7)
    assert rates[509] == pytest.approx(0.5 * 0.01, rel=0.05)


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_short_schedules_begin_at_once(steps: int) -> None:
    assert Schedule(steps=steps, learning_rate=0.01).rate(0) == pytest.approx(0.01)


def drawn(
    data: ReplayCache, frames: NDArray[np.int64], weights: NDArray[np.float64] | None, steps: int = 200
) -> NDArray[np.int64]:
    """All frames that were drawn during a training."""
    found: list[NDArray[np.int64]] = []
    module = torch.nn.Linear(1, 1)

    def loss(images: torch.Tensor, chosen: NDArray[np.int64], done: float) -> torch.Tensor:
        assert images.shape == (16, 2, 3, 16, 16)
        assert 0.0 <= done < 1.0
        found.append(chosen)
        return module(images.mean().reshape(1)).square().sum()

    schedule = Schedule(steps, batch=16)
    train_on_images(
        [module], data, frames, loss, schedule=schedule, seed=0, augmentation=NO_AUGMENTATION, weights=weights
    )
    return np.concatenate(found)


def test_frames_are_drawn_as_their_weights_say(offline: ReplayCache) -> None:
    frames = np.arange(4, dtype=np.int64) + 3
    counts = np.bincount(drawn(offline, frames, np.array([0.0, 1.0, 3.0, 0.0])), minlength=7)
    assert counts.sum() == 3200
    assert set(np.flatnonzero(counts)) == {4, 5}
    assert counts[5] / counts[4] == pytest.approx(3.0, rel=0.2)


def test_without_weights_all_are_drawn_alike(offline: ReplayCache) -> None:
    frames = np.arange(4, dtype=np.int64) + 3
    counts = np.bincount(drawn(offline, frames, None), minlength=7)
    assert set(np.flatnonzero(counts)) == set(frames)
    assert counts[frames].min() > 0.8 * counts[frames].max()


def test_the_same_seed_gives_the_same_weights_and_progress_comes_to_its_end(offline: ReplayCache) -> None:
    def trained(seed: int) -> tuple[torch.Tensor, list[tuple[int, int]]]:
        torch.manual_seed(5)
        module = torch.nn.Linear(2 * 3 * 16 * 16, 1)
        told: list[tuple[int, int]] = []
        train_on_images(
            [module, None],
            offline,
            np.arange(offline.frames),
            lambda images, chosen, done: module(images.flatten(1)).square().mean(),
            schedule=Schedule(50, batch=8),
            seed=seed,
            progress=lambda done, total, figures: told.append((done, total)),
        )
        assert not module.training
        return module.weight.detach().clone(), told

    (first, told), (again, _), (other, _) = trained(1), trained(1), trained(2)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert told == [(20, 50), (40, 50), (50, 50)]


def test_a_domain_is_a_variant_on_a_cell(make_cache: Callable[..., ReplayCache]) -> None:
    data = make_cache(episodes=[("hdmi", "sim"), ("usb", "sim"), ("hdmi", "sim_b"), ("hdmi", "sim")])
    domains, count = domains_of(data)
    assert count == 3
    of_episode = [set(domains[data.episode == number].tolist()) for number in range(4)]
    assert all(len(one) == 1 for one in of_episode)
    assert of_episode[0] == of_episode[3]
    assert len(of_episode[0] | of_episode[1] | of_episode[2]) == 3
