"""What ur_rtde's control script does on a controller, as far as a client of it can tell.

The client writes a command into integer input register 0 and its arguments into the others; the script answers in
integer output register 0 (1: ready, 2: done) and, with results, in the others. Real-time commands are taken as often
as they stand there, the others once, until the register is cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skillcore.types import Array, Pose
from skillcore_twin.controller import Controller, Watchdog
from skillcore_twin.force_mode import ForceMode
from skillcore_twin.motions import Hold, MoveJoints, MoveLinear, Servo, Speed, in_joint_terms, stopping
from skillcore_twin.robots import forward, jacobian

READY, DONE = 1, 2
STOP_SCRIPT = 255
REAL_TIME = frozenset({6, 9, 10, 11, 24, 25, 26, 27, 38, 58})
FORCE_MODE_STOP_M_S2 = 10.0
IS_RUNNING = 1 << 15
SCRIPT_GAIN = 0.5
"""The script sets the gain of force mode to this when it begins."""


class ScriptError(Exception):
    """The script meets an error and ends, as one does whose inverse kinematics find nothing."""


class ControlScript:
    """offset: where its registers begin, 0 or 24."""

    name = "rtde_control"

    def __init__(self, controller: Controller, offset: int) -> None:
        self._controller = controller
        self._offset = offset
        self._executing = False
        self._wait_for: Callable[[], bool] | None = None
        self._async = False
        self._operations = 0
        controller.force_gain = SCRIPT_GAIN
        self._write_progress(running=False)
        self._answer(READY)
        self._handlers: Mapping[int, Callable[[], None]] = {
            1: self._move_j,
            2: self._move_j_ik,
            3: self._move_l,
            4: self._move_l_fk,
            6: self._force_mode,
            7: self._force_mode_stop,
            8: controller.zero_force,
            9: self._speed_j,
            10: self._speed_l,
            11: self._servo_j,
            15: self._stop_at_rate,
            16: self._stop_at_rate,
            17: self._set_payload,
            18: self._teach_mode,
            19: self._end_teach_mode,
            20: self._nothing,  # damping: the twin's force mode is well damped as it is
            21: self._set_gain,
            24: self._servo_l,
            26: self._step_time,
            29: self._set_tcp,
            30: self._inverse_near,
            31: self._protective_stop,
            33: self._stop_l,
            34: self._stop_j,
            35: self._set_watchdog,
            36: self._pose_within_limits,
            37: self._joints_within_limits,
            38: self._joint_torques,
            39: self._pose_trans,
            40: self._get_tcp,
            43: self._forward,
            44: self._forward_of,
            46: self._inverse,
            47: self._is_steady,
            58: self._flange,
            60: self._has_solution,
            61: self._has_solution,
        }

    # --- its main loop ---

    def step(self, dt_s: float) -> bool:
        """A tick. False when it has ended."""
        controller = self._controller
        if self._async and controller.motion.done:
            self._async = False
            self._write_progress(running=False)
        if self._wait_for is not None:
            if not self._wait_for():
                return True
            self._wait_for = None
            self._answer(DONE)
            return True
        command = controller.in_int[self._offset]
        if command == STOP_SCRIPT:
            return False
        try:
            if command in REAL_TIME:
                self._run(command)
                self._answer(READY)
            elif command == 0:
                self._executing = False
                self._answer(READY)
            elif not self._executing:
                self._executing = True
                self._run(command)
                if self._wait_for is None:
                    self._answer(DONE)
        except ScriptError as error:
            controller.note(f"script error: {error}")
            return False
        return True

    def _run(self, command: int) -> None:
        handler = self._handlers.get(command)
        if handler is None:
            raise ScriptError(f"the twin does not know command {command}")
        handler()

    def _answer(self, state: int) -> None:
        self._controller.out_int[self._offset] = state

    def _flag(self, holds: bool) -> None:
        self._controller.out_int[self._offset + 1] = int(holds)

    def _write_progress(self, *, running: bool) -> None:
        """Bits 24 to 30: number of the asynchronous operation; bit 15: whether it runs."""
        if running:
            self._operations = (self._operations + 1) % 128
        self._controller.out_int[self._offset + 2] = self._operations << 24 | (IS_RUNNING if running else 0)

    # --- registers ---

    def _doubles(self, first: int, count: int) -> Array:
        begin = self._offset + first
        values = np.array(self._controller.in_double[begin : begin + count])
        if not np.isfinite(values).all():
            raise ScriptError("an argument is no finite number")
        return values

    def _double(self, number: int) -> float:
        return float(self._doubles(number, 1)[0])

    def _int(self, number: int) -> int:
        return int(self._controller.in_int[self._offset + number])

    def _pose(self, first: int = 0) -> Pose:
        values = self._doubles(first, 6)
        return Pose.from_rotvec(values[:3], values[3:])

    def _return(self, values: Any) -> None:
        for number, value in enumerate(values):
            self._controller.out_double[self._offset + number] = float(value)

    # --- moving ---

    def _start(self, motion: MoveLinear | MoveJoints) -> None:
        controller = self._controller
        if controller.force is not None and controller.force.selection.all():
            raise ScriptError("a motion in force mode with all axes compliant goes nowhere")
        controller.motion = motion
        if self._int(1) == 1:
            self._async = True
            self._write_progress(running=True)
        else:
            self._wait_for = lambda: motion.done

    def _place(self, joints: Array) -> Pose:
        controller = self._controller
        return forward(controller.robot, joints) @ controller.tcp_from_flange

    def _joints_for(self, pose: Pose) -> Array:
        joints = self._controller.inverse(pose)
        if joints is None:
            raise ScriptError("inverse kinematics find no solution")
        return joints

    def _move_j(self) -> None:
        speed, acceleration = self._doubles(6, 2)
        start = self._controller.target_joints
        self._start(MoveJoints(start, self._doubles(0, 6), float(speed), float(acceleration), self._place))

    def _move_j_ik(self) -> None:
        speed, acceleration = self._doubles(6, 2)
        goal = self._joints_for(self._pose())
        start = self._controller.target_joints
        self._start(MoveJoints(start, goal, float(speed), float(acceleration), self._place))

    def _line_to(self, goal: Pose) -> None:
        self._joints_for(goal)
        speed, acceleration = self._doubles(6, 2)
        self._start(MoveLinear(self._controller.command, goal, float(speed), float(acceleration)))

    def _move_l(self) -> None:
        self._line_to(self._pose())

    def _move_l_fk(self) -> None:
        self._line_to(self._place(self._doubles(0, 6)))

    def _servo_to(self, pose: Pose) -> None:
        controller = self._controller
        if not isinstance(controller.motion, Servo):
            controller.motion = Servo(controller.command)
        controller.motion.target = pose
        controller.motion.lookahead_s = self._double(9)

    def _servo_j(self) -> None:
        self._servo_to(self._place(self._doubles(0, 6)))

    def _servo_l(self) -> None:
        pose = self._pose()
        self._joints_for(pose)
        self._servo_to(pose)

    def _speed(self, velocity: Array, acceleration_m_s2: float) -> None:
        controller = self._controller
        if isinstance(controller.motion, Speed) and not controller.motion.done:
            controller.motion.wanted, controller.motion.acceleration_m_s2 = velocity, acceleration_m_s2
        else:
            controller.motion = Speed(controller.command, controller.command_velocity, velocity, acceleration_m_s2)

    def _speed_l(self) -> None:
        self._speed(self._doubles(0, 6), self._double(6))

    def _speed_j(self) -> None:
        controller = self._controller
        moving = jacobian(controller.robot, controller.joints, controller.tcp_from_flange) @ self._doubles(0, 6)
        self._speed(moving, in_joint_terms(self._double(6)))

    def _brake(self, deceleration_m_s2: float, *, wait: bool) -> None:
        controller = self._controller
        motion = stopping(controller.command, controller.command_velocity, deceleration_m_s2)
        controller.motion = motion
        if self._async:
            self._async = False
            self._write_progress(running=False)
        if wait:
            self._wait_for = lambda: motion.done

    def _stop_at_rate(self) -> None:
        self._brake(self._double(0), wait=True)

    def _stop_l(self) -> None:
        self._brake(self._double(0), wait=self._int(1) != 1)

    def _stop_j(self) -> None:
        self._brake(in_joint_terms(self._double(0)), wait=self._int(1) != 1)

    # --- force and freedrive ---

    def _force_mode(self) -> None:
        selection = np.array([float(self._int(2 + number) == 1) for number in range(6)])
        frame, wrench = self._pose(), self._doubles(6, 6)
        if self._int(1) != 2:
            raise ScriptError("the twin knows force mode of type 2 only")
        controller = self._controller
        if controller.force is None:
            controller.motion = Hold(controller.command)
        limits = np.abs(self._doubles(12, 6))
        controller.force = ForceMode(frame, selection, wrench, limits, controller.force_gain)

    def _force_mode_stop(self) -> None:
        controller = self._controller
        if controller.force is not None:
            controller.force = None
            controller.command = controller.tcp_from_base
        self._brake(FORCE_MODE_STOP_M_S2, wait=True)

    def _set_gain(self) -> None:
        self._controller.force_gain = float(np.clip(self._double(0), 0.0, 2.0))

    def _teach_mode(self) -> None:
        self._controller.freedrive = True

    def _end_teach_mode(self) -> None:
        controller = self._controller
        controller.freedrive, controller.hand = False, None
        controller.command = controller.tcp_from_base
        controller.motion = Hold(controller.command)

    # --- settings ---

    def _set_payload(self) -> None:
        controller = self._controller
        mass = self._double(0)
        if not 0.0 <= mass <= controller.robot.payload_kg:
            raise ScriptError(f"a {controller.robot.name} carries no payload of {mass:g} kg")
        controller.payload_kg = mass
        cog = self._doubles(1, 3)
        if np.any(cog):
            controller.payload_cog_m = cog

    def _set_tcp(self) -> None:
        controller = self._controller
        tool = controller.tool_of(controller.command)
        controller.tcp_from_flange = self._pose()
        controller.command = controller.tcp_of(tool)
        controller.motion = Hold(controller.command)

    def _set_watchdog(self) -> None:
        frequency = self._double(0)
        self._controller.watchdog = Watchdog(self._offset, 1.0 / frequency) if frequency > 0.0 else None

    def _protective_stop(self) -> None:
        self._controller.protective_stop("the program asked for it")

    def _nothing(self) -> None:
        pass

    # --- questions ---

    def _pose_within_limits(self) -> None:
        self._flag(self._controller.within_limits(self._pose()))

    def _joints_within_limits(self) -> None:
        self._flag(self._controller.joints_within_limits(self._doubles(0, 6)))

    def _joint_torques(self) -> None:
        controller = self._controller
        matrix = jacobian(controller.robot, controller.joints, controller.tcp_from_flange)
        self._return(matrix.T @ controller.wrench)

    def _step_time(self) -> None:
        self._return([0.002])

    def _pose_trans(self) -> None:
        self._return((self._pose() @ self._pose(6)).as_vector())

    def _get_tcp(self) -> None:
        self._return(self._controller.tcp_from_flange.as_vector())

    def _forward(self) -> None:
        self._return(self._controller.tcp_from_base.as_vector())

    def _forward_of(self) -> None:
        joints, offset = self._doubles(0, 6), self._pose(6)
        self._return((forward(self._controller.robot, joints) @ offset).as_vector())

    def _flange(self) -> None:
        self._return(self._controller.flange_of(self._controller.tcp_from_base).as_vector())

    def _inverse(self) -> None:
        self._return(self._joints_for(self._pose()))

    def _inverse_near(self) -> None:
        joints = self._controller.inverse(self._pose(), self._doubles(6, 6))
        if joints is None:
            raise ScriptError("inverse kinematics find no solution")
        self._return(joints)

    def _has_solution(self) -> None:
        self._flag(self._controller.inverse(self._pose()) is not None)

    def _is_steady(self) -> None:
        self._flag(float(np.linalg.norm(self._controller.command_velocity)) < 1e-6)
