"""Made-up worlds that are small enough to learn in seconds: a point that should come to the origin of a plane, and
episodes whose images show where the goal is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.learning.replay import Transitions
from skillcore.types import Episode, EpisodeInfo, Outcome

REACH = 0.25
"""How far an action of 1 moves."""
GOAL = 0.15


class PointWorld:
    """State: where the point is, (2,), and noise, (2,). The best action goes straight to the origin."""

    feature_dim = 4

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def start(self) -> NDArray[np.float32]:
        return np.array([*self.rng.uniform(-1.0, 1.0, 2), *self.rng.normal(0.0, 0.3, 2)], np.float32)

    def step(self, state: NDArray[np.float32], action: NDArray[np.float32]) -> tuple[NDArray[np.float32], bool]:
        place = state[:2] + REACH * action[:2]
        after = np.array([*place, *self.rng.normal(0.0, 0.3, 2)], np.float32)
        return after, bool(np.hypot(*place) < GOAL)

    def transitions(self, count: int, *, expert: float) -> Transitions:
        """Random actions, with a share of good ones."""
        rows: list[tuple[NDArray[np.float32], NDArray[np.float32], float, NDArray[np.float32], float]] = []
        while len(rows) < count:
            state = self.start()
            for _ in range(8):
                action = self.rng.uniform(-1.0, 1.0, 4).astype(np.float32)
                if self.rng.random() < expert:
                    action[:2] = np.clip(-state[:2] / REACH, -1.0, 1.0)
                after, reached = self.step(state, action)
                rows.append((state, action, float(reached), after, 1.0 - reached))
                state = after
                if reached:
                    break
        return Transitions(*(np.array(column, np.float32) for column in zip(*rows, strict=True)))


@pytest.fixture
def world() -> PointWorld:
    return PointWorld(seed=3)


SIZE_PX = 16
STEPS = 6


def make_episode(seed: int, variant: str = "hdmi", cell: str = "sim", *, outcome: Outcome = "timeout") -> Episode:
    """A dot in dark images says where the goal is; in the last two frames it is reached."""
    rng = np.random.default_rng(seed)
    frames = STEPS + 1
    column, row = rng.uniform(3.0, 12.0, 2)
    way = np.zeros((frames, 6), np.float32)
    images = rng.integers(0, 20, (frames, 2, SIZE_PX, SIZE_PX, 3)).astype(np.uint8)
    for frame in range(frames):
        share = max(0.0, 1.0 - frame / (STEPS - 1))
        x, y = 8.0 + share * (column - 8.0), 8.0 + share * (row - 8.0)
        way[frame, :2] = 1e-3 * (x - 8.0), 1e-3 * (y - 8.0)
        way[frame, 2] = 5e-3 * share
        images[frame, :, round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2] = 255
    success = (np.arange(frames) >= STEPS - 1).astype(np.int8)
    nothing = np.full((frames, 6), np.nan, np.float32)
    return Episode(
        info=EpisodeInfo(
            skill="insertion", variant=variant, cell=cell, seed=seed, source="collect", outcome=outcome, trial=seed
        ),
        images=images,
        pose=rng.normal(0.0, 0.01, (frames, 6)).astype(np.float32),
        wrench=rng.normal(0.0, 1.0, (frames, 6)).astype(np.float32),
        action=rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32),
        executed=rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32),
        reward=success[1:].astype(np.float32),
        score=nothing[:, 0].copy(),
        success=success,
        truth=success.copy(),
        seated_from_tcp=way,
    )


@pytest.fixture
def make_cache() -> Callable[..., ReplayCache]:
    """Makes a cache of one episode for each (variant, cell)."""

    def make(episodes: Sequence[tuple[str, str]] = (("hdmi", "sim"),)) -> ReplayCache:
        return ReplayCache.from_episodes([make_episode(seed, *names) for seed, names in enumerate(episodes)])

    return make


@pytest.fixture(scope="module")
def offline() -> ReplayCache:
    """Labelled episodes of four variants."""
    return ReplayCache.from_episodes([make_episode(seed, f"plug_{seed % 4}") for seed in range(24)])


@pytest.fixture(scope="module")
def unseen() -> ReplayCache:
    """Labelled episodes of two variants that `offline` has not."""
    return ReplayCache.from_episodes([make_episode(100 + seed, f"other_{seed % 2}") for seed in range(12)])


@pytest.fixture(scope="session")
def make_labelled_episode() -> Callable[..., Episode]:
    """Makes an episode of a seed, a variant and a cell."""
    return make_episode
