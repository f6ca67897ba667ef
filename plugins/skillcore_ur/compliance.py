"""A target that moves, and how firmly the tool is drawn to it.

`Ramp` is where the target is at a time. `Drawing` is what force mode may press with; `Admittance` is where servoL's set
point goes. Both draw with a spring whose force is cut at the limit, as a whole and not axis by axis.
Positions, forces and turns are in base axes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from skillcore.types import Array, Pose, Wrench, rotation_from_rotvec, rotvec_from_rotation
from skillcore_ur.options import ForceMode, Servo

LATE_TICKS = 4
"""So many ticks after a force is told the tool has the speed that belongs to it."""
FREE_N, PRESSED_N = 3.0, 10.0
"""Below the first the tool moves freely, above the second it presses."""
CORRECTION_HZ = 10.0
"""Share of a distance that the spring corrects in a second: more would swing, with a delay of 30 ms."""
FIRST_M_S_N, FIRST_WEIGHT_N2 = 0.003, 1000.0
"""What a newton makes of speed before anything was seen, and how much that counts: as some ticks of motion."""
SPEED_PER_FORCE_M_S_N = (5e-4, 2e-2)
KEPT = 0.99
OFFSET_TICKS = 60
"""Over so many ticks, half a second, the force is averaged that a free tool shows."""


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


def shifted(pose: Pose, way: Array) -> Pose:
    """The pose moved by a way (6,) as `between` gives it."""
    return Pose(pose.position_m + way[:3], rotation_from_rotvec(way[3:]) @ pose.rotation)


def contact_of(felt_n: Array) -> float:
    """From 0 in free space to 1 where the tool presses."""
    return min(1.0, max(0.0, (float(np.linalg.norm(felt_n)) - FREE_N) / (PRESSED_N - FREE_N)))


class Offset:
    """The force that is shown though nothing is touched: what yields to forces would walk away with it.

    It is learned while the tool is free, and counts the less the harder the tool presses. A touch that is lighter than
    `FREE_N` cannot be told from it.
    """

    def __init__(self) -> None:
        self._mean_n = np.zeros(3)
        self._seen = 0

    def of(self, felt_n: Array) -> Array:
        """(3,) how much of what is felt is none. Called once a tick."""
        contact = contact_of(felt_n)
        if contact == 0.0:
            self._seen = min(self._seen + 1, OFFSET_TICKS)
            self._mean_n = self._mean_n + (felt_n - self._mean_n) / self._seen
        return (1.0 - contact) * self._mean_n


class Drawing:
    """What force mode is to press with, so that the tool follows a target.

    Force mode is an admittance: in free space the tool moves with a speed in proportion to the force that it is told,
    and that is late by some ticks. A spring alone would swing, or lag far behind. So the target's own speed is led by
    the force that belongs to it, and the spring, soft enough for the delay, only corrects. How much speed a newton
    makes is nowhere told and differs between robots and settings: it is found while the tool moves freely. In contact
    the spring presses with its full stiffness. Forces are never more than the limit.
    """

    def __init__(self, settings: ForceMode) -> None:
        self._settings = settings
        self._told: deque[Array] = deque(maxlen=LATE_TICKS)
        self._product, self._square = FIRST_M_S_N * FIRST_WEIGHT_N2, FIRST_WEIGHT_N2
        self._offset, self._firm = Offset(), stiffness_of(settings)
        self.contact = 0.0
        """From 0 in free space to 1 where the tool presses."""

    def begin(self) -> None:
        """A new motion: the sensor may have been zeroed since the last one."""
        self._offset = Offset()

    @property
    def speed_per_force_m_s_n(self) -> float:
        """The speed that a newton makes, as far as has been seen."""
        return float(np.clip(self._product / self._square, *SPEED_PER_FORCE_M_S_N))

    def wrench(
        self, target: Pose, velocity: Array, measured: Pose, twist: Array, felt_n: Array, force_limit_n: float
    ) -> Array:
        """(6,) in base axes. felt_n: (3,) what the surroundings exert."""
        settings = self._settings
        self.contact, offset_n = contact_of(felt_n), self._offset.of(felt_n)
        if self.contact == 0.0:
            self._learn(twist[:3])
        away, share = between(measured, target), self.contact
        yields = self.speed_per_force_m_s_n
        soft = np.minimum(self._firm, CORRECTION_HZ / yields)
        force = sprung(away[:3], soft + share * (self._firm - soft), measured) + velocity[:3] / yields
        force = shortened(force - share * settings.damping_n_s_m * (twist - velocity)[:3] - offset_n, force_limit_n)
        self._told.append(force + offset_n)
        torque = settings.turn_stiffness_nm_rad * away[3:]
        return np.concatenate([force, shortened(torque, settings.torque_limit_nm)])

    def _learn(self, speed_m_s: Array) -> None:
        """Least squares over the last second or so, of speeds and the forces that made them."""
        if len(self._told) < LATE_TICKS:
            return
        force = self._told[0]
        if float(np.linalg.norm(force)) > FREE_N:
            self._product = KEPT * self._product + float(force @ speed_m_s)
            self._square = KEPT * self._square + float(force @ force)


class Admittance:
    """The set point `pose` of a stiff arm that is to yield as a spring would.

    servoL follows its set point some hundredths of a second behind: a moving tool that meets something has a set point
    that lies behind the surface already. So at the touch the set point comes back to where the tool is, and the spring
    presses from there.
    """

    def __init__(self, settings: Servo, start: Pose) -> None:
        self._settings = settings
        self._offset, self._stiffness_n_m = Offset(), stiffness_of(settings)
        self._touches = False
        self.pose = start

    def step(
        self, target: Pose, velocity: Array, measured: Pose, wrench: Wrench, force_limit_n: float, period_s: float
    ) -> Pose:
        """The next set point. wrench: what the surroundings exert, in base axes."""
        settings = self._settings
        touched, self._touches = self._touches, contact_of(wrench.force_n) > 0.0
        if self._touches and not touched:
            self.pose = Pose(measured.position_m, self.pose.rotation)
        away, felt_n = between(self.pose, target), wrench.force_n - self._offset.of(wrench.force_n)
        force = shortened(sprung(away[:3], self._stiffness_n_m, measured), force_limit_n)
        torque = shortened(settings.turn_stiffness_nm_rad * away[3:], settings.torque_limit_nm)
        # The target's own velocity is followed in free space only: in contact it would press beyond the spring.
        free = max(0.0, 1.0 - 2.0 * float(np.linalg.norm(wrench.force_n)) / force_limit_n)
        linear = shortened(free * velocity[:3] + (force + felt_n) / settings.damping_n_s_m, settings.speed_m_s)
        turn = velocity[3:] + (torque + wrench.torque_nm) / settings.turn_damping_nm_s_rad
        self.pose = Pose(
            self.pose.position_m + linear * period_s,
            rotation_from_rotvec(turn * period_s) @ self.pose.rotation,
        )
        return self.pose


def stiffness_of(settings: ForceMode | Servo) -> Array:
    """(3,) along the tool's x, y and z."""
    return np.array([*[settings.lateral_stiffness_n_m] * 2, settings.axial_stiffness_n_m])


def sprung(way_m: Array, stiffness_n_m: Array, tool_from_base: Pose) -> Array:
    """(3,) the force of a spring that is drawn out by a way (3,), both in base axes. stiffness_n_m: (3,) one for each
    of the tool's axes."""
    axes = tool_from_base.rotation
    return np.asarray(axes @ (stiffness_n_m * (axes.T @ way_m)))


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
