"""What an automation engineer would script: searches that learn nothing, to compare a learned policy with.

The baselines of Nair et al. 2022 (arXiv:2210.15206, section VI): straight down at once; over the place that is
regressed from the first image, then down; presses at five random places; a pressed spiral. Their sizes are not
published; the ones chosen here are the defaults. Distances in m, angles in rad, in the frame of the TCP where the
trial began.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.cell_config import Control
from skillcore.types import Array, Observation, Pose

Locate = Callable[[Observation], Array]
"""An observation -> x, y in m and yaw in rad of where the socket is thought to be, seen from the TCP."""

ARRIVED_M = 0.001
PRESS_STEPS = 2
PLACES = 5
SPREAD_M = 0.004
"""Standard deviation of the random places around the one that is searched from."""
PITCH_M = 0.0015
"""From one turn of the spiral to the next."""
SPIRAL_STEP_M = 0.0025
LIFT_M = 0.002
SUNK_M = 0.0005
"""Deeper than before by this: something gives way."""
HOLD_STEPS = 3
PRESS_N = 18.0
"""With so much a tip is dragged over a face: with the arm's full force friction holds it fast, and with a third of this
it slides over the hole."""


class Search(ABC):
    """An actor that goes from target to target.

    locate: where to begin; without it, where the TCP happens to be. looks: how often it is asked; the first time where
    the trial begins, then above the place that was found, from where more is seen of it.
    """

    def __init__(self, control: Control, locate: Locate | None = None, *, looks: int = 1) -> None:
        self._control = control
        self._locate = locate
        self._looks = looks
        self._centre: Array | None = None

    def __call__(self, observation: Observation, info: dict[str, Any], /, *, last: bool) -> NDArray[np.float32]:
        if last:
            return np.zeros(4, np.float32)
        tcp = Pose.from_rotvec(observation["pose"][:3], observation["pose"][3:])
        centre = self._centre
        if centre is None or (self._looks > 0 and _beside(tcp, centre) < ARRIVED_M):
            self._looks -= 1
            centre = self._centre = self._look(observation, tcp)
        return self.next_action(tcp, centre, -float(observation["wrench"][2]))

    def _look(self, observation: Observation, tcp: Pose) -> Array:
        """x, y and yaw of the place, in the frame where the trial began."""
        if self._locate is None:
            return np.zeros(3)
        x, y, yaw = np.asarray(self._locate(observation), np.float64)
        place = tcp.transform(np.array([[x, y, 0.0]]))[0]
        return np.array([place[0], place[1], tcp.yaw_rad + yaw])

    @abstractmethod
    def next_action(self, tcp: Pose, centre: Array, pressed_n: float) -> NDArray[np.float32]:
        """An action (4,), from where the TCP is, x, y, yaw of the place that is searched from, and how hard the tip
        presses."""

    def towards(self, tcp: Pose, x_m: float, y_m: float, yaw_rad: float, *, down: float) -> NDArray[np.float32]:
        """An action towards a place, with `down` (in units of a whole step) along the tool's axis."""
        goal = np.array([x_m, y_m, float(tcp.position_m[2])])
        way = tcp.inverse().transform(goal[np.newaxis])[0]
        turn = (yaw_rad - tcp.yaw_rad + np.pi) % (2.0 * np.pi) - np.pi
        control = self._control
        action = [way[0] / control.step_m, way[1] / control.step_m, down, turn / control.turn_step_rad]
        return np.asarray(np.clip(action, -1.0, 1.0), np.float32)


class StraightDown(Search):
    """Down at once; with `locate`, over the place first: the paper's "Localize"."""

    def next_action(self, tcp: Pose, centre: Array, pressed_n: float) -> NDArray[np.float32]:
        x, y, yaw = centre
        return self.towards(tcp, x, y, yaw, down=1.0 if _beside(tcp, centre) < ARRIVED_M else 0.0)


