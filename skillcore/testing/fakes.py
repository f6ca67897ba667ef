"""Devices on paper, for tests of what uses an arm or a camera. They keep every promise, except where they are told."""

from __future__ import annotations

import numpy as np

from skillcore.errors import ArmFaultError, DeviceError, StaleFrameError
from skillcore.interfaces import Arm, ArmLimits, Camera, Clock
from skillcore.types import ArmState, Array, Frame, Intrinsics, Pose, Wrench

WALL_N_M = 5000.0
"""How hard the arm presses against a wall for every metre that it wants to go on."""
POLL_S = 0.005


class TickClock:
    """Time that passes only in `sleep_until`."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def now_s(self) -> float:
        return self._now_s

    def sleep_until(self, time_s: float) -> None:
        self._now_s = max(self._now_s, time_s)


class FakeArm(Arm):
    """Follows its targets exactly. Tests set `force_n`, `fault` and `is_silent` (nobody answers), and read `calls`.

    Space is free, but for what `block` puts there. It can be guided, and is then where tests say in `guide_to`.
    """

    def __init__(self, clock: Clock, tcp_from_base: Pose, limits: ArmLimits | None = None) -> None:
        self.clock = clock
        self.force_n = np.zeros(3)
        self.fault: str | None = None
        self.is_silent = False
        self.calls: list[str] = []
        self._limits = limits or ArmLimits(1.0, 4.0, 100.0)
        self._connected = False
        self._guided = False
        self._from = self._to = tcp_from_base
        self._begin_s = self._end_s = 0.0
        self._zero_n = np.zeros(3)
        self._sequence = 0
        self._wall: tuple[Array, Array] | None = None
        self._press_n = self._limits.force_n

    def connect(self) -> None:
        self.calls.append("connect")
        self._connected = True

    def close(self) -> None:
        self.stop()
        self.calls.append("close")
        self._connected = False

    @property
    def limits(self) -> ArmLimits:
        return self._limits

    @property
    def tcp_from_base(self) -> Pose:
        """Where the arm is now. It turns at a motion's end."""
        wanted = self._wanted
        return Pose(wanted.position_m - self._beyond_m(wanted), wanted.rotation)

    @property
    def is_moving(self) -> bool:
        """Whether it is on its way to a target."""
        return self.clock.now_s() < self._end_s

    @property
    def contact_n(self) -> Array:
        """(3,) what the wall exerts on the tool, in the tool's axes."""
        wanted = self._wanted
        push = -WALL_N_M * self._beyond_m(wanted)
        size = float(np.linalg.norm(push))
        if size > self._press_n:
            push = push * (self._press_n / size)
        return np.asarray(wanted.rotation.T @ push)

    def block(self, tcp_from_base: Pose) -> None:
        """Puts a wall into the way to a pose, halfway there and across it: the tool gets no farther."""
        here = self.tcp_from_base.position_m
        way = tcp_from_base.position_m - here
        self._wall = (here + 0.5 * way, way / float(np.linalg.norm(way)))

    def unblock(self) -> None:
        """Takes the wall away."""
        self._wall = None

    @property
    def _wanted(self) -> Pose:
        """Where it would be if space were free."""
        span, gone = self._end_s - self._begin_s, self.clock.now_s() - self._begin_s
        if gone >= span:
            return self._to
        step = self._to.position_m - self._from.position_m
        return Pose(self._from.position_m + step * (gone / span), self._from.rotation)

    @property
    def _twist(self) -> Array:
        """(6,) how fast it goes, in the base's axes: evenly on its way, not at all at a wall."""
        twist = np.zeros(6)
        if self.is_moving and not self._beyond_m(self._wanted).any():
            twist[:3] = (self._to.position_m - self._from.position_m) / (self._end_s - self._begin_s)
        return twist

    def _beyond_m(self, pose: Pose) -> Array:
        """(3,) how far a pose lies behind the wall, across it."""
        if self._wall is None:
            return np.zeros(3)
        point, across = self._wall
        return np.asarray(max(0.0, float((pose.position_m - point) @ across)) * across)

    def read(self) -> ArmState:
        if not self._connected:
            raise DeviceError("the arm is not connected", cure="call connect() first")
        self._refuse_if_silent()
        self._sequence += 1
        wrench = Wrench(self.force_n + self.contact_n - self._zero_n, np.zeros(3))
        return ArmState(self.tcp_from_base, self._twist, wrench, self.fault, self.clock.now_s(), self._sequence)

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        self.calls.append("move_to")
        self._refuse_if_faulty()
        distance = float(np.linalg.norm(tcp_from_base.position_m - self.tcp_from_base.position_m))
        self._press_n = self._limits.force_n
        self._go(tcp_from_base, distance / speed_m_s)
        while self.is_moving:
            self.clock.sleep_until(min(self._end_s, self.clock.now_s() + POLL_S))
            force = float(np.linalg.norm(self.contact_n))
            if force > force_limit_n:
                self.stop()
                raise ArmFaultError(f"met {force:.0f} N on the way", cure="free the tool")

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        self.calls.append("servo_to")
        self._refuse_if_faulty()
        self._press_n = min(force_limit_n, self._limits.force_n)
        self._go(tcp_from_base, duration_s)
        return tcp_from_base

    def zero_wrench(self) -> None:
        self.calls.append("zero_wrench")
        self._zero_n = self.force_n + self.contact_n

    def stop(self) -> None:
        self.calls.append("stop")
        self._guided = False
        self._go(self.tcp_from_base, 0.0)

    def recover(self) -> None:
        self.calls.append("recover")
        self.fault = None

    @property
    def is_guided(self) -> bool:
        """Whether a hand can guide it now."""
        return self._guided

    def start_freedrive(self) -> None:
        if not self._connected:
            raise DeviceError("the arm is not connected", cure="call connect() first")
        self.calls.append("start_freedrive")
        if self.fault:
            raise ArmFaultError(self.fault, cure="call recover()")
        self._go(self.tcp_from_base, 0.0)
        self._guided = True

    def end_freedrive(self) -> None:
        self.calls.append("end_freedrive")
        self._guided = False

    def guide_to(self, tcp_from_base: Pose) -> None:
        """A hand brings the arm there at once. Raises AssertionError while nobody can guide it."""
        assert self._guided, "the arm is not free to be guided"
        self.place(tcp_from_base)

    def place(self, tcp_from_base: Pose) -> None:
        """Puts the arm somewhere at once, as a simulated world does."""
        self._go(tcp_from_base, 0.0)

    def _go(self, goal: Pose, duration_s: float) -> None:
        self._from, self._to = self.tcp_from_base, goal
        self._begin_s = self.clock.now_s()
        self._end_s = self._begin_s + duration_s

    def _refuse_if_silent(self) -> None:
        if self.is_silent:
            raise DeviceError("the arm does not answer", cure="check its cable")

    def _refuse_if_faulty(self) -> None:
        self._refuse_if_silent()
        if self._guided:
            raise DeviceError("the arm is guided by hand", cure="call end_freedrive() first")
        if self.fault:
            raise ArmFaultError(self.fault, cure="call recover()")


