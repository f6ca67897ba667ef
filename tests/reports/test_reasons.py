"""Why trials fail: told from recordings whose reason is known, because they were made so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.reports.reasons import TITLES, Reason, Socket, reason_of, socket_of
from skillcore.types import Episode, Pose

Make = Callable[..., Episode]
SOCKET_FROM_BASE = Pose.from_rotvec([0.5, 0.0, 0.1], [np.pi, 0.0, 0.0])
SOCKET = socket_of(SOCKET_FROM_BASE, 0.01, [])


def reason(episode: Episode, socket: Socket | None = SOCKET) -> Reason:
    found = reason_of(episode, socket)
    assert found is not None
    return found


def test_what_succeeded_has_no_reason(make_episode: Make) -> None:
    assert reason_of(make_episode(outcome="success", truth=1), SOCKET) is None
    # Where nothing else knows, the reward model's word is all there is.
    assert reason_of(make_episode(outcome="success", truth=-1), None) is None


def test_an_aborted_trial_has_the_fault_as_its_reason(make_episode: Make) -> None:
    found = reason(make_episode(outcome="aborted", note="120 N measured", truth=1))
    assert (found.kind, found.words) == ("aborted", "120 N measured")
    assert reason(make_episode(outcome="aborted")).words == "no cause was recorded"


def test_the_reward_model_is_wrong_where_the_truth_says_so(make_episode: Make) -> None:
    false = reason(make_episode(outcome="success", truth=0, ways_mm=[[9.0, 0.2]], score=0.93))
    assert (false.kind, false.words) == ("false_positive", "it scored 0.93; it ended 1.0 mm before it was seated")
    deep = reason(make_episode(outcome="success", truth=0, ways_mm=[[10.1, 0.2]], score=0.93))
    assert deep.words.startswith("it scored 0.93; the arm went as deep as for a seated plug")
    beside = reason(make_episode(outcome="success", truth=0, ways_mm=[[0.0, 6.0]], score=0.93))
    assert beside.words == "it scored 0.93; it ended 6.0 mm beside the middle of the hole"
    last = reason(make_episode(truth=1, score=0.4))
    assert last.kind == "not_seen"
    assert "at the very end" in last.words
    assert last.words.endswith("the best score was 0.40")
    early = make_episode(truth=1)
    early.truth[3:] = 1
    assert reason(early).words.startswith("it was seated from step 3 on")
    left = make_episode(truth=0)
    left.truth[3:5] = 1
    left.score[:] = np.nan
    assert reason(left).words == "it was seated after step 3, went on, and left again"


def test_a_persons_word_counts_where_a_label_was_corrected(make_episode: Make) -> None:
    claimed = make_episode(outcome="success", truth=-1, score=0.9)
    claimed.corrected = False
    assert reason(claimed).kind == "false_positive"
    claimed.corrected = True
    assert reason_of(claimed, SOCKET) is None
    unclaimed = make_episode(truth=-1)
    unclaimed.corrected = True
    assert (reason(unclaimed).kind, reason(unclaimed, None).kind) == ("not_seen", "not_seen")
    # Also against the simulation.
    seated = make_episode(truth=1)
    seated.corrected = False
    assert reason(seated).kind != "not_seen"


@pytest.mark.parametrize("truth", [0, -1])
@pytest.mark.parametrize(
    ("ways_mm", "forces_n", "kind", "words"),
    [
        ([[0.0, 3.0]] * 4, [1.0, 30.0, 1.0, 30.0], "missed", "3.0 mm from its middle"),
        ([[0.3, 0.4]] * 4, [1.0, 30.0, 1.0, 30.0], "jammed", "pressed on the mouth with up to 30 N"),
        ([[5.0, 0.4]] * 4, [30.0] * 4, "jammed", "in by 5.0 mm of 10.0 mm and got no further"),
        ([[1.0, 0.2], [2.0, 0.2], [4.0, 0.2], [6.0, 0.2]], [20.0] * 4, "timeout", "4.0 mm were missing"),
        ([[-4.0, 7.0]] * 4, [0.0] * 4, "timeout", "4.0 mm in front of the mouth and 7.0 mm beside"),
        # Deep beside the hole: over the socket's edge.
        ([[5.0, 9.0]] * 4, [20.0] * 4, "missed", "9.0 mm from its middle"),
    ],
)
def test_the_place_and_the_force_tell_why(
    make_episode: Make, ways_mm: Any, forces_n: Any, kind: str, words: str, truth: int
) -> None:
    found = reason(make_episode(ways_mm=ways_mm, forces_n=forces_n, truth=truth))
    assert found.kind == kind
    assert words in found.words


def test_a_plug_at_full_depth_may_be_seated_where_nothing_knows(make_episode: Make) -> None:
    deep = {"ways_mm": [[9.9, 0.2]] * 4, "forces_n": [30.0] * 4}
    assert reason(make_episode(truth=-1, **deep)).kind == "maybe_seated"
    # The truth knows that it is not: it stands askew, say.
    assert reason(make_episode(truth=0, **deep)).kind == "jammed"


def test_without_a_socket_a_miss_and_a_jam_are_the_same(make_episode: Make) -> None:
    pressed = make_episode(ways_mm=[[5.0, 0.4]] * 4, forces_n=[30.0] * 4)
    assert reason(pressed, None).kind == "stuck"
    assert reason(make_episode(), None).words == "it ended in the open, touching nothing"
    moving = make_episode(ways_mm=[[0.0, 2.0], [0.0, 4.0], [0.0, 6.0], [0.0, 8.0]], forces_n=[30.0] * 4)
    assert reason(moving, None).kind == "timeout"
    unplaced = make_episode(ways_mm=[[5.0, 0.4]] * 4, forces_n=[30.0] * 4, start_from_base=None)
    assert reason(unplaced).kind == "stuck"


def test_successes_tell_where_the_seat_is_better_than_the_cell(make_episode: Make) -> None:
    aside = [make_episode(outcome="success", truth=1, ways_mm=[[10.0, 2.0]]) for _ in range(3)]
    assert socket_of(SOCKET_FROM_BASE, 0.01, aside[:2]).seat_m == pytest.approx([0.5, 0.0, 0.09], abs=1e-6)
    assert socket_of(SOCKET_FROM_BASE, 0.01, aside).seat_m == pytest.approx([0.502, 0.0, 0.09], abs=1e-6)


@given(
    truths=st.lists(st.integers(-1, 1), min_size=3, max_size=3),
    outcome=st.sampled_from(["success", "timeout", "aborted"]),
    score=st.sampled_from([0.0, 0.9, float("nan")]),
    steps=st.integers(0, 5),
    way=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    force_n=st.floats(0, 200),
    has_socket=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_every_failure_has_a_reason_in_words(
    make_episode: Make,
    truths: list[int],
    outcome: str,
    score: float,
    steps: int,
    way: tuple[float, float],
    force_n: float,
    has_socket: bool,
) -> None:
    episode = make_episode(outcome=outcome, steps=steps, ways_mm=[way], forces_n=[force_n], score=score)
    last = truths[-len(episode.truth) :]
    episode.truth[-len(last) :] = last
    found = reason_of(episode, SOCKET if has_socket else None)
    succeeded = outcome == "success" and bool(episode.truth[-1] != 0)
    assert (found is None) is succeeded
    if found is not None:
        assert found.title == TITLES[found.kind]
        assert found.words
        assert "nan" not in found.words
