"""Ramps, and the spring whose force is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from skillcore.types import Pose, Wrench
from skillcore_ur.compliance import Admittance, Drawing, Ramp, between, shortened, within_reach
from skillcore_ur.options import ForceMode, Servo

HERE = Pose.from_rotvec([0.5, 0.0, 0.1], [np.pi, 0.0, 0.0])
THERE = Pose.from_rotvec([0.51, 0.0, 0.1], [np.pi, 0.0, 0.0]) @ Pose.from_xyz_yaw(0.0, 0.0, 0.0, 0.2)


def test_a_ramp_goes_straight_and_no_further() -> None:
    ramp = Ramp(HERE, THERE, 10.0, 10.2, 30.0)
    middle, velocity = ramp.at(10.1)
    assert middle.position_m == pytest.approx([0.505, 0.0, 0.1])
    assert velocity[:3] == pytest.approx([0.05, 0.0, 0.0])
    assert np.linalg.norm(velocity[3:]) == pytest.approx(1.0)
    assert between(middle, THERE)[3:] == pytest.approx(0.5 * between(HERE, THERE)[3:])
    end, velocity = ramp.at(99.0)
    assert between(end, THERE) == pytest.approx(np.zeros(6))
    assert not velocity.any()
    assert between(ramp.at(0.0)[0], HERE) == pytest.approx(np.zeros(6))


def test_it_never_presses_with_more_than_the_limit() -> None:
    rng = np.random.default_rng(0)
    settings = ForceMode()
    drawing = Drawing(settings)
    for _ in range(200):
        far = Pose.from_rotvec(rng.normal(0, 0.1, 3), rng.normal(0, 0.3, 3))
        twist, felt = rng.normal(0, 1, 6), rng.normal(0, 5, 3)
        wrench = drawing.wrench(far, rng.normal(0, 1, 6), HERE, twist, felt, 25.0)
        assert np.linalg.norm(wrench[:3]) <= 25.0 + 1e-9
        assert np.linalg.norm(wrench[3:]) <= settings.torque_limit_nm + 1e-9
    assert not Drawing(settings).wrench(HERE, np.zeros(6), HERE, np.zeros(6), np.zeros(3), 25.0).any()


def test_in_contact_the_spring_has_its_stiffness() -> None:
    settings = ForceMode(axial_stiffness_n_m=8000.0)
    below = Pose(HERE.position_m - [0.0, 0.0, 0.002], HERE.rotation)
    pressed = np.array([0.0, 0.0, 15.0])
    told = Drawing(settings).wrench(below, np.zeros(6), HERE, np.zeros(6), pressed, 60.0)
    assert told[:3] == pytest.approx([0.0, 0.0, -16.0])
    # Moving, it is held back.
    sinking = np.array([0.0, 0.0, -0.01, 0.0, 0.0, 0.0])
    held = Drawing(settings).wrench(below, np.zeros(6), HERE, sinking, pressed, 60.0)
    assert -16.0 < held[2] < -10.0
    # Led by a target that moves, it does not wait for the spring: friction would hold it back.
    led = Drawing(settings).wrench(below, sinking, HERE, np.zeros(6), pressed, 60.0)
    assert led[2] < -18.0
    assert np.linalg.norm(Drawing(settings).wrench(below, sinking, HERE, np.zeros(6), pressed, 17.0)[:3]) <= 17.0 + 1e-9


def test_the_spring_is_softer_across_the_tool_however_it_is_turned() -> None:
    settings, pressed = ForceMode(axial_stiffness_n_m=8000.0, lateral_stiffness_n_m=2000.0), np.array([0.0, 0.0, 15.0])
    for rotvec in ([np.pi, 0.0, 0.0], [0.0, np.pi / 2, 0.0], [0.4, -1.0, 0.3]):
        here = Pose.from_rotvec([0.5, 0.0, 0.1], rotvec)
        for axis, stiffness_n_m in ((0, 2000.0), (1, 2000.0), (2, 8000.0)):
            there = here @ Pose(np.eye(3)[axis] * 0.002, np.eye(3))
            told = Drawing(settings).wrench(there, np.zeros(6), here, np.zeros(6), pressed, 60.0)
            assert here.rotation.T @ told[:3] == pytest.approx(np.eye(3)[axis] * 0.002 * stiffness_n_m)


@pytest.mark.parametrize("late_ticks", [1, 3])
@pytest.mark.parametrize("yields_m_s_n", [0.001, 0.003, 0.006])
def test_in_free_space_the_tool_follows_without_swinging(yields_m_s_n: float, late_ticks: int) -> None:
    """An admittance of any kind, some ticks late: 5 mm in 70 ms, again and again, and then it stays."""
    drawing, tick_s, step_s = Drawing(ForceMode()), 0.008, 0.1
    place, speed, ends = 0.0, 0.0, []
    waiting = [0.0] * late_ticks
    for step in range(30):
        goal = place + (0.005 if step % 10 < 5 else 0.0)
        ramp = Ramp(_along_x(place), _along_x(goal), 0.0, 0.07, 60.0)
        for tick in range(round(step_s / tick_s)):
            target, velocity = ramp.at(tick * tick_s)
            twist = np.array([speed, 0.0, 0.0, 0.0, 0.0, 0.0])
            waiting.append(float(drawing.wrench(target, velocity, _along_x(place), twist, np.zeros(3), 60.0)[0]))
            speed = yields_m_s_n * waiting.pop(0)
            place += speed * tick_s
        ends.append(place)
    moved = np.diff([0.0, *ends])
    assert drawing.speed_per_force_m_s_n == pytest.approx(yields_m_s_n, rel=0.5)
    # The last ten steps: five of 5 mm, of which nearly all is gone at the end of each, and five without a motion.
    assert moved[20:25] == pytest.approx([0.005] * 5, abs=0.002)
    assert np.abs(moved[26:]).max() < 0.001
    assert np.abs(moved[27:]).max() <= np.abs(moved[26]) + 1e-4


def _along_x(x_m: float) -> Pose:
    return Pose(HERE.position_m + np.array([x_m, 0.0, 0.0]), HERE.rotation)


def test_the_admittance_yields_and_comes_back() -> None:
    settings = Servo(mode="servo", tool_force_limit_n=100.0)
    follower = Admittance(settings, HERE)
    pushed = Wrench(np.array([10.0, 0.0, 0.0]), np.zeros(3))
    for _ in range(1000):
        pose = follower.step(HERE, np.zeros(6), HERE, pushed, 40.0, 0.008)
    assert pose.position_m[0] - HERE.position_m[0] == pytest.approx(10.0 / settings.lateral_stiffness_n_m, rel=0.01)
    for _ in range(1000):
        pose = follower.step(HERE, np.zeros(6), HERE, Wrench.zero(), 40.0, 0.008)
    assert between(pose, HERE) == pytest.approx(np.zeros(6), abs=1e-6)


def test_above_the_limit_the_admittance_gives_way_for_good() -> None:
    follower = Admittance(Servo(mode="servo", tool_force_limit_n=100.0), HERE)
    pushed = Wrench(np.array([50.0, 0.0, 0.0]), np.zeros(3))
    first = follower.step(HERE, np.zeros(6), HERE, pushed, 40.0, 0.008)
    for _ in range(500):
        last = follower.step(HERE, np.zeros(6), HERE, pushed, 40.0, 0.008)
    assert last.position_m[0] > first.position_m[0] + 0.01


def test_at_the_touch_the_set_point_comes_back_to_the_tool() -> None:
    settings = Servo(mode="servo", tool_force_limit_n=100.0)
    follower, ahead = Admittance(settings, HERE), _along_x(0.006)
    pressed = Wrench(np.array([-12.0, 0.0, 0.0]), np.zeros(3))
    velocity = np.array([0.05, 0.0, 0.0, 0.0, 0.0, 0.0])
    for _ in range(50):
        led = follower.step(ahead, velocity, HERE, Wrench.zero(), 20.0, 0.008)
    assert led.position_m[0] > HERE.position_m[0] + 0.002
    touched = follower.step(ahead, velocity, HERE, pressed, 20.0, 0.008)
    assert touched.position_m[0] - HERE.position_m[0] < 1e-4
    # From then on the spring presses, from there and not from the tool again.
    for _ in range(20):
        last = follower.step(ahead, velocity, HERE, pressed, 20.0, 0.008)
    assert last.position_m[0] > touched.position_m[0] + 1e-4


def test_the_set_point_goes_no_faster_than_its_limit() -> None:
    settings = Servo(mode="servo", tool_force_limit_n=100.0, speed_m_s=0.03)
    follower, far = Admittance(settings, HERE), _along_x(0.1)
    for felt_n in (0.0, 100.0):
        before = follower.pose
        felt = Wrench(np.array([0.0, felt_n, 0.0]), np.zeros(3))
        after = follower.step(far, np.array([0.2, 0.0, 0.0, 0.0, 0.0, 0.0]), before, felt, 60.0, 0.008)
        assert np.linalg.norm(between(before, after)[:3]) == pytest.approx(0.03 * 0.008)


def test_a_goal_is_brought_within_reach() -> None:
    near = within_reach(HERE, THERE, distance_m=0.004, turn_rad=0.1)
    way = between(HERE, near)
    assert np.linalg.norm(way[:3]) == pytest.approx(0.004)
    assert np.linalg.norm(way[3:]) == pytest.approx(0.1)
    assert within_reach(HERE, THERE, distance_m=1.0, turn_rad=1.0).position_m == pytest.approx(THERE.position_m)
    assert shortened(np.array([3.0, 4.0]), 5.0) == pytest.approx([3.0, 4.0])


@pytest.mark.parametrize("yields_m_s_n", [0.001, 0.003, 0.006])
def test_a_free_tool_does_not_walk_away_with_what_its_sensor_shows(yields_m_s_n: float) -> None:
    """Ten seconds of goals where the tool is: a force that was not zeroed moves it by 1.5 mm at most, not by 50."""
    drawing, tick_s, shown = Drawing(ForceMode()), 0.008, np.array([1.6, -1.9, 0.5])
    drawing.begin()
    rng, place = np.random.default_rng(0), HERE
    for _ in range(100):
        ramp = Ramp(place, place, 0.0, 0.07, 40.0)
        for tick in range(12):
            target, velocity = ramp.at(tick * tick_s)
            felt = shown + rng.normal(0.0, 0.2, 3)
            told = drawing.wrench(target, velocity, place, np.zeros(6), felt, 40.0)
            place = Pose(place.position_m + yields_m_s_n * (told[:3] + felt) * tick_s, place.rotation)
    assert np.linalg.norm(place.position_m - HERE.position_m) < 0.0015
    # Where the sensor was zeroed before the next motion, nothing is left of it.
    drawing.begin()
    assert not drawing.wrench(HERE, np.zeros(6), HERE, np.zeros(6), np.zeros(3), 40.0).any()


def test_the_admittance_does_not_walk_away_with_what_its_sensor_shows() -> None:
    follower = Admittance(Servo(mode="servo", tool_force_limit_n=100.0), HERE)
    shown = Wrench(np.array([1.6, -1.9, 0.5]), np.zeros(3))
    for _ in range(1250):
        follower.step(follower.pose, np.zeros(6), follower.pose, shown, 40.0, 0.008)
    assert follower.pose.position_m == pytest.approx(HERE.position_m, abs=1e-4)
