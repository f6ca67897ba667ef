"""Transitions in features: what learners learn from, offline and in practice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Transitions as tensors.

    features, next_features (batch, feature_dim), actions (batch, 4), rewards, continues (batch,): 0 where the goal was
    reached, so that no value follows, and 1 elsewhere.
    """

    features: torch.Tensor
    actions: torch.Tensor
    rewards: torch.Tensor
    next_features: torch.Tensor
    continues: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Transitions:
    """Steps in features, in the order in which they were made.

    features, next_features (steps, feature_dim), actions (steps, 4) in [-1, 1], rewards, continues (steps,), all
    float32, as in `Batch`.
    """

    features: NDArray[np.float32]
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    next_features: NDArray[np.float32]
    continues: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def feature_dim(self) -> int:
        """Length of a feature vector."""
        return int(self.features.shape[1])

    @classmethod
    def none(cls, feature_dim: int) -> Self:
        """No transitions."""
        wide, flat = np.zeros((0, feature_dim), np.float32), np.zeros(0, np.float32)
        return cls(wide, np.zeros((0, 4), np.float32), flat, wide, flat)

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """One after the other; at least one part."""
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    @classmethod
    def of_episode(
        cls, features: NDArray[np.float32], action: NDArray[np.float32], reward: NDArray[np.float32], *, succeeded: bool
    ) -> Self:
        """Of one episode: features (steps + 1, feature_dim), action (steps, 4), reward (steps,)."""
        continues = np.ones(len(action), np.float32)
        if succeeded and len(action):
            continues[-1] = 0.0
        return cls(features[:-1], action, reward, features[1:], continues)

    @classmethod
    def of_labels(cls, features: NDArray[np.float32], data: ReplayCache) -> Self:
        """Of labelled offline data: success of the next frame is the reward, and ends.

        features: (data.frames, feature_dim). Where an episode went on after success, steps that stay there are rewarded
        as the first one was.
        """
        steps = data.step_frames[data.success[data.step_frames + 1] >= 0]
        success = (data.success[steps + 1] == 1).astype(np.float32)
        return cls(features[steps], data.action[steps], success, features[steps + 1], 1.0 - success)

    def chosen(self, rows: NDArray[np.integer]) -> Transitions:
        """Some of them, in the order of `rows`."""
        return Transitions(*(getattr(self, field.name)[rows] for field in fields(self)))

    def batch(self, rows: NDArray[np.integer], device: str) -> Batch:
        """Rows (batch,) as tensors."""
        return Batch(*(torch.from_numpy(getattr(self, field.name)[rows]).to(device) for field in fields(self)))


def mixed_batch(
    online: Transitions, prior: Transitions, *, size: int, online_share: float, rng: np.random.Generator, device: str
) -> Batch:
    """A batch of which `online_share` was met in practice, as far as there is any, and the rest offline."""
    if not len(online):
        return prior.batch(rng.integers(0, len(prior), size), device)
    if not len(prior):
        return online.batch(rng.integers(0, len(online), size), device)
    met = round(size * online_share)
    parts = (
        online.batch(rng.integers(0, len(online), met), device),
        prior.batch(rng.integers(0, len(prior), size - met), device),
    )
    return Batch(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Batch)))
