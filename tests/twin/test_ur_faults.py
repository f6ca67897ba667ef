"""Each fault is caused in the twin: the arm stands, the old motion never goes on, and what can be recovered is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from skillcore.errors import ArmFaultError, DeviceError
from skillcore.types import Pose
from skillcore_ur.checks import check_controller
from skillcore_ur.probe import Dashboard
from skillcore_ur.remote_arm import RemoteUrArm

AWAY_M = 0.03
STILL_M = 0.0005
UP = np.array([0.5, 0.0, 0.15])
BESIDE = np.array([0.506, 0.0, 0.115])
"""In front of the socket's face, beside its hole."""


@pytest.fixture
def lifted(arm: Any) -> Any:
    """A connected driver, the tool well above the socket, with room to both sides."""
    arm.move_to(Pose(UP, arm.read().tcp_from_base.rotation), speed_m_s=0.25, force_limit_n=60.0)
    return arm


@contextmanager
def servoing(arm: Any) -> Iterator[Pose]:
    """A slow compliant motion that goes on for seconds, unless something stops it. Yields where it leads."""
    start = arm.read().tcp_from_base
    goal = Pose(start.position_m + np.array([0.0, 0.0, AWAY_M]), start.rotation)
    arm.servo_to(goal, duration_s=6.0, force_limit_n=30.0)
    time.sleep(0.3)
    yield goal


def shows(arm: Any, robot: Any, words: str) -> None:
    """The reading says what is wrong."""
    robot.eventually(lambda: words in (arm.read().fault or ""), f"no reading says {words!r}")


def moves_again(arm: Any) -> None:
    """After recovery it is an arm as before."""
    assert arm.read().fault is None
    here = arm.read().tcp_from_base
    goal = Pose(here.position_m + np.array([0.004, 0.0, 0.0]), here.rotation)
    arm.move_to(goal, speed_m_s=0.05, force_limit_n=30.0)
    arm.servo_to(here, duration_s=0.2, force_limit_n=30.0)
    time.sleep(0.4)
    assert float(np.linalg.norm(arm.read().tcp_from_base.position_m - here.position_m)) < 0.002
    arm.stop()


def refuses_to_move(arm: Any) -> None:
    here = arm.read().tcp_from_base
    with pytest.raises(ArmFaultError):
        arm.servo_to(here, duration_s=0.1, force_limit_n=10.0)
    with pytest.raises(ArmFaultError):
        arm.move_to(here, speed_m_s=0.05, force_limit_n=10.0)


# --- what the driver recovers from alone -------------------------------------------------------------------------


def test_pressing_on_ends_in_a_protective_stop(lifted: Any, robot: Any) -> None:
    rotation = lifted.read().tcp_from_base.rotation
    lifted.move_to(Pose(BESIDE, rotation), speed_m_s=0.25, force_limit_n=30.0)
    below = Pose(BESIDE - [0.0, 0.0, 0.06], rotation)
    with pytest.raises(ArmFaultError, match="protective stop"):
        lifted.move_to(below, speed_m_s=0.1, force_limit_n=1000.0)
    assert any("deviates from path" in line for line in robot.status()["log"])
    refuses_to_move(lifted)
    # The program is gone at once, so that nobody's unlocking can make the old motion go on.
    robot.eventually(lambda: robot.status()["program"] == "STOPPED", "the program was only paused")
    dashboard = Dashboard(robot.address)
    assert "until 5s" in dashboard.ask("unlock protective stop")
    dashboard.close()
    before = robot.position_m()
    lifted.recover()
    assert robot.status()["safety_mode"] == "NORMAL"
    robot.comes_to_rest()
    assert robot.position_m()[2] > before[2] - 0.001
    lifted.move_to(Pose(UP, rotation), speed_m_s=0.25, force_limit_n=60.0)
    moves_again(lifted)


@pytest.mark.parametrize("name", ["lost_connection", "stream_frozen"])
def test_a_silent_robot(name: str, make_arm: Callable[..., Any], robot: Any) -> None:
    # In a process of its own, as a cell has it: what is left of a link that hangs may take its process along.
    lifted = make_arm(RemoteUrArm)
    lifted.connect()
    lifted.move_to(Pose(UP, lifted.read().tcp_from_base.rotation), speed_m_s=0.25, force_limit_n=60.0)
    with servoing(lifted) as goal:
        robot.cause(name)
        with pytest.raises(ArmFaultError) as caught:
            robot.eventually(lambda: lifted.read() is None, "readings go on")
        assert caught.value.cure
        robot.comes_to_rest()
    began = time.monotonic()
    with pytest.raises(ArmFaultError):
        lifted.recover()
    assert time.monotonic() - began < 20.0
    robot.clear()
    lifted.recover()
    robot.comes_to_rest()
    assert abs(robot.position_m()[2] - goal.position_m[2]) > 0.005
    moves_again(lifted)


