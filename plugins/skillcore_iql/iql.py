"""Implicit Q-learning (Kostrikov, Nair, Levine 2021, arXiv:2110.06169), offline and then online.

For state s, action a, reward r, next state s', and c = 0 where the goal ends the episode:

    value   L_V = |tau - [u < 0]| u^2,              u = min(Q'_1, Q'_2)(s, a) - V(s)
    policy  L_pi = -min(exp(beta A), 100) log pi(a|s),  A = min(Q'_1, Q'_2)(s, a) - V(s), with the new V
    critics L_Q = mean_i (Q_i(s, a) - r - discount c V(s'))^2, with the new V
    targets Q'_i <- (1 - rate) Q'_i + rate Q_i

The updates come in this order, as in the reference. The policy is a Gaussian with a tanh mean and a state-independent
log standard deviation of at least -5; it acts by its mean. Hidden layers learn with products in bfloat16 where the
machine is quick at it.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skillcore.learning.off_policy import ACTION_DIM, EnsembleLinear, OffPolicyLearner
from skillcore.learning.precision import fast_products
from skillcore.learning.replay import Batch
from skillcore_iql.options import IqlOptions

WEIGHT_LIMIT = 100.0
LOG_STD = (-5.0, 2.0)


class Mlp(nn.Sequential):
    """Two hidden layers."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(
            nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
        )

    def fast(self, inputs: torch.Tensor) -> torch.Tensor:
        """The same for learning: only the last layer in full precision."""
        *hidden, last = self
        with fast_products(inputs.device):
            for layer in hidden:
                inputs = layer(inputs)
        return torch.as_tensor(last(inputs.float()))


class TwinCritics(nn.Module):
    """Q_1 and Q_2, side by side: features (batch, dim), actions (batch, 4) -> (2, batch)."""

    def __init__(self, feature_dim: int, hidden: int) -> None:
        super().__init__()
        self.first = EnsembleLinear(2, feature_dim + ACTION_DIM, hidden)
        self.second = EnsembleLinear(2, hidden, hidden)
        self.last = EnsembleLinear(2, hidden, 1)

    def forward(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        inputs = torch.cat([features, actions], dim=1).expand(2, -1, -1)
        with fast_products(inputs.device):
            hidden = functional.relu(self.second(functional.relu(self.first(inputs))))
        return torch.as_tensor(self.last(hidden.float())).squeeze(2)


class GaussianPolicy(nn.Module):
    """features (batch, dim) -> mean of the action (batch, 4) in (-1, 1)."""

    def __init__(self, feature_dim: int, hidden: int) -> None:
        super().__init__()
        self.mean = Mlp(feature_dim, hidden, ACTION_DIM)
        self.log_std = nn.Parameter(torch.zeros(ACTION_DIM))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.mean(features))

    def log_prob(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        """(batch,), without the constant."""
        log_std = self.log_std.clamp(*LOG_STD)
        miss = (actions - torch.tanh(self.mean.fast(features))) * (-log_std).exp()
        return torch.as_tensor((-0.5 * miss.square() - log_std).sum(1))


class Iql(OffPolicyLearner):
    """See the module."""

    def __init__(self, options: IqlOptions, *, feature_dim: int, device: str = "cpu") -> None:
        self._options = options
        self._policy: GaussianPolicy
        self._value = Mlp(feature_dim, options.hidden, 1)
        super().__init__(
            options,
            policy=GaussianPolicy(feature_dim, options.hidden),
            critics=TwinCritics(feature_dim, options.hidden),
            others={"value": self._value},
            feature_dim=feature_dim,
            device=device,
        )

    def update(self, batch: Batch, rng: np.random.Generator, number: int) -> dict[str, torch.Tensor]:
        options = self._options
        with torch.no_grad():
            worth = self._targets(batch.features, batch.actions).amin(0)
        ahead = worth - self._value.fast(batch.features).squeeze(1)
        tau = torch.where(ahead < 0.0, 1.0 - options.expectile, options.expectile)
        self.descend("value", (tau * ahead.square()).mean())

        with torch.no_grad():
            # One pass for both: the value of where the step began, and of where it led.
            both = self._value.fast(torch.cat([batch.features, batch.next_features])).squeeze(1)
            value, following = both.chunk(2)
            weight = (options.temperature * (worth - value)).exp().clamp_max(WEIGHT_LIMIT)
            target = batch.rewards + options.discount * batch.continues * following
        self.descend("actor", -(weight * self._policy.log_prob(batch.features, batch.actions)).mean())

        critic_loss = (self._critics(batch.features, batch.actions) - target).square().mean()
        self.descend("critics", critic_loss)
        self.follow()
        return {"critic_loss": critic_loss.detach(), "value": worth.mean()}
