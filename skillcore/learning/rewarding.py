"""The reward model as a judge: who practises by itself also rewards itself."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from skillcore.types import PAST, EpisodeInfo, Observation, Past

if TYPE_CHECKING:
    from skillcore.interfaces import RewardModel

_THRESHOLD = re.compile(r"^threshold ([\d.]+)\b")
_RULE = re.compile(r"\b(\d+) of (\d+) frames$")


@dataclass(frozen=True, slots=True)
class Rule:
    """`agreement` of the last `window` frames must look like success, the last one among them.

    What deceives is seldom seen several times; and a plug that is seated feels the part only while it is pressed, which
    may be every other frame.
    """

    agreement: int
    window: int

    def __str__(self) -> str:
        return f"{self.agreement} of {self.window} frames"

    def holds(self, high: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(frames,) where an episode whose frames look like success in `high` (frames,) counts as succeeded."""
        sums = np.cumsum(np.concatenate([np.zeros(self.window, np.int64), high]))
        return np.asarray(high & (sums[self.window :] - sums[: -self.window] >= self.agreement))

    def levels(self, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """(frames,) the greatest threshold below which an episode of these scores (frames,) counts as succeeded."""
        before = np.full(self.window - 1, -np.inf, score.dtype)
        windows = np.sort(sliding_window_view(np.concatenate([before, score]), self.window), axis=1)
        return np.asarray(np.minimum(score, windows[:, self.window - self.agreement]))


RULE = Rule(3, 4)
PRACTICE_RULE = Rule(2, 3)
"""Practice is told of success sooner: who explores does not press for long, and claims that are wrong are found out by
others."""


class SelfReward:
    """A `Judge` that asks a reward model."""

    def __init__(self, reward_model: RewardModel, rule: Rule = RULE) -> None:
        self._reward_model = reward_model
        self._rule = rule
        self._last: deque[bool] = deque(maxlen=rule.window)
        self._before: deque[Observation] = deque(maxlen=PAST)

    def start(self) -> None:
        self._last.clear()
        self._before.clear()

    def judge(self, observation: Observation) -> tuple[float, bool]:
        past = past_of(list(self._before) or [observation])
        score = float(self._reward_model.score(batch_of_one(observation), past)[0])
        self._before.appendleft(observation)
        self._last.append(score > self._reward_model.threshold)
        return score, bool(self._rule.holds(np.array(self._last))[-1])


def batch_of_one(observation: Observation) -> Observation:
    """The observation with a batch axis in front."""
    return Observation(
        images=observation["images"][np.newaxis],
        pose=observation["pose"][np.newaxis],
        wrench=observation["wrench"][np.newaxis],
    )


def past_of(before: list[Observation]) -> Past:
    """A batch of one, from up to `PAST` observations of an episode, the latest first; the earliest is repeated."""
    filled = before + before[-1:] * (PAST - len(before))
    return Past(
        pose=np.stack([one["pose"] for one in filled])[np.newaxis],
        wrench=np.stack([one["wrench"] for one in filled])[np.newaxis],
    )


def looked_like_success(info: EpisodeInfo, score: NDArray[np.float32]) -> bool:
    """Whether the reward model took an episode for a success, by the scores (steps + 1,) it gave and the rule that
    `EpisodeInfo.reward_model` names; not so where it names none."""
    threshold, rule = threshold_of(info.reward_model), _RULE.search(info.reward_model)
    if threshold is None or rule is None:
        return False
    return bool(Rule(int(rule.group(1)), int(rule.group(2))).holds(score > threshold).any())


def threshold_of(reward_model: str) -> float | None:
    """The reward threshold that an episode was judged by, as `EpisodeInfo.reward_model` has it; None without one."""
    found = _THRESHOLD.match(reward_model)
    return float(found.group(1)) if found else None
