"""Implicit Q-learning (Kostrikov, Nair, Levine 2021, arXiv:2110.06169), offline and then online.

For state s, action a, reward r, next state s', and c = 0 where the goal ends the episode:

    value   L_V = |tau - [u < 0]| u^2,              u = min(Q'_1, Q'_2)(s, a) - V(s)
    policy  L_pi = -min(exp(beta A), 100) log pi(a|s),  A = min(Q'_1, Q'_2)(s, a) - V(s), with the new V
    critics L_Q = mean_i (Q_i(s, a) - r - discount c V(s'))^2, with the new V
    targets Q'_i <- (1 - rate) Q'_i + rate Q_i

The updates come in this order, as in the reference. The policy is a Gaussian with a tanh mean and a state-independent
log standard deviation of at least -5; it acts by its mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skillcore.interfaces import Learner
from skillcore.learning.replay import Batch, Transitions, mixed_batch
from skillcore.learning.training import Progress
from skillcore.learning.weights import load_learner, save_learner
from skillcore_iql.options import IqlOptions

ACTION_DIM = 4
WEIGHT_LIMIT = 100.0
LOG_STD = (-5.0, 2.0)


def mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


class TwinCritics(nn.Module):
    """Q_1 and Q_2: features (batch, dim), actions (batch, 4) -> (2, batch)."""

    def __init__(self, feature_dim: int, hidden: int) -> None:
        super().__init__()
        self.both = nn.ModuleList([mlp(feature_dim + ACTION_DIM, hidden, 1) for _ in range(2)])

    def forward(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        inputs = torch.cat([features, actions], dim=1)
        return torch.stack([critic(inputs).squeeze(1) for critic in self.both])


class GaussianPolicy(nn.Module):
    """features (batch, dim) -> mean of the action (batch, 4) in (-1, 1)."""

    def __init__(self, feature_dim: int, hidden: int) -> None:
        super().__init__()
        self.mean = mlp(feature_dim, hidden, ACTION_DIM)
        self.log_std = nn.Parameter(torch.zeros(ACTION_DIM))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.mean(features))

    def log_prob(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        log_std = self.log_std.clamp(*LOG_STD)
        miss = (actions - self(features)) / log_std.exp()
        return torch.as_tensor((-0.5 * miss.square() - log_std).sum(1))


class Iql(Learner):
    """See the module."""

    def __init__(self, options: IqlOptions, *, feature_dim: int, device: str = "cpu") -> None:
        self._options = options
        self._device = device
        self._feature_dim = feature_dim
        self._policy = GaussianPolicy(feature_dim, options.hidden).to(device)
        self._value = mlp(feature_dim, options.hidden, 1).to(device)
        self._critics = TwinCritics(feature_dim, options.hidden).to(device)
        self._targets = TwinCritics(feature_dim, options.hidden).to(device)
        self._targets.load_state_dict(self._critics.state_dict())
        self._targets.requires_grad_(False)
        self._modules = {
            "policy": self._policy,
            "value": self._value,
            "critics": self._critics,
            "targets": self._targets,
        }
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(self._modules[name].parameters(), lr=options.learning_rate, fused=True)
            for name in ("value", "policy", "critics")
        }
        self._prior = Transitions.none(feature_dim)

    def pretrain(self, prior: Transitions, *, seed: int, progress: Progress) -> None:
        rng = np.random.default_rng(seed)
        none = Transitions.none(self._feature_dim)
        for step in range(self._options.pretrain_steps):
            figures = self._update(self._batch(none, prior, rng))
            if step % 100 == 99:
                progress(step + 1, self._options.pretrain_steps, figures)

    def begin_practice(self, prior: Transitions) -> None:
        self._prior = prior

    @torch.no_grad()
    def act(self, features: NDArray[np.float32], *, explore: np.random.Generator | None) -> NDArray[np.float32]:
        action = self._policy(torch.from_numpy(features).to(self._device).unsqueeze(0))[0].cpu().numpy()
        if explore is not None:
            action = action + self._options.noise * explore.standard_normal(ACTION_DIM)
        return np.asarray(np.clip(action, -1.0, 1.0), dtype=np.float32)

    def learn(self, online: Transitions, *, rng: np.random.Generator, steps: int) -> Mapping[str, float]:
        figures: dict[str, float] = {}
        for _ in range(steps * self._options.updates_per_step):
            figures = self._update(self._batch(online, self._prior, rng))
        return figures

    def _batch(self, online: Transitions, prior: Transitions, rng: np.random.Generator) -> Batch:
        options = self._options
        return mixed_batch(
            online, prior, size=options.batch, online_share=options.online_share, rng=rng, device=self._device
        )

    def _update(self, batch: Batch) -> dict[str, float]:
        options = self._options
        with torch.no_grad():
            worth = self._targets(batch.features, batch.actions).amin(0)
        ahead = worth - self._value(batch.features).squeeze(1)
        tau = torch.where(ahead < 0.0, 1.0 - options.expectile, options.expectile)
        value_loss = (tau * ahead.square()).mean()
        self._step("value", value_loss)

        with torch.no_grad():
            advantage = worth - self._value(batch.features).squeeze(1)
            weight = (options.temperature * advantage).exp().clamp_max(WEIGHT_LIMIT)
            following = self._value(batch.next_features).squeeze(1)
            target = batch.rewards + options.discount * batch.continues * following
        policy_loss = -(weight * self._policy.log_prob(batch.features, batch.actions)).mean()
        self._step("policy", policy_loss)

        critic_loss = (self._critics(batch.features, batch.actions) - target).square().mean()
        self._step("critics", critic_loss)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._targets.parameters()), list(self._critics.parameters()), options.target_rate
            )
        return {"critic_loss": float(critic_loss.detach()), "value": float(worth.mean())}

    def _step(self, name: str, loss: torch.Tensor) -> None:
        self._optimizers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizers[name].step()

    def save(self, folder: Path, *, resumable: bool = True) -> None:
        save_learner(folder, self._modules, self._optimizers, resumable=resumable, copies={"targets": "critics"})

    def load(self, folder: Path) -> None:
        load_learner(folder, self._modules, self._optimizers, copies={"targets": "critics"})
