"""A Universal Robots arm as an `Arm`, in the process that serves it. So far run on the twin only, never on a real
robot.

Free motions are moveL; compliant ones are force mode or servoL, see `skillcore_ur.compliance` and the options. Faults
and the way back from them stand in `skillcore_ur.faults`. The TCP's force is taken to be what the surroundings exert
on the tool, in base axes, as e-Series controllers report it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import numpy as np

from skillcore.clock import WallClock
from skillcore.errors import ArmFaultError, DeviceError, SkillcoreError
from skillcore.interfaces import Arm, ArmLimits, Clock
from skillcore.types import ArmState, Pose, Wrench
from skillcore_ur.checks import check_controller
from skillcore_ur.compliance import between, within_reach
from skillcore_ur.faults import ROWS, FaultKind, FaultMachine, Health, State, Step, error_of, fault_in
from skillcore_ur.free_motion import Progress, await_arrival
from skillcore_ur.link import Link, Reading, accepted
from skillcore_ur.options import ArmOptions, ForceMode
from skillcore_ur.probe import Dashboard, Unreachable
from skillcore_ur.pulse import STOP_M_S2, Pulse
from skillcore_ur.recovery import ask, unlock
from skillcore_ur.remote import RemoteWatch

CLOCK_LEAK_S = 2e-5
"""How fast the estimate of the way of a packet may grow, a reading: clocks drift."""
CLOSE_M, CLOSE_RAD = 0.008, 0.1
"""Goals that are so close to one that the controller has allowed are not asked of it."""
RELEASE_S = 3.0
"""So long a controller may take to notice that the old connection is closed."""


class UrArm(Arm):
    """See the module. Methods may be called from one thread, `stop` from any."""

    def __init__(self, options: ArmOptions, clock: Clock | None = None) -> None:
        self._options = options
        self._clock = clock or WallClock()
        limits = options.limits
        self._limits = ArmLimits(limits.speed_m_s, limits.turn_speed_rad_s, limits.force_n)
        self._dashboard = Dashboard(options.address)
        self._machine = FaultMachine()
        self._link: Link | None = None
        self._pulse: Pulse | None = None
        self._watch: RemoteWatch | None = None
        self._stops = 0
        self._sequence = 0
        self._stamp_s = -1.0
        self._delay_s = np.inf
        self._protective_since_s: float | None = None
        self._freedrive = False
        self._allowed: Pose | None = None

    @property
    def limits(self) -> ArmLimits:
        return self._limits

    # --- opening and closing ---

    def connect(self) -> None:
        if self._link is not None:
            return
        check_controller(self._options, self._dashboard)
        self._machine = FaultMachine()
        self._watch = RemoteWatch(self._dashboard)
        try:
            self._open_link()
        except BaseException:
            self.close()
            raise

    def _open_link(self) -> None:
        self._allowed = None
        link = Link(self._options.address, self._options.rate_hz)
        self._link, self._delay_s, self._stamp_s = link, np.inf, -1.0
        self._prepare_program(link)
        self._pulse = Pulse(link, self._options, self._is_healthy)

    def _prepare_program(self, link: Link) -> None:
        """What the control program must be told when it is new."""
        compliance = self._options.compliance
        with link.commands() as control:
            if isinstance(compliance, ForceMode):
                accepted(control.forceModeSetDamping(compliance.damping), "the damping of force mode")
                accepted(control.forceModeSetGainScaling(compliance.gain_scaling), "the gain of force mode")
            accepted(control.setWatchdog(self._options.watchdog_hz), "the watchdog")
        self._freedrive = False

    def close(self) -> None:
        self.stop()
        pulse, link, watch = self._pulse, self._link, self._watch
        self._pulse = self._link = self._watch = None
        if pulse is not None:
            pulse.end()
        if link is not None:
            if self._machine.may_move:
                with contextlib.suppress(SkillcoreError):
                    link.stop_script()
            link.close()
        if watch is not None:
            watch.end()
        self._dashboard.close()

    # --- reading ---

    def read(self) -> ArmState:
        link = self._opened()
        reading, fault = self._observe(link)
        if reading is None or fault in (FaultKind.LOST_CONNECTION, FaultKind.STREAM_FROZEN):
            raise error_of(fault or FaultKind.LOST_CONNECTION)
        rotation = reading.tcp_from_base.rotation
        return ArmState(
            tcp_from_base=reading.tcp_from_base,
            twist=reading.twist,
            wrench=Wrench(rotation.T @ reading.wrench[:3], rotation.T @ reading.wrench[3:]),
            fault=None if fault is None else ROWS[fault].what,
            time_s=self._time_of(reading),
            sequence=self._sequence,
        )

    def _time_of(self, reading: Reading) -> float:
        """The clock's time of a packet: the controller's timestamp, plus the shortest way that a packet has taken."""
        now = self._clock.now_s()
        self._delay_s = min(self._delay_s + CLOCK_LEAK_S, now - reading.timestamp_s)
        if reading.timestamp_s != self._stamp_s:
            self._stamp_s = reading.timestamp_s
            self._sequence += 1
        return reading.timestamp_s + self._delay_s

    def _observe(self, link: Link) -> tuple[Reading | None, FaultKind | None]:
        """The newest packet, and the latched fault."""
        reading = None
        if link.connected:
            with contextlib.suppress(DeviceError):
                reading = link.reading()
        return reading, self._machine.observe(self._health(link, reading))

    def _health(self, link: Link, reading: Reading | None) -> Health:
        remote = None if self._watch is None else self._watch.remote
        if reading is None:
            return Health(connected=False)
        health = Health(
            connected=link.connected,
            age_s=link.age_s,
            stale_s=self._options.stale_s,
            robot_mode=reading.robot_mode,
            safety_bits=reading.safety_bits,
            runtime_state=reading.runtime_state,
            slider=reading.slider,
            remote=remote,
        )
        if fault_in(health) is FaultKind.PROTECTIVE_STOP and self._protective_since_s is None:
            self._protective_since_s = time.monotonic()
        return health

    def _is_healthy(self, reading: Reading | None) -> bool:
        """For the pulse: whether the robot may be served. On a fault the program is stopped, so that the old motion has
        nowhere to go on."""
        link, machine = self._link, self._machine
        if link is None:
            return False
        health, before = self._health(link, reading), machine.fault
        fault = machine.observe(health)
        if machine.state is State.RECOVERING:
            return fault_in(health) is None  # a program that was uploaded anew needs its watchdog served
        if fault is not None and before is None:
            with contextlib.suppress(Unreachable):
                self._dashboard.ask("stop")
        return machine.may_move

    # --- moving ---

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        link, pulse = self._ready_to_move()
        stops = self._stops
        pulse.let_go()
        self._check_goal(link, tcp_from_base)
        speed = min(speed_m_s, self._limits.speed_m_s)
        goal = [float(value) for value in tcp_from_base.as_vector()]
        with link.commands() as control:
            taken = control.moveL(goal, speed, self._options.limits.acceleration_m_s2, True)
        if not taken:
            self._refuse(link, "the robot does not take the motion")
        try:
            await_arrival(self._watched(link, stops), tcp_from_base, speed_m_s=speed, force_limit_n=force_limit_n)
        except BaseException:
            self.stop()
            raise

    def _watched(self, link: Link, stops: int) -> Callable[[], Progress]:
        """What a free motion asks again and again; asking raises ArmFaultError on a fault, and where it was stopped."""

        def look() -> Progress:
            reading, fault = self._observe(link)
            if fault is not None or reading is None:
                raise error_of(fault or FaultKind.LOST_CONNECTION)
            if self._stops != stops:
                raise ArmFaultError("the motion was stopped before it arrived", cure="see who has called stop()")
            return Progress(reading, link.moving_alone)

        return look

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        link, pulse = self._ready_to_move()
        here = link.reading().tcp_from_base
        limits = self._limits
        goal = within_reach(
            here,
            tcp_from_base,
            distance_m=limits.speed_m_s * duration_s,
            turn_rad=limits.turn_speed_rad_s * duration_s,
        )
        stops = self._stops
        self._check_goal(link, goal)
        if self._stops == stops:
            pulse.lead(goal, here, duration_s, min(force_limit_n, limits.force_n))
        return goal

    def _check_goal(self, link: Link, goal: Pose) -> None:
        """Asks the controller whether it may go there. Raises ArmFaultError.

        It answers after some ticks, in which no compliance can be commanded. So it is not asked of a goal that lies
        close to one that it has allowed; its own safety system watches every motion all the same.
        """
        allowed_one = self._allowed
        if allowed_one is not None and _is_close(allowed_one, goal):
            return
        vector = [float(value) for value in goal.as_vector()]
        if not np.isfinite(vector).all():
            raise ArmFaultError("a goal is not made of finite numbers")
        with link.commands() as control:
            allowed = control.isPoseWithinSafetyLimits(vector)
        if not allowed:
            self._refuse(
                link,
                "the goal ["
                + ", ".join(f"{value:.3f}" for value in vector)
                + "] is not within the robot's safety limits",
            )
        self._allowed = goal

    def _refuse(self, link: Link, what: str) -> None:
        """Raises ArmFaultError for a command that was not taken: for the fault behind it, if there is one."""
        time.sleep(2.0 / self._options.rate_hz)
        _, fault = self._observe(link)
        if fault is not None:
            raise error_of(fault)
        cure = "check `fixture` and `safety.workspace` in the cell file, and the safety planes on the pendant"
        raise ArmFaultError(what, cure=cure)

    def zero_wrench(self) -> None:
        link, pulse = self._ready()
        pulse.let_go()
        link.zero_force()
        residual = link.mean_force_n()
        if residual > self._options.zero_residual_n:
            raise ArmFaultError(
                f"the force does not stay at zero: {residual:.1f} N right after zeroing",
                cure="see that the tool touches nothing and stands still, and that payload and cables are right",
            )

    def stop(self) -> None:
        self._stops += 1
        link, pulse = self._link, self._pulse
        if link is None or pulse is None:
            return
        # Whatever goes wrong here, the controller's watchdog ends the program of an arm that cannot be commanded.
        with contextlib.suppress(Exception):
            pulse.let_go()
            if self._machine.may_move and link.connected:
                with link.commands() as control:
                    if self._freedrive:
                        control.endTeachMode()
                        self._freedrive = False
                    control.stopL(STOP_M_S2, True)

    # --- freedrive ---

    def start_freedrive(self) -> None:
        """Lets the arm be led by hand, until `end_freedrive`. Raises ArmFaultError."""
        link, pulse = self._ready()
        pulse.let_go()
        with link.commands() as control:
            accepted(control.teachMode(), "freedrive")
        self._freedrive = True

    def end_freedrive(self) -> None:
        """Makes the arm stiff again, where it is, if it is led. Raises ArmFaultError."""
        if self._link is None or not self._freedrive:
            return
        link, _ = self._ready()
        with link.commands() as control:
            accepted(control.endTeachMode(), "the end of freedrive")
        self._freedrive = False

    # --- faults ---

    def recover(self) -> None:
        link = self._opened()
        self.stop()
        if self._watch is not None:
            self._watch.look()
        reading, _ = self._observe(link)
        try:
            steps = self._machine.begin_recovery(self._health(link, reading))
        except ValueError as fault:
            raise error_of(fault.args[0]) from None
        try:
            for step in steps:
                self._go(step)
        except BaseException as error:
            self._machine.end_recovery(self._remaining_fault())
            if isinstance(error, SkillcoreError) and not isinstance(error, ArmFaultError):
                raise ArmFaultError(f"the arm could not recover: {error.what}", cure=error.cure) from error
            raise
        self._machine.end_recovery()
        self._protective_since_s = None
        if steps:
            self.read()

    def _remaining_fault(self) -> FaultKind:
        link = self._link
        if link is None:
            return FaultKind.LOST_CONNECTION
        reading = None
        with contextlib.suppress(DeviceError):
            reading = link.reading() if link.connected else None
        return fault_in(self._health(link, reading)) or FaultKind.PROGRAM_STOPPED

    def _go(self, step: Step) -> None:
        """A step of the way back. Raises DeviceError."""
        if step is Step.RECONNECT:
            self._reconnect()
            return
        link = self._opened()
        if step is Step.STOP_PROGRAM:
            ask(self._dashboard, "stop")
        elif step is Step.UNLOCK:
            unlock(self._dashboard, link, self._protective_since_s or time.monotonic())
        elif step is Step.UPLOAD:
            link.upload()
            self._prepare_program(link)
        elif step is Step.ZERO:
            # What still touches something would make a zero of it.
            if link.mean_force_n() < self._options.zero_residual_n:
                link.zero_force()
        else:
            reading = link.reading()
            fault = fault_in(self._health(link, reading))
            if fault is not None:
                raise error_of(fault)

    def _reconnect(self) -> None:
        """Replaces the link. What hangs in the old one is left to itself."""
        pulse, link = self._pulse, self._link
        if pulse is not None:
            pulse.end()
        if link is not None:
            link.close()
        check_controller(self._options, self._dashboard, release_s=RELEASE_S)
        self._open_link()

    # --- what stands behind every call ---

    def _opened(self) -> Link:
        if self._link is None:
            raise DeviceError("the robot is not connected", cure="call connect() first")
        return self._link

    def _ready_to_move(self) -> tuple[Link, Pulse]:
        ready = self._ready()
        if self._freedrive:
            raise ArmFaultError("the arm is in freedrive", cure="end freedrive before it is moved")
        return ready

    def _ready(self) -> tuple[Link, Pulse]:
        """An arm that may be commanded. Raises ArmFaultError."""
        link, pulse = self._opened(), self._pulse
        _, fault = self._observe(link)
        if fault is not None:
            raise error_of(fault)
        if pulse is None or not pulse.alive:
            raise ArmFaultError("the thread that serves the robot has ended", cure="close the cell and open it again")
        return link, pulse


def _is_close(one: Pose, other: Pose) -> bool:
    way = between(one, other)
    return float(np.linalg.norm(way[:3])) < CLOSE_M and float(np.linalg.norm(way[3:])) < CLOSE_RAD