# --- what a person must end --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words", "cure"),
    [
        ("emergency_stop", "emergency stop", "release the button"),
        ("slider_zero", "speed slider", "100 %"),
        ("remote_control_off", "remote control", "Remote Control"),
    ],
)
def test_what_a_person_must_end(name: str, words: str, cure: str, lifted: Any, robot: Any) -> None:
    with servoing(lifted) as goal:
        robot.cause(name)
        shows(lifted, robot, words)
        robot.comes_to_rest()
        refuses_to_move(lifted)
    with pytest.raises(ArmFaultError, match=words) as caught:
        lifted.recover()
    assert cure in caught.value.cure
    robot.clear()
    time.sleep(0.3)
    # What caused it is gone, and still nothing moves before it was recovered from.
    robot.comes_to_rest()
    assert words in (lifted.read().fault or "")
    assert abs(robot.position_m()[2] - goal.position_m[2]) > 0.005
    robot.eventually(lambda: _recovers(lifted), "it does not recover")
    robot.comes_to_rest()
    moves_again(lifted)


def _recovers(arm: Any) -> bool:
    try:
        arm.recover()
    except ArmFaultError:
        return False
    return True


def test_a_fault_ends_a_free_motion(lifted: Any, robot: Any) -> None:
    here = lifted.read().tcp_from_base
    goal = Pose(here.position_m + np.array([0.04, 0.0, 0.0]), here.rotation)
    robot.cause("program_stopped", after_s=0.5)
    with pytest.raises(ArmFaultError, match="program was stopped"):
        lifted.move_to(goal, speed_m_s=0.01, force_limit_n=30.0)
    robot.comes_to_rest()
    lifted.recover()
    moves_again(lifted)


# --- force -------------------------------------------------------------------------------------------------------


def test_a_free_motion_that_meets_something_ends(lifted: Any, robot: Any) -> None:
    here = lifted.read().tcp_from_base
    beside = Pose(BESIDE, here.rotation)
    lifted.move_to(beside, speed_m_s=0.2, force_limit_n=30.0)
    lifted.zero_wrench()
    below = Pose(beside.position_m - np.array([0.0, 0.0, 0.03]), here.rotation)
    with pytest.raises(ArmFaultError, match="N on its way"):
        lifted.move_to(below, speed_m_s=0.02, force_limit_n=15.0)
    robot.comes_to_rest()
    assert robot.position_m()[2] > below.position_m[2] + 0.01
    lifted.recover()
    lifted.move_to(here, speed_m_s=0.2, force_limit_n=60.0)


@pytest.mark.parametrize(
    ("changes", "most_n"), [({}, 22.0), ({"compliance": {"mode": "servo", "tool_force_limit_n": 120.0}}, 25.0)]
)
def test_a_compliant_motion_presses_no_harder_than_told(
    changes: dict[str, Any], most_n: float, make_arm: Callable[..., Any]
) -> None:
    arm = make_arm(**changes)
    arm.connect()
    here = arm.read().tcp_from_base
    arm.move_to(Pose(UP, here.rotation), speed_m_s=0.25, force_limit_n=60.0)
    arm.move_to(Pose(BESIDE - [0.0, 0.0, 0.01], here.rotation), speed_m_s=0.25, force_limit_n=30.0)
    arm.zero_wrench()
    forces = []
    for _ in range(12):
        pressed = arm.read().tcp_from_base @ Pose.from_xyz_yaw(0.0, 0.0, 0.005, 0.0)
        arm.servo_to(pressed, duration_s=0.1, force_limit_n=20.0)
        time.sleep(0.08)
        forces.append(float(np.linalg.norm(arm.read().wrench.force_n)))
    assert max(forces) < most_n
    assert max(forces) > 5.0
    arm.move_to(Pose(UP, here.rotation), speed_m_s=0.25, force_limit_n=60.0)


@pytest.mark.parametrize("changes", [{}, {"compliance": {"mode": "servo", "tool_force_limit_n": 120.0}}])
def test_what_is_not_seen_is_not_pressed_on(changes: dict[str, Any], make_arm: Callable[..., Any], robot: Any) -> None:
    """Long before a stream that stands still counts as a fault, the tool goes no further."""
    arm = make_arm(RemoteUrArm, stale_s=2.0, **changes)
    arm.connect()
    arm.move_to(Pose(UP, arm.read().tcp_from_base.rotation), speed_m_s=0.25, force_limit_n=60.0)
    with servoing(arm):
        robot.cause("stream_frozen")
        time.sleep(0.3)
        before = robot.position_m()
        time.sleep(1.0)
        # It is told to go on by more than 5 mm in that time.
        assert float(np.linalg.norm(robot.position_m() - before)) < 0.002


