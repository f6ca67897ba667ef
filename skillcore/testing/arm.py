"""What every arm must do, as tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from skillcore.cell_check import is_pose, is_vector
from skillcore.clock import WallClock
from skillcore.errors import ArmFaultError, DeviceError
from skillcore.interfaces import Arm, Clock, Guidable
from skillcore.testing.promises import (
    connected,
    distance_m,
    is_near,
    promised,
    promised_error,
    promised_silence,
    turn_rad,
)
from skillcore.types import ArmState, Pose


class ArmContract:
    """Subclass it as `class TestMyArm(ArmContract)` and fill in `make_arm`, with the arm in free space.

    step_m, speed_m_s, force_limit_n: how far, how fast and how firmly the suite moves the tool, along `direction` in
    the tool's axes. turn_rad: how far it turns the tool about its z. After each test it goes back to where it was.
    near_m, near_rad: how exactly the arm must arrive, also in its readings. still_n: force readings may differ this
    much from zero after zeroing. press_n: how much more than its limit the arm may press for a moment. settle_s: time
    for a motion to fade. patience_s: how long the arm may take to tell of a fault, or that nobody answers.

    What goes wrong is tested where the suite is told how to make it go wrong: `obstruct`, `cause_fault` and `cut_off`.
    A simulated peer can do that (`skillcore.testing.RobotPeer`, or your vendor's simulator); on a real arm the tests
    are skipped. An arm that offers `Guidable` is let go for moments of `guided_s`; nobody need guide it, and it must
    not sag.
    """

    step_m: ClassVar[float] = 0.004
    speed_m_s: ClassVar[float] = 0.02
    force_limit_n: ClassVar[float] = 20.0
    direction: ClassVar[tuple[float, float, float]] = (0.0, 0.0, -1.0)
    turn_rad: ClassVar[float] = 0.1
    near_m: ClassVar[float] = 0.001
    near_rad: ClassVar[float] = 0.03
    still_n: ClassVar[float] = 2.0
    settle_s: ClassVar[float] = 0.3
    press_n: ClassVar[float] = 5.0
    patience_s: ClassVar[float] = 20.0
    guided_s: ClassVar[float] = 0.3
    reading_age_s: ClassVar[float] = 0.2

    def make_arm(self) -> Arm:
        """A new arm, not connected."""
        raise NotImplementedError("fill in make_arm")

    def make_clock(self) -> Clock:
        """The time the arm lives by; asked for after `make_arm`."""
        return WallClock()

    def obstruct(self, arm: Arm) -> Pose | None:
        """Puts something solid into the way of a connected arm, and returns a pose behind it that it cannot reach.

        The tool must touch nothing yet. None if it can't be done here.
        """
        return None

    def cause_fault(self, arm: Arm) -> bool:
        """Makes the controller of a connected arm report a fault, as by a protective stop. False if it can't be."""
        return False

    def cut_off(self, arm: Arm) -> bool:
        """Cuts a connected arm off from its controller, as a cable that is pulled. False if it can't be."""
        return False

    @pytest.fixture
    def arm(self) -> Iterator[Arm]:
        """A connected arm, brought back to where it was and closed afterwards."""
        with connected(self.make_arm()) as arm:
            start = arm.read().tcp_from_base
            yield arm
            self._bring_back(arm, start)

    @pytest.fixture
    def clock(self, arm: Arm) -> Clock:
        """The arm's clock."""
        return self.make_clock()

    def ahead(self, state: ArmState, share: float = 1.0) -> Pose:
        """The place that the suite moves to from where the arm is."""
        x, y, z = np.array(self.direction) / np.linalg.norm(self.direction) * self.step_m * share
        return state.tcp_from_base @ Pose.from_xyz_yaw(x, y, z, 0.0)

    def _bring_back(self, arm: Arm, start: Pose) -> None:
        """A real arm would walk from test to test. One that is cut off, closed or has a fault stays where it is."""
        try:
            state = arm.read()
        except DeviceError:
            return
        if state.fault is None and not is_near(state.tcp_from_base, start, 1e-4, 1e-3):
            arm.stop()
            # What it presses on after a test with an obstacle it may press a little harder on while it leaves.
            limit_n = min(3.0 * self.force_limit_n, arm.limits.force_n)
            arm.move_to(start, speed_m_s=self.speed_m_s, force_limit_n=limit_n)

    # --- opening and closing ---

    def test_limits_are_known_before_connect(self) -> None:
        limits = self.make_arm().limits
        values = (limits.speed_m_s, limits.turn_speed_rad_s, limits.force_n)
        positive = all(np.isfinite(value) and value > 0.0 for value in values)
        promised(positive, "Arm.limits is valid before connect: positive finite numbers", limits)

    def test_close_may_be_called_twice_and_without_connect(self) -> None:
        arm = self.make_arm()
        with promised_silence("Arm.close may be called after a failed connect"):
            arm.close()
        arm.connect()
        with promised_silence("Arm.close may be called twice"):
            arm.close()
            arm.close()

    def test_an_unconnected_arm_answers_with_a_device_error(self) -> None:
        with promised_error(DeviceError, "Arm.read raises DeviceError when nothing answers"):
            self.make_arm().read()

    def test_stop_never_raises(self) -> None:
        arm = self.make_arm()
        with promised_silence("Arm.stop never raises and may be called at any time: before connect"):
            arm.stop()
        arm.connect()
        try:
            with promised_silence("Arm.stop never raises and may be called any number of times"):
                arm.stop()
                arm.stop()
        finally:
            arm.close()
        with promised_silence("Arm.stop never raises and may be called at any time: after close"):
            arm.stop()

    # --- reading ---

    def test_a_reading_is_complete(self, arm: Arm, clock: Clock) -> None:
        state = arm.read()
        promised(is_pose(state.tcp_from_base), "ArmState.tcp_from_base is a pose", state.tcp_from_base)
        promised(is_vector(state.twist, 6), "ArmState.twist is (6,) finite numbers", state.twist)
        promised(is_vector(state.wrench.force_n, 3), "Wrench.force_n is (3,) finite numbers", state.wrench.force_n)
        promised(is_vector(state.wrench.torque_nm, 3), "Wrench.torque_nm is (3,) finite numbers", state.wrench)
        promised(state.fault is None, "ArmState.fault is None on a healthy arm", state.fault)
        age = clock.now_s() - state.time_s
        promised(
            -self.reading_age_s <= age <= self.reading_age_s,
            f"ArmState.time_s is the cell clock's time of the reading, here within {self.reading_age_s} s",
            f"{age:.3f} s ago",
        )

    def test_later_readings_are_newer(self, arm: Arm, clock: Clock) -> None:
        first = arm.read()
        clock.sleep_until(clock.now_s() + 0.1)
        second = arm.read()
        sequences, times = (first.sequence, second.sequence), (first.time_s, second.time_s)
        promised(second.sequence > first.sequence, "ArmState.sequence grows with every new reading", sequences)
        promised(second.time_s > first.time_s, "ArmState.time_s is the time of the reading", times)

    def test_the_zeroed_wrench_is_zero(self, arm: Arm, clock: Clock) -> None:
        arm.zero_wrench()
        clock.sleep_until(clock.now_s() + 0.1)
        force = float(np.linalg.norm(np.mean([arm.read().wrench.force_n for _ in range(5)], axis=0)))
        promised(
            force < self.still_n, "Arm.zero_wrench makes the present wrench the zero of later readings", f"{force} N"
        )

    # --- moving ---

    def test_move_to_arrives_no_faster_than_asked(self, arm: Arm, clock: Clock) -> None:
        start = arm.read()
        goal = self.ahead(start)
        began = clock.now_s()
        arm.move_to(goal, speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)
        took = clock.now_s() - began
        missing = distance_m(arm.read().tcp_from_base, goal)
        promised(missing < self.near_m, "Arm.move_to returns when it has arrived", f"{missing * 1e3:.2f} mm short")
        least = 0.9 * self.step_m / self.speed_m_s
        promised(took >= least, "Arm.move_to keeps to its speed", f"{took:.3f} s instead of at least {least:.3f} s")

    def test_servo_to_returns_at_once_with_the_target_and_gets_there(self, arm: Arm, clock: Clock) -> None:
        start = arm.read()
        # Slowly: on a busy machine "at once" takes a while.
        goal, duration = self.ahead(start), 4.0 * self.step_m / self.speed_m_s
        began = clock.now_s()
        target = arm.servo_to(goal, duration_s=duration, force_limit_n=self.force_limit_n)
        waited = clock.now_s() - began
        promised(waited < 0.5 * duration, "Arm.servo_to returns at once", f"after {waited:.3f} of {duration:.3f} s")
        off = distance_m(target, goal)
        promised(
            is_pose(target) and off < self.near_m, "Arm.servo_to returns the target really set", f"{off * 1e3:.2f} mm"
        )
        clock.sleep_until(began + duration + self.settle_s)
        missing = distance_m(arm.read().tcp_from_base, target)
        promised(missing < self.near_m, "Arm.servo_to moves to its target", f"{missing * 1e3:.2f} mm short")

    def test_without_a_new_target_it_stays(self, arm: Arm, clock: Clock) -> None:
        duration = self.step_m / self.speed_m_s
        arm.servo_to(self.ahead(arm.read()), duration_s=duration, force_limit_n=self.force_limit_n)
        clock.sleep_until(clock.now_s() + duration + self.settle_s)
        there = arm.read().tcp_from_base
        clock.sleep_until(clock.now_s() + duration + self.settle_s)
        moved = distance_m(arm.read().tcp_from_base, there)
        promised(
            moved < self.near_m,
            "Arm.servo_to: without a new target it stays where it is after duration_s",
            f"{moved * 1e3:.2f} mm further",
        )

    def test_it_turns_the_tool_as_asked(self, arm: Arm, clock: Clock) -> None:
        start = arm.read().tcp_from_base
        goal = start @ Pose.from_xyz_yaw(0.0, 0.0, 0.0, self.turn_rad)
        arm.move_to(goal, speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)
        self._turned(arm, goal, "Arm.move_to turns the tool as asked")
        duration = 4.0 * self.step_m / self.speed_m_s
        target = arm.servo_to(start, duration_s=duration, force_limit_n=self.force_limit_n)
        off = turn_rad(target, start)
        promised(off < self.near_rad, "Arm.servo_to returns the target really set, its turn too", f"{off:.3f} rad off")
        clock.sleep_until(clock.now_s() + duration + self.settle_s)
        self._turned(arm, start, "Arm.servo_to turns the tool to its target")

    def _turned(self, arm: Arm, goal: Pose, promise: str) -> None:
        here = arm.read().tcp_from_base
        promised(turn_rad(here, goal) < self.near_rad, promise, f"{turn_rad(here, goal):.3f} rad off")
        promised(distance_m(here, goal) < self.near_m, promise, f"{distance_m(here, goal) * 1e3:.2f} mm beside")

    def test_stop_ends_a_motion_from_another_thread(self, arm: Arm, clock: Clock) -> None:
        start = arm.read()
        duration = self.step_m / self.speed_m_s
        goal = self.ahead(start, 3.0)
        arm.servo_to(goal, duration_s=3.0 * duration, force_limit_n=self.force_limit_n)
        clock.sleep_until(clock.now_s() + 0.5 * duration)
        self._stop_from_a_thread(arm)
        self._stands_still(arm, clock, goal, duration, "Arm.stop stops, from any thread")

    def test_stop_ends_a_motion_that_is_waited_for(self, arm: Arm, clock: Clock) -> None:
        if not isinstance(clock, WallClock):
            pytest.skip("nothing can be done beside a motion where time passes only for who sleeps on it")
        goal, duration = self.ahead(arm.read(), 3.0), self.step_m / self.speed_m_s
        begun = threading.Event()

        def move() -> None:
            begun.set()
            # Whatever it says of its end: where it ends is looked at.
            with contextlib.suppress(Exception):
                arm.move_to(goal, speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)

        moving = threading.Thread(target=move, daemon=True)
        moving.start()
        begun.wait(self.patience_s)
        clock.sleep_until(clock.now_s() + 0.5 * duration)
        self._stop_from_a_thread(arm)
        moving.join(self.patience_s)
        promised(not moving.is_alive(), "Arm.stop ends Arm.move_to", f"it goes on for {self.patience_s} s")
        self._stands_still(arm, clock, goal, duration, "Arm.stop ends Arm.move_to, from any thread")

    def _stop_from_a_thread(self, arm: Arm) -> None:
        thread = threading.Thread(target=arm.stop, daemon=True)
        thread.start()
        thread.join(self.patience_s)
        promised(not thread.is_alive(), "Arm.stop may be called from any thread", f"no end in {self.patience_s} s")

    def test_recover_does_not_go_on_with_the_old_motion(self, arm: Arm, clock: Clock) -> None:
        duration = self.step_m / self.speed_m_s
        goal = self.ahead(arm.read(), 3.0)
        arm.servo_to(goal, duration_s=3.0 * duration, force_limit_n=self.force_limit_n)
        clock.sleep_until(clock.now_s() + 0.5 * duration)
        arm.stop()
        with promised_silence("Arm.recover succeeds on an arm without a fault"):
            arm.recover()
        self._stands_still(arm, clock, goal, duration, "Arm.recover never goes on with the old motion")

    def _stands_still(self, arm: Arm, clock: Clock, goal: Pose, duration_s: float, promise: str) -> None:
        clock.sleep_until(clock.now_s() + self.settle_s)
        here = arm.read().tcp_from_base
        clock.sleep_until(clock.now_s() + 3.0 * duration_s)
        moved, left = distance_m(arm.read().tcp_from_base, here), distance_m(here, goal)
        promised(moved < self.near_m, promise, f"it moved on by {moved * 1e3:.2f} mm")
        promised(left > self.step_m, promise, f"it came within {left * 1e3:.2f} mm of the goal it was stopped from")

    # --- what goes wrong, where the suite is told how to make it ---

    def test_a_blocked_motion_is_told_and_has_stopped(self, arm: Arm, clock: Clock) -> None:
        goal = self._obstructed(arm)
        with promised_error(ArmFaultError, "Arm.move_to raises ArmFaultError when it meets more than force_limit_n"):
            arm.move_to(goal, speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)
        self._at_rest(arm, clock, "Arm.move_to has stopped when it raises ArmFaultError")

    def test_it_presses_no_harder_than_it_may(self, arm: Arm, clock: Clock) -> None:
        goal = self._obstructed(arm)
        arm.zero_wrench()
        start = arm.read().tcp_from_base
        way = (start.inverse() @ goal).position_m
        duration = distance_m(start, goal) / self.speed_m_s
        arm.servo_to(goal, duration_s=duration, force_limit_n=self.force_limit_n)
        until, force = clock.now_s() + duration + self.settle_s, np.zeros(3)
        while clock.now_s() < until:
            clock.sleep_until(clock.now_s() + 0.02)
            force = max(force, arm.read().wrench.force_n, key=lambda one: float(np.linalg.norm(one)))
        arm.stop()
        greatest = float(np.linalg.norm(force))
        if greatest < self.still_n:
            pytest.fail(f"obstruct puts nothing into the way: {greatest:.1f} N were met at most")
        promised(
            greatest <= self.force_limit_n + self.press_n,
            f"Arm.servo_to never presses harder than force_limit_n, here {self.force_limit_n} N",
            f"{greatest:.1f} N",
        )
        promised(
            float(force @ way) < 0.0,
            "Wrench is what the surroundings exert on the tool, in the tool's axes: an obstacle pushes it back",
            f"{np.round(force, 1)} N on the way {np.round(way * 1e3, 1)} mm",
        )

    def test_a_fault_is_told_and_motions_are_refused(self, arm: Arm, clock: Clock) -> None:
        start = arm.read()
        self._faulty(arm, clock)
        with promised_error(ArmFaultError, "Arm.servo_to raises ArmFaultError while there is a fault"):
            arm.servo_to(self.ahead(start), duration_s=0.1, force_limit_n=self.force_limit_n)
        with promised_error(ArmFaultError, "Arm.move_to raises ArmFaultError while there is a fault"):
            arm.move_to(self.ahead(start), speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)
        # Left as it was found, as far as that goes without a person.
        with contextlib.suppress(ArmFaultError):
            arm.recover()

    def test_recovering_from_a_fault_leaves_it_at_rest(self, arm: Arm, clock: Clock) -> None:
        duration = self.step_m / self.speed_m_s
        arm.servo_to(self.ahead(arm.read(), 3.0), duration_s=3.0 * duration, force_limit_n=self.force_limit_n)
        clock.sleep_until(clock.now_s() + 0.5 * duration)
        self._faulty(arm, clock)
        clock.sleep_until(clock.now_s() + self.settle_s)
        here = arm.read().tcp_from_base
        try:
            arm.recover()
        except ArmFaultError:
            self._at_rest(arm, clock, "Arm.recover moves nothing where a person is needed")
            return
        clock.sleep_until(clock.now_s() + 3.0 * duration)
        state = arm.read()
        moved = distance_m(state.tcp_from_base, here)
        promised(moved < self.near_m, "Arm.recover never goes on with the old motion", f"{moved * 1e3:.2f} mm further")
        promised(state.fault is None, "Arm.recover clears the fault, or raises ArmFaultError", state.fault)
        goal = self.ahead(state)
        with promised_silence("after Arm.recover the arm obeys again"):
            arm.move_to(goal, speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)

    def test_an_arm_that_is_cut_off_says_so(self, arm: Arm) -> None:
        arm.read()
        if not self.cut_off(arm):
            pytest.skip("this arm can't be cut off on purpose; `cut_off` says how")
        # By the wall's clock: where nobody answers, an arm's own time may stand still.
        wall = WallClock()
        until = wall.now_s() + self.patience_s
        with promised_error(DeviceError, "Arm.read raises DeviceError when nothing answers"):
            while wall.now_s() < until:
                arm.read()
                wall.sleep_until(wall.now_s() + 0.05)
        with promised_silence("Arm.stop never raises and may be called at any time: when nothing answers"):
            arm.stop()
        with promised_silence("Arm.close lets go of an arm that does not answer"):
            arm.close()

    def _obstructed(self, arm: Arm) -> Pose:
        goal = self.obstruct(arm)
        if goal is None:
            pytest.skip("nothing can be put into this arm's way on purpose; `obstruct` says how")
        return goal

    def _faulty(self, arm: Arm, clock: Clock) -> None:
        """Makes it report a fault, and waits until it does."""
        if not self.cause_fault(arm):
            pytest.skip("this arm can't be made to report a fault; `cause_fault` says how")
        wall = WallClock()
        until = wall.now_s() + self.patience_s
        while not (fault := arm.read().fault) and wall.now_s() < until:
            clock.sleep_until(clock.now_s() + 0.02)
        promised(isinstance(fault, str) and fault != "", "ArmState.fault says what the controller complains of", fault)

    def _at_rest(self, arm: Arm, clock: Clock, promise: str) -> None:
        clock.sleep_until(clock.now_s() + self.settle_s)
        here = arm.read().tcp_from_base
        clock.sleep_until(clock.now_s() + self.settle_s)
        moved = distance_m(arm.read().tcp_from_base, here)
        promised(moved < self.near_m, promise, f"it moved on by {moved * 1e3:.2f} mm")

    # --- being guided by hand, where the arm offers it ---

    def guidable(self, arm: Arm) -> Guidable:
        """The arm, if it can be guided; else the test is skipped."""
        if not isinstance(arm, Guidable):
            pytest.skip("this arm cannot be guided by hand")
        return arm

    def test_ending_the_guiding_is_always_allowed(self) -> None:
        arm = self.make_arm()
        guided = self.guidable(arm)
        promise = "Guidable.end_freedrive may be called at any time: "
        with promised_silence(promise + "before connect"):
            guided.end_freedrive()
        arm.connect()
        try:
            with promised_silence(promise + "while nobody guides the arm"):
                guided.end_freedrive()
                guided.end_freedrive()
        finally:
            arm.close()
        with promised_silence(promise + "after close"):
            guided.end_freedrive()

    def test_an_unconnected_arm_is_not_guided(self) -> None:
        guided = self.guidable(self.make_arm())
        with promised_error(DeviceError, "Guidable.start_freedrive raises DeviceError when nothing answers"):
            guided.start_freedrive()

    def test_a_guided_arm_is_read_and_refuses_to_move(self, arm: Arm, clock: Clock) -> None:
        guided = self.guidable(arm)
        start = arm.read()
        guided.start_freedrive()
        with promised_silence("a guided arm can be read"):
            arm.read()
        clock.sleep_until(clock.now_s() + self.guided_s)
        with promised_error(DeviceError, "a guided arm refuses Arm.servo_to with DeviceError"):
            arm.servo_to(self.ahead(start), duration_s=0.1, force_limit_n=self.force_limit_n)
        with promised_error(DeviceError, "a guided arm refuses Arm.move_to with DeviceError"):
            arm.move_to(self.ahead(start), speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)
        guided.end_freedrive()

    def test_after_the_guiding_it_holds_and_obeys(self, arm: Arm, clock: Clock) -> None:
        guided = self.guidable(arm)
        for _ in range(2):
            guided.start_freedrive()
            clock.sleep_until(clock.now_s() + self.guided_s)
            guided.end_freedrive()
            self._at_rest(arm, clock, "Guidable.end_freedrive: the arm holds where it is")
        goal = self.ahead(arm.read())
        with promised_silence("after Guidable.end_freedrive the arm obeys again"):
            arm.move_to(goal, speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)
        missing = distance_m(arm.read().tcp_from_base, goal)
        promised(missing < self.near_m, "after Guidable.end_freedrive the arm obeys again", f"{missing * 1e3:.2f} mm")

    def test_stop_ends_the_guiding(self, arm: Arm, clock: Clock) -> None:
        guided = self.guidable(arm)
        guided.start_freedrive()
        clock.sleep_until(clock.now_s() + self.guided_s)
        arm.stop()
        self._at_rest(arm, clock, "Arm.stop ends the guiding, and the arm holds where it is")
        with promised_silence("Arm.stop ends the guiding: commands to move are obeyed again"):
            arm.move_to(self.ahead(arm.read()), speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)

    def test_close_ends_the_guiding(self, arm: Arm) -> None:
        guided = self.guidable(arm)
        guided.start_freedrive()
        arm.close()
        arm.connect()
        with promised_silence("Arm.close ends the guiding: after connect commands to move are obeyed"):
            arm.move_to(self.ahead(arm.read()), speed_m_s=self.speed_m_s, force_limit_n=self.force_limit_n)
