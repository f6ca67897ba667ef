"""A real UR arm keeps the promises of an arm. It moves by a few millimetres, upwards first.

    export SKILLCORE_UR_ARM='{address: 192.168.1.10, model: ur5e, tcp: {...}, payload: {...}}'
    pytest tests/hardware -m hardware

The value is what stands under `arm:` in a cell file, without `driver`. The tool must be free, with 20 mm of room around
it, and a person at the emergency stop.
"""

from __future__ import annotations

import os

import pytest

from skillcore.config import validate
from skillcore.interfaces import Arm
from skillcore.testing import ArmContract
from skillcore.yamlfile import parse_yaml
from skillcore_ur.options import ArmOptions
from skillcore_ur.remote_arm import RemoteUrArm

VARIABLE = "SKILLCORE_UR_ARM"

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif(not os.environ.get(VARIABLE), reason=f"{VARIABLE} names no robot"),
]


class TestRealUrArm(ArmContract):
    still_n = 5.0
    settle_s = 1.0

    def make_arm(self) -> Arm:
        return RemoteUrArm(validate(parse_yaml(os.environ[VARIABLE], VARIABLE), ArmOptions))

    def test_what_connect_says_is_true(self, arm: Arm) -> None:
        """With a person to look: prints what was read, to be held against the pendant."""
        state = arm.read()
        print("TCP from base:", state.tcp_from_base.as_vector())
        print("wrench in the tool's axes (push against the tip: z is negative):", state.wrench.as_vector())
        assert state.fault is None
