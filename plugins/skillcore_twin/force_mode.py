"""Motions that yield: force mode as an admittance, and the hand that leads an arm in freedrive."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skillcore.types import Array, Pose, rotation_from_rotvec, rotvec_from_rotation

PATH_DEVIATION_M, PATH_DEVIATION_RAD = 0.02, 0.25
"""A tool that strays further from its set point is stopped."""
LEAD = 0.75
"""Share of that which force mode lets the set point lead by."""
GAIN_M_S_N, GAIN_RAD_S_NM = 0.006, 1.0
"""Speed per missing force or torque at a gain scaling of 1: guesses that are stable against the world's contacts."""
LEAST_N = 5.0
"""What an arm in force mode may push with at least, or friction would hold it."""
HAND_M_S = 0.04


@dataclass(frozen=True, slots=True, eq=False)
class ForceMode:
    """Pushes with `wrench` (6,) on the axes in `selection` (6,), in the axes of `frame`, and holds the others.

    limits: the speeds (6,) it may move with. gain: the controller's gain scaling.
    """

    frame: Pose
    selection: Array
    wrench: Array
    limits: Array
    gain: float

    @property
    def most_n(self) -> float:
        """It never presses harder than it was told to."""
        return max(1.05 * float(np.linalg.norm(self.wrench[:3])), LEAST_N)

    def step(self, felt: Array, here: Pose, command: Pose, planned: Pose, dt_s: float) -> Pose:
        """The next set point: it moves with a speed in proportion to the force that is missing.

        felt: (6,) what the surroundings exert, in base axes. here: where the TCP is. planned: where the program has it.
        """
        axes = self.frame.rotation
        felt = np.concatenate([axes.T @ felt[:3], axes.T @ felt[3:]])
        gains = self.gain * np.array([GAIN_M_S_N] * 3 + [GAIN_RAD_S_NM] * 3)
        velocity = np.clip(gains * (self.wrench + felt), -self.limits, self.limits) * self.selection
        linear, turn = axes @ velocity[:3], axes @ velocity[3:]
        # The set point must not run away from an arm that cannot follow.
        lead = _at_most(command.position_m + linear * dt_s - here.position_m, LEAD * PATH_DEVIATION_M)
        turned = rotation_from_rotvec(turn * dt_s) @ command.rotation
        ahead = _at_most(rotvec_from_rotation(here.rotation.T @ turned), LEAD * PATH_DEVIATION_RAD)
        pose = Pose(here.position_m + lead, here.rotation @ rotation_from_rotvec(ahead))
        if self.selection.all():
            return pose
        # Axes that are not compliant stay where the program has them; turns are held together, or not at all.
        off = axes.T @ (planned.position_m - pose.position_m)
        position = pose.position_m + axes @ (off * (1.0 - self.selection[:3]))
        return Pose(position, pose.rotation if self.selection[3:].any() else planned.rotation)


def led_by_hand(command: Pose, hand: Pose | None, dt_s: float) -> Pose:
    """Without a hand the arm stays where it is; with one it is led there slowly."""
    if hand is None:
        return command
    way, step = hand.position_m - command.position_m, HAND_M_S * dt_s
    distance = float(np.linalg.norm(way))
    share = 1.0 if distance <= step else step / distance
    turn = rotvec_from_rotation(command.rotation.T @ hand.rotation)
    return Pose(command.position_m + share * way, command.rotation @ rotation_from_rotvec(share * turn))


def _at_most(vector: Array, longest: float) -> Array:
    """The vector, no longer than that."""
    length = float(np.linalg.norm(vector))
    return vector if length <= longest else vector * (longest / length)
