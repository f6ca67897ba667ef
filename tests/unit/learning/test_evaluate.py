"""Shares with their intervals; policy and reward model judged separately."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from skillcore.learning.evaluate import Evaluation, Rate, TrialResult
from skillcore.learning.intervals import percent


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 1.0 - 0.1611, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_the_interval_is_wilsons(hits: int, trials: int, low: float, high: float) -> None:
    assert Rate(hits, trials).interval == pytest.approx((low, high), abs=5e-5)


def test_rates_are_told_with_their_interval() -> None:
    assert str(Rate(9, 10)) == "90% (9 of 10; 95 % interval 60% to 98%)"
    assert str(Rate(0, 0)) == "none tried"
    assert math.isnan(Rate(0, 0).value)
    assert Rate(0, 0).as_json() == {"hits": 0, "trials": 0, "value": None, "low": 0.0, "high": 1.0}


@pytest.mark.parametrize(
    ("share", "limits", "written"),
    [
        (0.44, (), "44%"),
        (0.0, (), "0%"),
        (1.0, (), "100%"),
        (1.0 - 1e-16, (), "100%"),
        (math.nan, (0.9,), "–"),
        # Nothing but all is 100 %, and nothing but none 0 %.
        (199 / 200, (), "99.5%"),
        (1999 / 2000, (), "99.95%"),
        (1 / 300, (), "0.3%"),
        # What misses a gate does not look as if it passed it, nor the other way round.
        (179 / 200, (0.9,), "89.5%"),
        (1799 / 2000, (0.9,), "89.95%"),
        (181 / 200, (0.905,), "90.5%"),
        (180 / 200, (0.9,), "90%"),
        (180 / 200, (0.895,), "90%"),
        (0.57, (0.57,), "57%"),
        (0.8, (0.9,), "80%"),
    ],
)
def test_a_share_is_never_written_as_what_it_is_not(share: float, limits: tuple[float, ...], written: str) -> None:
    assert percent(share, *limits) == written


def test_a_rate_that_misses_its_gate_says_so() -> None:
    assert Rate(179, 200).told("", 0.9) == "89.5% (179 of 200; 95 % interval 84% to 93%)"
    assert str(Rate(199, 200)) == "99.5% (199 of 200; 95 % interval 97% to 99.9%)"


def trial(number: int, claimed: bool, truth: bool | None, steps: int = 10, force: float = 1.0) -> TrialResult:
    return TrialResult(number, claimed, truth, steps, force, clamps=0, overruns=0, aborted="")


def evaluation(*pairs: tuple[bool, bool | None]) -> Evaluation:
    return Evaluation(tuple(trial(number, claimed, truth) for number, (claimed, truth) in enumerate(pairs)))


def test_policy_and_reward_model_are_judged_separately() -> None:
    # Seen successes 3, unseen ones 1, failures 4, of which 2 were taken for successes.
    found = evaluation(*[(True, True)] * 3, (False, True), *[(True, False)] * 2, *[(False, False)] * 2)
    assert found.success == Rate(4, 8)
    assert found.claimed == Rate(5, 8)
    assert found.false_positives == Rate(2, 4)
    assert found.wrong_claims == Rate(2, 8)
    assert found.false_negatives == Rate(1, 4)


def test_an_aborted_trial_failed_wherever_it_left_the_plug() -> None:
    pressed_home = replace(trial(0, claimed=False, truth=True), aborted="the force was 120 N")
    found = Evaluation((pressed_home, trial(1, claimed=True, truth=True)))
    assert found.success == Rate(1, 2)
    assert found.false_negatives == Rate(0, 1)


def test_a_perfect_policy_says_nothing_of_false_positives() -> None:
    found = evaluation((True, True), (True, True))
    assert found.success.value == 1.0
    assert found.false_positives == Rate(0, 0)
    assert found.false_negatives == Rate(0, 2)


def test_without_the_truth_the_reward_model_is_believed_and_not_judged() -> None:
    found = evaluation((True, None), (False, None))
    assert found.success == Rate(1, 2)
    assert found.false_positives == found.false_negatives == found.wrong_claims == Rate(0, 0)


def test_figures_of_a_test() -> None:
    trials = (trial(0, True, True, 6, 3.0), trial(1, False, False, 20, 8.0), trial(2, False, True, 8, 2.0))
    figures = Evaluation(trials).as_json()
    assert figures["mean_steps_of_successes"] == 7.0
    assert figures["peak_force_n"] == 8.0
    assert figures["aborted"] == 0
    assert figures["success"]["hits"] == 2
    assert Evaluation(()).as_json()["mean_steps_of_successes"] is None
