"""Kinematics of the robots: what is computed forwards is found backwards."""

from __future__ import annotations

import numpy as np
import pytest

from skillcore.types import Pose
from skillcore_twin.robots import ELBOW_DOWN, ROBOTS, Robot, follow, forward, inverse, jacobian

EACH = pytest.mark.parametrize("robot", ROBOTS.values(), ids=lambda robot: robot.name)


@EACH
def test_inverse_finds_the_joints_it_came_from(robot: Robot) -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        joints = rng.uniform(-3.0, 3.0, 6)
        flange = forward(robot, joints)
        assert inverse(robot, flange, joints) == pytest.approx(joints, abs=1e-5)


@EACH
def test_inverse_takes_the_solution_that_is_nearest(robot: Robot) -> None:
    flange = Pose.from_rotvec([0.3, 0.1, 0.3], [np.pi, 0.0, 0.0])
    joints = inverse(robot, flange, ELBOW_DOWN)
    assert joints is not None
    for _ in range(20):
        flange = Pose(flange.position_m + np.array([0.002, 0.001, -0.001]), flange.rotation)
        following = inverse(robot, flange, joints)
        assert following is not None
        assert float(np.max(np.abs(following - joints))) < 0.05
        joints = following


@EACH
def test_an_arm_that_moves_is_followed_through_every_fold(robot: Robot) -> None:
    rng = np.random.default_rng(5)
    for _ in range(100):
        joints = rng.uniform(-3.0, 3.0, 6)
        moved = joints + rng.normal(0.0, 0.01, 6)
        assert follow(robot, forward(robot, moved), joints) == pytest.approx(moved, abs=1e-5)
    far = rng.uniform(-3.0, 3.0, 6)
    flange = forward(robot, far)
    assert follow(robot, flange, joints) == pytest.approx(inverse(robot, flange, joints), abs=1e-9)


@EACH
def test_out_of_reach(robot: Robot) -> None:
    assert inverse(robot, Pose.from_rotvec([2.0, 0.0, 0.2], [np.pi, 0.0, 0.0]), ELBOW_DOWN) is None


def test_where_a_ur5e_has_its_flange() -> None:
    """Stretched out along -x, as in the manufacturer's drawing: all joints at zero."""
    place = forward(ROBOTS["ur5e"], np.zeros(6)).position_m
    assert place == pytest.approx([-0.8172, -0.2329, 0.0628], abs=1e-4)


@EACH
def test_the_jacobian_is_the_derivative(robot: Robot) -> None:
    tool = Pose.from_rotvec([0.0, 0.02, 0.15], [0.1, 0.0, 0.0])
    joints = np.array([0.3, -1.1, 1.4, -1.9, -1.4, 0.2])
    matrix = jacobian(robot, joints, tool)
    before = forward(robot, joints) @ tool
    for number in range(6):
        step = np.zeros(6)
        step[number] = 1e-6
        after = forward(robot, joints + step) @ tool
        turn = Pose(np.zeros(3), after.rotation @ before.rotation.T).rotvec_rad
        moved = np.concatenate([after.position_m - before.position_m, turn]) / 1e-6
        assert matrix[:, number] == pytest.approx(moved, abs=1e-4)
