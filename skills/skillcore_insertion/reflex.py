"""What an arm does about any policy's actions, so that what a policy sees only roughly leads in more often.

A policy sees to about two pixels where the socket is. Of two things it knows nothing when it is new: that more is seen
from above a place than from beside it, and that pressing beside a hole leads nowhere. So until the tip first touches,
it goes sideways before it goes down; and once it presses and gets nowhere, it feels around, pressing less, until it
sinks in or the policy draws back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

import numpy as np
from numpy.typing import NDArray

from skillcore.cell_config import Control
from skillcore.types import Array, Observation, Pose
from skillcore_insertion.searches import Press

TOUCHED_N = 2.0
SIDEWAYS_M = 0.002
"""Who means to go farther sideways than this does not go down meanwhile, ..."""
SIDEWAYS_STEPS = 8
"""... for so many steps of a trial at most."""
STUCK_STEPS = 1
STUCK_M = 0.0008
"""Moved less than this in `STUCK_STEPS` steps, ..."""
PRESSED_N = 4.0
"""... and pressed with more than this: stuck."""
SANK_M = 0.001
SLIGHT = 0.05
"""The least push, in units of a whole step, that the first one of a search follows from."""
DRAWN_BACK = 0.3
"""Share of a whole step upward that a policy means, and no noise makes."""
RINGS = ((3, 0.0025), (5, 0.004))
"""Where it feels around the place where it is stuck: how many points lie on a circle, and its radius in m."""
RING_TURN_RAD = 0.5
"""How far each circle's points are turned against those of the one before."""


def _points() -> list[tuple[float, float]]:
    """x and y in m of the points to go to in turn.

    They are few and far apart: under pressure friction holds the tip back by about 2 mm, so that it comes not nearly so
    far, and the straight ways between them cross what lies inside.
    """
    return [
        (radius_m * float(np.cos(angle)), radius_m * float(np.sin(angle)))
        for ring, (number, radius_m) in enumerate(RINGS)
        for angle in ring * RING_TURN_RAD + 2.0 * np.pi * np.arange(number) / number
    ]


POINTS_M = _points()


class Careful:
    """A `Reflex`: sideways first, and feeling around where it is stuck."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._steps = 0
        self._has_touched = False
        self._feeling = FeelAround(control)

    def __call__(self, observation: Observation, action: NDArray[np.float32], /) -> NDArray[np.float32]:
        self._steps += 1
        self._has_touched |= bool(np.linalg.norm(observation["wrench"][:3]) > TOUCHED_N)
        sideways_m = float(np.hypot(action[0], action[1])) * self._control.step_m
        if not self._has_touched and self._steps < SIDEWAYS_STEPS and sideways_m > SIDEWAYS_M:
            action = action.copy()
            action[2] = min(float(action[2]), 0.0)
        return self._feeling(observation, action)


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """Where it feels around, and how."""

    middle_m: Array
    press: Press
    points_m: Iterator[tuple[float, float]] = field(default_factory=lambda: cycle(POINTS_M))


class FeelAround:
    """A `Reflex`: takes over where an arm presses and gets nowhere."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._places: deque[Array] = deque(maxlen=STUCK_STEPS + 1)
        self._search: _Search | None = None
        self._pushed = 1.0

    def __call__(self, observation: Observation, action: NDArray[np.float32], /) -> NDArray[np.float32]:
        tcp = Pose.from_rotvec(observation["pose"][:3], observation["pose"][3:])
        place = np.asarray(tcp.position_m, np.float64)
        self._places.append(place)
        # The force is what acts on the tool: against the way it presses.
        pressed_n = -float(observation["wrench"][2])
        if self._search is None and self._is_stuck(pressed_n):
            self._search = _Search(place, Press(max(self._pushed, SLIGHT)))
        search = self._search
        if search is not None and (place[2] > search.middle_m[2] + SANK_M or action[2] < -DRAWN_BACK):
            search = self._search = None
            self._places.clear()
            self._places.append(place)
        if search is None:
            self._pushed = float(action[2])
            return action
        x, y = next(search.points_m)
        goal = np.array([[search.middle_m[0] + x, search.middle_m[1] + y, place[2]]])
        way = tcp.inverse().transform(goal)[0, :2] / self._control.step_m
        felt = np.array([*np.clip(way, -1.0, 1.0), search.press.next(pressed_n), action[3]])
        return felt.astype(np.float32)

    def _is_stuck(self, pressed_n: float) -> bool:
        if len(self._places) <= STUCK_STEPS or pressed_n < PRESSED_N:
            return False
        return float(np.linalg.norm(self._places[-1] - self._places[0])) < STUCK_M
