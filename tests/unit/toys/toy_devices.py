"""A plugin with devices that work, or fail in the one way that their option `fault` names."""

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from skillcore.clock import WallClock
from skillcore.config import StrictModel
from skillcore.errors import ArmFaultError, DeviceError, StaleFrameError
from skillcore.hookspecs import hookimpl
from skillcore.interfaces import Arm, ArmLimits, Camera, Clock, Simulation
from skillcore.parts import Context, Part
from skillcore.solids import Mating
from skillcore.types import ArmState, Frame, Intrinsics, Pose, Wrench

CLOSED: list[str] = []
"""What was closed, in order."""


class Options(StrictModel):
    fault: str = ""


class ToyWorld(Simulation):
    def __init__(self, options: Options, context: Context) -> None:
        self.fault, self.fixture = options.fault, context.fixture
        self.installed = False
        if self.fault == "make":
            raise DeviceError("the world does not begin", cure="begin again")

    @property
    def clock(self) -> Clock:
        return _StoppedClock() if self.fault == "clock" else WallClock()

    def install(self, mating: Mating, *, seed: int) -> None:
        assert mating.plug
        assert mating.socket
        if self.fault == "install":
            raise DeviceError("nothing fits in", cure="make room")
        self.installed = True

    def new_episode(self, *, seed: int) -> None:
        assert self.installed

    @property
    def socket_from_base(self) -> Pose:
        if self.fault == "socket":
            return self.fixture @ Pose.from_xyz_yaw(0.01, 0.0, 0.0, 0.1)
        return self.fixture

    def plug_from_socket(self) -> Pose:
        return Pose.identity()

    def turned_rad(self) -> float:
        return 0.0

    def close(self) -> None:
        CLOSED.append("simulation")


class _StoppedClock:
    def now_s(self) -> float:
        return 1.0

    def sleep_until(self, time_s: float) -> None:
        return


class ToyArm(Arm):
    def __init__(self, options: Options, context: Context) -> None:
        assert context.clock is not None
        self.fault, self.clock, self.fixture = options.fault, context.clock, context.fixture
        self.reads = 0

    def connect(self) -> None:
        if self.fault == "connect":
            raise DeviceError("nobody answers at 10.0.0.5", cure="switch the arm on")
        if self.fault == "crash":
            raise ZeroDivisionError("division by zero")

    def close(self) -> None:
        CLOSED.append("arm")
        if self.fault == "close":
            raise OSError("cannot let go")

    @property
    def limits(self) -> ArmLimits:
        speed = {"no limit": float("nan"), "slow": 0.01, "tight": 0.2}.get(self.fault, 1.0)
        return ArmLimits(speed, 4.0, 100.0)

    def read(self) -> ArmState:
        self.reads += 1
        fault = self.fault
        if fault == "read":
            raise ArmFaultError("the arm does not answer", cure="restart it")
        if fault == "interrupt":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(10)
        if fault == "terminate":
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        offset = np.array([0.3 if fault == "outside" else 0.0, 0.0, 0.02 + 0.01 * self.reads * (fault == "drift")])
        position = self.fixture.position_m + offset
        rotation = -np.eye(3) if fault == "mirrored" else np.eye(3)
        if fault == "no pose":
            position = np.array([np.nan, 0.0, 0.0])
        force = np.array([np.nan if fault == "no wrench" else 60.0 if fault == "pressed" else 0.0, 0.0, 0.0])
        now = self.clock.now_s()
        time_s = {"stopped": 5.0, "old": now - 3.0, "early": now + 3.0, "no time": float("nan")}.get(fault, now)
        return ArmState(
            Pose(position, rotation),
            np.zeros(5 if fault == "short twist" else 6),
            Wrench(force, np.zeros(3)),
            "joint 3 is too hot" if fault == "controller" else None,
            time_s,
            1 if fault == "same number" else self.reads,
        )

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        raise AssertionError("a check moves nothing")

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        raise AssertionError("a check moves nothing")

    def zero_wrench(self) -> None:
        raise AssertionError("a check changes nothing")

    def stop(self) -> None:
        CLOSED.append("stopped")

    def recover(self) -> None:
        raise AssertionError("a check changes nothing")


class ToyCamera(Camera):
    def __init__(self, options: Options, context: Context) -> None:
        assert context.clock is not None
        self.fault, self.clock, self.name = options.fault, context.clock, context.name
        self.reads = 0

    def connect(self) -> None:
        if self.fault == "connect":
            raise DeviceError("no such camera", cure="plug it in")

    def close(self) -> None:
        CLOSED.append(self.name)

    @property
    def intrinsics(self) -> Intrinsics:
        width = 65 if self.fault == "other size" else 64
        focal = 0.0 if self.fault == "no focus" else 50.0
        return Intrinsics(width, 48, focal, 50.0, 32.0, 24.0)

    def read(self, max_age_s: float) -> Frame:
        self.reads += 1
        fault = self.fault
        if fault == "stale":
            raise StaleFrameError(f"no new frame in {max_age_s} s", cure="check the cable")
        image = np.random.default_rng(self.reads).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        if fault == "dark":
            image[:] = 0
        wrong: dict[str, Any] = {"grey": image[..., 0], "float": image / 255.0, "none": None}
        depth = np.zeros((48, 64), np.float64 if fault == "wide depth" else np.float32)
        now = self.clock.now_s()
        return Frame(
            wrong.get(fault, image),
            depth if "depth" in fault else None,
            self.intrinsics,
            now - 3.0 if fault == "old" else now,
            7 if fault == "frozen" else self.reads,
        )


@hookimpl
def skillcore_simulations() -> Mapping[str, Part[Any, Any]]:
    return {"toy": Part(Options, ToyWorld, "A world in which nothing happens.")}


@hookimpl
def skillcore_arms() -> Mapping[str, Part[Any, Any]]:
    return {"toy": Part(Options, ToyArm, "An arm that stands still.")}


@hookimpl
def skillcore_cameras() -> Mapping[str, Part[Any, Any]]:
    return {"toy": Part(Options, ToyCamera, "A camera that sees noise.")}
