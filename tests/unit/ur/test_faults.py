"""The tables of faults: how each shows, what is graver, what may follow what, and the way back."""

from __future__ import annotations

import itertools

import pytest

from skillcore_ur.faults import (
    FAULTS,
    ROWS,
    TRANSITIONS,
    Event,
    FaultKind,
    FaultMachine,
    Health,
    State,
    Step,
    fault_in,
)

SHOWN = {
    FaultKind.LOST_CONNECTION: Health(connected=False),
    FaultKind.STREAM_FROZEN: Health(age_s=0.31),
    FaultKind.EMERGENCY_STOP: Health(safety_bits=1 << 7),
    FaultKind.SAFETY_VIOLATION: Health(safety_bits=1 << 9),
    FaultKind.PROTECTIVE_STOP: Health(safety_bits=1 << 2),
    FaultKind.SAFEGUARD_STOP: Health(safety_bits=1 << 4),
    FaultKind.NOT_POWERED: Health(robot_mode=5),
    FaultKind.REMOTE_CONTROL_OFF: Health(remote=False),
    FaultKind.SLIDER_ZERO: Health(slider=0.0),
    FaultKind.PROGRAM_STOPPED: Health(runtime_state=4),
}
BY_PERSON = [row.kind for row in FAULTS if row.by_person]
ALONE = [row.kind for row in FAULTS if not row.by_person]


def test_a_healthy_robot_has_no_fault() -> None:
    assert fault_in(Health()) is None
    assert fault_in(Health(remote=None, slider=0.3, age_s=0.29)) is None


@pytest.mark.parametrize("kind", FaultKind)
def test_each_fault_shows_and_is_told_with_a_cure(kind: FaultKind) -> None:
    assert fault_in(SHOWN[kind]) is kind
    assert ROWS[kind].what
    assert ROWS[kind].cure


def test_the_gravest_is_told() -> None:
    everything = Health(age_s=9.0, safety_bits=1 << 7 | 1 << 2, robot_mode=3, runtime_state=1, slider=0.0, remote=False)
    assert fault_in(everything) is FaultKind.STREAM_FROZEN
    assert fault_in(Health(safety_bits=1 << 7 | 1 << 2, robot_mode=3, runtime_state=1)) is FaultKind.EMERGENCY_STOP
    assert fault_in(Health(safety_bits=1 << 2, runtime_state=4)) is FaultKind.PROTECTIVE_STOP


@pytest.mark.parametrize("kind", FaultKind)
def test_no_way_back_goes_on_with_the_old_motion(kind: FaultKind) -> None:
    steps = ROWS[kind].steps
    # A program that is uploaded anew knows nothing of the old motion; reconnecting uploads it too.
    assert Step.RECONNECT in steps or steps.index(Step.STOP_PROGRAM) < steps.index(Step.UPLOAD)
    assert steps[-1] is Step.REREAD
    if Step.UNLOCK in steps:
        assert steps.index(Step.STOP_PROGRAM) < steps.index(Step.UNLOCK) < steps.index(Step.UPLOAD)


@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_is_latched_until_it_was_recovered_from(kind: FaultKind) -> None:
    machine = FaultMachine()
    assert machine.may_move
    assert machine.observe(SHOWN[kind]) is kind
    assert not machine.may_move
    assert machine.observe(Health()) is kind
    assert not machine.may_move
    assert machine.begin_recovery(Health()) == ROWS[kind].steps
    assert not machine.may_move
    machine.end_recovery()
    assert machine.may_move
    assert machine.observe(Health()) is None


def test_a_graver_fault_takes_the_place_of_a_lesser_one_and_not_the_other_way() -> None:
    machine = FaultMachine()
    machine.observe(SHOWN[FaultKind.PROGRAM_STOPPED])
    assert machine.observe(SHOWN[FaultKind.PROTECTIVE_STOP]) is FaultKind.PROTECTIVE_STOP
    assert machine.observe(SHOWN[FaultKind.PROGRAM_STOPPED]) is FaultKind.PROTECTIVE_STOP


@pytest.mark.parametrize("kind", BY_PERSON)
def test_what_a_person_must_end_is_not_recovered_from_while_it_shows(kind: FaultKind) -> None:
    machine = FaultMachine()
    with pytest.raises(ValueError) as caught:
        machine.begin_recovery(SHOWN[kind])
    assert caught.value.args == (kind,)
    assert machine.state is State.FAULTED
    assert machine.fault is kind
    assert machine.begin_recovery(Health())


@pytest.mark.parametrize("kind", ALONE)
def test_the_rest_is_recovered_from_while_it_shows(kind: FaultKind) -> None:
    assert FaultMachine().begin_recovery(SHOWN[kind]) == ROWS[kind].steps


def test_a_recovery_that_fails_leaves_the_fault_that_remains() -> None:
    machine = FaultMachine()
    machine.observe(SHOWN[FaultKind.PROTECTIVE_STOP])
    machine.begin_recovery(SHOWN[FaultKind.PROTECTIVE_STOP])
    assert machine.observe(SHOWN[FaultKind.EMERGENCY_STOP]) is FaultKind.PROTECTIVE_STOP  # not while it recovers
    machine.end_recovery(FaultKind.EMERGENCY_STOP)
    assert machine.state is State.FAULTED
    assert machine.fault is FaultKind.EMERGENCY_STOP


def test_a_healthy_arm_recovers_by_doing_nothing() -> None:
    machine = FaultMachine()
    assert machine.begin_recovery(Health()) == ()
    machine.end_recovery()
    assert machine.state is State.READY


def test_from_every_state_a_fault_leads_to_no_motion() -> None:
    for state, event in itertools.product(State, Event):
        following = TRANSITIONS.get((state, event))
        if event is Event.FAULT_SEEN:
            assert following is not None
            assert following is not State.READY
        if following is State.READY:
            assert event is Event.RECOVERED
