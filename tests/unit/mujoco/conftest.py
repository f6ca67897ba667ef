"""What the tests of the simulated cell share: worlds with their devices, and open cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import skillcore_mujoco.plugin
from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.plugins import Registry
from skillcore.solids import Mating
from skillcore.types import ArmState, Pose
from skillcore_insertion.library import ConnectorLibrary
from skillcore_insertion.skill import InsertionSkill
from skillcore_mujoco.arm import SimulatedArm
from skillcore_mujoco.camera import SimulatedCamera
from skillcore_mujoco.options import ArmOptions, CameraOptions, WorldOptions
from skillcore_mujoco.world import World

FIXTURE = Pose.from_rotvec([0.5, -0.1, 0.1], [np.pi, 0.0, 0.0])
EXACT = WorldOptions(
    grasp_error_m=0.0,
    grasp_error_rad=0.0,
    camera_error_m=0.0,
    camera_error_rad=0.0,
    pose_noise_m=0.0,
    force_noise_n=0.0,
    torque_noise_nm=0.0,
    force_bias_n=0.0,
)
CELLS = Path(__file__).resolve().parents[3] / "cell_configs"


@dataclass(frozen=True)
class Bench:
    """A world with connected devices."""

    world: World
    arm: SimulatedArm
    cameras: tuple[SimulatedCamera, ...]

    def place(self, x_m: float, y_m: float, z_m: float, yaw_rad: float = 0.0) -> Pose:
        """A pose given in the socket frame, seen from the base."""
        return self.world.socket_from_base @ Pose.from_xyz_yaw(x_m, y_m, z_m, yaw_rad)

    def go(self, x_m: float, y_m: float, z_m: float, yaw_rad: float = 0.0) -> None:
        self.arm.move_to(self.place(x_m, y_m, z_m, yaw_rad), speed_m_s=0.1, force_limit_n=50.0)

    def push(self, x_m: float, y_m: float, z_m: float, *, force_limit_n: float, seconds: float = 1.0) -> list[ArmState]:
        """The readings while a target is held, ten a second."""
        readings = []
        for _ in range(round(10 * seconds)):
            self.arm.servo_to(self.place(x_m, y_m, z_m), duration_s=0.1, force_limit_n=force_limit_n)
            self.world.clock.sleep_until(self.world.clock.now_s() + 0.1)
            readings.append(self.arm.read())
        return readings


def make_bench(
    mating: Mating | None = None,
    *,
    look: int = 1,
    options: WorldOptions = EXACT,
    arm: ArmOptions | None = None,
    cameras: tuple[CameraOptions, ...] = (),
) -> Bench:
    world = World(options, FIXTURE)
    body = SimulatedArm(arm or ArmOptions(), world)
    body.connect()
    eyes = tuple(SimulatedCamera(camera, world) for camera in cameras)
    for eye in eyes:
        eye.connect()
    if mating is not None:
        world.install(mating, seed=look)
    return Bench(world, body, eyes)


@pytest.fixture(scope="session")
def bench() -> Callable[..., Bench]:
    """Makes a world with its devices connected and, if given, a mating installed."""
    return make_bench


@pytest.fixture(scope="session")
def library() -> ConnectorLibrary:
    return ConnectorLibrary()


@pytest.fixture(scope="session")
def skill(library: ConnectorLibrary) -> InsertionSkill:
    return InsertionSkill(library)


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AbstractContextManager[Cell]]:
    """Opens a cell that comes with skillcore, by name."""
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    registry = Registry.from_modules({"mujoco": skillcore_mujoco.plugin})

    @contextmanager
    def opened(name: str) -> Iterator[Cell]:
        with open_cell(load_cell(CELLS / f"{name}.yaml", registry)) as cell:
            yield cell

    return opened
