"""The process that serves the robot: whichever process dies or hangs, the arm stands."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.errors import ArmFaultError, DeviceError
from skillcore.types import Pose
from skillcore_ur.remote_arm import RemoteUrArm

UP = np.array([0.5, 0.0, 0.15])

DRIVER = textwrap.dedent(
    """
    import json, sys, time
    from skillcore.config import validate_options
    from skillcore.types import Pose
    from skillcore_ur.options import ArmOptions
    from skillcore_ur.remote_arm import RemoteUrArm
    arm = RemoteUrArm(validate_options(json.loads(sys.argv[1]), ArmOptions, where="test"))
    arm.connect()
    goal = arm.read().tcp_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -0.04, 0.0)
    print("moving", flush=True)
    if sys.argv[2] == "servo":
        arm.servo_to(goal, duration_s=20.0, force_limit_n=30.0)
        time.sleep(60.0)
    else:
        arm.move_to(goal, speed_m_s=0.004, force_limit_n=50.0)
    """
)


def height_m(robot: Any) -> float:
    return float(robot.position_m()[2])


def stands(robot: Any) -> None:
    """The arm of the twin comes to rest, and stays."""

    def moved() -> float:
        before = height_m(robot)
        time.sleep(0.2)
        return abs(height_m(robot) - before)

    robot.eventually(lambda: moved() < 2e-4, "the arm moves on")
    assert moved() < 2e-4


def courier_of(arm: RemoteUrArm, robot: Any) -> int:
    """The process number of the one that serves the robot."""
    (found,) = (
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if b"skillcore_ur.courier" in (text := path.read_bytes()) and robot.address.encode() in text
    )
    return found


@pytest.fixture
def lifted(remote_arm: RemoteUrArm) -> RemoteUrArm:
    rotation = remote_arm.read().tcp_from_base.rotation
    remote_arm.move_to(Pose(UP, rotation), speed_m_s=0.25, force_limit_n=60.0)
    return remote_arm


@pytest.mark.parametrize(("number", "motion"), [(signal.SIGKILL, "servo"), (signal.SIGSTOP, "move")])
def test_whoever_commands_dies_or_hangs(number: signal.Signals, motion: str, robot: Any, lifted: RemoteUrArm) -> None:
    lifted.close()
    before = height_m(robot)
    command = [sys.executable, "-c", DRIVER, robot.options().model_dump_json(), motion]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "moving\n"
            robot.eventually(lambda: height_m(robot) > before + 0.001, "the arm does not move at all")
            os.kill(process.pid, number)
            stands(robot)
            assert height_m(robot) < before + 0.038
        finally:
            process.kill()
    robot.eventually(lambda: robot.status()["program"] == "STOPPED", "nobody ends the program")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_the_serving_process_dies_or_hangs(number: signal.Signals, robot: Any, lifted: RemoteUrArm) -> None:
    here = lifted.read().tcp_from_base
    lifted.servo_to(here @ Pose.from_xyz_yaw(0.0, 0.0, -0.04, 0.0), duration_s=20.0, force_limit_n=30.0)
    os.kill(courier_of(lifted, robot), number)
    robot.eventually(lambda: robot.status()["program"] == "STOPPED", "the robot's watchdog does not bite")
    stands(robot)
    with pytest.raises(ArmFaultError, match="process that serves the robot has ended"):
        lifted.read()
    lifted.stop()
    lifted.recover()
    assert lifted.read().fault is None
    lifted.move_to(here, speed_m_s=0.1, force_limit_n=30.0)


def test_a_process_that_computes_does_not_let_the_robot_down(robot: Any, make_arm: Any) -> None:
    arm = make_arm(RemoteUrArm, watchdog_hz=4.0)
    arm.connect()
    ctypes.PyDLL(None).usleep(900_000)  # holds Python's lock, as an import may
    assert arm.read().fault is None
    assert robot.status()["program"] == "PLAYING"


def test_faults_and_errors_come_through(robot: Any, lifted: RemoteUrArm) -> None:
    robot.cause("program_stopped")
    robot.eventually(lambda: lifted.read().fault is not None, "no reading says so")
    with pytest.raises(ArmFaultError, match="program was stopped") as caught:
        lifted.servo_to(lifted.read().tcp_from_base, duration_s=0.1, force_limit_n=10.0)
    assert "recover" in caught.value.cure
    lifted.recover()
    assert lifted.read().fault is None
    lifted.start_freedrive()
    assert robot.status()["freedrive"]
    lifted.end_freedrive()
    lifted.start_freedrive()
    lifted.stop()
    assert not robot.status()["freedrive"]
    far = Pose(np.array([3.0, 0.0, 0.2]), lifted.read().tcp_from_base.rotation)
    with pytest.raises(ArmFaultError, match="safety limits"):
        lifted.move_to(far, speed_m_s=0.1, force_limit_n=30.0)


def test_a_robot_that_cannot_be_connected_to(make_arm: Any) -> None:
    arm = make_arm(RemoteUrArm, address="127.0.0.77")
    with pytest.raises(DeviceError, match="nothing answers"):
        arm.connect()
    with pytest.raises(DeviceError, match="not connected"):
        arm.read()
    arm.close()


def test_an_order_is_read_back_as_it_was_sent(robot: Any) -> None:
    options = robot.options(compliance={"mode": "servo", "tool_force_limit_n": "100 N"})
    assert type(options).model_validate_json(options.model_dump_json()) == options
    assert json.loads(options.model_dump_json())["compliance"]["mode"] == "servo"
