"""A cell with a UR arm, controlled at its rate."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell
from skillcore.cell_config import CellConfig
from skillcore.clock import WallClock
from skillcore.config import validate_options
from skillcore.errors import ArmFaultError
from skillcore.testing import FakeCamera
from skillcore.types import Pose

STEPS = 24


@pytest.fixture
def cell(remote_arm: Any) -> Cell:
    """Real but for its camera."""
    config = validate_options(
        {
            "schema": 1,
            "name": "loop",
            "safety": {
                "workspace": {"min_m": [-0.05, -0.05, -0.06], "max_m": [0.05, 0.05, 0.08]},
                "force_limit_n": 25.0,
                "hard_force_limit_n": 100.0,
            },
            "fixture": {"position_m": [0.5, 0.0, 0.1], "rotvec_rad": [3.14159265, 0.0, 0.0]},
            "arm": {"driver": "ur"},
            "cameras": {"left": {"driver": "fake"}},
        },
        CellConfig,
        where="test",
    )
    clock = WallClock()
    camera = FakeCamera(clock)
    camera.connect()
    return Cell(config, remote_arm, {"left": camera}, clock, None, config.fixture.socket_from_base)


def test_steps_are_made_as_they_are_asked_for(cell: Cell) -> None:
    start = cell.socket_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -0.04, 0.0)
    cell.recover()
    cell.move_to(start)
    cell.zero_wrench()
    cell.start_control()
    began = cell.clock.now_s()
    ways = []
    for step in range(STEPS):
        side = 1.0 if step < STEPS // 2 else -1.0
        action = np.array([0.7 * side, 0.0, 0.0, 0.2 * side], np.float32)
        executed = cell.control(action)
        ways.append(float(np.linalg.norm(cell.state.tcp_from_base.position_m - start.position_m)))
        assert np.allclose(executed, action, atol=1e-4)
        assert cell.observe()["images"].shape == (1, 64, 64, 3)
    cell.stop()
    assert cell.clock.now_s() - began >= 0.99 * STEPS * cell.period_s
    assert cell.guard.peak_force_n < 25.0
    # It went out and came back.
    assert max(ways) > 0.5 * 0.0028 * STEPS / 2
    assert ways[-1] < 0.3 * max(ways)
    print(f"{cell.overruns} of {STEPS} steps were late")


def test_a_fault_ends_control_with_the_arm_stopped(cell: Cell, robot: Any) -> None:
    cell.recover()
    cell.move_to(cell.socket_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -0.04, 0.0))
    cell.start_control()
    robot.cause("program_stopped", after_s=0.5)
    up = np.array([0.0, 0.0, -0.3, 0.0], np.float32)
    with pytest.raises(ArmFaultError, match="stopped at the controller"):
        deque((cell.control(up) for _ in range(100)), maxlen=0)
    before = robot.position_m()
    cell.recover()
    cell.clock.sleep_until(cell.clock.now_s() + 0.3)
    assert float(np.linalg.norm(robot.position_m() - before)) < 0.002
    cell.start_control()
    cell.control(up)
