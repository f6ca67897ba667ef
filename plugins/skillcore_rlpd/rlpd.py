"""Online reinforcement learning with prior data.

After Ball, Smith, Kostrikov, Levine 2023, "Efficient Online Reinforcement Learning with Offline Data"
(arXiv:2302.02948): batches half from practice and half from prior data, LayerNorm in the critics, an ensemble of them
with the target from the smaller of a random few (Chen et al. 2021, arXiv:2101.05982), many updates a step. For state s,
action a, reward r, next state s', and c = 0 where the goal ends the episode:

    target  y = r + discount c min_{i in a random few} Q'_i(s', pi(s') + small noise)
    critics L = mean_i (Q_i(s, a) - y)^2
    actor   L = -mean_i Q_i(s, pi(s)) / |Q|  +  imitation [Q(s, a) > Q(s, pi(s))] |pi(s) - a|^2

Different from the paper: the policy is deterministic with noise added where it explores, and improved after every
second update of the critics (Fujimoto et al. 2018, TD3, arXiv:1802.09477). It imitates the data's action where the
critics prefer that to its own (Nair et al. 2018, arXiv:1709.10089), which carries it over from offline to online.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.interfaces import Learner
from skillcore.learning.replay import Batch, Transitions, mixed_batch
from skillcore.learning.training import Progress
from skillcore.learning.weights import load_learner, save_learner
from skillcore_rlpd.options import RlpdOptions

ACTION_DIM = 4
TARGET_NOISE, TARGET_NOISE_LIMIT = 0.1, 0.2


class EnsembleLinear(nn.Module):
    """`members` linear layers side by side: (members, batch, inputs) -> (members, batch, outputs)."""

    def __init__(self, members: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(members, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, 1, outputs).uniform_(-bound, bound))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.baddbmm(self.bias, inputs, self.weight)


class Critics(nn.Module):
    """An ensemble of Q functions with LayerNorm: features (batch, dim), actions (batch, 4) -> (members, batch)."""

    def __init__(self, members: int, feature_dim: int, hidden: int) -> None:
        super().__init__()
        self.members = members
        self.first = EnsembleLinear(members, feature_dim + ACTION_DIM, hidden)
        self.second = EnsembleLinear(members, hidden, hidden)
        self.last = EnsembleLinear(members, hidden, 1)
        self.norms = nn.ModuleList([nn.LayerNorm(hidden), nn.LayerNorm(hidden)])

    def forward(self, features: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        inputs = torch.cat([features, actions], dim=1).expand(self.members, -1, -1)
        hidden = functional.relu(self.norms[0](self.first(inputs)))
        hidden = functional.relu(self.norms[1](self.second(hidden)))
        return torch.as_tensor(self.last(hidden)).squeeze(2)


def make_actor(feature_dim: int, hidden: int) -> nn.Sequential:
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


class Rlpd(Learner):
    """See the module."""

    def __init__(self, options: RlpdOptions, *, feature_dim: int, device: str = "cpu") -> None:
        self._options = options
        self._device = device
        self._feature_dim = feature_dim
        self._actor = make_actor(feature_dim, options.hidden).to(device)
        self._critics = Critics(options.critics, feature_dim, options.hidden).to(device)
        self._targets = Critics(options.critics, feature_dim, options.hidden).to(device)
        self._targets.load_state_dict(self._critics.state_dict())
        self._targets.requires_grad_(False)
        self._modules = {"actor": self._actor, "critics": self._critics, "targets": self._targets}
        self._optimizers: dict[str, torch.optim.Optimizer] = {
            name: torch.optim.Adam(self._modules[name].parameters(), lr=options.learning_rate, fused=True)
            for name in ("actor", "critics")
        }
        self._prior = Transitions.none(feature_dim)

    def pretrain(self, prior: Transitions, *, seed: int, progress: Progress) -> None:
        rng = np.random.default_rng(seed)
        none = Transitions.none(self._feature_dim)
        for step in range(self._options.pretrain_steps):
            figures = self._update(self._batch(none, prior, rng), rng, step)
            if step % 100 == 99:
                progress(step + 1, self._options.pretrain_steps, figures)

    def begin_practice(self, prior: Transitions) -> None:
        self._prior = prior

    @torch.no_grad()
    def act(self, features: NDArray[np.float32], *, explore: np.random.Generator | None) -> NDArray[np.float32]:
        action = self._actor(torch.from_numpy(features).to(self._device).unsqueeze(0))[0].cpu().numpy()
        if explore is not None:
            action = action + self._options.noise * explore.standard_normal(ACTION_DIM)
        return np.asarray(np.clip(action, -1.0, 1.0), dtype=np.float32)

    def learn(self, online: Transitions, *, rng: np.random.Generator, steps: int) -> Mapping[str, float]:
        figures: dict[str, float] = {}
        for step in range(steps * self._options.updates_per_step):
            figures = self._update(self._batch(online, self._prior, rng), rng, step)
        return figures

    def _batch(self, online: Transitions, prior: Transitions, rng: np.random.Generator) -> Batch:
        options = self._options
        return mixed_batch(
            online, prior, size=options.batch, online_share=options.online_share, rng=rng, device=self._device
        )

    def _update(self, batch: Batch, rng: np.random.Generator, step: int) -> dict[str, float]:
        options = self._options
        with torch.no_grad():
            jitter = TARGET_NOISE * rng.standard_normal(batch.actions.shape)
            jitter = jitter.clip(-TARGET_NOISE_LIMIT, TARGET_NOISE_LIMIT)
            noise = torch.from_numpy(jitter.astype(np.float32)).to(self._device)
            following = (self._actor(batch.next_features) + noise).clamp(-1.0, 1.0)
            few = torch.from_numpy(rng.permutation(options.critics)[: options.target_critics]).to(self._device)
            value = self._targets(batch.next_features, following)[few].amin(0)
            target = batch.rewards + options.discount * batch.continues * value
        values = self._critics(batch.features, batch.actions)
        critic_loss = (values - target).square().mean()
        self._step("critics", critic_loss)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self._targets.parameters()), list(self._critics.parameters()), options.target_rate
            )
        if step % options.policy_delay == 0:
            self._improve_policy(batch, values.detach().mean(0))
        return {"critic_loss": float(critic_loss.detach()), "value": float(values.detach().mean())}

    def _improve_policy(self, batch: Batch, values: torch.Tensor) -> None:
        """values: (batch,) what the critics thought of the data's actions."""
        self._critics.requires_grad_(False)
        actions = self._actor(batch.features)
        worth = self._critics(batch.features, actions).mean(0)
        with torch.no_grad():
            better = (values > worth).float()
            scale = worth.abs().mean().clamp_min(1e-3)
        imitation = (better * (actions - batch.actions).square().sum(1)).mean()
        actor_loss = -worth.mean() / scale + self._options.imitation * imitation
        self._step("actor", actor_loss)
        self._critics.requires_grad_(True)

    def _step(self, name: str, loss: torch.Tensor) -> None:
        self._optimizers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizers[name].step()

    def save(self, folder: Path, *, resumable: bool = True) -> None:
        save_learner(folder, self._modules, self._optimizers, resumable=resumable, copies={"targets": "critics"})

    def load(self, folder: Path) -> None:
        load_learner(folder, self._modules, self._optimizers, copies={"targets": "critics"})
