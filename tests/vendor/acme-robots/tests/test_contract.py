"""The contract suite of arms, in the simulated world."""

from __future__ import annotations

import numpy as np
from skillcore.interfaces import Arm, Clock
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.testing import ArmContract
from skillcore.types import Pose

FIXTURE = Pose.from_rotvec([0.5, 0.0, 0.1], [np.pi, 0.0, 0.0])


class TestSix(ArmContract):
    def make_arm(self) -> Arm:
        registry = Registry.discover()
        self._world = registry.make("simulations", "mujoco", {}, Context(name="simulation", fixture=FIXTURE))
        context = Context(name="arm", clock=self._world.clock, simulation=self._world, fixture=FIXTURE)
        arm: Arm = registry.make("arms", "acme-six", {}, context)
        return arm

    def make_clock(self) -> Clock:
        clock: Clock = self._world.clock
        return clock

    def obstruct(self, arm: Arm) -> Pose:
        face = FIXTURE @ Pose.from_xyz_yaw(0.006, 0.0, -0.004, 0.0)
        arm.move_to(face, speed_m_s=0.05, force_limit_n=60.0)
        return face @ Pose.from_xyz_yaw(0.0, 0.0, 0.02, 0.0)
