"""A cell on paper: a world without contacts, an arm that follows exactly, cameras that see noise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from skillcore.cell import Cell
from skillcore.cell_config import CellConfig
from skillcore.config import validate_options
from skillcore.interfaces import Arm, Camera, Clock, Simulation
from skillcore.solids import Mating
from skillcore.testing.fakes import FakeArm, FakeCamera, TickClock
from skillcore.types import Pose

ABOVE_M = 0.020
SEATED_M = 0.0005


class FakeWorld(Simulation):
    """What is in the gripper goes wherever the tool goes, also through walls, but no deeper than its seat.

    The plug's tip is at the TCP. Where it sits, a thread takes hold and follows the tool's turn.
    """

    def __init__(self, socket_from_base: Pose) -> None:
        self._clock = TickClock()
        self._socket_from_base = socket_from_base
        self._depth_m = 0.0
        self._thread_rad = 0.0
        self._seated_yaw_rad: float | None = None
        self.arm = FakeArm(self._clock, socket_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -ABOVE_M, 0.0))

    @property
    def clock(self) -> Clock:
        return self._clock

    def install(self, mating: Mating, *, seed: int) -> None:
        self._depth_m = mating.depth_m
        self._thread_rad = 0.0 if mating.thread is None else mating.thread.turn_rad
        self.new_episode(seed=seed)

    def new_episode(self, *, seed: int) -> None:
        self._seated_yaw_rad = None
        self.arm.place(self._socket_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -ABOVE_M, 0.0))

    @property
    def socket_from_base(self) -> Pose:
        return self._socket_from_base

    def plug_from_socket(self) -> Pose:
        pose = self._socket_from_base.inverse() @ self.arm.tcp_from_base
        x, y, z = pose.position_m
        return Pose(np.array([x, y, min(z, self._depth_m)]), pose.rotation)

    def turned_rad(self) -> float:
        plug = self.plug_from_socket()
        if not self._thread_rad or self._depth_m - float(plug.position_m[2]) > SEATED_M:
            self._seated_yaw_rad = None
            return 0.0
        if self._seated_yaw_rad is None:
            self._seated_yaw_rad = plug.yaw_rad
        turned = (plug.yaw_rad - self._seated_yaw_rad) % (2.0 * np.pi)
        return float(min(turned, self._thread_rad)) if turned < 1.5 * np.pi else 0.0

    def close(self) -> None:
        return


@contextmanager
def open_paper_cell(*, views: int = 2, size_px: int = 32, simulated: bool = True) -> Iterator[Cell]:
    """An open cell on paper, made as the packaged cells are: its socket opens upwards, 0.5 m in front of the base.

    simulated: without it the cell has no simulation to ask, as a real one.
    """
    options = {
        "schema": 1,
        "name": "paper",
        "control": {"rate_hz": 10, "step_m": 0.005},
        "views": {"size_px": size_px},
        "safety": {
            "workspace": {"min_m": [-0.05, -0.05, -0.06], "max_m": [0.05, 0.05, 0.08]},
            "force_limit_n": 40,
            "hard_force_limit_n": 100,
        },
        "fixture": {"position_m": [0.5, 0.0, 0.1], "rotvec_rad": [np.pi, 0.0, 0.0]},
        "arm": {"driver": "paper"},
        "cameras": {f"view_{number}": {"driver": "paper"} for number in range(views)},
    }
    config = validate_options(options, CellConfig, where="cell on paper")
    world = FakeWorld(config.fixture.socket_from_base)
    cameras: dict[str, Camera] = {
        name: FakeCamera(world.clock, width_px=size_px, height_px=size_px) for name in config.cameras
    }
    devices: list[Arm | Camera] = [world.arm, *cameras.values()]
    for device in devices:
        device.connect()
    try:
        simulation = world if simulated else None
        yield Cell(config, world.arm, cameras, world.clock, simulation, world.socket_from_base)
    finally:
        for device in devices:
            device.close()
