"""The scripted policy that collects offline data, knowing where success lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skillcore.cell_config import Control
from skillcore.task import Truth
from skillcore.types import Pose

CENTRED_M = 0.001
LIFT_M = 0.003
WANDER_M = 0.018
BIAS_M = 0.0015
BIAS_STEPS = 6


class Collector:
    """The paper's collector, and what a success classifier needs to see besides.

    Within 1 mm of the centre line it moves down, else towards the line; with probability `random` an action is drawn
    at random instead (Nair et al. 2022, arXiv:2210.15206, section IV). Such data hardly shows the states that a
    classifier mistakes for success, so for some steps (share `biased`) the collector aims beside the hole and presses
    there, and after success it presses on, or draws the plug back a little and seats it again. And it shows the socket
    from few sides, so that an episode may begin (with probability `wandering`) with some steps to places all around.
    """

    def __init__(
        self,
        control: Control,
        rng: np.random.Generator,
        *,
        depth_m: float,
        random: float = 0.2,
        biased: float = 0.35,
        wandering: float = 0.7,
    ) -> None:
        self._scale = np.array([control.step_m] * 3 + [control.turn_step_rad])
        self._rng = rng
        self._depth_m = depth_m
        self._random = random
        self._biased = biased
        self._bias_m = np.zeros(2)
        self._bias_left = 0
        self._lifts = 0
        self._wanders = int(rng.integers(2, 9)) if rng.random() < wandering else 0
        self._place = np.zeros(3)

    def act(self, truth: Truth) -> NDArray[np.float32]:
        """An action (4,) in [-1, 1], given where the TCP would be at success, seen from the TCP."""
        rng = self._rng
        if self._lifts > 0:
            self._lifts -= 1
            return self._lift()
        if truth.success:
            if rng.random() < 0.5:
                return self._press()
            self._lifts = int(rng.integers(0, 3))
            return self._lift()
        if self._wanders > 0:
            self._wanders -= 1
            return self._wander(truth.seated_from_tcp)
        if rng.random() < self._random:
            return rng.uniform(-1.0, 1.0, 4).astype(np.float32)
        return self._aim(truth.seated_from_tcp)

    def _wander(self, seated_from_tcp: Pose) -> NDArray[np.float32]:
        """On to a place somewhere above the mouth, which is changed for another now and then."""
        rng = self._rng
        if rng.random() < 0.4 or not self._place.any():
            radius, angle = WANDER_M * rng.random(), rng.uniform(-np.pi, np.pi)
            height = rng.uniform(0.001, 0.015)
            self._place = np.array([radius * np.cos(angle), radius * np.sin(angle), -self._depth_m - height])
        away = seated_from_tcp.position_m + self._place
        wanted = np.array([*away, rng.normal(0.0, 0.08)]) / self._scale
        return np.asarray(np.clip(wanted + rng.normal(0.0, 0.1, 4), -1.0, 1.0), dtype=np.float32)

    def _lift(self) -> NDArray[np.float32]:
        """Draws back by anything between nearly nothing and a whole step."""
        action = self._rng.normal(0.0, 0.05, 4)
        action[2] = -(self._rng.uniform(0.0, 1.0) ** 2)
        return action.astype(np.float32)

    def _press(self) -> NDArray[np.float32]:
        """Presses on against the stop, as a policy does that does not know yet that it has arrived."""
        action = self._rng.normal(0.0, 0.1, 4)
        action[2] = self._rng.uniform(0.0, 1.0)
        return action.astype(np.float32)

    def _aim(self, seated_from_tcp: Pose) -> NDArray[np.float32]:
        x, y, z = seated_from_tcp.position_m
        yaw = seated_from_tcp.yaw_rad
        if self._bias_left == 0 and self._rng.random() < self._biased / BIAS_STEPS:
            self._bias_left = BIAS_STEPS
            self._bias_m = self._rng.normal(0.0, BIAS_M, 2)
        if self._bias_left > 0:
            self._bias_left -= 1
            x, y = x + self._bias_m[0], y + self._bias_m[1]
        beside = float(np.hypot(x, y))
        down = 0.0
        if beside < CENTRED_M:
            down = np.inf
        elif beside > LIFT_M and z < self._depth_m + CENTRED_M:
            down = -LIFT_M  # The tip has sunk below the mouth beside the housing.
        # A screw owes its turn only once it sits.
        turn = yaw if abs(yaw) < 0.3 or z < CENTRED_M else 0.0
        return np.asarray(np.clip(np.array([x, y, down, turn]) / self._scale, -1.0, 1.0), dtype=np.float32)
