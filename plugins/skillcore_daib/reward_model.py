"""A success classifier that looks and touches (Nair et al. 2022, arXiv:2210.15206, section V, and more).

By sight it is the paper's: a head on a representation of its own, with L_task the binary cross-entropy of R(z) against
the label "inserted" and the representation's own penalty. With several members, each is trained from its own seed, and
the most doubtful of them is believed. By touch (`skillcore_daib.touch`) it sees wrenches and motion. How far each of
them is to be trusted on a connector that was never seen is found on connectors that neither was trained on:

    logit = a sight + b touch + c          a, b >= 0
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.episodes import ReplayCache
from skillcore.interfaces import Representation, RewardModel, Sight
from skillcore.learning.images import as_input, scaled
from skillcore.learning.training import Progress, Schedule, domains_of, train_on_images
from skillcore.learning.weights import load_module, save_tensors
from skillcore.types import Observation, Past
from skillcore_daib.options import RewardModelOptions
from skillcore_daib.touch import TouchClassifier, TouchInputs, touch_inputs, train_touch

NEAR_M = 0.004
"""Closer than this to success, a failure is a near miss."""
ALIKE_M = 0.0025
"""Closer than this it looks like success, and is left to touch."""
JUDGING = 0.1
"""Share of the variants that sight and touch are weighed on."""
RIDGE = 1e-3
"""Penalty on the weights of sight and touch: few frames that can be told apart without error would make them endless,
and every score 0 or 1."""
SCORING_BATCH = 256


class _Sight(nn.Module):
    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.representation = representation.module
        self.head = nn.Sequential(nn.Linear(representation.feature_dim, 128), nn.ReLU(), nn.Linear(128, 1))


class _Trust(nn.Module):
    """How logits (batch, 2) of sight and touch become one."""

    def __init__(self) -> None:
        super().__init__()
        self.trust = nn.Parameter(torch.zeros(2))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, logits: torch.Tensor) -> torch.Tensor:
        return logits @ functional.softplus(self.trust) + self.offset

    @property
    def size(self) -> torch.Tensor:
        return functional.softplus(self.trust).square().sum() + self.offset.square()


class _Scoring(nn.Module):
    """See `RewardModel.scoring_module`. feeling: touch and trust, or None by sight alone."""

    def __init__(
        self, representations: list[Representation], members: list[_Sight], feeling: nn.ModuleDict | None
    ) -> None:
        super().__init__()
        self._representations = representations
        self.members = nn.ModuleList(members)
        self.inputs = TouchInputs() if feeling is not None else None
        self.feeling = feeling

    def forward(
        self,
        images: torch.Tensor,
        pose: torch.Tensor,
        wrench: torch.Tensor,
        past_pose: torch.Tensor,
        past_wrench: torch.Tensor,
    ) -> torch.Tensor:
        logits = _doubtful(self._representations, self.members, scaled(images))
        if self.feeling is not None and self.inputs is not None:
            touched = self.feeling["touch"](self.inputs(pose, wrench, past_pose, past_wrench))
            logits = self.feeling["trust"](torch.stack([logits, touched], dim=1))
        return torch.sigmoid(logits)


def _doubtful(
    representations: Sequence[Representation], members: Iterable[nn.Module], seen: torch.Tensor
) -> torch.Tensor:
    """(batch,) the logits of the most doubtful member."""
    logits = [
        member.head(representation.encode(seen)).squeeze(1)  # type: ignore[operator]
        for representation, member in zip(representations, members, strict=True)
    ]
    return torch.stack(logits).amin(0)


class DaibRewardModel(RewardModel):
    """See the module. `threshold` is 0.5 until it is chosen."""

    def __init__(
        self, options: RewardModelOptions, representations: list[Representation], *, device: str = "cpu"
    ) -> None:
        self.threshold = 0.5
        self._options = options
        self._representations = representations
        self._members = [_Sight(one).to(device).eval() for one in representations]
        self._touch = TouchClassifier(options.touch_hidden, options.touch_dropout)
        self._trust = _Trust()
        # One module, so that one file holds both.
        self._feeling = nn.ModuleDict({"touch": self._touch, "trust": self._trust}).to(device).eval()
        self._device = device

    def fit(self, data: ReplayCache, *, seed: int, progress: Progress, start: Representation | None = None) -> None:
        if start is not None:
            for representation in self._representations:
                _begin_from(representation.module, start.module)
        known = np.flatnonzero(data.success >= 0)
        if not self._options.touch:
            self._fit_sight(data, known, seed=seed, progress=progress)
            return
        judging = _left_out(data, known, seed)
        train = known[~judging] if judging.any() else known
        self._fit_touch(data, train, seed=seed, progress=progress)
        alike = (data.success[train] == 0) & (_distance_m(data, train) < ALIKE_M)
        self._fit_sight(data, train[~alike], seed=seed, progress=progress)
        self._fit_trust(data, known[judging] if judging.any() else known)

    def _fit_touch(self, data: ReplayCache, frames: NDArray[np.int64], *, seed: int, progress: Progress) -> None:
        steps = self._options.touch_steps
        train_touch(
            self._touch,
            _felt(data, frames),
            data.success[frames].astype(np.float32),
            _weights(data, frames, self._options),
            steps=steps,
            seed=seed,
            device=self._device,
            told=lambda step, loss: progress(step, steps, {"loss of touch": loss}),
        )

    def _fit_sight(self, data: ReplayCache, frames: NDArray[np.int64], *, seed: int, progress: Progress) -> None:
        options = self._options
        labels = torch.from_numpy(data.success.astype(np.float32)).to(self._device)
        domains, _ = domains_of(data)
        domain = torch.from_numpy(domains).to(self._device)
        for number, (representation, member) in enumerate(zip(self._representations, self._members, strict=True)):

            def loss(
                images: torch.Tensor,
                chosen: NDArray[np.int64],
                done: float,
                representation: Representation = representation,
                member: _Sight = member,
            ) -> torch.Tensor:
                index = torch.from_numpy(chosen).to(self._device)
                code, penalty = representation.encode_with_penalty(images, domain[index], done)
                logits = member.head(code).squeeze(1)
                return functional.binary_cross_entropy_with_logits(logits, labels[index]) + penalty

            def told(done: int, total: int, figures: dict[str, float], number: int = number) -> None:
                progress(number * total + done, len(self._members) * total, figures)

            train_on_images(
                [member, representation.training_module],
                data,
                frames,
                loss,
                schedule=Schedule(options.steps, options.batch, options.learning_rate),
                seed=seed + number,
                device=self._device,
                weights=_weights(data, frames, options),
                progress=told,
            )

    def _fit_trust(self, data: ReplayCache, frames: NDArray[np.int64]) -> None:
        chunks = np.array_split(frames, max(1, len(frames) // SCORING_BATCH))
        with torch.no_grad():
            logits = torch.cat([self._both(data.images[chunk], _felt(data, chunk)).double() for chunk in chunks])
        labels = torch.from_numpy(data.success[frames].astype(np.float64)).to(self._device)
        self._trust.double()
        optimizer = torch.optim.LBFGS(self._trust.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = functional.binary_cross_entropy_with_logits(self._trust(logits), labels) + RIDGE * self._trust.size
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        self._trust.float()

    @torch.no_grad()
    def score(self, observations: Observation, past: Past) -> NDArray[np.float32]:
        images = observations["images"]
        if self._options.touch:
            felt = touch_inputs(observations["pose"], observations["wrench"], past)
        scores = []
        for start in range(0, len(images), SCORING_BATCH):
            some = slice(start, start + SCORING_BATCH)
            if self._options.touch:
                logits = self._trust(self._both(images[some], felt[some]))
            else:
                logits = self._sight(images[some])
            scores.append(torch.sigmoid(logits))
        return np.asarray(torch.cat(scores).cpu().numpy(), dtype=np.float32)

    def _both(self, images: NDArray[np.uint8], felt: NDArray[np.float32]) -> torch.Tensor:
        """(batch, 2) the logits of sight and touch."""
        touched = self._touch(torch.from_numpy(felt).to(self._device))
        return torch.stack([self._sight(images), touched], dim=1)

    def _sight(self, images: NDArray[np.uint8]) -> torch.Tensor:
        return _doubtful(self._representations, self._members, as_input(images, self._device))

    @property
    def sight(self) -> Sight:
        return Sight(partial(_doubtful, self._representations, self._members), self._representations)

    @property
    def scoring_module(self) -> nn.Module:
        feeling = self._feeling if self._options.touch else None
        return _Scoring(self._representations, self._members, feeling).to(self._device).eval()

    def save(self, folder: Path) -> None:
        for number, member in enumerate(self._members):
            save_tensors(folder / f"classifier_{number}.safetensors", member.state_dict())
        if self._options.touch:
            save_tensors(folder / "touch.safetensors", self._feeling.state_dict())

    def load(self, folder: Path) -> None:
        for number, member in enumerate(self._members):
            load_module(folder / f"classifier_{number}.safetensors", member)
        if self._options.touch:
            load_module(folder / "touch.safetensors", self._feeling)


def _begin_from(module: nn.Module, trained: nn.Module) -> None:
    """Takes over the weights of layers that are called and shaped alike: where things are is worth knowing here too."""
    own = module.state_dict()
    alike = {
        name: weight for name, weight in trained.state_dict().items() if name in own and own[name].shape == weight.shape
    }
    module.load_state_dict({**own, **alike})


def _felt(data: ReplayCache, frames: NDArray[np.int64]) -> NDArray[np.float32]:
    return touch_inputs(data.pose[frames], data.wrench[frames], data.past(frames))


def _left_out(data: ReplayCache, frames: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """(frames,) which of them are of variants that are left out to weigh sight and touch on; none if there are few, or
    they do not show both success and failure."""
    names = sorted(set(data.variants))
    shuffled = np.random.default_rng(seed).permutation(names).tolist()
    chosen = set(shuffled[: round(JUDGING * len(names))])
    left_out = np.array([name in chosen for name in data.variants])[data.episode[frames]]
    if len(set(data.success[frames[left_out]])) < 2:
        return np.zeros(len(frames), np.bool_)
    return np.asarray(left_out)


def _distance_m(data: ReplayCache, frames: NDArray[np.int64]) -> NDArray[np.float32]:
    """(frames,) how far the tool is from where it would be at success; far where that is not known."""
    way = np.nan_to_num(data.seated_from_tcp[frames, :3], nan=1.0)
    return np.asarray(np.linalg.norm(way, axis=1))


def _weights(data: ReplayCache, frames: NDArray[np.int64], options: RewardModelOptions) -> NDArray[np.float64]:
    """(frames,) how likely each frame is drawn, so that the shares of a batch come out."""
    success = data.success[frames] == 1
    near = ~success & (_distance_m(data, frames) < NEAR_M)
    weights = np.zeros(len(frames))
    rest = 1.0 - options.successes - options.near_misses
    for group, share in ((success, options.successes), (near, options.near_misses), (~success & ~near, rest)):
        weights[group] = share / max(1, int(group.sum()))
    return weights
