"""Hindsight: where trials succeeded tells how wrong the way was estimated everywhere.

Offline, one calibrated success pose a connector labels every frame with the way to success. In practice nobody
calibrates one; but the socket stays where it is, so the pose at which the reward model took a trial for a success is
the pose of success, and every other frame gets a label that nobody had to give: where success lay, seen from the TCP
(relabelling with what was reached: Andrychowicz et al. 2017, arXiv:1707.01495). In the trial itself the label is exact.
In other trials the plug was grasped a little differently, so there the mean over all successes serves, counted less.

On these labels a copy of the perception is trained further between trials, for this one installation with its cameras,
its light and its connector. The code that the learner works on stays frozen; only the estimate of the way is replaced
by the copy's. The policy never sees where in the cell it is: it goes by what its cameras see.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.learning.images import Augmentation, as_input
from skillcore.learning.perception import Perception, encoded_way
from skillcore.learning.weights import LEARNER, load_learner, save_learner
from skillcore.types import Episode, Image, Pose

LEARNING_RATE = 3e-4
BATCH = 64
STEPS = 24
"""Gradient steps after a trial, once there is anything to learn from."""
OTHERS_WEIGHT = 0.5
ADAPTED = 3
"""x, y and z are adapted. A screw's yaw at success says nothing of how far it had to turn, so yaw is left alone."""
PREFIX = "adapted_"


class WayAdapter:
    """A copy of a perception that learns from practice where success lies. Until it has, it changes nothing."""

    def __init__(self, perception: Perception) -> None:
        self._perception = perception
        self._device = perception.device
        self._network = copy.deepcopy(perception)
        self._optimizer = torch.optim.AdamW(
            self._network.module.parameters(), lr=LEARNING_RATE, weight_decay=1e-3, fused=True
        )
        self._episodes: list[Episode] = []
        self.active = False

    @torch.no_grad()
    def corrected(self, features: NDArray[np.float32], images: Image) -> NDArray[np.float32]:
        """Features (n, feature_dim) of images (n, views, H, W, 3) with the adapted estimate of the way."""
        if not self.active or not len(features):
            return features
        way = self._network.estimate(images)
        corrected = features.copy()
        start = self._perception.way_columns.start
        corrected[:, start : start + ADAPTED] = way[:, :ADAPTED]
        return corrected

    def add(self, episode: Episode) -> None:
        """A trial to learn from, once success has been met."""
        self._episodes.append(episode)

    def learn(self, rng: np.random.Generator, steps: int = STEPS) -> None:
        """Trains on the labels there are; does nothing before the first success."""
        labels = hindsight(self._episodes)
        if labels is None:
            return
        targets, weights = torch.from_numpy(labels[0]), labels[1]
        images = np.concatenate([episode.images for episode in self._episodes])
        cumulated = np.cumsum(weights / weights.sum())
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        augmentation = Augmentation()
        module = self._network.module.train()
        for _ in range(steps):
            rows = np.minimum(np.searchsorted(cumulated, rng.random(BATCH), side="right"), len(images) - 1)
            inputs = augmentation(as_input(images[rows], self._device), generator)
            way = module.way(self._network.representation.encode(inputs))
            wanted = targets[torch.from_numpy(rows)].to(self._device)
            loss = functional.smooth_l1_loss(way[:, :ADAPTED], wanted[:, :ADAPTED], beta=0.1)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        module.eval()
        self.active = True

    def save(self, folder: Path, *, resumable: bool = True) -> None:
        """Writes what was learned into an existing folder; nothing where there is nothing. Raises StorageError."""
        if self.active:
            optimizers = {"perception": self._optimizer}
            save_learner(folder, self._parts, optimizers, resumable=resumable, copies={}, prefix=PREFIX)

    @property
    def _parts(self) -> dict[str, nn.Module]:
        return {"perception": self._network.module}

    def load(self, folder: Path) -> None:
        """Reads what `save` wrote, if it wrote anything. Raises BundleError if it does not fit."""
        if (folder / f"{PREFIX}{LEARNER}").exists():
            load_learner(folder, self._parts, {"perception": self._optimizer}, copies={}, prefix=PREFIX)
            self.active = True


def hindsight(episodes: Sequence[Episode]) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
    """Labels of all frames of some trials on one installation: the encoded way (frames, 4), and how much each counts.

    None before the first success.
    """
    seats = [
        _start(episode) @ Pose.from_rotvec(episode.pose[-1, :3], episode.pose[-1, 3:])
        for episode in episodes
        if episode.terminated
    ]
    if not seats:
        return None
    # Only the position is averaged; yaw is not adapted, so any success's rotation serves.
    middle = Pose(np.mean([seat.position_m for seat in seats], axis=0), seats[-1].rotation)
    ways, weights = [], []
    for episode in episodes:
        start = _start(episode)
        own = start @ Pose.from_rotvec(episode.pose[-1, :3], episode.pose[-1, 3:])
        seat = own if episode.terminated else middle
        ways.append(
            [((start @ Pose.from_rotvec(pose[:3], pose[3:])).inverse() @ seat).as_vector() for pose in episode.pose]
        )
        weights.append(np.full(len(episode.pose), 1.0 if episode.terminated else OTHERS_WEIGHT))
    return encoded_way(np.concatenate(ways).astype(np.float32)), np.concatenate(weights)


def _start(episode: Episode) -> Pose:
    start = episode.info.start_from_base
    return Pose.identity() if start is None else Pose.from_rotvec(start[:3], start[3:])
