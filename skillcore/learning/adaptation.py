"""Hindsight: where a trial succeeded tells how wrong the way was estimated on the way there.

The socket stays where it is during a trial. So once the reward model has taken a trial for a success, the pose it ended
at is the pose of success, and every earlier frame of the trial gets a label that nobody had to give: where success lay,
seen from the TCP (relabelling with what was reached: Andrychowicz et al. 2017, arXiv:1707.01495). On these labels a
copy of the perception is trained further between trials, for this one installation with its cameras, its light and its
connector. The code that the learner works on stays frozen; only the estimate of the way is replaced by the copy's.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.learning.images import Augmentation, as_input
from skillcore.learning.perception import Perception, encoded_way
from skillcore.learning.weights import LEARNER, load_learner, save_learner
from skillcore.types import Episode, Image

LEARNING_RATE = 3e-4
BATCH = 64
STEPS = 24
"""Gradient steps after a trial, once there is anything to learn from."""
RECENT_SHARE = 0.25
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
        self._images: list[Image] = []
        self._targets: list[NDArray[np.float32]] = []
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
        """Labels a trial's frames, if it was taken for a success."""
        if episode.terminated:
            self._images.append(episode.images)
            self._targets.append(hindsight_way(episode.pose))

    def learn(self, rng: np.random.Generator, steps: int = STEPS) -> None:
        """Trains on the labels there are; does nothing without any."""
        if not self._images:
            return
        images, targets = np.concatenate(self._images), torch.from_numpy(np.concatenate(self._targets))
        recent = sum(len(one) for one in self._images[-3:])
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        augmentation = Augmentation()
        module = self._network.module.train()
        for _ in range(steps):
            fresh = rng.integers(len(images) - recent, len(images), round(BATCH * RECENT_SHARE))
            rows = np.concatenate([fresh, rng.integers(0, len(images), BATCH - len(fresh))])
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


def hindsight_way(pose: NDArray[np.float32]) -> NDArray[np.float32]:
    """Poses (steps + 1, 6) of a trial that succeeded -> (steps + 1, 4) the encoded way to its end, seen from each TCP.

    The tool is held upright, so only its yaw turns its axes.
    """
    away = (pose[-1, :3] - pose[:, :3]).astype(np.float64)
    yaw = pose[:, 5].astype(np.float64)
    cosine, sine = np.cos(yaw), np.sin(yaw)
    way = np.zeros((len(pose), 6), np.float32)
    way[:, 0] = cosine * away[:, 0] + sine * away[:, 1]
    way[:, 1] = -sine * away[:, 0] + cosine * away[:, 1]
    way[:, 2] = away[:, 2]
    way[:, 5] = pose[-1, 5] - pose[:, 5]
    return encoded_way(way)
