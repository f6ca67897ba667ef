"""A trained skill as torch modules from what is observed to what is done and believed, for other programs to run.

What `Perception`, `WayAdapter` and the judge do in numpy between the networks is written here in torch; tests hold the
two together.
"""

from __future__ import annotations

import torch
from torch import nn

from skillcore.interfaces import RewardModel
from skillcore.learning.images import scaled
from skillcore.learning.perception import WRENCH_SCALE
from skillcore.learning.recipe import Brain


class Proprioception(nn.Module):
    """`perception.proprioception`: pose (batch, 6) and wrench (batch, 6) -> (batch, 10)."""

    wrench_scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("wrench_scale", torch.from_numpy(WRENCH_SCALE))

    def forward(self, pose: torch.Tensor, wrench: torch.Tensor) -> torch.Tensor:
        return torch.cat([pose[:, :3] * 100.0, pose[:, 5:6] * 5.0, torch.asinh(wrench / self.wrench_scale)], dim=1)


class PolicyNetwork(nn.Module):
    """What a policy does without exploring and without reflex: images (batch, views, H, W, 3) uint8, pose and wrench
    (batch, 6) float32 -> action (batch, 4) in [-1, 1].

    The estimate of the way is the one that practice has adapted, if it has. Raises PluginError if the learner offers no
    module.
    """

    def __init__(self, brain: Brain) -> None:
        super().__init__()
        adapted = None if brain.adapter is None else brain.adapter.network
        self._representation = brain.perception.representation
        self._adapted_representation = None if adapted is None else adapted.representation
        # Modules of their own, so that torch finds all weights.
        self.seer = brain.perception.module
        self.adapted = None if adapted is None else adapted.module
        self.proprioception = Proprioception()
        self.policy = brain.learner.policy_module

    def forward(self, images: torch.Tensor, pose: torch.Tensor, wrench: torch.Tensor) -> torch.Tensor:
        code = self._representation.encode(scaled(images))
        if self.adapted is None or self._adapted_representation is None:
            way = self.seer.way(code)
        else:
            way = self.adapted.way(self._adapted_representation.encode(scaled(images)))
        features = torch.cat([code, way, self.proprioception(pose, wrench)], dim=1)
        return torch.as_tensor(self.policy(features)).clamp(-1.0, 1.0)


class RewardNetwork(nn.Module):
    """What a reward model believes: images (batch, views, H, W, 3) uint8, pose and wrench (batch, 6), past pose and
    past wrench (batch, PAST, 6) float32 -> probability of success (batch,).

    Raises PluginError if the reward model offers no module.
    """

    def __init__(self, reward_model: RewardModel) -> None:
        super().__init__()
        self.scoring = reward_model.scoring_module

    def forward(
        self,
        images: torch.Tensor,
        pose: torch.Tensor,
        wrench: torch.Tensor,
        past_pose: torch.Tensor,
        past_wrench: torch.Tensor,
    ) -> torch.Tensor:
        return torch.as_tensor(self.scoring(images, pose, wrench, past_pose, past_wrench))
