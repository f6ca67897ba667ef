"""The robot controller: power, safety, registers, programs, and what the arm is told to do, one tick after another.

What it does on faults is what e-Series controllers are documented to do, as far as clients can see it; where that is
not documented, the case that asks more of a client is taken (after `unlock protective stop` a paused program goes on
by itself).
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
from skillcore.types import Pose, rotvec_from_rotation
from skillcore_twin.body import Body, Setup
from skillcore_twin.force_mode import PATH_DEVIATION_M, PATH_DEVIATION_RAD, ForceMode, led_by_hand
from skillcore_twin.live_world import LiveWorld
from skillcore_twin.motions import Hold, Motion

UNLOCK_AFTER_S = 5.0
REGISTERS = 48


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


class Controller(Body):
    """Everything but the servers. Used from one thread; `LiveWorld` may be used from others beside it."""

    def __init__(self, setup: Setup, world: LiveWorld) -> None:
        super().__init__(setup, world.read())
        self.world = world
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
        self._began_s = time.monotonic()
        self.motion: Motion = Hold(self.command)

    # --- what it tells ---

    @property
    def timestamp_s(self) -> float:
        return time.monotonic() - self._began_s

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

    def unlock_by_hand(self) -> bool:
        """Somebody unlocks a protective stop on the pendant, and does not press play. Whether there was one."""
        if self.protective_since_s is None:
            return False
        self.protective_since_s = None
        self.note("protective stop unlocked on the pendant")
        return True

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
        self.note_velocity(before, dt_s)
        limit = self.world.force_limit_n
        if self.force is not None and not self._standing and not self.freedrive:
            limit = min(limit, self.force.most_n)
        try:
            self.state = self.world.advance(self.tool_of(self.command), dt_s, force_limit_n=limit)
        except ArmFaultError as error:
            self.state = self.world.read()
            self.protective_stop(error.what)
        self.note_readings(dt_s)
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
