"""What all learners from stored transitions have in common: a policy that acts, critics with targets that follow them,
and batches of practice and offline data."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skillcore.interfaces import Learner
from skillcore.learning.off_policy_options import OffPolicyOptions
from skillcore.learning.replay import Batch, Transitions, mixed_batch
from skillcore.learning.training import Progress
from skillcore.learning.weights import load_learner, save_learner

ACTION_DIM = 4
COPIES = {"targets": "critics"}


class EnsembleLinear(nn.Module):
    """`members` linear layers side by side: (members, batch, inputs) -> (members, batch, outputs).

    Called with `chosen`, indices of some of them, it is only these.
    """

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: torch.Tensor, chosen: torch.Tensor | None = None) -> torch.Tensor:
        if chosen is None:
            return torch.baddbmm(self.bias, inputs, self.weight)
        return torch.baddbmm(self.bias[chosen], inputs, self.weight[chosen])


class OffPolicyLearner(Learner):
    """A policy and critics, improved batch by batch; a subclass says how, in `update`.

    policy: features (batch, feature_dim) -> actions (batch, 4) in (-1, 1). others: further modules that are trained, by
    name.
    """

    def __init__(
        self,
        options: OffPolicyOptions,
        *,
        policy: nn.Module,
        critics: nn.Module,
        others: Mapping[str, nn.Module],
        feature_dim: int,
        device: str,
    ) -> None:
        self.device = device
        self._common = options
        self._feature_dim = feature_dim
        self._policy, self._critics = policy.to(device), critics.to(device)
        self._targets = copy.deepcopy(critics).requires_grad_(False)
        trained = {"actor": policy, "critics": critics, **{name: one.to(device) for name, one in others.items()}}
        self._modules = {**trained, "targets": self._targets}
        self._trained = trained
        self._followed: tuple[list[torch.Tensor], list[torch.Tensor]] = (
            list(self._targets.parameters()),
            list(critics.parameters()),
        )
        self._prior = Transitions.none(feature_dim)

    @cached_property
    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self._common.learning_rate
        return {
            name: torch.optim.Adam(module.parameters(), lr=rate, fused=True) for name, module in self._trained.items()
        }

    @abstractmethod
    def update(self, batch: Batch, rng: np.random.Generator, number: int) -> dict[str, torch.Tensor]:
        """A gradient step on all that is trained. number: counts the updates of a stretch. Returns figures, each ()."""

    def pretrain(self, prior: Transitions, *, seed: int, progress: Progress) -> None:
        rng = np.random.default_rng(seed)
        steps, none = self._common.pretrain_steps, Transitions.none(self._feature_dim)
        for step in range(steps):
            figures = self.update(self._batch(none, prior, self._common.batch, rng), rng, step)
            if step % 100 == 99:
                progress(step + 1, steps, _plain(figures))

    def begin_practice(self, prior: Transitions) -> None:
        self._prior = prior

    @torch.no_grad()
    def act(self, features: NDArray[np.float32], *, explore: np.random.Generator | None) -> NDArray[np.float32]:
        action = self._policy(torch.from_numpy(features).to(self.device).unsqueeze(0))[0].cpu().numpy()
        if explore is not None:
            action = action + self._common.noise * explore.standard_normal(ACTION_DIM)
        return np.asarray(np.clip(action, -1.0, 1.0), dtype=np.float32)

    @property
    def policy_module(self) -> nn.Module:
        return self._policy

    def learn(self, online: Transitions, *, rng: np.random.Generator, steps: int) -> Mapping[str, float]:
        figures: dict[str, torch.Tensor] = {}
        for number in range(steps * self._common.updates_per_step):
            figures = self.update(self._batch(online, self._prior, self._common.practice_batch, rng), rng, number)
        return _plain(figures)

    def descend(self, name: str, loss: torch.Tensor) -> None:
        """One step of a module's optimiser."""
        self._optimizers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizers[name].step()

    @torch.no_grad()
    def follow(self) -> None:
        """The targets move a little towards the critics."""
        torch._foreach_lerp_(*self._followed, self._common.target_rate)

    def _batch(self, online: Transitions, prior: Transitions, size: int, rng: np.random.Generator) -> Batch:
        share = self._common.online_share
        return mixed_batch(online, prior, size=size, online_share=share, rng=rng, device=self.device)

    def save(self, folder: Path, *, resumable: bool = True) -> None:
        save_learner(folder, self._modules, lambda: self._optimizers, resumable=resumable, copies=COPIES)

    def load(self, folder: Path) -> None:
        load_learner(folder, self._modules, lambda: self._optimizers, copies=COPIES)


def _plain(figures: Mapping[str, torch.Tensor]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items()}
