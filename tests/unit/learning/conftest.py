"""A made-up world that is small enough to learn in seconds: a point in a plane that should come to the origin."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.learning.replay import Transitions

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
