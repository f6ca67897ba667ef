"""Online reinforcement learning with prior data.

After Ball, Smith, Kostrikov, Levine 2023, "Efficient Online Reinforcement Learning with Offline Data"
(arXiv:2302.02948): batches half from practice and half from prior data, LayerNorm in the critics, an ensemble of them
with the target from the smaller of a random few (Chen et al. 2021, arXiv:2101.05982), many updates a step. For state s,
action a, reward r, next state s', and c = 0 where the goal ends the episode:

    target  y = r + discount c min_{i in a random few} Q'_i(s', pi(s') + small noise)
    critics L = mean_i (Q_i(s, a) - y)^2
    actor   L = -mean_{i in the few} Q_i(s, pi(s)) / |Q|  +  imitation [Q(s, a) > Q(s, pi(s))] |pi(s) - a|^2

Different from the paper: the policy is deterministic with noise added where it explores, and improved after every
second update of the critics (Fujimoto et al. 2018, TD3, arXiv:1802.09477). It imitates the data's action where the
critics prefer that to its own (Nair et al. 2018, arXiv:1709.10089), which carries it over from offline to online.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from skillcore.learning.off_policy import ACTION_DIM, EnsembleLinear, OffPolicyLearner
from skillcore.learning.replay import Batch
from skillcore_rlpd.options import RlpdOptions

TARGET_NOISE, TARGET_NOISE_LIMIT = 0.1, 0.2


class Critics(nn.Module):
    """An ensemble of Q functions with LayerNorm: features (batch, dim), actions (batch, 4) -> (members, batch).

    Called with `chosen`, indices of some members, it answers with these alone: what is not used is not worked out.
    """

    def __init__(self, members: int, feature_dim: int, hidden: int) -> None:
        super().__init__()
        self.members = members
        self.first = EnsembleLinear(members, feature_dim + ACTION_DIM, hidden)
        self.second = EnsembleLinear(members, hidden, hidden)
        self.last = EnsembleLinear(members, hidden, 1)
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])

    def forward(
        self, features: torch.Tensor, actions: torch.Tensor, chosen: torch.Tensor | None = None
    ) -> torch.Tensor:
        members = self.members if chosen is None else len(chosen)
        inputs = torch.cat([features, actions], dim=1).expand(members, -1, -1)
        hidden = functional.relu(self.norms[0](self.first(inputs, chosen)))
        hidden = functional.relu(self.norms[1](self.second(hidden, chosen)))
        return torch.as_tensor(self.last(hidden, chosen)).squeeze(2)


def make_policy(feature_dim: int, hidden: int) -> nn.Sequential:
    """features (batch, dim) -> actions (batch, 4) in (-1, 1)."""
    return nn.Sequential(
        nn.Linear(feature_dim, hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, ACTION_DIM),
        nn.Tanh(),
    )


class Rlpd(OffPolicyLearner):
    """See the module."""

    def __init__(self, options: RlpdOptions, *, feature_dim: int, device: str = "cpu") -> None:
        self._options = options
        super().__init__(
            options,
            policy=make_policy(feature_dim, options.hidden),
            critics=Critics(options.critics, feature_dim, options.hidden),
            others={},
            feature_dim=feature_dim,
            device=device,
        )

    def update(self, batch: Batch, rng: np.random.Generator, number: int) -> dict[str, torch.Tensor]:
        options = self._options
        with torch.no_grad():
            jitter = TARGET_NOISE * rng.standard_normal(batch.actions.shape)
            jitter = jitter.clip(-TARGET_NOISE_LIMIT, TARGET_NOISE_LIMIT)
            noise = torch.from_numpy(jitter.astype(np.float32)).to(self.device)
            following = (self._policy(batch.next_features) + noise).clamp(-1.0, 1.0)
            few = torch.from_numpy(rng.permutation(options.critics)[: options.target_critics]).to(self.device)
            value = self._targets(batch.next_features, following, few).amin(0)
            target = batch.rewards + options.discount * batch.continues * value
        values = self._critics(batch.features, batch.actions)
        critic_loss = (values - target).square().mean()
        self.descend("critics", critic_loss)
        self.follow()
        if number % options.policy_delay == 0:
            self._improve_policy(batch, few, values.detach()[few].mean(0))
        return {"critic_loss": critic_loss.detach(), "value": values.detach().mean()}

    def _improve_policy(self, batch: Batch, few: torch.Tensor, values: torch.Tensor) -> None:
        """By the critics `few`. values: (batch,) what these thought of the data's actions."""
        self._critics.requires_grad_(False)
        actions = self._policy(batch.features)
        worth = self._critics(batch.features, actions, few).mean(0)
        with torch.no_grad():
            better = (values > worth).float()
            scale = worth.abs().mean().clamp_min(1e-3)
        imitation = (better * (actions - batch.actions).square().sum(1)).mean()
        policy_loss = -worth.mean() / scale + self._options.imitation * imitation
        self.descend("actor", policy_loss)
        self._critics.requires_grad_(True)
