"""What stands in for a person who guides the simulated arm by hand.

Nobody is there to guide it, so a scripted hand does: it knows where plug and socket are, as a person sees it, holds the
plug above the mouth, aligns it, brings it home with a bounded push, and then only holds it. It misses the middle a
little, differently each time. It moves the arm through the arm's own springs, whereas a real arm that is guided exerts
no force of its own: what is shown of the force is what the plug meets, as it would be there.
"""

from __future__ import annotations

import numpy as np

from skillcore.types import Array
from skillcore_mujoco.physics import Physics

PERIOD_S = 0.02
"""How often the hand looks."""
ABOVE_M = 0.008
"""How far in front of the mouth the plug is aligned."""
CARRY_M_S = 0.05
PUSH_M_S = 0.02
TURN_RAD_S = 0.5
SETTLE_S = 0.2
"""How long the hand waits after each motion."""
PUSH_N = 40.0
"""The hand never pushes harder ..."""
BEYOND_M = 0.006
"""... and aims this far beyond the seat, so that it pushes at all."""
MISS_M = 0.0001
MISS_RAD = 0.003
ALIGNED_M = 0.0005
ALIGNED_RAD = 0.01
HOME_M = 0.0004
"""Home is where no more than this is missing."""


class Hand:
    """Guides one plug home, in straight motions: up, above the mouth, down. rng: by how much it misses the middle."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._miss = np.array([*rng.normal(0.0, MISS_M, 2), 0.0, rng.normal(0.0, MISS_RAD)])
        self._next_s = 0.0
        self._is_home = False

    def guide(self, physics: Physics) -> None:
        """What the hand does in the next `PERIOD_S`."""
        if self._is_home or physics.time_s < self._next_s:
            return
        depth, tool = physics.mating.depth_m, physics.tool_pose
        plug = physics.plug_from_socket
        # x, y, z and yaw by which the plug has yet to move; the tool moves by the same.
        missing = np.array([0.0, 0.0, depth, 0.0]) + self._miss - np.array([*plug.position_m, plug.yaw_rad])
        missing[3] = np.remainder(missing[3] + np.pi, 2.0 * np.pi) - np.pi
        if missing[2] < HOME_M:
            self._is_home = True
            physics.servo(tool, 0.0)
        elif np.hypot(missing[0], missing[1]) < ALIGNED_M and abs(missing[3]) < ALIGNED_RAD:
            self._go(physics, tool + missing + np.array([0.0, 0.0, BEYOND_M, 0.0]), PUSH_M_S)
        else:
            above = missing - np.array([0.0, 0.0, depth + ABOVE_M, 0.0])
            # Up first, where the plug is lower than that: beside the mouth it would run into the socket.
            up = np.array([0.0, 0.0, above[2], 0.0])
            self._go(physics, tool + (up if above[2] < -0.001 else above), CARRY_M_S)

    def _go(self, physics: Physics, goal: Array, speed_m_s: float) -> None:
        way = goal - physics.tool_pose
        duration = max(float(np.linalg.norm(way[:3])) / speed_m_s, abs(float(way[3])) / TURN_RAD_S)
        physics.limit_force(PUSH_N)
        physics.servo(goal, duration)
        self._next_s = physics.time_s + duration + SETTLE_S
