"""What an arm does that presses and gets nowhere, whoever told it to press: it feels around.

A policy sees to about two pixels where the socket is, and once it presses beside the hole it goes on pressing there.
This reflex takes over sideways then, on a spiral around the place, until the tip sinks in or the policy draws back.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from skillcore.cell_config import Control
from skillcore.types import Array, Observation, Pose
from skillcore_insertion.searches import Spiral

STUCK_STEPS = 2
STUCK_M = 0.0008
"""Moved less than this in `STUCK_STEPS` steps, ..."""
PRESSED_N = 4.0
"""... and pressed with more than this: stuck."""
SANK_M = 0.001
DRAWN_BACK = 0.3
"""Share of a whole step upward that a policy means, and no noise makes."""


class FeelAround:
    """A `Reflex`."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._places: deque[Array] = deque(maxlen=STUCK_STEPS + 1)
        self._spiral: Spiral | None = None
        self._middle = np.zeros(3)

    def __call__(self, observation: Observation, action: NDArray[np.float32], /) -> NDArray[np.float32]:
        tcp = Pose.from_rotvec(observation["pose"][:3], observation["pose"][3:])
        place = np.asarray(tcp.position_m, np.float64)
        self._places.append(place)
        if self._spiral is None and self._is_stuck(float(observation["wrench"][2])):
            self._spiral, self._middle = Spiral(), place
        if self._spiral is not None and (place[2] > self._middle[2] + SANK_M or action[2] < -DRAWN_BACK):
            self._spiral = None
            self._places.clear()
            self._places.append(place)
        if self._spiral is None:
            return action
        x, y = self._spiral.next()
        goal = np.array([[self._middle[0] + x, self._middle[1] + y, place[2]]])
        way = tcp.inverse().transform(goal)[0, :2] / self._control.step_m
        felt = np.array([*np.clip(way, -1.0, 1.0), 1.0, action[3]])
        return felt.astype(np.float32)

    def _is_stuck(self, force_z_n: float) -> bool:
        """The force is what acts on the tool: against the way it presses."""
        if len(self._places) <= STUCK_STEPS or -force_z_n < PRESSED_N:
            return False
        return float(np.linalg.norm(self._places[-1] - self._places[0])) < STUCK_M