def test_zeroing_is_checked(make_arm: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    arm = make_arm(zero_residual_n=0.5)
    arm.connect()
    # The tool is pressed on while the zero is taken: what it feels afterwards is none.
    monkeypatch.setattr("skillcore_ur.link.Link.zero_force", lambda link: None)
    here = arm.read().tcp_from_base
    arm.move_to(Pose(UP, here.rotation), speed_m_s=0.25, force_limit_n=60.0)
    arm.move_to(Pose(BESIDE - [0.0, 0.0, 0.01], here.rotation), speed_m_s=0.25, force_limit_n=60.0)
    arm.servo_to(arm.read().tcp_from_base @ Pose.from_xyz_yaw(0, 0, 0.01, 0), duration_s=0.5, force_limit_n=20.0)
    time.sleep(0.8)
    with pytest.raises(ArmFaultError, match="does not stay at zero"):
        arm.zero_wrench()
    arm.move_to(Pose(UP, here.rotation), speed_m_s=0.25, force_limit_n=60.0)


def test_a_goal_out_of_reach_is_refused_before_it_is_sent(lifted: Any, robot: Any) -> None:
    before = robot.position_m()
    far = Pose(np.array([3.0, 0.0, 0.2]), lifted.read().tcp_from_base.rotation)
    with pytest.raises(ArmFaultError, match="safety limits"):
        lifted.move_to(far, speed_m_s=0.2, force_limit_n=30.0)
    assert float(np.linalg.norm(robot.position_m() - before)) < STILL_M
    assert lifted.read().fault is None


# --- connecting --------------------------------------------------------------------------------------------------


def test_connect_says_all_that_is_wrong_at_once(make_arm: Callable[..., Any], robot: Any) -> None:
    robot.cause("remote_control_off")
    robot.cause("slider_zero")
    time.sleep(0.2)
    arm = make_arm(
        model="ur10e", tcp={"position_m": [0.0, 0.0, 0.2]}, payload={"mass_kg": 3.0, "cog_m": [0.0, 0.02, 0.05]}
    )
    with pytest.raises(DeviceError) as caught:
        arm.connect()
    text = str(caught.value)
    assert "6 things are wrong" in text
    for words in ("UR5", "model: ur5e", "remote control", "speed slider", "50.0 mm", "1.20 kg", "centre of gravity"):
        assert words in text, words
    assert text.count("->") == 6


def test_connect_to_nobody_takes_no_time(make_arm: Callable[..., Any]) -> None:
    arm = make_arm(address="127.0.0.77")
    began = time.monotonic()
    with pytest.raises(DeviceError, match=r"nothing answers at 127\.0\.0\.77.*RTDE"):
        arm.connect()
    assert time.monotonic() - began < 10.0


def test_a_second_driver_is_turned_away(lifted: Any, make_arm: Callable[..., Any]) -> None:
    with pytest.raises(DeviceError, match="another program controls the robot"):
        make_arm().connect()
    moves_again(lifted)


def test_registers_that_are_being_let_go_of_are_waited_for(lifted: Any, robot: Any) -> None:
    dashboard = Dashboard(robot.address)
    with pytest.raises(DeviceError, match="another program controls the robot"):
        check_controller(robot.options(), dashboard)
    leaving = threading.Timer(0.5, lifted.close)
    leaving.start()
    check_controller(robot.options(), dashboard, release_s=20.0)
    leaving.join()
    dashboard.close()


def test_a_robot_that_is_silent_when_it_is_connected_to(make_arm: Callable[..., Any], robot: Any) -> None:
    robot.cause("stream_frozen")
    time.sleep(0.2)
    began = time.monotonic()
    with pytest.raises(DeviceError, match="does not answer"):
        make_arm().connect()
    assert time.monotonic() - began < 20.0


# --- freedrive ---------------------------------------------------------------------------------------------------


def test_a_hand_leads_the_arm_in_freedrive(lifted: Any, robot: Any) -> None:
    before = lifted.read().tcp_from_base.position_m
    lifted.start_freedrive()
    with pytest.raises(ArmFaultError, match="freedrive"):
        lifted.servo_to(lifted.read().tcp_from_base, duration_s=0.1, force_limit_n=10.0)
    robot.ask(do="guide", seated=True)
    robot.eventually(lambda: robot.position_m()[2] < before[2] - 0.01, "the hand does not lead the arm")
    robot.ask(do="guide", seated=False)
    lifted.end_freedrive()
    robot.comes_to_rest()
    there = lifted.read().tcp_from_base
    lifted.move_to(Pose(before, there.rotation), speed_m_s=0.2, force_limit_n=60.0)