class FakeCamera(Camera):
    """Sees noise. `frozen` makes it stand still, `is_silent` takes it away."""

    def __init__(self, clock: Clock, *, width_px: int = 64, height_px: int = 48) -> None:
        self.clock = clock
        self.frozen = False
        self.is_silent = False
        self._intrinsics = Intrinsics(width_px, height_px, 50.0, 50.0, 0.5 * width_px, 0.5 * height_px)
        self._last: Frame | None = None
        self._connected = False

    def connect(self) -> None:
        self._connected = True

    def close(self) -> None:
        self._connected = False

    @property
    def intrinsics(self) -> Intrinsics:
        return self._intrinsics

    def read(self, max_age_s: float) -> Frame:
        if not self._connected:
            raise DeviceError("the camera is not connected", cure="call connect() first")
        if self.is_silent:
            raise DeviceError("the camera does not answer", cure="check its cable")
        now, last = self.clock.now_s(), self._last
        if last is None or not self.frozen:
            number = 0 if last is None else last.sequence + 1
            shape = (self._intrinsics.height_px, self._intrinsics.width_px, 3)
            image = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
            self._last = last = Frame(image, None, self._intrinsics, now, number)
        if now - last.time_s > max_age_s:
            raise StaleFrameError(f"no new frame in {max_age_s} s", cure="check the cable")
        return last
