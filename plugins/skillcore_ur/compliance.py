"""A target that moves, and how firmly the tool is drawn to it.

`Ramp` is where the target is at a time. `spring_wrench` is what force mode may press with; `Admittance` is where
servoL's set point goes. Both draw with a spring whose force is cut at the limit, as a whole and not axis by axis.
Positions, forces and turns are in base axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skillcore.types import Array, Pose, Wrench, rotation_from_rotvec, rotvec_from_rotation
from skillcore_ur.options import ForceMode, Servo


@dataclass(frozen=True, slots=True, eq=False)
class Ramp:
    """A straight way from `start` at `begin_s` to `goal` at `end_s`, and no further. force_limit_n: for it."""

    start: Pose
    goal: Pose
    begin_s: float
    end_s: float
    force_limit_n: float

    def at(self, time_s: float) -> tuple[Pose, Array]:
        """The pose at a time, and the velocity (6,) it moves with."""
        span = self.end_s - self.begin_s
        if time_s >= self.end_s or span <= 0.0:
            return self.goal, np.zeros(6)
        share = max(0.0, (time_s - self.begin_s) / span)
        way = self.goal.position_m - self.start.position_m
        turn = rotvec_from_rotation(self.goal.rotation @ self.start.rotation.T)
        pose = Pose(self.start.position_m + share * way, rotation_from_rotvec(share * turn) @ self.start.rotation)
        return pose, np.concatenate([way, turn]) / span


def between(here: Pose, there: Pose) -> Array:
    """(6,) the way and the turn from one pose to another, in base axes."""
    turn = rotvec_from_rotation(there.rotation @ here.rotation.T)
    return np.concatenate([there.position_m - here.position_m, turn])


def spring_wrench(
    settings: ForceMode, target: Pose, velocity: Array, measured: Pose, twist: Array, force_limit_n: float
) -> Array:
    """(6,) what the tool is to press with: drawn to the target, never harder than the limits."""
    away, slow = between(measured, target), velocity - twist
    force = settings.stiffness_n_m * away[:3] + settings.damping_n_s_m * slow[:3]
    torque = settings.turn_stiffness_nm_rad * away[3:]
    return np.concatenate([shortened(force, force_limit_n), shortened(torque, settings.torque_limit_nm)])


class Admittance:
    """The set point of a stiff arm that is to yield as a spring would. wrench: what the surroundings exert, in base
    axes."""

    def __init__(self, settings: Servo, start: Pose) -> None:
        self._settings = settings
        self._pose = start

    def step(self, target: Pose, velocity: Array, wrench: Wrench, force_limit_n: float, period_s: float) -> Pose:
        """The next set point."""
        settings = self._settings
        away = between(self._pose, target)
        force = shortened(settings.stiffness_n_m * away[:3], force_limit_n)
        torque = shortened(settings.turn_stiffness_nm_rad * away[3:], settings.torque_limit_nm)
        # The target's own velocity is followed in free space only: in contact it would press beyond the spring.
        free = max(0.0, 1.0 - 2.0 * float(np.linalg.norm(wrench.force_n)) / force_limit_n)
        linear = free * velocity[:3] + (force + wrench.force_n) / settings.damping_n_s_m
        turn = velocity[3:] + (torque + wrench.torque_nm) / settings.turn_damping_nm_s_rad
        self._pose = Pose(
            self._pose.position_m + linear * period_s,
            rotation_from_rotvec(turn * period_s) @ self._pose.rotation,
        )
        return self._pose


def shortened(vector: Array, longest: float) -> Array:
    """The vector, no longer than that."""
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)


def within_reach(here: Pose, goal: Pose, *, distance_m: float, turn_rad: float) -> Pose:
    """The pose nearest to `goal` on the straight way to it that is no further than that."""
    way = between(here, goal)
    position = here.position_m + shortened(way[:3], distance_m)
    turned = float(np.linalg.norm(way[3:]))
    rotation = goal.rotation
    if turned > turn_rad:
        rotation = rotation_from_rotvec(shortened(way[3:], turn_rad)) @ here.rotation
    return Pose(position, rotation)
