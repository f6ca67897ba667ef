"""What can be wrong with a UR controller, how it shows, what it means, and the way back.

Two tables say it all. `FAULTS` has a row a fault, the gravest first: how it shows in a reading, what a person is told,
whether only a person can end it, and the steps that lead back. `TRANSITIONS` says what becomes of the driver's state.

A fault is latched: the driver moves nothing and serves no watchdog, so that the controller ends its program, until
`recover` has gone all steps. None of them goes on with an old motion: the program that had it is stopped and uploaded
anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from skillcore.errors import ArmFaultError

PROTECTIVE_BIT, SAFEGUARD_BITS, EMERGENCY_BITS = 1 << 2, 1 << 4, 1 << 5 | 1 << 6 | 1 << 7
VIOLATION_BITS = 1 << 3 | 1 << 8 | 1 << 9
"""Of safety_status_bits. Recovery mode, violation and fault need the pendant."""
MODE_RUNNING = 7
PLAYING = 2
SLIDER_LEAST = 0.01


class FaultKind(Enum):
    """A fault by name."""

    LOST_CONNECTION = auto()
    STREAM_FROZEN = auto()
    EMERGENCY_STOP = auto()
    SAFETY_VIOLATION = auto()
    PROTECTIVE_STOP = auto()
    SAFEGUARD_STOP = auto()
    NOT_POWERED = auto()
    REMOTE_CONTROL_OFF = auto()
    SLIDER_ZERO = auto()
    PROGRAM_STOPPED = auto()


class Step(Enum):
    """A step of the way back."""

    RECONNECT = auto()
    STOP_PROGRAM = auto()
    UNLOCK = auto()
    UPLOAD = auto()
    ZERO = auto()
    REREAD = auto()


RESTART = (Step.STOP_PROGRAM, Step.UPLOAD, Step.ZERO, Step.REREAD)
REOPEN = (Step.RECONNECT, Step.ZERO, Step.REREAD)


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a controller at one moment. age_s: of the newest packet. remote: None where it is not known."""

    connected: bool = True
    age_s: float = 0.0
    stale_s: float = 0.3
    robot_mode: int = MODE_RUNNING
    safety_bits: int = 1
    runtime_state: int = PLAYING
    slider: float = 1.0
    remote: bool | None = True


@dataclass(frozen=True, slots=True)
class Row:
    """A fault. by_person: it must be gone before the steps can be gone."""

    kind: FaultKind
    shows: Callable[[Health], bool]
    what: str
    cure: str
    steps: tuple[Step, ...]
    by_person: bool = False


FAULTS = (
    Row(
        FaultKind.LOST_CONNECTION,
        lambda health: not health.connected,
        "the connection to the robot is lost",
        "check the cable, the address and the robot's power; then recover",
        REOPEN,
    ),
    Row(
        FaultKind.STREAM_FROZEN,
        lambda health: health.age_s > health.stale_s,
        "the robot's data stream stands still",
        "check the network and the load of this computer; then recover",
        REOPEN,
    ),
    Row(
        FaultKind.EMERGENCY_STOP,
        lambda health: bool(health.safety_bits & EMERGENCY_BITS),
        "emergency stop",
        "find out why, release the button, switch the robot on at the pendant, then recover",
        RESTART,
        by_person=True,
    ),
    Row(
        FaultKind.SAFETY_VIOLATION,
        lambda health: bool(health.safety_bits & VIOLATION_BITS),
        "the safety system reports a violation or fault",
        "read the message on the pendant and clear it there, then recover",
        RESTART,
        by_person=True,
    ),
    Row(
        FaultKind.PROTECTIVE_STOP,
        lambda health: bool(health.safety_bits & PROTECTIVE_BIT),
        "protective stop",
        "see what the tool has met; recover unlocks it after the required wait",
        (Step.STOP_PROGRAM, Step.UNLOCK, Step.UPLOAD, Step.ZERO, Step.REREAD),
    ),
    Row(
        FaultKind.SAFEGUARD_STOP,
        lambda health: bool(health.safety_bits & SAFEGUARD_BITS),
        "safeguard stop",
        "close the safeguard and reset it, then recover",
        RESTART,
        by_person=True,
    ),
    Row(
        FaultKind.NOT_POWERED,
        lambda health: health.robot_mode != MODE_RUNNING,
        "the robot is not running",
        "switch it on and release its brakes at the pendant, then recover",
        RESTART,
        by_person=True,
    ),
    Row(
        FaultKind.REMOTE_CONTROL_OFF,
        lambda health: health.remote is False,
        "the robot is not in remote control",
        "switch to Remote Control at the pendant's upper right, then recover",
        RESTART,
        by_person=True,
    ),
    Row(
        FaultKind.SLIDER_ZERO,
        lambda health: health.slider < SLIDER_LEAST,
        "the speed slider is at zero",
        "draw the speed slider on the pendant to 100 %, then recover",
        RESTART,
        by_person=True,
    ),
    Row(
        FaultKind.PROGRAM_STOPPED,
        lambda health: health.runtime_state != PLAYING,
        "the control program was stopped at the controller",
        "see who has stopped it; recover uploads it anew",
        RESTART,
    ),
)

