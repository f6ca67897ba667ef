"""What a policy knows of an observation: a code of the images, an estimate of the way to success, pose and wrench.

Images are seen once: what learns during practice works on these vectors. The representation is trained beforehand by
regressing where the TCP would be at success (known in offline data from one calibrated success pose; EasyInsert,
arXiv:2505.16187, does so from two wrist views), with the representation's own penalty, and is frozen then.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.episodes import ReplayCache
from skillcore.interfaces import Representation
from skillcore.learning.images import as_input
from skillcore.learning.training import Progress, Schedule, domains_of, silent, train_on_images
from skillcore.learning.weights import load_module, save_tensors
from skillcore.types import Observation

ESTIMATE_DIM = 4
"""x, y, z and yaw to success, as `asinh` of millimetres and degrees: fine near the goal, and tame far from it."""
WORTH = (1.0, 1.0, 0.3, 0.5)
"""What each of them counts in training. A plug goes in if x, y and yaw are right; how deep it will go, touch tells."""
PROPRIOCEPTION_DIM = 10
FAR = 60.0
WRENCH_SCALE = np.array([3.0] * 3 + [0.05] * 3, np.float32)
SCORING_BATCH = 256
ALIGNED_M = 0.001


def encoded_way(seated_from_tcp: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 6) pose at success seen from the TCP, in m and rad -> (n, 4) x, y, z in asinh(mm) and yaw in asinh(deg)."""
    way = np.concatenate([seated_from_tcp[:, :3] * 1e3, np.rad2deg(seated_from_tcp[:, 5:6])], axis=1)
    return np.asarray(np.arcsinh(np.clip(way, -FAR, FAR)), np.float32)


def decoded_way(estimate: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse: (n, 4) -> x, y, z in m and yaw in rad."""
    way = np.sinh(np.clip(estimate, -6.0, 6.0))
    return np.asarray(np.concatenate([way[..., :3] * 1e-3, np.deg2rad(way[..., 3:])], axis=-1), np.float32)


def evened_wrench(wrench: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., 6) in N and Nm -> (..., 6) as asinh(N / 3) and asinh(Nm / 0.05), about as large as other inputs."""
    return np.asarray(np.arcsinh(wrench / WRENCH_SCALE), np.float32)


def proprioception(observations: Observation) -> NDArray[np.float32]:
    """Pose (batch, 6) and wrench (batch, 6) -> (batch, 10), each number about as large as the others.

    x, y, z in cm and yaw in units of 0.2 rad since the episode's start; the wrench as `evened_wrench` has it. Rolls and
    pitches are held by the arm and say nothing.
    """
    pose, wrench = observations["pose"], observations["wrench"]
    return np.concatenate(
        [
            pose[..., :3] * 100.0,
            pose[..., 5:6] * 5.0,
            evened_wrench(wrench),
        ],
        axis=-1,
    ).astype(np.float32)


def _weights(seated_from_tcp: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) how likely each frame is drawn. A demonstrator spends most of its time in line with the socket, where there
    is little to learn: sideways distances within a millimetre make up a quarter, all others the rest."""
    aligned = np.hypot(seated_from_tcp[:, 0], seated_from_tcp[:, 1]) < ALIGNED_M
    weights = np.ones(len(aligned))
    if 0 < aligned.sum() < len(aligned):
        weights[aligned] = 0.25 / 0.75 * (~aligned).sum() / aligned.sum()
    return weights


class _Seer(nn.Module):
    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.representation = representation.module
        self.way = nn.Sequential(nn.Linear(representation.feature_dim, 128), nn.ReLU(), nn.Linear(128, ESTIMATE_DIM))


class Perception:
    """A representation with a head that estimates the way to success.

    `features` returns, in this order: the code (code_dim), the estimated way (4), pose and wrench (10).
    """

    def __init__(self, representation: Representation, *, device: str = "cpu") -> None:
        self.representation = representation
        self.code_dim = representation.feature_dim
        self.feature_dim = self.code_dim + ESTIMATE_DIM + PROPRIOCEPTION_DIM
        self.device = device
        self.module = _Seer(representation).to(device)

    @property
    def way_columns(self) -> slice:
        """Where the estimated way stands in a feature vector."""
        return slice(self.code_dim, self.code_dim + ESTIMATE_DIM)

    def fit(self, data: ReplayCache, *, schedule: Schedule, seed: int, progress: Progress = silent) -> None:
        """Trains on all frames whose way to success is known."""
        frames = np.flatnonzero(np.isfinite(data.seated_from_tcp).all(1))
        targets = torch.from_numpy(encoded_way(data.seated_from_tcp)).to(self.device)
        worth = torch.tensor(WORTH, device=self.device)
        domains, _ = domains_of(data)
        domain = torch.from_numpy(domains).to(self.device)

        def loss(images: torch.Tensor, chosen: NDArray[np.int64], done: float) -> torch.Tensor:
            index = torch.from_numpy(chosen).to(self.device)
            code, penalty = self.representation.encode_with_penalty(images, domain[index], done)
            miss = functional.smooth_l1_loss(self.module.way(code), targets[index], beta=0.1, reduction="none")
            return (worth * miss).mean() + penalty

        train_on_images(
            [self.module, self.representation.training_module],
            data,
            frames,
            loss,
            schedule=schedule,
            seed=seed,
            device=self.device,
            weights=_weights(data.seated_from_tcp[frames]),
            progress=progress,
        )

    def seen(self, inputs: torch.Tensor) -> torch.Tensor:
        """(batch, views, 3, H, W) float in [0, 1] -> (batch, code_dim + 4): the code and the encoded way. The part of
        `features` that comes from images, differentiable."""
        code = self.representation.encode(inputs)
        return torch.cat([code, self.module.way(code)], dim=1)

    @torch.no_grad()
    def features(self, observations: Observation) -> NDArray[np.float32]:
        """(batch, feature_dim) float32 of a batch of observations."""
        parts = []
        for start in range(0, len(observations["images"]), SCORING_BATCH):
            some = observations["images"][start : start + SCORING_BATCH]
            parts.append(self.seen(as_input(some, self.device)))
        seen = torch.cat(parts).cpu().numpy()
        return np.concatenate([seen, proprioception(observations)], axis=1)

    @torch.no_grad()
    def estimate(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, views, H, W, 3) -> (n, 4) the encoded way alone."""
        parts = []
        for start in range(0, len(images), SCORING_BATCH):
            code = self.representation.encode(as_input(images[start : start + SCORING_BATCH], self.device))
            parts.append(self.module.way(code))
        return np.asarray(torch.cat(parts).cpu().numpy(), np.float32)

    def save(self, folder: Path) -> None:
        """Writes the weights into an existing folder."""
        save_tensors(folder / "perception.safetensors", self.module.state_dict())

    def load(self, folder: Path) -> None:
        """Reads what `save` wrote. Raises BundleError if it does not fit."""
        load_module(folder / "perception.safetensors", self.module)
