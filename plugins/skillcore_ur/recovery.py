"""Unlocking a protective stop, no earlier than the controller allows."""

from __future__ import annotations

import time

from skillcore.errors import ArmFaultError
from skillcore_ur.faults import PROTECTIVE_BIT, FaultKind, error_of
from skillcore_ur.link import Link, wait_until
from skillcore_ur.probe import Dashboard, Unreachable

UNLOCK_AFTER_S = 5.5
"""A controller unlocks a protective stop 5 s after it, and no earlier."""
RELEASED_S = 3.0
RETRY_S = 0.5


def unlock(dashboard: Dashboard, link: Link, since_s: float) -> None:
    """Unlocks a protective stop that was seen at `since_s`, of the monotonic clock. Raises DeviceError.

    A later stop may have come on top of it, and has its own 5 s.
    """
    until = time.monotonic() + UNLOCK_AFTER_S
    time.sleep(max(0.0, since_s + UNLOCK_AFTER_S - time.monotonic()))
    ask(dashboard, "close safety popup")
    while "releasing" not in (answer := ask(dashboard, "unlock protective stop")).lower():
        if time.monotonic() > until:
            raise ArmFaultError(f"the robot stays locked: {answer}", cure="unlock it on the pendant")
        time.sleep(RETRY_S)
    wait_until(
        lambda: not link.reading().safety_bits & PROTECTIVE_BIT, RELEASED_S, "the protective stop was not released"
    )


def ask(dashboard: Dashboard, line: str) -> str:
    """The dashboard's answer. Raises ArmFaultError where there is none."""
    try:
        return dashboard.ask(line)
    except Unreachable as error:
        raise ArmFaultError(str(error), cure=error_of(FaultKind.LOST_CONNECTION).cure) from error
