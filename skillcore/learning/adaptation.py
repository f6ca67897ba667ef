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
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.interfaces import Representation
from skillcore.learning.consistency import believed
from skillcore.learning.images import Augmentation, as_input
from skillcore.learning.perception import Perception, encoded_way
from skillcore.learning.training import Sampler
from skillcore.learning.weights import LEARNER, load_learner, save_learner
from skillcore.types import Array, Episode, Image, Pose

LEARNING_RATE = 3e-4
BATCH = 16
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
        self._seen = Hindsight()
        self.active = False

    @cached_property
    def _optimizer(self) -> torch.optim.Optimizer:
        parameters = self._network.module.parameters()
        return torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=1e-3, fused=True)

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"perception": self._optimizer}

    @property
    def network(self) -> Perception | None:
        """The perception that the estimate is taken from; None as long as nothing is changed."""
        return self._network if self.active else None

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

    @property
    def representation(self) -> Representation:
        """Of the copy: what the adapted estimate looks through."""
        return self._network.representation

    def corrected_seen(self, seen: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """As `corrected`, of what `Perception.seen` made of images (batch, views, 3, H, W), and differentiable."""
        if not self.active:
            return seen
        way = self._network.seen(inputs)[:, self._perception.way_columns]
        start = self._perception.way_columns.start
        return torch.cat([seen[:, :start], way[:, :ADAPTED], seen[:, start + ADAPTED :]], dim=1)

    def add(self, episode: Episode) -> None:
        """A trial to learn from, once success has been met."""
        self._seen.add(episode)

    def learn(self, rng: np.random.Generator, steps: int = STEPS) -> None:
        """Trains on the labels there are; does nothing before the first success."""
        labels = self._seen.labels()
        if labels is None:
            return
        targets, weights = torch.from_numpy(labels[0]).to(self._device), labels[1]
        images = self._seen.images
        sampler = Sampler(weights)
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        augmentation = Augmentation()
        module = self._network.module.train()
        for _ in range(steps):
            rows = sampler.draw(rng, BATCH)
            inputs = augmentation(as_input(images[rows], self._device), generator)
            way = module.way(self._network.representation.encode(inputs))
            loss = functional.smooth_l1_loss(way[:, :ADAPTED], targets[torch.from_numpy(rows)], beta=0.1)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
        module.eval()
        self.active = True

    def save(self, folder: Path, *, resumable: bool = True) -> None:
        """Writes what was learned into an existing folder; nothing where there is nothing. Raises StorageError."""
        if self.active:
            save_learner(folder, self._parts, self._optimizers, resumable=resumable, copies={}, prefix=PREFIX)

    @property
    def _parts(self) -> dict[str, nn.Module]:
        return {"perception": self._network.module}

    def load(self, folder: Path) -> None:
        """Reads what `save` wrote, if it wrote anything. Raises BundleError if it does not fit."""
        if (folder / f"{PREFIX}{LEARNER}").exists():
            load_learner(folder, self._parts, self._optimizers, copies={}, prefix=PREFIX)
            self.active = True


class Hindsight:
    """All frames of some trials on one installation, and what success teaches about them."""

    def __init__(self) -> None:
        self._images: Image = np.zeros((0, 0, 0, 0, 3), np.uint8)
        self._frames = 0
        self._trials: list[tuple[Array, Array, bool]] = []
        self._said: list[bool] = []

    @property
    def images(self) -> Image:
        """(frames, views, H, W, 3) uint8; not to be written to."""
        return self._images[: self._frames]

    def add(self, episode: Episode) -> None:
        """One more trial."""
        start = episode.start_from_base
        tcps = [start @ Pose.from_rotvec(pose[:3], pose[3:]) for pose in episode.pose]
        positions = np.stack([tcp.position_m for tcp in tcps])
        self._trials.append((positions, np.stack([tcp.rotation for tcp in tcps]), episode.terminated))
        self._said.append(episode.corrected is True)
        needed = self._frames + len(tcps)
        if needed > len(self._images):
            # Room for twice as much each time, so that adding stays cheap however long practice lasts.
            room = np.empty((2 * needed, *episode.images.shape[1:]), np.uint8)
            if self._frames:
                room[: self._frames] = self.images
            self._images = room
        self._images[self._frames : needed] = episode.images
        self._frames = needed

    def believed(self) -> NDArray[np.bool_]:
        """(trials,) Which trials were taken for successes and lie where others do; see `consistency`."""
        claimed = np.array([one[2] for one in self._trials], np.bool_)
        return believed(claimed, [positions for positions, _, _ in self._trials], np.array(self._said, np.bool_))

    def labels(self) -> tuple[NDArray[np.float32], NDArray[np.float64]] | None:
        """The encoded way x, y, z (frames, 3) of all frames, and how much each counts. None before the first
        success that is believed."""
        succeeded = self.believed()
        if not succeeded.any():
            return None
        ends = np.stack([positions[-1] for positions, _, _ in self._trials])
        middle = ends[succeeded].mean(axis=0)
        lengths = [len(positions) for positions, _, _ in self._trials]
        seat = np.where(succeeded[:, np.newaxis], ends, middle)
        positions = np.concatenate([one[0] for one in self._trials])
        rotations = np.concatenate([one[1] for one in self._trials])
        way = np.zeros((len(positions), 6), np.float32)
        way[:, :3] = np.einsum("nij,ni->nj", rotations, np.repeat(seat, lengths, axis=0) - positions)
        return encoded_way(way)[:, :ADAPTED], np.repeat(np.where(succeeded, 1.0, OTHERS_WEIGHT), lengths)
