"""Motions of the tool centre point with bounded speed and acceleration, stepped tick by tick.

A motion gives the next set point for each `step(dt_s)`; `dt_s` is scaled by the speed slider. Poses are
tcp_from_base.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from skillcore.types import Array, Pose, rotation_from_rotvec, rotvec_from_rotation

TURN_LEVER_M = 0.2
"""A turn of 1 rad takes a linear motion as long as 0.2 m."""


class Motion(Protocol):
    """done: whether it has ended; it holds its last set point then."""

    @property
    def done(self) -> bool: ...

    def step(self, dt_s: float) -> Pose:
        """The next set point."""


@dataclass(slots=True)
class Hold:
    """Stays."""

    pose: Pose
    done: bool = True

    def step(self, dt_s: float) -> Pose:
        return self.pose


class Trapezoid:
    """A length that is gone with bounded speed and acceleration, from rest to rest."""

    def __init__(self, length: float, speed: float, acceleration: float) -> None:
        self._length = length
        self._acceleration = max(acceleration, 1e-3)
        self._speed = min(max(speed, 1e-4), math.sqrt(max(length, 0.0) * self._acceleration) or 1e-4)
        self._ramp_s = self._speed / self._acceleration
        self.duration_s = 0.0 if length <= 0.0 else length / self._speed + self._ramp_s

    def gone(self, time_s: float) -> float:
        """The length gone after a time."""
        if time_s >= self.duration_s:
            return self._length
        if time_s < self._ramp_s:
            return 0.5 * self._acceleration * time_s**2
        left = self.duration_s - time_s
        if left < self._ramp_s:
            return self._length - 0.5 * self._acceleration * left**2
        return self._speed * (time_s - 0.5 * self._ramp_s)


class MoveLinear:
    """A straight line from rest to rest; the turn takes as long."""

    def __init__(self, start: Pose, goal: Pose, speed_m_s: float, acceleration_m_s2: float) -> None:
        self._start, self._goal = start, goal
        self._way = goal.position_m - start.position_m
        self._turn = rotvec_from_rotation(start.rotation.T @ goal.rotation)
        length = max(float(np.linalg.norm(self._way)), TURN_LEVER_M * float(np.linalg.norm(self._turn)))
        self._profile = Trapezoid(length, speed_m_s, acceleration_m_s2)
        self._length = length
        self._time_s = 0.0

    @property
    def done(self) -> bool:
        return self._time_s >= self._profile.duration_s

    def step(self, dt_s: float) -> Pose:
        self._time_s += dt_s
        if self.done:
            return self._goal
        share = self._profile.gone(self._time_s) / self._length
        turned = self._start.rotation @ rotation_from_rotvec(share * self._turn)
        return Pose(self._start.position_m + share * self._way, turned)


class MoveJoints:
    """All joints from rest to rest together; the one with the longest way leads."""

    def __init__(
        self, start: Array, goal: Array, speed_rad_s: float, acceleration_rad_s2: float, place: Callable[[Array], Pose]
    ) -> None:
        self._start, self._way, self._place = start, goal - start, place
        self._length = float(np.max(np.abs(self._way)))
        self._profile = Trapezoid(self._length, speed_rad_s, acceleration_rad_s2)
        self._time_s = 0.0

    @property
    def done(self) -> bool:
        return self._time_s >= self._profile.duration_s

    def step(self, dt_s: float) -> Pose:
        self._time_s += dt_s
        share = 1.0 if self.done else self._profile.gone(self._time_s) / self._length
        return self._place(self._start + share * self._way)


class Servo:
    """Follows a target that is set anew again and again, `lookahead_s` behind it. Knows no speed limit, as servoj."""

    done = False

    def __init__(self, pose: Pose) -> None:
        self._pose = self.target = pose
        self.lookahead_s = 0.1

    def step(self, dt_s: float) -> Pose:
        share = 1.0 - math.exp(-dt_s / max(0.5 * self.lookahead_s, 1e-3))
        turn = rotvec_from_rotation(self._pose.rotation.T @ self.target.rotation)
        self._pose = Pose(
            self._pose.position_m + share * (self.target.position_m - self._pose.position_m),
            self._pose.rotation @ rotation_from_rotvec(share * turn),
        )
        return self._pose


class Speed:
    """Goes with a velocity (6,) in base axes, which it reaches with bounded acceleration. A velocity of 0 stops it."""

    def __init__(self, pose: Pose, velocity: Array, wanted: Array, acceleration_m_s2: float) -> None:
        self._pose = pose
        self._velocity = np.array(velocity, dtype=np.float64)
        self.wanted = np.array(wanted, dtype=np.float64)
        self.acceleration_m_s2 = acceleration_m_s2

    @property
    def done(self) -> bool:
        return not np.any(self.wanted) and not np.any(self._velocity)

    def step(self, dt_s: float) -> Pose:
        change = self.wanted - self._velocity
        size = max(float(np.linalg.norm(change[:3])), TURN_LEVER_M * float(np.linalg.norm(change[3:])))
        allowed = self.acceleration_m_s2 * dt_s
        if dt_s == 0.0 and not np.any(self.wanted):
            self._velocity = np.zeros(6)  # a slider at zero has stopped it
        else:
            self._velocity = self.wanted if size <= allowed else self._velocity + change * (allowed / size)
        step = self._velocity * dt_s
        self._pose = Pose(
            self._pose.position_m + step[:3],
            rotation_from_rotvec(step[3:]) @ self._pose.rotation,
        )
        return self._pose


def stopping(pose: Pose, velocity: Array, deceleration_m_s2: float) -> Speed:
    """Comes to rest."""
    return Speed(pose, velocity, np.zeros(6), max(deceleration_m_s2, 0.1))


def in_joint_terms(deceleration_rad_s2: float) -> float:
    """What a joint deceleration is at the tool, roughly, in m/s^2."""
    return 0.5 * deceleration_rad_s2
