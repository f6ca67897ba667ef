"""The robot controller: power, safety, registers, program state, and the arm it moves, one tick after another.

What it does on faults is what e-Series controllers are documented to do, as far as clients can see it; where that is
not documented, the case that asks more of a client is taken (after `unlock protective stop` a paused program goes on
by itself). The arm's joints are computed from the tool's pose by the robot's kinematics. The world behind turns tools
about their own axis only: a target that tilts the tool away from where the world holds it is not within the safety
limits, and a motion there ends in a protective stop, as any deviation from the path does.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np

from skillcore.errors import ArmFaultError
from skillcore.types import ArmState, Array, Pose, rotvec_from_rotation
from skillcore_twin.force_mode import PATH_DEVIATION_M, PATH_DEVIATION_RAD, ForceMode, led_by_hand
from skillcore_twin.live_world import LiveWorld
from skillcore_twin.motions import Hold, Motion
from skillcore_twin.robots import ELBOW_DOWN, Robot, follow, inverse

GRAVITY_M_S2 = 9.81
UNLOCK_AFTER_S = 5.0
TILT_RAD = 0.15
"""How far the tool may be tilted from where the world holds it."""
REGISTERS = 48
ZERO_TICKS = 12


class RobotMode(IntEnum):
    POWER_OFF = 3
    IDLE = 5
    RUNNING = 7


class Runtime(IntEnum):
    STOPPED = 1
    PLAYING = 2
    PAUSED = 4


class SafetyMode(IntEnum):
    NORMAL = 1
    PROTECTIVE_STOP = 3
    ROBOT_EMERGENCY_STOP = 7


PROTECTIVE_BIT, EMERGENCY_BIT, ROBOT_EMERGENCY_BIT, NORMAL_BIT, STOPPED_BIT = 1 << 2, 1 << 7, 1 << 6, 1, 1 << 10


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


class Program(Protocol):
    """Something that runs on the controller."""

    name: str

    def step(self, dt_s: float) -> bool:
        """A tick of it; whether it goes on."""


@dataclass(slots=True)
class Watchdog:
    """A register that must be written often enough."""

    register: int
    period_s: float
    since_s: float = 0.0


class Controller:
    """Everything but the servers. Used from one thread; `LiveWorld` may be used from others beside it."""

    def __init__(self, setup: Setup, world: LiveWorld) -> None:
        self.setup, self.world, self.robot = setup, world, setup.robot
        self.tcp_from_flange = setup.tool_from_flange
        self.payload_kg, self.payload_cog_m = setup.payload_kg, np.array(setup.payload_cog_m)
        self.mode = RobotMode.RUNNING
        self.runtime = Runtime.STOPPED
        self.remote, self.slider = True, 1.0
        self.emergency = False
        self.protective_since_s: float | None = None
        self.in_int, self.in_double = [0] * REGISTERS, [0.0] * REGISTERS
        self.out_int, self.out_double = [0] * REGISTERS, [0.0] * REGISTERS
        self.written: set[int] = set()
        self.program: Program | None = None
        self.watchdog: Watchdog | None = None
        self.force: ForceMode | None = None
        self.force_gain = 1.0
        self.freedrive = False
        self.hand: Pose | None = None
        self.log: deque[str] = deque(maxlen=50)
        self.ticks = 0
        self._flange_from_tool = setup.tool_from_flange.inverse()
        self._began_s = time.monotonic()
        self.state: ArmState = world.read()
        self._base_tilt = self.state.tcp_from_base.rotation[:, 2].copy()
        self._zero = np.zeros(6)
        self._recent: deque[Array] = deque(maxlen=ZERO_TICKS)
        self._joints = self._joints_of(self.state.tcp_from_base, ELBOW_DOWN)
        self._target_joints = self._joints.copy()
        self.joint_speeds = np.zeros(6)
        self.command = self.tcp_of(self.state.tcp_from_base)
        self.command_velocity = np.zeros(6)
        self.motion: Motion = Hold(self.command)

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
    def timestamp_s(self) -> float:
        return time.monotonic() - self._began_s

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

    @property
    def protective(self) -> bool:
        return self.protective_since_s is not None

    @property
    def safety_mode(self) -> SafetyMode:
        if self.emergency:
            return SafetyMode.ROBOT_EMERGENCY_STOP
        return SafetyMode.PROTECTIVE_STOP if self.protective else SafetyMode.NORMAL

    @property
    def safety_bits(self) -> int:
        if self.emergency:
            return EMERGENCY_BIT | ROBOT_EMERGENCY_BIT | STOPPED_BIT
        return PROTECTIVE_BIT | STOPPED_BIT if self.protective else NORMAL_BIT

    @property
    def status_bits(self) -> int:
        powered = self.mode is not RobotMode.POWER_OFF
        return int(powered) | int(self.runtime is Runtime.PLAYING) << 1 | int(self.freedrive) << 2

    def within_limits(self, tcp_from_base: Pose) -> bool:
        """Whether a pose is within reach, joint limits, and what the world behind can do."""
        joints = self.inverse(tcp_from_base)
        tilt = float(np.linalg.norm(np.cross(self.tool_of(tcp_from_base).rotation[:, 2], self._base_tilt)))
        return joints is not None and self.joints_within_limits(joints) and tilt < TILT_RAD

    def joints_within_limits(self, joints: Array) -> bool:
        return bool(np.all(np.abs(joints) <= self.robot.joint_limit_rad))

    # --- what happens to it ---

    def note(self, message: str) -> None:
        """For `skill twin status`."""
        self.log.append(f"{self.timestamp_s:.2f} s: {message}")

    def protective_stop(self, why: str) -> None:
        """The arm stands at once, and the program is paused."""
        if self.protective or self.emergency:
            return
        self.note(f"protective stop: {why}")
        self.protective_since_s = time.monotonic()
        if self.runtime is Runtime.PLAYING:
            self.runtime = Runtime.PAUSED
        self._stand()

    def unlock(self) -> str:
        """What the dashboard answers to `unlock protective stop`."""
        if self.protective_since_s is None:
            return "Protective stop releasing"
        if time.monotonic() - self.protective_since_s < UNLOCK_AFTER_S:
            return (
                "Cannot unlock protective stop until 5s after occurrence. "
                "Always inspect cause of protective stop before unlocking"
            )
        self.protective_since_s = None
        if self.program is not None and self.runtime is Runtime.PAUSED:
            self.runtime = Runtime.PLAYING
            self.note("protective stop unlocked, the program goes on")
        return "Protective stop releasing"

    def press_emergency_stop(self) -> None:
        """Power goes, the program with it."""
        self.note("emergency stop pressed")
        self.emergency, self.protective_since_s = True, None
        self.mode = RobotMode.POWER_OFF
        self.stop_program("emergency stop")

    def release_emergency_stop(self) -> None:
        """The button is turned; the robot stays without power until somebody switches it on."""
        self.emergency = False

    def power_on(self) -> bool:
        if self.emergency:
            return False
        self.mode = RobotMode.IDLE if self.mode is RobotMode.POWER_OFF else self.mode
        return True

    def release_brakes(self) -> bool:
        if self.emergency:
            return False
        self.mode = RobotMode.RUNNING
        return True

    def power_off(self) -> None:
        self.mode = RobotMode.POWER_OFF
        self.stop_program("power off")

    def start_program(self, make: Callable[[], Program]) -> bool:
        """Replaces what runs. False where nothing may run."""
        if self.mode is not RobotMode.RUNNING or self.emergency or self.protective:
            self.note("a program was refused: the robot is not ready")
            return False
        self.stop_program("replaced by another")
        self.program, self.runtime = make(), Runtime.PLAYING
        return True

    def stop_program(self, why: str) -> None:
        if self.program is not None:
            self.note(f"program {self.program.name} stopped: {why}")
        self.program, self.runtime, self.watchdog = None, Runtime.STOPPED, None
        self._stand()

    def play(self) -> bool:
        """Goes on with a paused program."""
        if self.program is None or self.protective or self.emergency:
            return False
        self.runtime = Runtime.PLAYING
        return True

    def pause(self) -> None:
        if self.runtime is Runtime.PLAYING:
            self.runtime = Runtime.PAUSED
            self._stand_still()

    def write_int(self, register: int, value: int) -> None:
        """A client writes an input register."""
        self.in_int[register] = value
        if self.watchdog is not None and self.watchdog.register == register:
            self.watchdog.since_s = 0.0

    def zero_force(self) -> None:
        """The present wrench is the zero from now on."""
        readings = list(self._recent) or [self.raw_wrench]
        self._zero = np.mean(readings, axis=0)

    # --- a tick ---

    def tick(self, dt_s: float) -> None:
        """Lets the program run, moves the arm, and looks after safety."""
        self.ticks += 1
        self._look_after_watchdog(dt_s)
        if self.runtime is Runtime.PLAYING and self.program is not None:
            program = self.program
            if not program.step(dt_s) and self.program is program:
                self.stop_program("it ended")
        before = self.command
        self._choose_command(dt_s)
        self._note_velocity(before, dt_s)
        limit = self.world.force_limit_n
        if self.force is not None and not self._standing and not self.freedrive:
            limit = min(limit, self.force.most_n)
        try:
            self.state = self.world.advance(self.tool_of(self.command), dt_s, force_limit_n=limit)
        except ArmFaultError as error:
            self.state = self.world.read()
            self.protective_stop(error.what)
        self._recent.append(self.raw_wrench)
        joints = self._joints_of(self.state.tcp_from_base, self._joints)
        self.joint_speeds = (joints - self._joints) / dt_s
        self._joints = joints
        self._look_after_safety()

    @property
    def _standing(self) -> bool:
        return self.runtime is not Runtime.PLAYING or self.protective or self.emergency

    def _choose_command(self, dt_s: float) -> None:
        if self._standing:
            return
        scaled = dt_s * self.slider
        if self.freedrive:
            self.command = led_by_hand(self.command, self.hand, dt_s)
        elif self.force is not None:
            planned = self.motion.step(scaled)
            self.command = self.force.step(self.wrench, self.tcp_from_base, self.command, planned, scaled)
        else:
            self.command = self.motion.step(scaled)

    def _note_velocity(self, before: Pose, dt_s: float) -> None:
        moved = self.command.position_m - before.position_m
        turned = rotvec_from_rotation(self.command.rotation @ before.rotation.T)
        self.command_velocity = np.concatenate([moved, turned]) / dt_s

    def _look_after_watchdog(self, dt_s: float) -> None:
        watchdog = self.watchdog
        if watchdog is None:
            return
        # Counted in ticks, so that a busy computer does not make a silent client of a lively one.
        watchdog.since_s += dt_s
        if watchdog.since_s > watchdog.period_s:
            self.stop_program(f"its watchdog was not served for {watchdog.period_s:.2f} s")

    def _look_after_safety(self) -> None:
        if self.protective or self.emergency:
            return
        force = float(np.linalg.norm(self.state.wrench.force_n))
        if force > self.setup.tool_force_limit_n:
            self.protective_stop(f"tool force of {force:.0f} N")
        speed = float(np.linalg.norm(self.command_velocity[:3]))
        if speed > self.robot.tool_speed_m_s:
            self.protective_stop(f"tool speed of {speed:.2f} m/s")
        if np.any(np.abs(self.joint_speeds) > 1.5 * np.array(self.robot.joint_speeds_rad_s)):
            self.protective_stop("joint speed limit")
        if self._standing or self.freedrive:
            return
        away = float(np.linalg.norm(self.command.position_m - self.tcp_from_base.position_m))
        turned = float(np.linalg.norm(rotvec_from_rotation(self.command.rotation.T @ self.tcp_from_base.rotation)))
        if away > PATH_DEVIATION_M or turned > PATH_DEVIATION_RAD:
            self.protective_stop(f"position deviates from path by {away * 1e3:.0f} mm and {turned:.2f} rad")

    def _stand_still(self) -> None:
        self.command = self.tcp_from_base

    def _stand(self) -> None:
        """Holds where the arm is now, and forgets force mode and freedrive with the program that asked for them."""
        self._stand_still()
        if self.program is None:
            self.force, self.freedrive, self.motion = None, False, Hold(self.command)
            self.force_gain = 1.0
