"""Waiting for a free motion to arrive: by where the tool is, not by what the robot says of its program."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skillcore.errors import ArmFaultError
from skillcore.types import Array, Pose
from skillcore_ur.compliance import between
from skillcore_ur.link import POLL_S, Reading

ARRIVED_M, ARRIVED_RAD = 0.002, 0.02
HELD_UP_S = 1.0
SETTLE_S = 0.5
STILL_M_S = 0.002
STIRRED = 1e-3
"""A tool that has gone no further than this, in m and rad together, in `HELD_UP_S` and twice the time that it takes, is
held up. Less than this is noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """The newest packet, and whether the robot's motion still runs."""

    reading: Reading
    runs: bool


def await_arrival(look: Callable[[], Progress], goal: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
    """Returns when the tool is at the goal and at rest.

    Raises ArmFaultError when it meets more than the force, is held up, or ends elsewhere; and as `look` does.
    """
    stirred_s, ended_s, last = time.monotonic(), None, None
    while True:
        progress = look()
        reading, now = progress.reading, time.monotonic()
        force = float(np.linalg.norm(reading.wrench[:3]))
        if force > force_limit_n:
            raise ArmFaultError(
                f"the arm met {force:.0f} N on its way, more than the {force_limit_n:.0f} N allowed",
                cure="free the tool, and see that the way to the goal is clear",
            )
        here = reading.tcp_from_base
        away = between(here, goal)
        if last is None or float(np.linalg.norm(between(last, here))) > STIRRED:
            stirred_s, last = now, here
        if not progress.runs:
            ended_s = ended_s or now
            near = float(np.linalg.norm(away[:3])) < ARRIVED_M and float(np.linalg.norm(away[3:])) < ARRIVED_RAD
            still = float(np.linalg.norm(reading.twist[:3])) < STILL_M_S
            if near and (still or now - ended_s > SETTLE_S):
                return
            if now - ended_s > 2.0 * SETTLE_S:
                raise held_up(away)
        elif now - stirred_s > HELD_UP_S + 2.0 * STIRRED / (speed_m_s * max(reading.slider, 0.01)):
            raise held_up(away)
        time.sleep(POLL_S)


def held_up(away: Array) -> ArmFaultError:
    missing, turned = float(np.linalg.norm(away[:3])), float(np.linalg.norm(away[3:]))
    return ArmFaultError(
        f"the arm was held up {missing * 1e3:.1f} mm and {turned:.3f} rad before its goal",
        cure="free the tool, and see that the way to the goal is clear",
    )