class RandomPresses(Search):
    """Presses at `places` places around the centre, the first of them the centre itself, lifting off in between."""

    def __init__(
        self, control: Control, rng: np.random.Generator, locate: Locate | None = None, *, places: int = PLACES
    ) -> None:
        super().__init__(control, locate)
        self._offsets = np.concatenate([np.zeros((1, 2)), rng.normal(0.0, SPREAD_M, (places - 1, 2))])
        self._place = 0
        self._pressed = 0

    def next_action(self, tcp: Pose, centre: Array, pressed_n: float) -> NDArray[np.float32]:
        x, y = centre[:2] + self._offsets[self._place]
        if self._pressed == 0 and _beside(tcp, np.array([x, y])) > ARRIVED_M:
            return self.towards(tcp, x, y, centre[2], down=0.0)
        if self._pressed < PRESS_STEPS or self._place == len(self._offsets) - 1:
            self._pressed += 1
            return self.towards(tcp, x, y, centre[2], down=1.0)
        self._place, self._pressed = self._place + 1, 0
        x, y = centre[:2] + self._offsets[self._place]
        return self.towards(tcp, x, y, centre[2], down=-LIFT_M / self._control.step_m)


class Spiral:
    """Places on an Archimedean spiral, from its middle outward, in steps of the same length."""

    def __init__(self) -> None:
        self._angle = 0.0

    def next(self) -> tuple[float, float]:
        """x and y in m of the next place."""
        radius = PITCH_M * self._angle / (2.0 * np.pi)
        # The angle grows less the farther out it is.
        self._angle += SPIRAL_STEP_M / float(np.hypot(radius, PITCH_M / (2.0 * np.pi)))
        radius = PITCH_M * self._angle / (2.0 * np.pi)
        return float(radius * np.cos(self._angle)), float(radius * np.sin(self._angle))


class Press:
    """How far down to push, in units of a whole step, for a tip that presses with `PRESS_N`.

    How stiff the arm is, is not known: each step follows from what was felt after the last.
    """

    def __init__(self, down: float) -> None:
        self._down = down

    def next(self, pressed_n: float) -> float:
        """The next push, after one that made the tip press with `pressed_n`."""
        self._down *= float(np.clip(PRESS_N / max(pressed_n, 0.5), 0.3, 1.6))
        self._down = float(np.clip(self._down, 0.02, 1.0))
        return self._down


class PressedSpiral(Search):
    """Down on the centre, then outward on an Archimedean spiral under pressure, until the tip falls in.

    Then it presses straight on; if that leads no deeper, it was an edge, and the spiral goes on.
    """

    def __init__(self, control: Control, locate: Locate | None = None, *, looks: int = 1) -> None:
        super().__init__(control, locate, looks=looks)
        self._spiral = Spiral()
        self._press = Press(1.0)
        self._pressed = 0
        self._contact_m = np.inf
        self._before_m = -np.inf
        self._holds = 0

    def next_action(self, tcp: Pose, centre: Array, pressed_n: float) -> NDArray[np.float32]:
        x, y, yaw = centre
        if self._pressed == 0 and _beside(tcp, centre) > ARRIVED_M:
            return self.towards(tcp, x, y, yaw, down=0.0)
        self._looks = 0
        self._pressed += 1
        depth_m, before_m = float(tcp.position_m[2]), self._before_m
        self._before_m = depth_m
        if self._pressed <= PRESS_STEPS or (self._contact_m == np.inf and depth_m > before_m + SUNK_M):
            return self.towards(tcp, x, y, yaw, down=1.0)
        if depth_m > self._contact_m + SUNK_M:
            self._contact_m, self._holds = depth_m, HOLD_STEPS
        elif self._contact_m == np.inf:
            self._contact_m = depth_m
        if self._holds > 0:
            self._holds -= 1
            here_x, here_y, _ = tcp.position_m.tolist()
            return self.towards(tcp, here_x, here_y, yaw, down=1.0)
        along_x, along_y = self._spiral.next()
        return self.towards(tcp, x + along_x, y + along_y, yaw, down=self._press.next(pressed_n))


def _beside(tcp: Pose, place: Array) -> float:
    """How far the TCP is from a place (x, y, ...), sideways."""
    return float(np.hypot(tcp.position_m[0] - place[0], tcp.position_m[1] - place[1]))
