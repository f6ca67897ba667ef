"""The robots that the twin can be: their geometry and limits, and how joints and flange belong together.

Geometry is given by Denavit-Hartenberg parameters as Universal Robots publishes them. Inverse kinematics are closed
form (after K. P. Hawkins, "Analytic inverse kinematics for the Universal Robots UR-5/UR-10 arms", 2013): up to eight
solutions, of which the one nearest to where the joints are is taken. A real arm is calibrated and differs from this by
some tenths of a millimetre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from skillcore.types import Array, Pose

ALPHA_RAD = (math.pi / 2, 0.0, 0.0, math.pi / 2, -math.pi / 2, 0.0)
ELBOW_DOWN = np.array([0.0, -1.2, 1.6, -2.0, -math.pi / 2, 0.0])
"""Joints in rad of a usual working pose, tool down; inverse kinematics start from here."""

FOLLOWED_RAD = 0.3
"""Joints that have gone no further are those of the same arm, a moment later."""


@dataclass(frozen=True, slots=True)
class Robot:
    """d_m, a_m: Denavit-Hartenberg lengths of the six joints. Limits in rad, rad/s, m/s and kg."""

    name: str
    dashboard_name: str
    d_m: tuple[float, float, float, float, float, float]
    a_m: tuple[float, float, float, float, float, float]
    joint_speeds_rad_s: tuple[float, float, float, float, float, float]
    payload_kg: float
    joint_limit_rad: float = 2.0 * math.pi
    tool_speed_m_s: float = 1.5


_SLOW, _FAST = math.radians(120.0), math.radians(180.0)
ROBOTS = {
    robot.name: robot
    for robot in (
        Robot(
            "ur3e",
            "UR3",
            (0.15185, 0.0, 0.0, 0.13105, 0.08535, 0.0921),
            (0.0, -0.24355, -0.2132, 0.0, 0.0, 0.0),
            (_FAST, _FAST, _FAST, 2 * _FAST, 2 * _FAST, 2 * _FAST),
            3.0,
        ),
        Robot(
            "ur5e",
            "UR5",
            (0.1625, 0.0, 0.0, 0.1333, 0.0997, 0.0996),
            (0.0, -0.425, -0.3922, 0.0, 0.0, 0.0),
            (_FAST,) * 6,
            5.0,
        ),
        Robot(
            "ur10e",
            "UR10",
            (0.1807, 0.0, 0.0, 0.17415, 0.11985, 0.11655),
            (0.0, -0.6127, -0.57155, 0.0, 0.0, 0.0),
            (_SLOW, _SLOW, _FAST, _FAST, _FAST, _FAST),
            12.5,
        ),
        Robot(
            "ur16e",
            "UR16",
            (0.1807, 0.0, 0.0, 0.17415, 0.11985, 0.11655),
            (0.0, -0.4784, -0.36, 0.0, 0.0, 0.0),
            (_SLOW, _SLOW, _FAST, _FAST, _FAST, _FAST),
            16.0,
        ),
    )
}
"""The robots by the names that cell files use. The dashboard calls an e-Series arm by its plain name."""


def forward(robot: Robot, joints_rad: Array) -> Pose:
    """flange_from_base of six joints (6,)."""
    matrix = np.eye(4)
    for joint, d, a, alpha in zip(joints_rad, robot.d_m, robot.a_m, ALPHA_RAD, strict=True):
        matrix = matrix @ _link(float(joint), d, a, alpha)
    return Pose(matrix[:3, 3].copy(), matrix[:3, :3].copy())


def inverse(robot: Robot, flange_from_base: Pose, near_rad: Array) -> Array | None:
    """The joints (6,) nearest to `near_rad` that bring the flange there; None where it is out of reach."""
    best, best_distance = None, math.inf
    for joints in _solutions(robot, flange_from_base, tuple(product((1.0, -1.0), repeat=3))):
        turned = _unwound(robot, joints, near_rad)
        distance = float(np.sum((turned - near_rad) ** 2))
        if distance < best_distance:
            best, best_distance = turned, distance
    return best


def follow(robot: Robot, flange_from_base: Pose, near_rad: Array) -> Array | None:
    """As `inverse`, at a quarter of the cost, for a flange that has moved a little: the arm has not folded over."""
    wrist = flange_from_base.position_m - robot.d_m[5] * flange_from_base.rotation[:, 2]
    ahead = near_rad[0] - math.atan2(wrist[1], wrist[0]) - math.pi / 2
    branch = (math.copysign(1.0, math.sin(ahead)), *(math.copysign(1.0, near_rad[joint]) for joint in (4, 2)))
    for joints in _solutions(robot, flange_from_base, (branch,)):
        turned = _unwound(robot, joints, near_rad)
        if float(np.max(np.abs(turned - near_rad))) < FOLLOWED_RAD:
            return turned
    return inverse(robot, flange_from_base, near_rad)


def _unwound(robot: Robot, joints: Array, near_rad: Array) -> Array:
    """The same joints, each turned as often as brings it nearest, within its limits."""
    turned = near_rad + np.remainder(joints - near_rad + math.pi, 2.0 * math.pi) - math.pi
    return np.asarray(
        turned - 2.0 * math.pi * np.round(turned / (2.0 * math.pi)) * (abs(turned) > robot.joint_limit_rad)
    )


def jacobian(robot: Robot, joints_rad: Array, tcp_from_flange: Pose) -> Array:
    """(6, 6): velocity of the TCP and turn rate, in base axes, per joint speed."""
    matrix, axes, origins = np.eye(4), [], []
    for joint, d, a, alpha in zip(joints_rad, robot.d_m, robot.a_m, ALPHA_RAD, strict=True):
        axes.append(matrix[:3, 2].copy())
        origins.append(matrix[:3, 3].copy())
        matrix = matrix @ _link(float(joint), d, a, alpha)
    tip = matrix[:3, :3] @ tcp_from_flange.position_m + matrix[:3, 3]
    columns = [np.concatenate([np.cross(axis, tip - origin), axis]) for axis, origin in zip(axes, origins, strict=True)]
    return np.column_stack(columns)


def _link(joint_rad: float, d_m: float, a_m: float, alpha_rad: float) -> Array:
    c, s, ca, sa = math.cos(joint_rad), math.sin(joint_rad), math.cos(alpha_rad), math.sin(alpha_rad)
    return np.array(
        [
            [c, -s * ca, s * sa, a_m * c],
            [s, c * ca, -c * sa, a_m * s],
            [0.0, sa, ca, d_m],
            [0.0, 0.0, 0.0, 1.0],
        ]
    )


def _solutions(robot: Robot, flange: Pose, branches: Sequence[tuple[float, ...]]) -> list[Array]:
    """Those of some branches: of the shoulder's side, the wrist's flip and the elbow's bend, 1 or -1 each."""
    _, _, _, d4, d5, d6 = robot.d_m
    a2, a3 = robot.a_m[1], robot.a_m[2]
    (nx, ox, ax), (ny, oy, ay), _ = flange.rotation.tolist()
    px, py, _ = flange.position_m.tolist()
    wrist_x, wrist_y = px - d6 * ax, py - d6 * ay
    span = math.hypot(wrist_x, wrist_y)
    if span < d4:
        return []
    goal = np.eye(4)
    goal[:3, :3], goal[:3, 3] = flange.rotation, flange.position_m
    found = []
    lead, swing = math.atan2(wrist_y, wrist_x) + math.pi / 2, math.acos(d4 / span)
    for shoulder, flip, elbow in branches:
        q1 = lead + shoulder * swing
        s1, c1 = math.sin(q1), math.cos(q1)
        q5 = flip * math.acos(_in_unit((px * s1 - py * c1 - d4) / d6))
        s5 = math.sin(q5)
        # With s5 = 0 axes 4 and 6 are parallel, and any split between them will do.
        q6 = 0.0 if abs(s5) < 1e-9 else math.atan2((oy * c1 - ox * s1) / s5, (nx * s1 - ny * c1) / s5)
        # What is left is a planar chain of three: the fourth link seen from the first.
        beyond = _link(q5, d5, 0.0, ALPHA_RAD[4]) @ _link(q6, d6, 0.0, ALPHA_RAD[5])
        fourth = _inverted(_link(q1, robot.d_m[0], 0.0, ALPHA_RAD[0])) @ goal @ _inverted(beyond)
        x, y = (fourth[:2, 3] - d4 * fourth[:2, 1]).tolist()
        squared = x * x + y * y
        cosine = (squared - a2 * a2 - a3 * a3) / (2.0 * a2 * a3)
        if abs(cosine) > 1.0 + 1e-9:
            continue
        q3 = elbow * math.acos(_in_unit(cosine))
        q2 = math.atan2(y, x) - math.atan2(a3 * math.sin(q3), a2 + a3 * math.cos(q3))
        total = math.atan2(fourth[1, 0], fourth[0, 0])
        found.append(np.array([q1, q2, q3, total - q2 - q3, q5, q6]))
    return found


def _inverted(matrix: Array) -> Array:
    """Of a rigid transform (4, 4)."""
    result = np.eye(4)
    result[:3, :3] = matrix[:3, :3].T
    result[:3, 3] = -(matrix[:3, :3].T @ matrix[:3, 3])
    return result


def _in_unit(value: float) -> float:
    return min(1.0, max(-1.0, value))
