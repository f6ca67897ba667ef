"""A frame server in another process, and cameras that are fed by it through the vendor's library."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from skillcore.clock import WallClock
from skillcore.interfaces import Camera
from skillcore_realsense.options import RealSenseOptions

PROCESS = Path(__file__).with_name("frame_process.py")
MIDDLE = {"left_px": 192, "top_px": 112, "width_px": 256, "height_px": 256}
VIEW = {"crop": MIDDLE, "resize_px": (64, 64)}
"""What a cell makes of the image of a twin's camera, so that the picture comes out as it was drawn."""


class FrameProcess:
    """The frame server, and a line to tell it what to do."""

    def __init__(self, address: str) -> None:
        self.address = address
        command = [sys.executable, str(PROCESS), address]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._await_ok()

    def tell(self, method: str, *arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self.process.stdin.flush()
        self._await_ok()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def serial(self, camera: str = "left") -> str:
        return f"twin-{self.address}-{camera}"

    def _await_ok(self) -> None:
        assert self.process.stdout is not None
        answer = self.process.stdout.readline().strip()
        assert answer == "ok", answer


def loopback_address() -> str:
    """One that nobody else is likely to use."""
    rng = random.SystemRandom()
    return f"127.{rng.randint(20, 250)}.{rng.randint(1, 250)}.{rng.randint(2, 250)}"


@pytest.fixture(scope="session")
def library() -> Any:
    """The vendor's library; what needs it is skipped where it is not installed."""
    from skillcore_realsense.library import REQUIRES, load

    try:
        return load()
    except ImportError as error:
        pytest.skip(f"{error}; {REQUIRES}")


@pytest.fixture(scope="session")
def drawing() -> ModuleType:
    """The module that draws, to know what was drawn."""
    spec = importlib.util.spec_from_file_location("frame_process", PROCESS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def _shared_process() -> Iterator[FrameProcess]:
    process = FrameProcess(loopback_address())
    yield process
    process.end()


@pytest.fixture
def twin(_shared_process: FrameProcess) -> Iterator[FrameProcess]:
    """A frame server that nothing is wrong with."""
    yield _shared_process
    for name in ("left", "right"):
        _shared_process.tell("restore", name)


@pytest.fixture
def own_twin() -> Iterator[Callable[..., FrameProcess]]:
    """Starts frame servers that may be killed."""
    started: list[FrameProcess] = []

    def start(address: str = "") -> FrameProcess:
        started.append(FrameProcess(address or loopback_address()))
        return started[-1]

    yield start
    for process in started:
        process.end()


@pytest.fixture
def make_camera(library: Any) -> Iterator[Callable[..., Any]]:
    """Makes cameras from a serial number and options, not connected, and closes them afterwards."""
    from skillcore_realsense.camera import RealSenseCamera

    made: list[Camera] = []

    def make(serial: str, **options: Any) -> Camera:
        made.append(RealSenseCamera(library, RealSenseOptions(serial=serial, **options), WallClock(), name="left"))
        return made[-1]

    yield make
    for camera in made:
        camera.close()


@pytest.fixture
def loopback() -> str:
    """An address that nobody else is likely to use."""
    return loopback_address()
