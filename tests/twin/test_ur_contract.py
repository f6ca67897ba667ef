"""The UR driver keeps the promises of an arm, in both kinds of compliance, over the twin."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from skillcore.interfaces import Arm
from skillcore.testing import ArmContract
from skillcore_ur.arm import UrArm


class TestUrArmInForceMode(ArmContract):
    settle_s = 0.4
    changes: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _on(self, robot: Any) -> None:
        self._robot = robot

    def make_arm(self) -> Arm:
        return UrArm(self._robot.options(**self.changes))


class TestUrArmInServoMode(TestUrArmInForceMode):
    changes: ClassVar[dict[str, Any]] = {"compliance": {"mode": "servo", "tool_force_limit_n": 120.0}}