ROWS = {row.kind: row for row in FAULTS}


def error_of(kind: FaultKind) -> ArmFaultError:
    """What a person is told."""
    return ArmFaultError(ROWS[kind].what, cure=ROWS[kind].cure)


def fault_in(health: Health) -> FaultKind | None:
    """The gravest fault that shows."""
    return next((row.kind for row in FAULTS if row.shows(health)), None)


class State(Enum):
    """Of the driver."""

    READY = auto()
    FAULTED = auto()
    RECOVERING = auto()


class Event(Enum):
    """What changes the state."""

    FAULT_SEEN = auto()
    RECOVERY_BEGUN = auto()
    RECOVERED = auto()
    RECOVERY_FAILED = auto()


TRANSITIONS = {
    (State.READY, Event.FAULT_SEEN): State.FAULTED,
    (State.READY, Event.RECOVERY_BEGUN): State.RECOVERING,
    (State.FAULTED, Event.FAULT_SEEN): State.FAULTED,
    (State.FAULTED, Event.RECOVERY_BEGUN): State.RECOVERING,
    (State.RECOVERING, Event.FAULT_SEEN): State.RECOVERING,
    (State.RECOVERING, Event.RECOVERED): State.READY,
    (State.RECOVERING, Event.RECOVERY_FAILED): State.FAULTED,
}
"""All that can happen; anything else is a mistake in the driver."""


class FaultMachine:
    """The driver's state and the fault it is in. Used from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state = State.READY
        self._fault: FaultKind | None = None

    @property
    def state(self) -> State:
        return self._state

    @property
    def fault(self) -> FaultKind | None:
        """The latched fault."""
        return self._fault

    @property
    def may_move(self) -> bool:
        return self._state is State.READY

    def observe(self, health: Health) -> FaultKind | None:
        """Latches a fault that shows; a graver one takes the place of a lesser one. Returns the latched fault."""
        found = fault_in(health)
        with self._lock:
            if found is not None and self._state is not State.RECOVERING:
                self._change(Event.FAULT_SEEN)
                kinds = [row.kind for row in FAULTS]
                if self._fault is None or kinds.index(found) < kinds.index(self._fault):
                    self._fault = found
            return self._fault

    def begin_recovery(self, health: Health) -> tuple[Step, ...]:
        """The steps back from the latched fault and from what shows now; none on a healthy arm.

        Raises ValueError that holds the fault which a person must end first. The state is unchanged then.
        """
        with self._lock:
            shows = fault_in(health)
            if shows is not None and ROWS[shows].by_person:
                if self._state is State.READY:
                    self._change(Event.FAULT_SEEN)
                self._fault = shows
                raise ValueError(shows)
            cause = _graver(self._fault, shows)
            self._change(Event.RECOVERY_BEGUN)
            return () if cause is None else ROWS[cause].steps

    def end_recovery(self, failed_with: FaultKind | None = None) -> None:
        """The steps are gone, or one of them failed."""
        with self._lock:
            self._change(Event.RECOVERED if failed_with is None else Event.RECOVERY_FAILED)
            self._fault = failed_with

    def _change(self, event: Event) -> None:
        self._state = TRANSITIONS[self._state, event]


def _graver(first: FaultKind | None, second: FaultKind | None) -> FaultKind | None:
    """The one that stands first in the table."""
    present = [row.kind for row in FAULTS if row.kind in (first, second)]
    return present[0] if present else None
