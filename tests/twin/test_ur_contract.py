"""The UR driver keeps the promises of an arm over the twin: as a cell has it, and in both kinds of compliance."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest

from skillcore.interfaces import Arm
from skillcore.testing import ArmContract
from skillcore.types import Pose
from skillcore_ur.arm import UrArm
from skillcore_ur.remote_arm import RemoteUrArm

BESIDE = np.array([0.506, 0.0, 0.115])
"""In front of the socket's face, beside its hole."""
UP = np.array([0.5, 0.0, 0.13])


class TestUrArm(ArmContract):
    """In a process of its own, with force mode."""

    settle_s = 0.4
    changes: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _on(self, robot: Any) -> Iterator[None]:
        self._robot, self._low = robot, False
        yield
        robot.clear()
        if self._low:
            arm = self.make_arm()
            arm.connect()
            arm.recover()
            arm.move_to(Pose(UP, arm.read().tcp_from_base.rotation), speed_m_s=0.2, force_limit_n=60.0)
            arm.close()

    def make_arm(self) -> Arm:
        return RemoteUrArm(self._robot.options(**self.changes))

    def obstruct(self, arm: Arm) -> Pose:
        rotation = arm.read().tcp_from_base.rotation
        self._low = True
        arm.move_to(Pose(BESIDE, rotation), speed_m_s=0.2, force_limit_n=60.0)
        return Pose(BESIDE - [0.0, 0.0, 0.03], rotation)

    def cause_fault(self, arm: Arm) -> bool:
        self._robot.cause("protective_stop")
        return True

    def cut_off(self, arm: Arm) -> bool:
        self._robot.cause("lost_connection")
        return True


class TestUrArmInServoMode(TestUrArm):
    """In this process."""

    changes: ClassVar[dict[str, Any]] = {"compliance": {"mode": "servo", "tool_force_limit_n": 120.0}}

    def make_arm(self) -> Arm:
        return UrArm(self._robot.options(**self.changes))

    # What compliance has no part in was tested above.
    test_limits_are_known_before_connect = None
    test_close_may_be_called_twice_and_without_connect = None
    test_an_unconnected_arm_answers_with_a_device_error = None
    test_stop_never_raises = None
    test_a_reading_is_complete = None
    test_later_readings_are_newer = None
    test_the_zeroed_wrench_is_zero = None
    test_move_to_arrives_no_faster_than_asked = None
    test_a_blocked_motion_is_told_and_has_stopped = None
    test_a_fault_is_told_and_motions_are_refused = None
    test_recovering_from_a_fault_leaves_it_at_rest = None
    test_an_arm_that_is_cut_off_says_so = None
