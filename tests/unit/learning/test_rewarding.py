"""The reward model as a judge: three of four frames must look like success."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.interfaces import RewardModel
from skillcore.learning.rewarding import PRACTICE_RULE, Rule, SelfReward, batch_of_one, looked_like_success
from skillcore.types import PAST, EpisodeInfo, Observation, Past

OBSERVATION = Observation(
    images=np.zeros((2, 8, 8, 3), np.uint8), pose=np.zeros(6, np.float32), wrench=np.ones(6, np.float32)
)


class ScriptedRewardModel(RewardModel):
    """Gives the scores it was told to give."""

    threshold = 0.5

    def __init__(self, scores: Iterable[float]) -> None:
        self._scores: Iterator[float] = iter(scores)
        self.pasts: list[Past] = []

    def fit(self, data: ReplayCache, *, seed: int, progress: Any) -> None:
        raise AssertionError("a judge does not train")

    def score(self, observations: Observation, past: Past) -> NDArray[np.float32]:
        self.pasts.append(past)
        assert observations["images"].shape == (1, 2, 8, 8, 3)
        return np.array([next(self._scores)], np.float32)

    def save(self, folder: Path) -> None:
        raise AssertionError("a judge saves nothing")

    def load(self, folder: Path) -> None:
        raise AssertionError("a judge loads nothing")


def judged(scores: list[float], **options: Rule) -> list[bool]:
    judge = SelfReward(ScriptedRewardModel(scores), **options)
    judge.start()
    return [judge.judge(OBSERVATION)[1] for _ in scores]


@pytest.mark.parametrize(
    ("scores", "wanted"),
    [
        ([0.9, 0.9, 0.9], [False, False, True]),
        ([0.9, 0.1, 0.9, 0.9, 0.1], [False, False, False, True, False]),
        ([0.9, 0.9, 0.1, 0.9], [False, False, False, True]),
        ([0.9, 0.9, 0.1, 0.1, 0.9], [False, False, False, False, False]),
        ([0.5, 0.5, 0.5, 0.5], [False, False, False, False]),
        ([0.51, 0.51, 0.51], [False, False, True]),
    ],
)
def test_three_of_four_frames_must_agree(scores: list[float], wanted: list[bool]) -> None:
    assert judged(scores) == wanted


def test_practice_asks_for_two_of_three() -> None:
    assert judged([0.9, 0.1, 0.9, 0.1], rule=PRACTICE_RULE) == [False, False, True, False]
    assert judged([0.9, 0.1, 0.1, 0.9], rule=PRACTICE_RULE) == [False, False, False, False]


def test_more_agreement_can_be_asked_for() -> None:
    assert judged([0.9, 0.9, 0.9, 0.9], rule=Rule(4, 4)) == [False, False, False, True]
    assert judged([0.9], rule=Rule(1, 1)) == [True]


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 3))
def test_a_rule_holds_of_saved_scores_where_the_judge_said_so(high: list[bool], agreement: int, more: int) -> None:
    rule = Rule(agreement, agreement + more)
    said = judged([0.9 if one else 0.1 for one in high], rule=rule)
    assert rule.holds(np.array(high)).tolist() == said


@given(
    st.lists(st.floats(0.0, 1.0, width=32), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(0, 3),
    st.floats(0.0, 1.0, width=32),
)
def test_a_rule_holds_below_the_level_it_tells(
    scores: list[float], agreement: int, more: int, threshold: float
) -> None:
    rule, score = Rule(agreement, agreement + more), np.array(scores, np.float32)
    assert rule.holds(score > threshold).tolist() == (rule.levels(score) > threshold).tolist()


def test_whether_a_saved_episode_looked_like_success_goes_by_the_rule_it_was_judged_by() -> None:
    scores = np.array([0.1, 0.7, 0.1, 0.7, 0.1], np.float32)

    def told(reward_model: str) -> bool:
        info = EpisodeInfo("insertion", "plug", "sim", 0, "practice", "timeout", reward_model=reward_model)
        return looked_like_success(info, scores)

    assert told("threshold 0.6000, 2 of 3 frames")
    assert not told("threshold 0.6000, 3 of 4 frames")
    assert not told("threshold 0.8000, 2 of 3 frames")
    assert not told("")
    assert not told("somebody else's words")


def test_an_episode_begins_without_what_was_seen_in_the_last_one() -> None:
    judge = SelfReward(ScriptedRewardModel([0.9, 0.9]))
    judge.start()
    assert judge.judge(OBSERVATION) == (pytest.approx(0.9), False)
    judge.start()
    assert judge.judge(OBSERVATION) == (pytest.approx(0.9), False)


def test_what_came_before_is_told_with_the_latest_first() -> None:
    model = ScriptedRewardModel([0.0] * 8)
    judge = SelfReward(model)
    for _ in range(2):
        judge.start()
        for number in range(4):
            judge.judge({**OBSERVATION, "pose": np.full(6, number, np.float32)})
    seen = [past["pose"][0, :, 0].tolist() for past in model.pasts]
    # Where there are too few, the episode's first frame stands in; another episode begins anew.
    assert seen[:4] == seen[4:] == [[0.0] * PAST, [0.0] * PAST, [1.0, 0.0, 0.0, 0.0], [2.0, 1.0, 0.0, 0.0]]
    assert model.pasts[0]["wrench"].shape == (1, PAST, 6)


def test_a_batch_of_one_has_one_more_axis() -> None:
    batch = batch_of_one(OBSERVATION)
    assert [batch["images"].shape, batch["pose"].shape, batch["wrench"].shape] == [(1, 2, 8, 8, 3), (1, 6), (1, 6)]
