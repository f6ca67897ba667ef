"""A plugin with devices on paper that a whole cell can be opened with. `LOG` tells what happened, in order."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from skillcore.config import StrictModel
from skillcore.errors import DeviceError
from skillcore.hookspecs import hookimpl
from skillcore.interfaces import Clock, Simulation
from skillcore.parts import Context, Part
from skillcore.solids import Mating
from skillcore.testing import FakeArm, FakeCamera, TickClock
from skillcore.types import ArmState, Frame, Pose

LOG: list[str] = []
MADE: dict[str, Any] = {}
"""The devices of the cell that was opened last, by name."""
CELL = """\
schema: 1
name: paper
control: {rate_hz: 10, step_m: 1 mm, turn_step_rad: 0.02}
views: {size_px: 32}
safety:
  workspace: {min_m: [-0.02, -0.02, -0.015], max_m: [0.02, 0.02, 0.06]}
  force_limit_n: 30
  hard_force_limit_n: 60
fixture: {position_m: [0.5, 0.0, 0.1], rotvec_rad: [0, 180 deg, 0]}
simulation: {driver: paper}
arm: {driver: paper}
cameras:
  left: {driver: paper}
  front: {driver: paper}
"""
"""The file of a cell that has them all."""


class Options(StrictModel):
    fault: str = ""


class PaperWorld(Simulation):
    """Has a clock that stands still while nobody sleeps, and nothing else."""

    def __init__(self, options: Options, context: Context) -> None:
        self._clock, self._fixture = TickClock(), context.fixture

    @property
    def clock(self) -> Clock:
        return self._clock

    def install(self, mating: Mating, *, seed: int) -> None:
        LOG.append("install")

    def new_episode(self, *, seed: int) -> None:
        LOG.append("new episode")

    @property
    def socket_from_base(self) -> Pose:
        return self._fixture

    def plug_from_socket(self) -> Pose:
        return Pose.identity()

    def turned_rad(self) -> float:
        return 0.0

    def close(self) -> None:
        LOG.append("simulation closed")


class PaperArm(FakeArm):
    """fault: what fails, or how late `servo_to` returns; `interrupt` makes it raise KeyboardInterrupt; with `bump` the
    third reading after a command shows a force that no other shows."""

    def __init__(self, options: Options, context: Context) -> None:
        assert context.clock is not None
        super().__init__(context.clock, context.fixture @ Pose.from_xyz_yaw(0.0, 0.0, -0.02, 0.0))
        self.broken = options.fault
        self.late_s = 0.0
        self.readings = 0

    def read(self) -> ArmState:
        self.readings += 1
        if self.broken == "bump":
            self.force_n = np.array([0.0, 0.0, -90.0 if self.readings == 3 else 0.0])
        return super().read()

    def connect(self) -> None:
        if self.broken == "connect":
            raise DeviceError("nobody answers at 10.0.0.5", cure="switch the arm on")
        if self.broken == "interrupt connect":
            raise KeyboardInterrupt
        super().connect()

    def close(self) -> None:
        super().close()
        LOG.append("arm closed")
        if self.broken == "close":
            raise OSError("cannot let go")

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        if self.broken == "interrupt":
            raise KeyboardInterrupt
        if self.broken == "slow":
            time.sleep(1.5 * duration_s)
        self.clock.sleep_until(self.clock.now_s() + self.late_s)
        self.force_limit_n, self.readings = force_limit_n, 0
        return super().servo_to(tcp_from_base, duration_s=duration_s, force_limit_n=force_limit_n)

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        self.speed_m_s = speed_m_s
        super().move_to(tcp_from_base, speed_m_s=speed_m_s, force_limit_n=force_limit_n)

    def stop(self) -> None:
        LOG.append("stop")
        super().stop()


class StiffArm(PaperArm):
    """Cannot be guided by hand."""

    start_freedrive = end_freedrive = None  # type: ignore[assignment]


class PaperCamera(FakeCamera):
    """fault `repeats`: once frozen, hands out its last frame as if it were new; `late`: its frames are 0.1 s old."""

    def __init__(self, options: Options, context: Context) -> None:
        assert context.clock is not None
        super().__init__(context.clock)
        self.name, self.broken = context.name, options.fault

    def connect(self) -> None:
        if self.broken == "connect":
            raise DeviceError("no such camera", cure="plug it in")
        super().connect()

    def close(self) -> None:
        super().close()
        LOG.append(f"{self.name} closed")

    def read(self, max_age_s: float) -> Frame:
        frame = super().read(1e6 if "repeats" in self.broken else max_age_s)
        if self.broken == "repeats":
            return Frame(frame.image, None, frame.intrinsics, self.clock.now_s(), frame.sequence)
        if self.broken == "late":
            return Frame(frame.image, None, frame.intrinsics, frame.time_s - 0.1, frame.sequence)
        return frame


def _keep(kind: Any) -> Any:
    def make(options: Options, context: Context) -> Any:
        MADE[context.name] = device = kind(options, context)
        return device

    return make


@hookimpl
def skillcore_simulations() -> Mapping[str, Part[Any, Any]]:
    return {"paper": Part(Options, _keep(PaperWorld), "A clock.")}


@hookimpl
def skillcore_arms() -> Mapping[str, Part[Any, Any]]:
    return {
        "paper": Part(Options, _keep(PaperArm), "An arm on paper."),
        "stiff": Part(Options, _keep(StiffArm), "An arm that nobody can guide."),
    }


@hookimpl
def skillcore_cameras() -> Mapping[str, Part[Any, Any]]:
    return {"paper": Part(Options, _keep(PaperCamera), "A camera on paper.")}
