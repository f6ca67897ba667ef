"""The reward model as a judge: who practises by itself also rewards itself."""

from __future__ import annotations

import numpy as np

from skillcore.interfaces import RewardModel
from skillcore.types import Observation

AGREEMENT = 2
"""So many frames one after the other must look like success. A glimpse that deceives seldom comes twice."""


class SelfReward:
    """A `Judge` that asks a reward model."""

    def __init__(self, reward_model: RewardModel, *, agreement: int = AGREEMENT) -> None:
        self._reward_model = reward_model
        self._agreement = agreement
        self._in_a_row = 0

    def start(self) -> None:
        self._in_a_row = 0

    def judge(self, observation: Observation) -> tuple[float, bool]:
        score = float(self._reward_model.score(batch_of_one(observation))[0])
        self._in_a_row = self._in_a_row + 1 if score > self._reward_model.threshold else 0
        return score, self._in_a_row >= self._agreement


class NeverJudge:
    """A `Judge` for which no goal is ever reached: offline data goes on after success."""

    def start(self) -> None:
        """Nothing to prepare."""

    def judge(self, observation: Observation) -> tuple[float, bool]:
        return float("nan"), False


def batch_of_one(observation: Observation) -> Observation:
    """The observation with a batch axis in front."""
    return Observation(
        images=observation["images"][np.newaxis],
        pose=observation["pose"][np.newaxis],
        wrench=observation["wrench"][np.newaxis],
    )
