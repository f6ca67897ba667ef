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
from skillcore.learning.consistency import path_of
from skillcore.learning.images import Augmentation, as_input
from skillcore.learning.perception import ESTIMATE_DIM, Perception, encoded_way
from skillcore.learning.training import Sampler
from skillcore.learning.weights import LEARNER, load_learner, save_learner
from skillcore.types import Array, Episode, Image, rotation_from_rotvec

LEARNING_RATE = 3e-4
BATCH = 16
STEPS = 24
"""Gradient steps after a trial, once there is anything to learn from."""
OTHERS_WEIGHT = 0.5
PREFIX = "adapted_"
YAW = ESTIMATE_DIM - 1


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
        corrected[:, self._perception.way_columns] = way
        return corrected

    @property
    def representation(self) -> Representation:
        """Of the copy: what the adapted estimate looks through."""
        return self._network.representation

    def corrected_seen(self, seen: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """As `corrected`, of what `Perception.seen` made of images (batch, views, 3, H, W), and differentiable."""
        if not self.active:
            return seen
        columns = self._perception.way_columns
        way = self._network.seen(inputs)[:, columns]
        return torch.cat([seen[:, : columns.start], way, seen[:, columns.stop :]], dim=1)

    def add(self, episode: Episode) -> None:
        """A trial to learn from, once success has been met."""
        self._seen.add(episode)

    def learn(
        self, rng: np.random.Generator, succeeded: NDArray[np.bool_], *, fixes_yaw: bool = True, steps: int = STEPS
    ) -> None:
        """Trains on what success teaches about the trials so far. succeeded: (trials,), at least one of them.
        fixes_yaw: as `Task.fixes_yaw`; where success does not, yaw is held at what was estimated before."""
        ways, weights = self._seen.labels(succeeded)
        targets = torch.from_numpy(ways).to(self._device)
        images = self._seen.images
        sampler = Sampler(weights)
        generator = torch.Generator().manual_seed(int(rng.integers(2**31)))
        augmentation = Augmentation()
        module = self._network.module.train()
        for _ in range(steps):
            rows = sampler.draw(rng, BATCH)
            inputs = augmentation(as_input(images[rows], self._device), generator)
            way = module.way(self._network.representation.encode(inputs))
            wanted = targets[torch.from_numpy(rows)]
            if not fixes_yaw:
                wanted[:, YAW] = torch.from_numpy(self._perception.estimate(images[rows])[:, YAW]).to(self._device)
            loss = functional.smooth_l1_loss(way, wanted, beta=0.1)
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
        self._positions: list[Array] = []
        self._rotations: list[Array] = []

    @property
    def images(self) -> Image:
        """(frames, views, H, W, 3) uint8; not to be written to."""
        return self._images[: self._frames]

    def add(self, episode: Episode) -> None:
        """One more trial."""
        start = episode.start_from_base
        turns = (rotation_from_rotvec(pose[3:].astype(np.float64)) for pose in episode.pose)
        self._positions.append(path_of(episode))
        self._rotations.append(np.stack([start.rotation @ turn for turn in turns]))
        needed = self._frames + len(episode.pose)
        if needed > len(self._images):
            # Room for twice as much each time, so that adding stays cheap however long practice lasts.
            room = np.empty((2 * needed, *episode.images.shape[1:]), np.uint8)
            if self._frames:
                room[: self._frames] = self.images
            self._images = room
        self._images[self._frames : needed] = episode.images
        self._frames = needed

    def labels(self, succeeded: NDArray[np.bool_]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """The encoded way (frames, 4) of all frames, and how much each counts (frames,). succeeded: (trials,) which
        trials ended in success, at least one."""
        ends = np.stack([positions[-1] for positions in self._positions])
        middle = ends[succeeded].mean(axis=0)
        lengths = [len(positions) for positions in self._positions]
        seat = np.where(succeeded[:, np.newaxis], ends, middle)
        positions, rotations = np.concatenate(self._positions), np.concatenate(self._rotations)
        way = np.zeros((len(positions), 6), np.float32)
        way[:, :3] = np.einsum("nij,ni->nj", rotations, np.repeat(seat, lengths, axis=0) - positions)
        # Turns as one success has them, so that the mean of some that are close to each other is close to them.
        last = np.cumsum(lengths) - 1
        turned = rotations[last[succeeded][0]].T @ rotations
        yaw = np.arctan2(turned[:, 1, 0], turned[:, 0, 0])
        seat_yaw = np.where(succeeded, yaw[last], yaw[last][succeeded].mean())
        way[:, 5] = np.repeat(seat_yaw, lengths) - yaw
        return encoded_way(way), np.repeat(np.where(succeeded, 1.0, OTHERS_WEIGHT), lengths)
