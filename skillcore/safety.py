"""The envelope an arm must keep to, and the guard that enforces it and counts how often it had to.

Every command goes through the guard: a `Cell` hands its arm to nobody. Limits can be tightened by arms, skills and
plugins, and loosened by nobody.

These limits protect plugs and sockets. They are no safety function in the sense of ISO 10218: people are protected by
the robot controller's own safety system.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from skillcore.errors import ArmFaultError, InputError, SafetyStopError
from skillcore.interfaces import ArmLimits
from skillcore.types import ArmState, Array, Pose, rotation_from_rotvec

CLAMPS = ("workspace", "speed", "turn_speed")
"""What the guard cuts back, by the names under which it counts."""


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """Limits of motion and force.

    min_m, max_m: (3,) corners of the box the TCP stays in, in the base frame. force_limit_n: what the arm may press
    with. hard_force_limit_n: above this measured force the motion ends.
    """

    min_m: Array
    max_m: Array
    speed_limit_m_s: float
    turn_speed_limit_rad_s: float
    force_limit_n: float
    hard_force_limit_n: float

    def tightened_by(self, other: Envelope) -> Envelope:
        """What both allow."""
        return Envelope(
            min_m=np.maximum(self.min_m, other.min_m),
            max_m=np.minimum(self.max_m, other.max_m),
            speed_limit_m_s=min(self.speed_limit_m_s, other.speed_limit_m_s),
            turn_speed_limit_rad_s=min(self.turn_speed_limit_rad_s, other.turn_speed_limit_rad_s),
            force_limit_n=min(self.force_limit_n, other.force_limit_n),
            hard_force_limit_n=min(self.hard_force_limit_n, other.hard_force_limit_n),
        )

    def tightened_by_arm(self, limits: ArmLimits) -> Envelope:
        """What the arm can keep to as well."""
        return replace(
            self,
            speed_limit_m_s=min(self.speed_limit_m_s, limits.speed_m_s),
            turn_speed_limit_rad_s=min(self.turn_speed_limit_rad_s, limits.turn_speed_rad_s),
            force_limit_n=min(self.force_limit_n, limits.force_n),
        )


class Guard:
    """Cuts commands back to the envelope, and ends the motion when a reading lies beyond what can be cut back."""

    def __init__(self, envelope: Envelope) -> None:
        self._envelope = envelope
        self._clamps: Counter[str] = Counter()
        self._peak_force_n = 0.0

    @property
    def envelope(self) -> Envelope:
        return self._envelope

    def tighten(self, envelope: Envelope) -> None:
        """Narrows the limits to what `envelope` allows too, for as long as the cell is open.

        Raises InputError where nothing would be left to move in.
        """
        tightened = self._envelope.tightened_by(envelope)
        if not np.all(tightened.min_m <= tightened.max_m):
            raise InputError(
                "a workspace that is to be tightened to has nothing in common with the cell's",
                cure="give its corners in the base frame, in m",
            )
        self._envelope = tightened

    def start_episode(self) -> None:
        """Sets the counts to zero."""
        self._clamps.clear()
        self._peak_force_n = 0.0

    @property
    def clamps(self) -> dict[str, int]:
        """How often each kind of limit cut a command back since the episode's start."""
        return {name: self._clamps[name] for name in CLAMPS}

    @property
    def peak_force_n(self) -> float:
        """The greatest force measured since the episode's start."""
        return self._peak_force_n

    def limit(self, target: Pose, measured: Pose, duration_s: float) -> Pose:
        """The pose (in the base frame) nearest to `target` that may be commanded from `measured` for `duration_s`.

        From outside the workspace it leads back in, no faster than the speed limit. Raises SafetyStopError for what is
        no pose.
        """
        # NaN passes every comparison below, and would reach the arm.
        if not all(np.isfinite(part).all() for pose in (target, measured) for part in (pose.position_m, pose.rotation)):
            raise SafetyStopError(
                "a command or the arm's pose is not made of finite numbers",
                cure="see that neither the policy nor the arm delivers NaN",
            )
        envelope = self._envelope
        position = self._cut("workspace", target.position_m, np.clip(target.position_m, envelope.min_m, envelope.max_m))
        step = position - measured.position_m
        distance, allowed = float(np.linalg.norm(step)), envelope.speed_limit_m_s * duration_s
        if distance > allowed * (1.0 + 1e-6):
            self._clamps["speed"] += 1
            position = measured.position_m + step * (allowed / distance)
        rotation = target.rotation
        turn = (measured.inverse() @ target).rotvec_rad
        angle, allowed = float(np.linalg.norm(turn)), envelope.turn_speed_limit_rad_s * duration_s
        if angle > allowed * (1.0 + 1e-6):
            self._clamps["turn_speed"] += 1
            rotation = measured.rotation @ rotation_from_rotvec(turn * (allowed / angle))
        return Pose(position, rotation)

    def check(self, state: ArmState) -> None:
        """Raises SafetyStopError above the hard force limit, ArmFaultError when the controller reports a fault."""
        force = float(np.linalg.norm(state.wrench.force_n))
        self._peak_force_n = max(self._peak_force_n, force)
        if state.fault:
            raise ArmFaultError(f"the arm reports a fault: {state.fault}", cure="clear it at the controller, try again")
        if not np.isfinite(force):
            raise SafetyStopError("the arm reports a force that is no number", cure="check the force sensor")
        limit = self._envelope.hard_force_limit_n
        if force > limit:
            raise SafetyStopError(
                f"{force:.0f} N measured, more than the hard limit of {limit:.0f} N",
                cure="look at what the plug has met; safety.hard_force_limit_n in the cell file sets the limit",
            )

    def _cut(self, name: str, wanted: Array, allowed: Array) -> Array:
        if np.any(np.abs(wanted - allowed) > 1e-9):
            self._clamps[name] += 1
        return allowed
