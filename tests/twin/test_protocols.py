"""The twin's controller serves the real clients of ur_rtde."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rtde_control")

from dashboard_client import DashboardClient
from rtde_control import RTDEControlInterface
from rtde_io import RTDEIOInterface
from rtde_receive import RTDEReceiveInterface

from skillcore_twin.robots import ROBOTS, forward

BASE = [0.0] * 6
ALL = [1] * 6


@pytest.fixture(scope="module")
def receive(robot: Any) -> Iterator[Any]:
    """Everything that the client asks for by default."""
    client = RTDEReceiveInterface(robot.address)
    yield client
    client.disconnect()


@pytest.fixture(scope="module")
def control(robot: Any) -> Iterator[Any]:
    client = RTDEControlInterface(robot.address)
    yield client
    client.disconnect()


@pytest.fixture
def up(control: Any, receive: Any) -> list[float]:
    """The arm at rest above the socket, its force zeroed; the pose as a vector."""
    if not control.isProgramRunning():
        control.reuploadScript()
        time.sleep(0.3)
    pose = receive.getActualTCPPose()
    pose[:3] = [0.5, 0.0, 0.15]
    assert control.moveL(pose, 0.25, 1.0)
    time.sleep(0.2)
    assert control.zeroFtSensor()
    return list(pose)


def test_the_dashboard(robot: Any) -> None:
    client = DashboardClient(robot.address)
    client.connect()
    assert client.polyscopeVersion().startswith("5.")
    assert client.robotmode() == "Robotmode: RUNNING"
    assert client.safetystatus() == "Safetystatus: NORMAL"
    assert client.getSerialNumber().isdigit()
    assert client.getRobotModel() == "UR5"
    assert client.isInRemoteControl()
    client.addToLog("hello")
    assert any("hello" in line for line in robot.status()["log"])
    client.disconnect()


def test_the_stream(receive: Any, control: Any, up: list[float]) -> None:
    began, stamps = time.monotonic(), set()
    while time.monotonic() - began < 1.0:
        stamps.add(receive.getTimestamp())
        time.sleep(0.001)
    assert len(stamps) > 40  # 125 on a machine that has the time
    assert np.allclose(receive.getActualTCPPose()[:3], up[:3], atol=1e-3)
    flange = forward(ROBOTS["ur5e"], np.array(receive.getActualQ())).position_m
    assert np.allclose(flange - [0.0, 0.0, 0.15], up[:3], atol=1e-3)
    assert receive.getSafetyStatusBits() == 1
    assert receive.getRobotMode() == 7
    assert receive.getPayload() == pytest.approx(1.2)
    assert receive.getTargetSpeedFraction() == 1.0
    assert len(receive.getJointTemperatures()) == 6


def test_a_line_keeps_to_speed_and_acceleration(control: Any, receive: Any, up: list[float]) -> None:
    goal = [*up[:1], up[1] + 0.04, *up[2:]]
    began, fastest = time.monotonic(), 0.0
    assert control.moveL(goal, 0.05, 0.5, True)
    while control.getAsyncOperationProgressEx().isAsyncOperationRunning():
        fastest = max(fastest, float(np.linalg.norm(receive.getTargetTCPSpeed()[:3])))
        assert time.monotonic() - began < 20.0
        time.sleep(0.005)
    assert time.monotonic() - began > 0.85  # 0.04 m at 0.05 m/s, and 0.1 s to start and to stop
    assert 0.04 < fastest < 0.06
    time.sleep(0.3)
    assert np.allclose(receive.getActualTCPPose()[:3], goal[:3], atol=5e-4)


def test_joints_speeds_and_stops(control: Any, receive: Any, up: list[float]) -> None:
    joints = control.getInverseKinematics([*up[:1], up[1] + 0.02, *up[2:]])
    assert control.isJointsWithinSafetyLimits(joints)
    assert control.moveJ(joints, 0.5, 1.0)
    time.sleep(0.3)
    assert receive.getActualTCPPose()[1] == pytest.approx(up[1] + 0.02, abs=1e-3)
    assert control.speedL([0.0, -0.05, 0.0, 0.0, 0.0, 0.0], 0.5, 0.0)
    time.sleep(0.3)
    assert control.speedStop(2.0)
    time.sleep(0.2)
    stopped = receive.getActualTCPPose()[1]
    assert stopped < up[1] + 0.018
    time.sleep(0.2)
    assert receive.getActualTCPPose()[1] == pytest.approx(stopped, abs=3e-4)
    assert control.isSteady()


def test_servo_follows(control: Any, receive: Any, up: list[float]) -> None:
    goal = list(up)
    for step in range(50):
        goal[0] = up[0] + 0.0004 * step
        assert control.servoL(goal, 0.0, 0.0, 0.008, 0.05, 300.0)
        time.sleep(0.01)
    assert control.servoStop(5.0)
    time.sleep(0.3)
    assert receive.getActualTCPPose()[0] == pytest.approx(goal[0], abs=5e-3)
    assert receive.getActualTCPPose()[0] > up[0] + 0.01


def test_force_mode_presses_with_the_force_it_is_told(control: Any, receive: Any, up: list[float]) -> None:
    beside = [up[0] + 0.006, up[1], 0.105, *up[3:]]
    assert control.moveL(beside, 0.2, 1.0)
    time.sleep(0.2)
    assert control.zeroFtSensor()
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert control.forceMode(BASE, ALL, [0.0, 0.0, -12.0, 0.0, 0.0, 0.0], 2, [0.05] * 3 + [0.5] * 3)
        time.sleep(0.02)
    force = np.mean([_settled(receive) for _ in range(20)], axis=0)
    assert force[2] == pytest.approx(12.0, abs=1.5)
    assert control.forceModeStop()
    assert control.moveL(up, 0.2, 1.0)


def _settled(receive: Any) -> np.ndarray:
    time.sleep(0.01)
    return np.array(receive.getActualTCPForce()[:3])


def test_payload_and_tcp_have_their_effect(control: Any, receive: Any, up: list[float]) -> None:
    assert control.setPayload(1.7, [0.0, 0.0, 0.05])
    time.sleep(0.2)
    # The controller takes half a kilogram too much off: the tool seems to be lifted.
    assert _settled(receive)[2] == pytest.approx(0.5 * 9.81, abs=1.0)
    assert control.setPayload(1.2, [0.0, 0.0, 0.05])
    assert control.setTcp([0.0, 0.0, 0.1, 0.0, 0.0, 0.0])
    time.sleep(0.1)
    assert receive.getActualTCPPose()[2] == pytest.approx(up[2] + 0.05, abs=1e-3)
    assert control.getTCPOffset()[2] == pytest.approx(0.1)
    assert control.setTcp([0.0, 0.0, 0.15, 0.0, 0.0, 0.0])


def test_safety_limits_and_what_the_world_cannot_do(control: Any, up: list[float]) -> None:
    assert control.isPoseWithinSafetyLimits(up)
    assert not control.isPoseWithinSafetyLimits([2.0, *up[1:]])
    assert not control.isPoseWithinSafetyLimits([*up[:3], 2.6, 0.0, 0.0])  # tilted by half a radian


def test_a_watchdog_that_is_not_served_ends_the_program(control: Any, up: list[float]) -> None:
    assert control.setWatchdog(10.0)
    began = time.monotonic()
    while control.isProgramRunning():
        assert time.monotonic() - began < 10.0
        time.sleep(0.02)
    assert not control.moveL(up, 0.1, 0.5)


def test_the_speed_slider_slows_everything_down(control: Any, robot: Any, up: list[float]) -> None:
    client = RTDEIOInterface(robot.address)
    assert client.setSpeedSlider(0.25)
    time.sleep(0.1)
    assert robot.status()["speed_slider"] == 0.25
    began = time.monotonic()
    assert control.moveL([*up[:1], up[1] + 0.01, *up[2:]], 0.05, 1.0)
    assert time.monotonic() - began > 0.8
    assert client.setSpeedSlider(1.0)
    time.sleep(0.1)
    client.disconnect()
