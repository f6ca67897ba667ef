"""The suites themselves: devices on paper pass them, and each broken promise is found and named."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from skillcore.clock import WallClock
from skillcore.errors import DeviceError, NotFilledInError
from skillcore.interfaces import Arm, ArmLimits, Camera, Clock
from skillcore.parts import not_filled_in
from skillcore.testing import ArmContract, CameraContract, FakeArm, FakeCamera, TickClock
from skillcore.testing.promises import connected, distance_m
from skillcore.types import ArmState, Frame, Pose, Wrench

FREE = Pose.from_rotvec([0.5, 0.0, 0.2], [np.pi, 0.0, 0.0])


class TestFakeArm(ArmContract):
    made: FakeArm | None = None

    @pytest.fixture(autouse=True)
    def _is_brought_back(self) -> Iterator[None]:
        """An arm that keeps its place between the tests must not walk: each of them leaves it where it was."""
        yield
        if self.made is not None:
            assert distance_m(self.made.tcp_from_base, FREE) < 1e-9

    def make_arm(self) -> Arm:
        self._clock = TickClock()
        self.made = FakeArm(self._clock, FREE)
        return self.made

    def make_clock(self) -> Clock:
        return self._clock

    def obstruct(self, arm: Arm) -> Pose:
        return blocked(arm)

    def cause_fault(self, arm: Arm) -> bool:
        assert isinstance(arm, FakeArm)
        arm.stop()
        arm.fault = "protective stop"
        return True

    def cut_off(self, arm: Arm) -> bool:
        assert isinstance(arm, FakeArm)
        arm.is_silent = True
        return True


def blocked(arm: Arm) -> Pose:
    """A pose that it cannot reach any more."""
    assert isinstance(arm, FakeArm)
    goal = arm.tcp_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -0.02, 0.0)
    arm.block(goal)
    return goal


class TestFakeCamera(CameraContract):
    def make_camera(self) -> Camera:
        self._clock = TickClock()
        return FakeCamera(self._clock)

    def make_clock(self) -> Clock:
        return self._clock

    def freeze(self, camera: Camera) -> bool:
        assert isinstance(camera, FakeCamera)
        camera.frozen = True
        return True

    def cut_off(self, camera: Camera) -> bool:
        assert isinstance(camera, FakeCamera)
        camera.is_silent = True
        return True


# --- broken arms ---


class Loose(FakeArm):
    """Each option breaks one promise."""

    def __init__(self, clock: Clock, fault: str) -> None:
        super().__init__(clock, FREE, ArmLimits(0.0 if fault == "limits" else 1.0, 4.0, 100.0))
        self.broken = fault

    def close(self) -> None:
        if (self.broken == "close" and not self._connected) or (self.broken == "close cut off" and self.is_silent):
            raise OSError("not open")
        was_guided = self._guided
        super().close()
        self._guided = was_guided and self.broken == "guided after close"

    def stop(self) -> None:
        if self.broken == "stop raises" and not self._connected:
            raise OSError("not open")
        if self.broken == "stop cut off" and self.is_silent:
            raise OSError("nobody answers")
        if self.broken == "goes on when blocked" and self._wall is not None:
            self._wall = None
            self._go(self._to, 0.8)
            return
        if self.broken == "no stop" and self._end_s > self.clock.now_s():
            return
        was_guided = self._guided
        super().stop()
        self._guided = was_guided and self.broken == "guided after stop"
        if was_guided and self.broken == "sags after stop":
            self._sag()

    def start_freedrive(self) -> None:
        if self.broken == "guided unconnected":
            self._connected = True
        super().start_freedrive()
        self._guided = self.broken != "moves while guided"

    def end_freedrive(self) -> None:
        if self.broken == "end raises" and not self._guided:
            raise OSError("nobody guides it")
        was_guided = self._guided
        super().end_freedrive()
        self._guided = was_guided and self.broken == "guided for good"
        if was_guided and self.broken == "sags":
            self._sag()

    def _sag(self) -> None:
        self._go(FREE @ Pose.from_xyz_yaw(0.0, 0.0, 0.05, 0.0), 2.0)

    def read(self) -> ArmState:
        if self.broken == "reads unconnected":
            self._connected = True
        if self.broken == "reads on":
            self.is_silent = False
        if self.broken == "hides its fault":
            self.fault = None
        if self.broken == "deaf while guided" and self._guided:
            raise DeviceError("nobody answers")
        state = super().read()
        pose = state.tcp_from_base
        changes: dict[str, dict[str, Any]] = {
            "never turned": {"tcp_from_base": Pose(pose.position_m, FREE.rotation)},
            "force in the base's axes": {"wrench": Wrench(pose.rotation @ state.wrench.force_n, np.zeros(3))},
            "force on the surroundings": {"wrench": Wrench(-state.wrench.force_n, np.zeros(3))},
            "mirrored": {"tcp_from_base": Pose(pose.position_m, -pose.rotation)},
            "short twist": {"twist": np.zeros(5)},
            "faulty": {"fault": "joint 3 is too hot"},
            "fault without words": {"fault": ""},
            "wall time": {"time_s": time.monotonic() + 1e6},
            "same number": {"sequence": 1},
            "same time": {"time_s": 0.0},
        }
        return replace(state, **changes.get(self.broken, {}))

    def zero_wrench(self) -> None:
        self.force_n = np.array([0.0, 0.0, 9.0])
        if self.broken != "no zero":
            super().zero_wrench()

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        if self.broken == "never arrives":
            return
        if self.broken == "turns the other way":
            turned = FREE.inverse() @ tcp_from_base
            tcp_from_base = FREE @ Pose(turned.position_m, turned.rotation.T)
        if self.broken == "moves with a fault":
            self.fault = None
        if self.broken == "moves through":
            self.unblock()
        speed = 10.0 * speed_m_s if self.broken == "too fast" else speed_m_s
        super().move_to(tcp_from_base, speed_m_s=speed, force_limit_n=force_limit_n)

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        if self.broken == "servos without turning":
            tcp_from_base = Pose(tcp_from_base.position_m, self.tcp_from_base.rotation)
        if self.broken == "presses on":
            force_limit_n = 100.0
        if self.broken == "servos with a fault":
            self.fault = None
        if self.broken == "goes on":
            beyond = tcp_from_base.position_m + 3.0 * (tcp_from_base.position_m - self.tcp_from_base.position_m)
            super().servo_to(Pose(beyond, FREE.rotation), duration_s=4.0 * duration_s, force_limit_n=force_limit_n)
            return tcp_from_base
        target = super().servo_to(tcp_from_base, duration_s=duration_s, force_limit_n=force_limit_n)
        if self.broken == "blocks":
            self.clock.sleep_until(self._end_s)
        if self.broken == "wrong target":
            return target @ Pose.from_xyz_yaw(0.01, 0.0, 0.0, 0.0)
        return target

    def recover(self) -> None:
        if self.broken == "cannot recover":
            raise OSError("nothing to recover from")
        fault = self.fault
        super().recover()
        if self.broken == "stays faulty":
            self.fault = fault
        if self.broken == "goes on after recovery":
            self._go(FREE @ Pose.from_xyz_yaw(0.0, 0.0, -0.012, 0.0), 1.0)


def run(suite: Any, test: str, **devices: Any) -> None:
    """One test of a suite, as pytest would run it."""
    function: Callable[..., None] = getattr(suite, test)
    wanted = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    function(**{name: devices[name]() for name in wanted})


@pytest.mark.parametrize(
    ("fault", "test", "promise"),
    [
        ("limits", "test_limits_are_known_before_connect", "Arm.limits"),
        ("close", "test_close_may_be_called_twice_and_without_connect", "Arm.close"),
        ("reads unconnected", "test_an_unconnected_arm_answers_with_a_device_error", "Arm.read raises DeviceError"),
        ("stop raises", "test_stop_never_raises", "Arm.stop never raises"),
        ("mirrored", "test_a_reading_is_complete", "ArmState.tcp_from_base is a pose"),
        ("short twist", "test_a_reading_is_complete", "ArmState.twist"),
        ("faulty", "test_a_reading_is_complete", "ArmState.fault"),
        ("wall time", "test_a_reading_is_complete", "ArmState.time_s"),
        ("same number", "test_later_readings_are_newer", "ArmState.sequence"),
        ("same time", "test_later_readings_are_newer", "ArmState.time_s"),
        ("no zero", "test_the_zeroed_wrench_is_zero", "Arm.zero_wrench"),
        ("never arrives", "test_move_to_arrives_no_faster_than_asked", "returns when it has arrived"),
        ("too fast", "test_move_to_arrives_no_faster_than_asked", "keeps to its speed"),
        ("blocks", "test_servo_to_returns_at_once_with_the_target_and_gets_there", "returns at once"),
        ("wrong target", "test_servo_to_returns_at_once_with_the_target_and_gets_there", "the target really set"),
        ("never turned", "test_it_turns_the_tool_as_asked", "Arm.move_to turns the tool"),
        ("turns the other way", "test_it_turns_the_tool_as_asked", "Arm.move_to turns the tool"),
        ("servos without turning", "test_it_turns_the_tool_as_asked", "Arm.servo_to returns the target really set"),
        ("force in the base's axes", "test_it_presses_no_harder_than_it_may", "Wrench is what the surroundings"),
        ("force on the surroundings", "test_it_presses_no_harder_than_it_may", "Wrench is what the surroundings"),
        ("goes on", "test_without_a_new_target_it_stays", "without a new target it stays"),
        ("no stop", "test_stop_ends_a_motion_from_another_thread", "Arm.stop stops"),
        ("cannot recover", "test_recover_does_not_go_on_with_the_old_motion", "Arm.recover succeeds"),
        ("goes on after recovery", "test_recover_does_not_go_on_with_the_old_motion", "never goes on with the old"),
        ("moves through", "test_a_blocked_motion_is_told_and_has_stopped", "Arm.move_to raises ArmFaultError when it"),
        ("goes on when blocked", "test_a_blocked_motion_is_told_and_has_stopped", "Arm.move_to has stopped when it"),
        ("presses on", "test_it_presses_no_harder_than_it_may", "never presses harder than force_limit_n"),
        ("moves through", "test_it_presses_no_harder_than_it_may", "obstruct puts nothing into the way"),
        ("hides its fault", "test_a_fault_is_told_and_motions_are_refused", "ArmState.fault says"),
        ("fault without words", "test_a_fault_is_told_and_motions_are_refused", "ArmState.fault says"),
        ("servos with a fault", "test_a_fault_is_told_and_motions_are_refused", "Arm.servo_to raises ArmFaultError"),
        ("moves with a fault", "test_a_fault_is_told_and_motions_are_refused", "Arm.move_to raises ArmFaultError"),
        ("goes on after recovery", "test_recovering_from_a_fault_leaves_it_at_rest", "never goes on with the old"),
        ("stays faulty", "test_recovering_from_a_fault_leaves_it_at_rest", "Arm.recover clears the fault, or raises"),
        ("reads on", "test_an_arm_that_is_cut_off_says_so", "Arm.read raises DeviceError when nothing answers"),
        ("stop cut off", "test_an_arm_that_is_cut_off_says_so", "Arm.stop never raises"),
        ("close cut off", "test_an_arm_that_is_cut_off_says_so", "Arm.close lets go"),
        ("end raises", "test_ending_the_guiding_is_always_allowed", "end_freedrive may be called at any time"),
        ("guided unconnected", "test_an_unconnected_arm_is_not_guided", "start_freedrive raises DeviceError"),
        ("deaf while guided", "test_a_guided_arm_is_read_and_refuses_to_move", "a guided arm can be read"),
        ("moves while guided", "test_a_guided_arm_is_read_and_refuses_to_move", "refuses Arm.servo_to"),
        ("sags", "test_after_the_guiding_it_holds_and_obeys", "the arm holds where it is"),
        ("guided for good", "test_after_the_guiding_it_holds_and_obeys", "the arm obeys again"),
        ("sags after stop", "test_stop_ends_the_guiding", "Arm.stop ends the guiding, and the arm holds"),
        ("guided after stop", "test_stop_ends_the_guiding", "commands to move are obeyed again"),
        ("guided after close", "test_close_ends_the_guiding", "Arm.close ends the guiding"),
    ],
)
def test_a_broken_arm_is_found(fault: str, test: str, promise: str) -> None:
    class Suite(TestFakeArm):
        patience_s = 0.5

        def make_arm(self) -> Arm:
            return Loose(TickClock(), fault)

        def obstruct(self, arm: Arm) -> Pose:
            goal = super().obstruct(arm)
            if fault == "moves through":
                arm.unblock()  # type: ignore[attr-defined]
            return goal

    arm = Loose(TickClock(), fault)
    arm.connect()
    with pytest.raises(pytest.fail.Exception, match=promise):
        run(Suite(), test, arm=lambda: arm, clock=lambda: arm.clock)


class TestFakeArmInRealTime(TestFakeArm):
    """Here something can be done while a motion is waited for."""

    def make_arm(self) -> Arm:
        self.made = FakeArm(WallClock(), FREE)
        return self.made

    def make_clock(self) -> Clock:
        return WallClock()


@pytest.mark.parametrize(
    ("fault", "promise"),
    [("deaf", "Arm.stop ends Arm.move_to"), ("waits", "Arm.stop may be called from any thread")],
)
def test_an_arm_whose_motion_cannot_be_ended_is_found(fault: str, promise: str) -> None:
    class Unstoppable(FakeArm):
        def stop(self) -> None:
            if fault == "waits":
                while self.is_moving:
                    self.clock.sleep_until(self.clock.now_s() + 0.01)

    class Suite(ArmContract):
        patience_s = 0.3

    arm = Unstoppable(WallClock(), FREE)
    arm.connect()
    with pytest.raises(pytest.fail.Exception, match=promise):
        run(Suite(), "test_stop_ends_a_motion_that_is_waited_for", arm=lambda: arm, clock=lambda: arm.clock)


def test_a_fake_arm_tells_how_fast_it_goes() -> None:
    clock = TickClock()
    arm = FakeArm(clock, FREE)
    arm.connect()
    arm.servo_to(FREE @ Pose.from_xyz_yaw(0.0, 0.0, -0.02, 0.0), duration_s=0.5, force_limit_n=20.0)
    clock.sleep_until(0.25)
    assert arm.read().twist == pytest.approx([0.0, 0.0, 0.04, 0.0, 0.0, 0.0])
    clock.sleep_until(0.5)
    assert not arm.read().twist.any()


def test_an_arm_that_cannot_be_guided_is_not_asked_to_be() -> None:
    class Stiff(FakeArm):
        start_freedrive = end_freedrive = None  # type: ignore[assignment]

    class Suite(ArmContract):
        def make_arm(self) -> Arm:
            return Stiff(TickClock(), FREE)

    with pytest.raises(pytest.skip.Exception, match="cannot be guided"):
        run(Suite(), "test_an_unconnected_arm_is_not_guided")


@pytest.mark.parametrize(
    "test",
    [
        "test_stop_never_raises",
        "test_close_may_be_called_twice_and_without_connect",
        "test_an_unconnected_arm_answers_with_a_device_error",
    ],
)
def test_what_is_not_written_yet_is_no_broken_promise(test: str) -> None:
    class Unwritten(FakeArm):
        def close(self) -> None:
            raise not_filled_in()

        def stop(self) -> None:
            raise not_filled_in()

        def read(self) -> ArmState:
            raise not_filled_in()

    class Suite(ArmContract):
        def make_arm(self) -> Arm:
            return Unwritten(TickClock(), FREE)

    with pytest.raises(NotFilledInError, match=r"Unwritten\.(close|stop|read) is not filled in yet"):
        run(Suite(), test)


def test_what_connecting_says_is_told_whatever_closing_says() -> None:
    class Lost(FakeArm):
        def connect(self) -> None:
            raise DeviceError("nobody answers")

        def close(self) -> None:
            raise OSError("not open")

    with pytest.raises(DeviceError, match="nobody answers") as caught, connected(Lost(TickClock(), FREE)):
        pytest.fail("it was connected")
    assert "raised OSError" in caught.value.__notes__[0]


class Blurred(FakeCamera):
    """Each option breaks one promise."""

    def __init__(self, clock: Clock, fault: str) -> None:
        super().__init__(clock)
        self.broken = fault
        self.frozen = fault == "same number"

    def close(self) -> None:
        if (self.broken == "close" and not self._connected) or (self.broken == "close cut off" and self.is_silent):
            raise OSError("not open")
        super().close()

    def read(self, max_age_s: float) -> Frame:
        if self.broken == "reads unconnected":
            self._connected = True
        if self.broken == "reads on":
            self.is_silent = False
        frame = super().read(1e6 if self.broken in ("never stale", "same number") else max_age_s)
        intrinsics = frame.intrinsics
        changes: dict[str, dict[str, Any]] = {
            "grey": {"image": frame.image[..., 0]},
            "float": {"image": frame.image / 255.0},
            "black": {"image": np.zeros_like(frame.image)},
            "wide depth": {"depth_m": np.zeros((48, 64))},
            "small depth": {"depth_m": np.zeros((24, 32), np.float32)},
            "behind": {"depth_m": np.full((48, 64), -1.0, np.float32)},
            "other intrinsics": {"intrinsics": replace(intrinsics, fx_px=60.0)},
            "old": {"time_s": frame.time_s - 3.0},
            "early": {"time_s": frame.time_s + 3.0},
            "same time": {"time_s": 0.0},
        }
        return replace(frame, **changes.get(self.broken, {}))


@pytest.mark.parametrize(
    ("fault", "test", "promise"),
    [
        ("close", "test_close_may_be_called_twice_and_without_connect", "Camera.close"),
        ("reads unconnected", "test_an_unconnected_camera_answers_with_a_device_error", "Camera.read raises"),
        ("grey", "test_frames_are_colour_images", r"\(H, W, 3\)"),
        ("float", "test_frames_are_colour_images", "uint8"),
        ("black", "test_frames_are_colour_images", "shows something"),
        ("wide depth", "test_depth_fits_the_image", "float32"),
        ("small depth", "test_depth_fits_the_image", r"\(H, W\)"),
        ("behind", "test_depth_fits_the_image", "0 where unknown"),
        ("other intrinsics", "test_intrinsics_are_those_of_the_images", "Camera.intrinsics"),
        ("old", "test_frames_are_young", "at most max_age_s"),
        ("early", "test_frames_are_young", "at most max_age_s"),
        ("same number", "test_later_frames_are_newer", "Frame.sequence"),
        ("same time", "test_later_frames_are_newer", "Frame.time_s"),
        ("never stale", "test_a_frozen_camera_is_told", "StaleFrameError"),
        ("reads on", "test_a_camera_that_is_cut_off_says_so", "Camera.read raises DeviceError when nothing answers"),
        ("close cut off", "test_a_camera_that_is_cut_off_says_so", "Camera.close closes"),
    ],
)
def test_a_broken_camera_is_found(fault: str, test: str, promise: str) -> None:
    camera = Blurred(TickClock(), fault)
    camera.connect()

    class Suite(TestFakeCamera):
        patience_s = 0.5

        def make_camera(self) -> Camera:
            return Blurred(TickClock(), fault)

    with pytest.raises(pytest.fail.Exception, match=promise):
        run(Suite(), test, camera=lambda: camera, clock=lambda: camera.clock)
