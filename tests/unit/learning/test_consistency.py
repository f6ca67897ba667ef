"""Claims that lie elsewhere than success does are taken back, and only then."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.learning.consistency import AGREEMENT_M, AT_ONCE, LEAST, believed
from skillcore.learning.intervals import wilson

SEAT = np.array([0.5, 0.1, 0.05])
ASIDE = SEAT + np.array([0.0, 0.009, 0.0])
START = SEAT + np.array([0.0, 0.0, 0.02])


def scattered(seed: int, count: int, *, radius: float = 0.3 * AGREEMENT_M) -> np.ndarray:
    return SEAT + np.random.default_rng(seed).uniform(-radius / 2, radius / 2, (count, 3))


def path(end: np.ndarray) -> np.ndarray:
    """Straight from above to there."""
    return START + np.linspace(0.0, 1.0, 5)[:, np.newaxis] * (end - START)


def judged(claims: np.ndarray, *, failures: list[np.ndarray] | None = None) -> list[bool]:
    """What is believed of claims at these places, after trials that failed there."""
    paths = [path(end) for end in [*(failures or []), *claims]]
    claimed = np.array([False] * len(failures or []) + [True] * len(claims))
    result = believed(claimed, paths)
    assert not result[~claimed].any()
    return result[claimed].tolist()


def test_a_false_claim_among_true_ones_is_taken_back() -> None:
    places = np.concatenate([scattered(0, 2), [SEAT - np.array([0.0, 0.0, 0.004])], scattered(1, 3)])
    assert judged(places) == [True, True, False, True, True, True]


def test_few_claims_are_not_believed() -> None:
    assert believed(np.zeros(0, np.bool_), []).tolist() == []
    assert believed(np.zeros(2, np.bool_), [path(SEAT), path(ASIDE)]).tolist() == [False, False]
    places = np.array([SEAT, SEAT + 0.01, SEAT - 0.01])
    assert not any(judged(places))
    assert not any(judged(np.concatenate([places, [SEAT]])))
    assert judged(np.concatenate([places, [SEAT, SEAT]])) == [True, False, False, True, True]


def test_of_two_places_as_good_the_later_is_believed() -> None:
    places = np.concatenate([scattered(0, LEAST), scattered(1, LEAST) + 0.02])
    assert judged(places) == [False] * LEAST + [True] * LEAST


def test_a_place_that_deceives_now_and_then_is_not_believed() -> None:
    """Claimed more often than the seat, but of many trials that came there only some were."""
    deceived = np.repeat(ASIDE[np.newaxis], 8, axis=0)
    places = np.concatenate([deceived, scattered(0, 4)])
    assert judged(places) == [True] * 8 + [False] * 4
    assert judged(places, failures=[ASIDE] * 12 + [SEAT]) == [False] * 8 + [True] * 4


def test_two_claims_outweigh_no_place_that_was_met_again() -> None:
    """They came there twice and claimed it twice; but so few may be deceived alike."""
    places = np.concatenate([scattered(0, 3), [ASIDE, ASIDE]])
    assert judged(places, failures=[SEAT] * 10) == [True] * 3 + [False] * 2


DOWN = np.array([0.0, 0.0, -1.0])


@pytest.mark.parametrize(("short_m", "wanted"), [(0.0018, True), (0.0020, False)])
def test_what_is_less_deep_than_another_grasp_explains_is_not_believed(short_m: float, wanted: bool) -> None:
    places = [SEAT, SEAT, SEAT, SEAT - short_m * DOWN]
    paths = [path(place) for place in places]
    claimed = np.ones(4, np.bool_)
    assert believed(claimed, paths).tolist() == [True] * 4
    assert believed(claimed, paths, approach=DOWN).tolist() == [True] * 3 + [wanted]
    # Seen from the other side they would be the deep ones.
    assert believed(claimed, paths, approach=-DOWN).all()
    said = np.array([False, False, False, True])
    assert believed(claimed, paths, said, approach=DOWN).all()


def test_two_that_are_deeper_do_not_belie_the_others() -> None:
    paths = [path(place) for place in [SEAT, SEAT, SEAT, SEAT + 0.0021 * DOWN, SEAT + 0.0021 * DOWN]]
    assert believed(np.ones(5, np.bool_), paths, approach=DOWN).all()


def test_what_a_person_says_is_believed_at_once() -> None:
    paths = [path(SEAT), path(ASIDE), path(START), path(SEAT)]
    claimed, said = np.array([True, True, False, True]), np.array([False, False, True, False])
    assert believed(claimed, paths, said).tolist() == [False, False, True, False]


def test_many_claims_are_judged_as_few_are() -> None:
    places = np.concatenate([scattered(0, 2 * AT_ONCE + 1), scattered(1, AT_ONCE) + 0.02])
    assert judged(places) == [True] * (2 * AT_ONCE + 1) + [False] * AT_ONCE


def test_one_claim_outweighs_no_place_that_was_met_again() -> None:
    places = np.concatenate([scattered(0, 3), [ASIDE]])
    assert judged(places, failures=[SEAT] * 20) == [True] * 3 + [False]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), true=st.integers(LEAST, 20), data=st.data())
def test_the_largest_group_wins_in_any_order(seed: int, true: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    false = data.draw(st.integers(0, true - 1))
    # Each of the false ones lies somewhere else.
    others = SEAT + 0.01 * np.arange(1, false + 1)[:, None] * np.array([1.0, 0.5, 0.0])
    places = np.concatenate([scattered(seed, true), others])
    order = rng.permutation(len(places))
    assert judged(places[order]) == (order < true).tolist()


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe 1998, table I, method 3 (doi:10.1002/(SICI)1097-0258(19980430)17:8<857)."""
    low, high = wilson([81, 15, 0, 1], [263, 148, 20, 29])
    assert low == pytest.approx([0.2553, 0.0624, 0.0, 0.0061], abs=1e-4)
    assert high == pytest.approx([0.3662, 0.1605, 0.1611, 0.1718], abs=1e-4)
    assert [float(one) for one in wilson(0, 0)] == [0.0, 1.0]
