"""A success classifier on a representation of its own (Nair et al. 2022, arXiv:2210.15206, section V).

L_task is the binary cross-entropy of R(z) against the label "inserted", and the representation adds its own penalty.
The paper sees images only; here the wrench may be seen too, since a plug that presses beside its hole feels unlike one
that is held in it. With several members, each is trained from its own seed, and the most doubtful of them is believed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.episodes import ReplayCache
from skillcore.interfaces import Representation, RewardModel
from skillcore.learning.images import as_input
from skillcore.learning.training import Progress, Schedule, domains_of, train_on_images
from skillcore.learning.weights import load_module, save_tensors
from skillcore.types import Observation
from skillcore_daib.options import RewardModelOptions

NEAR_M = 0.004
"""Closer than this to success, a failure is a near miss."""
SCORING_BATCH = 256


class _Classifier(nn.Module):
    def __init__(self, representation: Representation, *, wrench: bool) -> None:
        super().__init__()
        self.representation = representation.module
        self.head = nn.Sequential(
            nn.Linear(representation.feature_dim + (6 if wrench else 0), 128), nn.ReLU(), nn.Linear(128, 1)
        )


class DaibRewardModel(RewardModel):
    """See the module. `threshold` is 0.5 until it is chosen."""

    def __init__(
        self, options: RewardModelOptions, representations: list[Representation], *, device: str = "cpu"
    ) -> None:
        self.threshold = 0.5
        self._options = options
        self._representations = representations
        self._members = [_Classifier(one, wrench=options.wrench).to(device).eval() for one in representations]
        self._device = device

    def fit(
        self, data: ReplayCache, *, seed: int, progress: Progress, start: Representation | None = None
    ) -> None:
        options = self._options
        if start is not None:
            for representation in self._representations:
                _begin_from(representation.module, start.module)
        frames = np.flatnonzero(data.success >= 0)
        weights = _weights(data, frames, options)
        labels = torch.from_numpy(data.success.astype(np.float32)).to(self._device)
        wrench = torch.from_numpy(_wrench(data.wrench)).to(self._device)
        domains, _ = domains_of(data)
        domain = torch.from_numpy(domains).to(self._device)
        schedule = Schedule(options.steps, options.batch, options.learning_rate)

        for number, (representation, member) in enumerate(zip(self._representations, self._members, strict=True)):

            def loss(
                images: torch.Tensor,
                chosen: NDArray[np.int64],
                done: float,
                representation: Representation = representation,
                member: _Classifier = member,
            ) -> torch.Tensor:
                index = torch.from_numpy(chosen).to(self._device)
                code, penalty = representation.encode_with_penalty(images, domain[index], done)
                # Sensors differ between cells, so a little noise keeps the classifier from reading too much into them.
                felt = wrench[index] * (1.0 + 0.1 * torch.randn(6, device=wrench.device)) if options.wrench else None
                logits = _logits(member, code, felt)
                return functional.binary_cross_entropy_with_logits(logits, labels[index]) + penalty

            def told(done: int, total: int, figures: dict[str, float], number: int = number) -> None:
                progress(number * total + done, len(self._members) * total, figures)

            train_on_images(
                [member, representation.training_module],
                data,
                frames,
                loss,
                schedule=schedule,
                seed=seed + number,
                device=self._device,
                weights=weights,
                progress=told,
            )

    @torch.no_grad()
    def score(self, observations: Observation) -> NDArray[np.float32]:
        scores = []
        for start in range(0, len(observations["images"]), SCORING_BATCH):
            some = slice(start, start + SCORING_BATCH)
            images = as_input(observations["images"][some], self._device)
            felt = torch.from_numpy(_wrench(observations["wrench"][some])).to(self._device)
            logits = [
                _logits(member, representation.encode(images), felt if self._options.wrench else None)
                for representation, member in zip(self._representations, self._members, strict=True)
            ]
            scores.append(torch.sigmoid(torch.stack(logits).amin(0)))
        return np.asarray(torch.cat(scores).cpu().numpy(), dtype=np.float32)

    def save(self, folder: Path) -> None:
        for number, member in enumerate(self._members):
            save_tensors(folder / f"classifier_{number}.safetensors", member.state_dict())

    def load(self, folder: Path) -> None:
        for number, member in enumerate(self._members):
            load_module(folder / f"classifier_{number}.safetensors", member)


def _begin_from(module: nn.Module, trained: nn.Module) -> None:
    """Takes over the weights of layers that are called and shaped alike: where things are is worth knowing here too."""
    own = module.state_dict()
    alike = {
        name: weight for name, weight in trained.state_dict().items() if name in own and own[name].shape == weight.shape
    }
    module.load_state_dict({**own, **alike})


def _logits(member: _Classifier, code: torch.Tensor, felt: torch.Tensor | None) -> torch.Tensor:
    seen = code if felt is None else torch.cat([code, felt], dim=1)
    return torch.as_tensor(member.head(seen)).squeeze(1)


def _wrench(wrench: NDArray[np.float32]) -> NDArray[np.float32]:
    """(batch, 6) N and Nm -> numbers of about the same size."""
    return np.arcsinh(wrench / np.array([3.0] * 3 + [0.05] * 3, np.float32)).astype(np.float32)


def _weights(data: ReplayCache, frames: NDArray[np.int64], options: RewardModelOptions) -> NDArray[np.float64]:
    """(frames,) how likely each frame is drawn, so that the shares of a batch come out."""
    success = data.success[frames] == 1
    way = data.seated_from_tcp[frames, :3]
    near = ~success & (np.linalg.norm(np.nan_to_num(way, nan=1.0), axis=1) < NEAR_M)
    weights = np.zeros(len(frames))
    rest = 1.0 - options.successes - options.near_misses
    for group, share in ((success, options.successes), (near, options.near_misses), (~success & ~near, rest)):
        weights[group] = max(share, 0.0) / max(1, int(group.sum()))
    return weights
