"""The robot's arm: where its tool is in which frame, its joints, and what it feels.

The joints are computed from the tool's pose by the robot's kinematics. The world behind turns tools about their own
axis only: a target that tilts the tool away from where the world holds it is not within the safety limits, and a motion
there ends in a protective stop, as any deviation from the path does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from skillcore.types import ArmState, Array, Pose, rotvec_from_rotation
from skillcore_twin.robots import ELBOW_DOWN, Robot, follow, inverse

GRAVITY_M_S2 = 9.81
TILT_RAD = 0.15
"""How far the tool may be tilted from where the world holds it."""
ZERO_TICKS = 12


@dataclass(frozen=True, slots=True)
class Setup:
    """What is installed on the robot.

    tool_from_flange: where the TCP really is, which is also the TCP of the installation. payload_kg, payload_cog_m: of
    what really hangs there, also as installed. tool_force_limit_n: the safety configuration's "tool force".
    """

    robot: Robot
    tool_from_flange: Pose
    payload_kg: float
    payload_cog_m: tuple[float, float, float]
    tool_force_limit_n: float = 120.0
    serial: str = "20205500001"


class Body:
    """The arm as it is after each tick, and the pose that it was told to be in.

    state: of the tool, as the world has it. command: of the active TCP. command_velocity: (6,) that it was led with.
    """

    def __init__(self, setup: Setup, state: ArmState) -> None:
        self.setup, self.robot, self.state = setup, setup.robot, state
        self.tcp_from_flange = setup.tool_from_flange
        self.payload_kg, self.payload_cog_m = setup.payload_kg, np.array(setup.payload_cog_m)
        self._flange_from_tool = setup.tool_from_flange.inverse()
        self._base_tilt = state.tcp_from_base.rotation[:, 2].copy()
        self._zero = np.zeros(6)
        self._recent: deque[Array] = deque(maxlen=ZERO_TICKS)
        self._joints = self._joints_of(state.tcp_from_base, ELBOW_DOWN)
        self._target_joints = self._joints.copy()
        self.joint_speeds = np.zeros(6)
        self.command = self.tcp_of(state.tcp_from_base)
        self.command_velocity = np.zeros(6)

    # --- frames ---

    def tcp_of(self, tool_from_base: Pose) -> Pose:
        """The active TCP, where the tool is."""
        return tool_from_base @ self.setup.tool_from_flange.inverse() @ self.tcp_from_flange

    def flange_of(self, tcp_from_base: Pose) -> Pose:
        return tcp_from_base @ self.tcp_from_flange.inverse()

    def tool_of(self, tcp_from_base: Pose) -> Pose:
        return self.flange_of(tcp_from_base) @ self.setup.tool_from_flange

    def inverse(self, tcp_from_base: Pose, near: Array | None = None) -> Array | None:
        """Joints for a pose of the active TCP, or None."""
        return inverse(self.robot, self.flange_of(tcp_from_base), self._joints if near is None else near)

    def _joints_of(self, tool_from_base: Pose, near: Array) -> Array:
        joints = follow(self.robot, tool_from_base @ self._flange_from_tool, near)
        return near if joints is None else joints

    # --- readings ---

    @property
    def tcp_from_base(self) -> Pose:
        return self.tcp_of(self.state.tcp_from_base)

    @property
    def joints(self) -> Array:
        return self._joints

    @property
    def target_joints(self) -> Array:
        joints = self.inverse(self.command, self._target_joints)
        if joints is not None:
            self._target_joints = joints
        return self._target_joints

    @property
    def raw_wrench(self) -> Array:
        """(6,) at the tool and in its axes, before zeroing: contact, and the payload where it is set wrong."""
        reading = self.state.wrench.as_vector()
        missing = self.setup.payload_kg - self.payload_kg
        if missing:
            weight = self.state.tcp_from_base.rotation.T @ np.array([0.0, 0.0, -missing * GRAVITY_M_S2])
            reading = reading + np.concatenate([weight, np.zeros(3)])
        return reading

    @property
    def wrench(self) -> Array:
        """(6,) what the surroundings exert at the active TCP, in base axes, after zeroing."""
        reading = self.raw_wrench - self._zero
        rotation = self.state.tcp_from_base.rotation
        force, torque = rotation @ reading[:3], rotation @ reading[3:]
        lever = self.state.tcp_from_base.position_m - self.tcp_from_base.position_m
        return np.concatenate([force, torque + np.cross(lever, force)])

    @property
    def twist(self) -> Array:
        """(6,) of the active TCP."""
        linear, turn = self.state.twist[:3], self.state.twist[3:]
        lever = self.tcp_from_base.position_m - self.state.tcp_from_base.position_m
        return np.concatenate([linear + np.cross(turn, lever), turn])

    def within_limits(self, tcp_from_base: Pose) -> bool:
        """Whether a pose is within reach, joint limits, and what the world behind can do."""
        joints = self.inverse(tcp_from_base)
        tilt = float(np.linalg.norm(np.cross(self.tool_of(tcp_from_base).rotation[:, 2], self._base_tilt)))
        return joints is not None and self.joints_within_limits(joints) and tilt < TILT_RAD

    def joints_within_limits(self, joints: Array) -> bool:
        return bool(np.all(np.abs(joints) <= self.robot.joint_limit_rad))

    # --- what happens to it ---

    def zero_force(self) -> None:
        """The present wrench is the zero from now on."""
        readings = list(self._recent) or [self.raw_wrench]
        self._zero = np.mean(readings, axis=0)

    def note_readings(self, dt_s: float) -> None:
        """That `state` is new, after a tick of `dt_s`."""
        self._recent.append(self.raw_wrench)
        joints = self._joints_of(self.state.tcp_from_base, self._joints)
        self.joint_speeds = (joints - self._joints) / dt_s
        self._joints = joints

    def note_velocity(self, before: Pose, dt_s: float) -> None:
        """That the command was `before` a tick ago."""
        moved = self.command.position_m - before.position_m
        turned = rotvec_from_rotation(self.command.rotation @ before.rotation.T)
        self.command_velocity = np.concatenate([moved, turned]) / dt_s
