"""A twin in a process of its own, and the UR driver on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell
from skillcore.cell_config import CellConfig
from skillcore.clock import WallClock
from skillcore.config import validate_options
from skillcore.testing import FakeCamera
from skillcore_twin import client
from skillcore_ur.arm import UrArm
from skillcore_ur.options import ArmOptions
from skillcore_ur.remote_arm import RemoteUrArm

pytest.importorskip("rtde_control")

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
ADDRESS = f"127.0.0.{100 + WORKER}"
"""Of its own for each process that runs tests."""
STILL_M = 0.0005
WAIT_S = 20.0
"""Longer than anything here takes, also on a busy machine."""


@dataclass
class Robot:
    """The running twin."""

    note: client.Note

    @property
    def address(self) -> str:
        return self.note.address

    def ask(self, **request: Any) -> dict[str, Any]:
        return client.ask(self.note, request)

    def status(self) -> dict[str, Any]:
        return self.ask(do="status")

    def cause(self, name: str, **times: float) -> None:
        self.ask(do="fault", name=name, **times)

    def clear(self) -> None:
        self.ask(do="clear")

    def options(self, **changes: Any) -> ArmOptions:
        """Options that fit this twin. Its watchdog is patient: the machine may be busy."""
        usual = {
            "address": self.address,
            "model": "ur5e",
            "tcp": {"position_m": [0.0, 0.0, 0.15]},
            "payload": {"mass_kg": 1.2, "cog_m": [0.0, 0.0, 0.05]},
            "watchdog_hz": 2.0,
            "stale_s": 1.0,
        }
        return validate_options({**usual, **changes}, ArmOptions, where="test")

    def position_m(self) -> np.ndarray:
        """Where the tool is, as the twin itself says."""
        return np.array(self.status()["tcp_from_base"][:3])

    def comes_to_rest(self) -> None:
        """The arm stands and stays there, whatever the driver thinks."""

        def moved() -> float:
            before = self.position_m()
            time.sleep(0.15)
            return float(np.linalg.norm(self.position_m() - before))

        self.eventually(lambda: moved() < STILL_M, "the arm moves on")
        assert moved() < STILL_M

    def eventually(self, holds: Callable[[], object], what: str) -> None:
        """Waits until it holds."""
        until = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < until, what
            time.sleep(0.02)


@contextmanager
def at_home(home: Path) -> Iterator[None]:
    """With a home for these tests alone, and all plugins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKILLCORE_HOME", str(home))
        patch.delenv("SKILLCORE_PLUGINS", raising=False)
        yield


@pytest.fixture(scope="session")
def twin_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def _at_home(twin_home: Path) -> Iterator[None]:
    with at_home(twin_home):
        yield


@pytest.fixture(scope="session")
def robot(twin_home: Path) -> Iterator[Robot]:
    """One twin for all tests that use it."""
    with at_home(twin_home):
        note = client.start(client.Order(address=ADDRESS), timeout_s=120.0)
    try:
        yield Robot(note)
    finally:
        with at_home(twin_home):
            client.stop(note)


@pytest.fixture
def make_arm(robot: Robot) -> Iterator[Callable[..., UrArm | RemoteUrArm]]:
    """Makes drivers that are not connected, and leaves the robot healthy and alone afterwards."""
    made: list[UrArm | RemoteUrArm] = []

    def make(kind: type[UrArm | RemoteUrArm] = UrArm, **changes: Any) -> UrArm | RemoteUrArm:
        made.append(kind(robot.options(**changes)))
        return made[-1]

    yield make
    robot.clear()
    for arm in made:
        arm.close()


@pytest.fixture
def arm(make_arm: Callable[..., UrArm]) -> UrArm:
    """A connected driver, in this process."""
    arm = make_arm()
    arm.connect()
    return arm


@pytest.fixture
def remote_arm(make_arm: Callable[..., RemoteUrArm]) -> RemoteUrArm:
    """A connected driver in a process of its own, as a cell has it."""
    arm = make_arm(RemoteUrArm)
    arm.connect()
    return arm


@pytest.fixture
def loop_cell(remote_arm: Any) -> Cell:
    """A cell whose arm is the twin's, and whose camera sees nothing."""
    config = validate_options(
        {
            "schema": 1,
            "name": "loop",
            "safety": {
                "workspace": {"min_m": [-0.05, -0.05, -0.06], "max_m": [0.05, 0.05, 0.08]},
                "force_limit_n": 25.0,
                "hard_force_limit_n": 100.0,
            },
            "fixture": {"position_m": [0.5, 0.0, 0.1], "rotvec_rad": [3.14159265, 0.0, 0.0]},
            "arm": {"driver": "ur"},
            "cameras": {"left": {"driver": "fake"}},
        },
        CellConfig,
        where="test",
    )
    clock = WallClock()
    camera = FakeCamera(clock)
    camera.connect()
    return Cell(config, remote_arm, {"left": camera}, clock, None, config.fixture.socket_from_base)
