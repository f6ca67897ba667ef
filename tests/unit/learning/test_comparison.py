"""Differences of shares and means: published values, and what must hold for all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skillcore.learning.comparison import Mean, MeanDifference, RateDifference, mid_p, t_95, trials_to_tell
from skillcore.learning.evaluate import Rate


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    trials = draw(st.integers(1, 300))
    return Rate(draw(st.integers(0, trials)), trials)


def mirrored(rate: Rate) -> Rate:
    return Rate(rate.trials - rate.hits, rate.trials)


# --- shares ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("second", "first", "low", "high"),
    [
        # Newcombe 1998, "Interval estimation for the difference between independent proportions: comparison of eleven
        # methods", table II, method 10 (hybrid score).
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((0, 10), (0, 10), -0.2775, 0.2775),
        ((10, 10), (0, 20), 0.6791, 1.0000),
        ((10, 10), (0, 10), 0.6075, 1.0000),
    ],
)
def test_the_interval_is_newcombes(second: tuple[int, int], first: tuple[int, int], low: float, high: float) -> None:
    found = RateDifference(Rate(*first), Rate(*second))
    assert found.interval == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(
    ("first", "second", "exact", "p_value"),
    [
        # 1 of 34 and 7 of 34 is the first example of Lydersen, Fagerland and Laake 2009. The others by hand.
        ((1, 34), (7, 34), 0.0544, 0.0297),
        ((0, 5), (5, 5), 2 / math.comb(10, 5), 1 / math.comb(10, 5)),
        ((3, 3), (0, 3), 0.1, 0.05),
        ((2, 4), (2, 4), 1.0, 1.0 - 0.5 * math.comb(4, 2) ** 2 / math.comb(8, 4)),
    ],
)
def test_the_p_value_is_fishers_less_half_of_what_is_as_probable(
    first: tuple[int, int], second: tuple[int, int], exact: float, p_value: float
) -> None:
    found = mid_p(Rate(*first), Rate(*second))
    assert found == pytest.approx(p_value, abs=5e-5)
    assert found < exact


@given(rates(), rates())
def test_a_difference_turns_round_with_its_sides(first: Rate, second: Rate) -> None:
    there, back = RateDifference(first, second), RateDifference(second, first)
    low, high = there.interval
    assert back.interval == pytest.approx((-high, -low), abs=1e-12)
    assert back.p_value == pytest.approx(there.p_value, abs=1e-9)
    assert back.trials_to_tell == there.trials_to_tell
    # Failures instead of successes say the same.
    failures = RateDifference(mirrored(first), mirrored(second))
    assert failures.interval == pytest.approx((-high, -low), abs=1e-9)
    assert failures.p_value == pytest.approx(there.p_value, abs=1e-9)


@given(rates(), rates())
def test_intervals_hold_their_value_and_stay_within_what_is_possible(first: Rate, second: Rate) -> None:
    found = RateDifference(first, second)
    low, high = found.interval
    assert -1.0 <= low <= found.value + 1e-12
    assert found.value - 1e-12 <= high <= 1.0
    assert 0.0 <= found.p_value <= 1.0
    if found.is_difference:
        assert not low <= 0.0 <= high
        assert found.p_value < 0.05


@given(rates(), st.integers(2, 20))
def test_more_trials_of_the_same_shares_narrow_the_interval(rate: Rate, times: int) -> None:
    other = Rate(rate.trials // 3, rate.trials)
    low, high = RateDifference(rate, other).interval
    more = Rate(rate.hits * times, rate.trials * times), Rate(other.hits * times, other.trials * times)
    narrower = RateDifference(*more).interval
    assert narrower[1] - narrower[0] < high - low


@given(rates())
def test_a_run_does_not_differ_from_itself(rate: Rate) -> None:
    found = RateDifference(rate, rate)
    assert not found.is_difference
    assert found.trials_to_tell is None


def test_what_was_not_tried_differs_from_nothing() -> None:
    found = RateDifference(Rate(0, 0), Rate(9, 10))
    assert not found.is_known
    assert found.interval == (-1.0, 1.0)
    assert not found.is_difference
    assert found.trials_to_tell is None
    assert found.as_json()["value"] is None


@pytest.mark.parametrize(("first_trials", "second_trials"), [(10, 10), (20, 20), (50, 50), (20, 100)])
def test_chance_is_seldom_taken_for_a_difference(first_trials: int, second_trials: int) -> None:
    """Over all outcomes of two equal policies, weighed by how probable they are: 5 % are asked for, 6 % allowed."""
    told = np.array(
        [
            [
                RateDifference(Rate(first, first_trials), Rate(second, second_trials)).is_difference
                for second in range(second_trials + 1)
            ]
            for first in range(first_trials + 1)
        ],
        float,
    )

    def outcomes(trials: int, share: float) -> list[float]:
        return [math.comb(trials, hits) * share**hits * (1 - share) ** (trials - hits) for hits in range(trials + 1)]

    shares = np.linspace(0.01, 0.99, 50)
    alarms = [float(np.array(outcomes(first_trials, s)) @ told @ np.array(outcomes(second_trials, s))) for s in shares]
    assert max(alarms) < 0.06
    assert np.mean(alarms) > 0.02


def test_interval_and_test_may_disagree_on_the_edge_and_then_nothing_is_claimed() -> None:
    found = RateDifference(Rate(2, 7), Rate(6, 7))
    assert found.interval[0] > 0.0
    assert found.p_value > 0.05
    assert not found.is_difference


@pytest.mark.parametrize(
    ("first", "second", "trials"),
    # Fleiss, Levin and Paik 2003, table A.4 without its correction: two-sided 5 %, power 80 %.
    [(0.5, 0.6, 388), (0.4, 0.6, 97), (0.8, 0.9, 199), (0.9, 0.95, 435)],
)
def test_trials_to_tell(first: float, second: float, trials: int) -> None:
    assert trials_to_tell(first, second) == trials
    # So many trials of just these shares are told apart; a quarter of them are not.
    for share, is_told in ((1.0, True), (0.25, False)):
        count = round(trials * share)
        sides = [Rate(round(one * count), count) for one in (first, second)]
        assert RateDifference(*sides).is_difference is is_told


def test_what_no_number_of_trials_tells() -> None:
    assert trials_to_tell(0.5, 0.5) is None
    assert trials_to_tell(0.5, 0.5 + 1e-5) is None


# --- means -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("freedom", "bound"),
    # Any table of Student's t, 0.975.
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (10, 2.228), (30, 2.042), (60, 2.000), (120, 1.980)],
)
def test_students_t(freedom: int, bound: float) -> None:
    assert t_95(freedom) == pytest.approx(bound, abs=6e-4)


def test_the_interval_of_a_mean() -> None:
    found = Mean.of([4.0, 6.0, 8.0])
    assert found.value == 6.0
    assert found.deviation == 2.0
    assert found.interval == pytest.approx((6.0 - 4.3027 * 2 / math.sqrt(3), 6.0 + 4.3027 * 2 / math.sqrt(3)), abs=1e-3)
    assert found.greatest == 8.0


def test_one_number_or_none_has_no_interval() -> None:
    assert Mean.of([3.0]).interval == (-math.inf, math.inf)
    assert math.isnan(Mean.of([]).value)
    assert Mean.of([]).as_json() == {"count": 0, "mean": None, "low": None, "high": None, "greatest": None}
    found = MeanDifference(Mean.of([3.0]), Mean.of([1.0, 2.0]))
    assert not found.is_known
    assert not found.is_difference
    assert found.as_json()["low"] is None


def test_welchs_interval() -> None:
    """Welch 1947 as worked by hand: variances 1 and 4 over 4 and 4, so s.e. = sqrt(1.25) and 4.41 degrees of freedom,
    of which 4 are counted."""
    first = Mean(count=4, value=10.0, deviation=1.0, greatest=11.0)
    second = Mean(count=4, value=15.0, deviation=2.0, greatest=17.0)
    half = 2.7764 * math.sqrt(1.25)
    found = MeanDifference(first, second)
    assert found.interval == pytest.approx((5.0 - half, 5.0 + half), abs=1e-3)
    assert found.is_difference


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
@example([0.0, 0.0], [0.0, 2.5e-126])
def test_means_turn_round_with_their_sides(first: list[float], second: list[float]) -> None:
    there = MeanDifference(Mean.of(first), Mean.of(second))
    back = MeanDifference(Mean.of(second), Mean.of(first))
    assert back.interval == pytest.approx((-there.interval[1], -there.interval[0]), abs=1e-6)
    low, high = there.interval
    assert low <= there.value <= high
    assert not MeanDifference(Mean.of(first), Mean.of(first)).is_difference
