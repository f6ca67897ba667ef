"""Claims that lie elsewhere than most are taken back, and only then."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.learning.consistency import AGREEMENT_M, LEAST, agreeing

SEAT = np.array([0.5, 0.1, 0.05])


def scattered(seed: int, count: int, *, radius: float = 0.3 * AGREEMENT_M) -> np.ndarray:
    return SEAT + np.random.default_rng(seed).uniform(-radius / 2, radius / 2, (count, 3))


def test_a_false_claim_among_true_ones_is_taken_back() -> None:
    places = np.concatenate([scattered(0, 2), [SEAT - np.array([0.0, 0.0, 0.004])], scattered(1, 3)])
    assert agreeing(places).tolist() == [True, True, False, True, True, True]


def test_few_claims_are_all_believed() -> None:
    assert agreeing(np.zeros((0, 3))).tolist() == []
    places = np.array([SEAT, SEAT + 0.01, SEAT - 0.01])
    assert agreeing(places).all()
    assert agreeing(np.concatenate([places, [SEAT]])).all()


def test_of_two_places_claimed_as_often_the_later_is_believed() -> None:
    places = np.concatenate([scattered(0, LEAST), scattered(1, LEAST) + 0.02])
    assert agreeing(places).tolist() == [False] * LEAST + [True] * LEAST


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), true=st.integers(LEAST, 20), data=st.data())
def test_the_largest_group_wins_in_any_order(seed: int, true: int, data: st.DataObject) -> None:
    rng = np.random.default_rng(seed)
    false = data.draw(st.integers(0, true - 1))
    # Each of the false ones lies somewhere else.
    others = SEAT + 0.01 * np.arange(1, false + 1)[:, None] * np.array([1.0, 0.5, 0.0])
    places = np.concatenate([scattered(seed, true), others])
    order = rng.permutation(len(places))
    assert agreeing(places[order]).tolist() == (order < true).tolist()
