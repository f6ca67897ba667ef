"""The UR driver keeps the promises of an arm over the twin: as a cell has it, and in both kinds of compliance."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from skillcore.interfaces import Arm
from skillcore.testing import ArmContract
from skillcore_ur.arm import UrArm
from skillcore_ur.remote_arm import RemoteUrArm


class TestUrArm(ArmContract):
    """In a process of its own, with force mode."""

    settle_s = 0.4
    changes: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _on(self, robot: Any) -> None:
        self._robot = robot

    def make_arm(self) -> Arm:
        return RemoteUrArm(self._robot.options(**self.changes))


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
