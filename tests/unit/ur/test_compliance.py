"""Ramps, and the spring whose force is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from skillcore.types import Pose, Wrench
from skillcore_ur.compliance import Admittance, Ramp, between, shortened, spring_wrench, within_reach
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


def test_the_spring_never_asks_for_more_than_the_limit() -> None:
    rng = np.random.default_rng(0)
    settings = ForceMode()
    for _ in range(200):
        far = Pose.from_rotvec(rng.normal(0, 0.1, 3), rng.normal(0, 0.3, 3))
        wrench = spring_wrench(settings, far, rng.normal(0, 1, 6), HERE, rng.normal(0, 1, 6), 25.0)
        assert np.linalg.norm(wrench[:3]) <= 25.0 + 1e-9
        assert np.linalg.norm(wrench[3:]) <= settings.torque_limit_nm + 1e-9
    soft = spring_wrench(settings, HERE, np.zeros(6), HERE, np.zeros(6), 25.0)
    assert not soft.any()


def test_the_admittance_yields_and_comes_back() -> None:
    settings = Servo(mode="servo", tool_force_limit_n=100.0)
    follower = Admittance(settings, HERE)
    pushed = Wrench(np.array([10.0, 0.0, 0.0]), np.zeros(3))
    for _ in range(1000):
        pose = follower.step(HERE, np.zeros(6), pushed, 40.0, 0.008)
    assert pose.position_m[0] - HERE.position_m[0] == pytest.approx(10.0 / settings.stiffness_n_m, rel=0.01)
    for _ in range(1000):
        pose = follower.step(HERE, np.zeros(6), Wrench.zero(), 40.0, 0.008)
    assert between(pose, HERE) == pytest.approx(np.zeros(6), abs=1e-6)


def test_above_the_limit_the_admittance_gives_way_for_good() -> None:
    follower = Admittance(Servo(mode="servo", tool_force_limit_n=100.0), HERE)
    pushed = Wrench(np.array([50.0, 0.0, 0.0]), np.zeros(3))
    first = follower.step(HERE, np.zeros(6), pushed, 40.0, 0.008)
    for _ in range(500):
        last = follower.step(HERE, np.zeros(6), pushed, 40.0, 0.008)
    assert last.position_m[0] > first.position_m[0] + 0.01


def test_a_goal_is_brought_within_reach() -> None:
    near = within_reach(HERE, THERE, distance_m=0.004, turn_rad=0.1)
    way = between(HERE, near)
    assert np.linalg.norm(way[:3]) == pytest.approx(0.004)
    assert np.linalg.norm(way[3:]) == pytest.approx(0.1)
    assert within_reach(HERE, THERE, distance_m=1.0, turn_rad=1.0).position_m == pytest.approx(THERE.position_m)
    assert shortened(np.array([3.0, 4.0]), 5.0) == pytest.approx([3.0, 4.0])
