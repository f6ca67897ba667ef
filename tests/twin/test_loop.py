"""A cell with a UR arm, controlled at its rate."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell
from skillcore.errors import ArmFaultError
from skillcore.types import Pose

STEPS = 24


def test_steps_are_made_as_they_are_asked_for(loop_cell: Cell) -> None:
    start = loop_cell.socket_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -0.04, 0.0)
    loop_cell.recover()
    loop_cell.move_to(start)
    loop_cell.zero_wrench()
    loop_cell.start_control()
    began = loop_cell.clock.now_s()
    ways = []
    for step in range(STEPS):
        side = 1.0 if step < STEPS // 2 else -1.0
        action = np.array([0.7 * side, 0.0, 0.0, 0.2 * side], np.float32)
        executed = loop_cell.control(action)
        ways.append(float(np.linalg.norm(loop_cell.state.tcp_from_base.position_m - start.position_m)))
        assert np.allclose(executed, action, atol=1e-4)
        assert loop_cell.observe()["images"].shape == (1, 64, 64, 3)
    loop_cell.stop()
    assert loop_cell.clock.now_s() - began >= 0.99 * STEPS * loop_cell.period_s
    assert loop_cell.guard.peak_force_n < 25.0
    # It went out and came back.
    assert max(ways) > 0.5 * 0.0028 * STEPS / 2
    assert ways[-1] < 0.3 * max(ways)
    print(f"{loop_cell.overruns} of {STEPS} steps were late")


def test_a_fault_ends_control_with_the_arm_stopped(loop_cell: Cell, robot: Any) -> None:
    loop_cell.recover()
    loop_cell.move_to(loop_cell.socket_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -0.04, 0.0))
    loop_cell.start_control()
    robot.cause("program_stopped", after_s=0.5)
    up = np.array([0.0, 0.0, -0.3, 0.0], np.float32)
    with pytest.raises(ArmFaultError, match="stopped at the controller"):
        deque((loop_cell.control(up) for _ in range(100)), maxlen=0)
    before = robot.position_m()
    loop_cell.recover()
    loop_cell.clock.sleep_until(loop_cell.clock.now_s() + 0.3)
    assert float(np.linalg.norm(robot.position_m() - before)) < 0.002
    loop_cell.start_control()
    loop_cell.control(up)
