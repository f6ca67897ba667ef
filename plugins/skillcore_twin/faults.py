"""Faults that a twin can have on purpose: what each does to it, and when.

Another part of a twin adds faults of its own to a table of the same kind.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from skillcore.errors import InputError, UnknownNameError
from skillcore_twin.controller import Controller
from skillcore_twin.rtde_server import RtdeServer

RANDOM_LASTS_S = (0.2, 2.0)


@dataclass(frozen=True, slots=True)
class Fault:
    """begin: it happens. end: what made it is gone again; None for what happens at once and is not lasting.

    undo: a person puts right what has happened at once; says whether there was anything to put right.
    """

    summary: str
    begin: Callable[[], None]
    end: Callable[[], None] | None = None
    undo: Callable[[], bool] | None = None

    @property
    def lasting(self) -> bool:
        return self.end is not None


class Network(Protocol):
    """The listening sockets of a twin."""

    def cut(self) -> None:
        """Drops all connections and accepts no new ones."""

    def mend(self) -> None:
        """Accepts connections again."""


def controller_faults(controller: Controller, rtde: RtdeServer, network: Network) -> dict[str, Fault]:
    """The faults of the robot controller, by name."""

    def recovered_by_hand() -> None:
        controller.release_emergency_stop()
        controller.power_on()
        controller.release_brakes()

    def slide(share: float) -> Callable[[], None]:
        return lambda: setattr(controller, "slider", share)

    def remote(on: bool) -> Callable[[], None]:
        return lambda: setattr(controller, "remote", on)

    def frozen(still: bool) -> Callable[[], None]:
        return lambda: setattr(rtde, "frozen", still)

    return {
        "protective_stop": Fault(
            "the safety system stops the arm and pauses the program",
            lambda: controller.protective_stop("caused on purpose"),
            undo=controller.unlock_by_hand,
        ),
        "emergency_stop": Fault(
            "somebody presses the emergency stop; at the end it is released, and the robot switched on again",
            controller.press_emergency_stop,
            recovered_by_hand,
        ),
        "lost_connection": Fault("the network cable is out", network.cut, network.mend),
        "program_stopped": Fault(
            "somebody presses stop on the pendant", lambda: controller.stop_program("stop pressed on the pendant")
        ),
        "remote_control_off": Fault("somebody switches to local control", remote(False), remote(True)),
        "slider_zero": Fault("somebody draws the speed slider to zero", slide(0.0), slide(1.0)),
        "stream_frozen": Fault("the controller is connected and sends nothing", frozen(True), frozen(False)),
    }


@dataclass(slots=True)
class _Timed:
    at_s: float
    name: str
    begins: bool


class FaultSchedule:
    """Faults that begin and end at their time. Everything is done in `due`, in the twin's own thread."""

    def __init__(self, faults: Mapping[str, Fault]) -> None:
        self.faults = dict(faults)
        self.active: set[str] = set()
        self._timed: list[_Timed] = []

    def cause(self, name: str, now_s: float, *, after_s: float = 0.0, lasts_s: float | None = None) -> str:
        """Lets a fault begin after some time, and end by itself if it is given how long it lasts. Says so in words.

        Raises UnknownNameError.
        """
        fault = self._fault(name)
        if lasts_s is not None and not fault.lasting:
            raise InputError(f"fault {name} happens at once and does not last", cure="leave out --for")
        self._timed.append(_Timed(now_s + after_s, name, True))
        when = "now" if after_s <= 0.0 else f"in {after_s:g} s"
        if not fault.lasting:
            return f"{name}: {when}"
        if lasts_s is None:
            return f"{name}: {when}, until it is cleared"
        self._timed.append(_Timed(now_s + after_s + lasts_s, name, False))
        return f"{name}: {when}, for {lasts_s:g} s"

    def cause_random(self, now_s: float, *, seed: int, times: int, within_s: float) -> list[str]:
        """Lets faults begin at random times within a span. The same seed gives the same faults."""
        rng = random.Random(seed)  # noqa: S311 - nothing secret
        told = []
        for begin_s in sorted(rng.uniform(0.0, within_s) for _ in range(times)):
            name = rng.choice(sorted(self.faults))
            lasts_s = rng.uniform(*RANDOM_LASTS_S)
            lasting = self.faults[name].lasting
            told.append(
                self.cause(name, now_s, after_s=round(begin_s, 2), lasts_s=round(lasts_s, 2) if lasting else None)
            )
        return told

    def clear(self, name: str = "") -> list[str]:
        """Ends a fault, or all of them, also those that have not begun and those that nobody caused on purpose but a
        person can undo. Returns what was ended."""
        ended = []
        for one in [name] if name else sorted(self.faults):
            undo = self._fault(one).undo
            is_due = one in self.active or any(timed.name == one for timed in self._timed)
            self._timed = [timed for timed in self._timed if timed.name != one]
            self._end(one)
            if (undo is not None and undo()) or is_due:
                ended.append(one)
        return ended

    def due(self, now_s: float) -> None:
        """Begins and ends what has come to its time."""
        for timed in sorted(self._timed, key=lambda one: one.at_s):
            if timed.at_s > now_s:
                continue
            self._timed.remove(timed)
            if timed.begins:
                fault = self.faults[timed.name]
                if fault.lasting:
                    self.active.add(timed.name)
                fault.begin()
            else:
                self._end(timed.name)

    def _end(self, name: str) -> None:
        end = self.faults[name].end
        if name in self.active and end is not None:
            self.active.discard(name)
            end()

    def _fault(self, name: str) -> Fault:
        if name not in self.faults:
            raise UnknownNameError("fault", name, self.faults)
        return self.faults[name]
