"""Faults of a camera, each caused for real: what is told, how soon, and whether it comes back by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillcore.clock import WallClock
from skillcore.errors import DeviceError, StaleFrameError
from skillcore.interfaces import Camera
from skillcore.types import Frame
from skillcore_realsense.camera import RealSenseCamera
from skillcore_realsense.options import RealSenseOptions

SOON_S = 5.0
"""Ten times what is promised, since this may run beside anything."""
PATIENT_S = 20.0


def until_it_fails(camera: Camera) -> tuple[StaleFrameError, float]:
    """Reads until the camera complains: what it says, and after how many seconds."""
    began = time.monotonic()
    while time.monotonic() - began < PATIENT_S:
        try:
            camera.read(0.2)
        except StaleFrameError as error:
            return error, time.monotonic() - began
        time.sleep(0.02)
    pytest.fail("the camera never complained")


def until_it_delivers(camera: Camera) -> Frame:
    """Reads until there is a frame."""
    began = time.monotonic()
    while True:
        try:
            return camera.read(0.2)
        except StaleFrameError:
            if time.monotonic() - began > PATIENT_S:
                raise


@pytest.fixture
def camera(twin: Any, make_camera: Callable[..., Any]) -> Any:
    """A connected camera of the shared twin."""
    camera = make_camera(twin.serial())
    camera.connect()
    return camera


def test_a_frozen_stream_is_told_and_started_again(twin: Any, camera: Any) -> None:
    before = camera.read(0.2)
    twin.tell("freeze", "left")
    error, after_s = until_it_fails(camera)
    assert after_s < SOON_S
    assert "delivers no frames, though it is connected" in error.what
    assert "restart 1 of 3 is under way" in error.what
    assert "cable" in error.cure
    assert "another process" in error.cure
    twin.tell("restore", "left")
    assert until_it_delivers(camera).sequence > before.sequence
    assert camera.restarts >= 1


def test_a_camera_that_is_pulled_out_is_told_and_comes_back(twin: Any, camera: Any) -> None:
    before = camera.read(0.2)
    twin.tell("unplug", "left")
    error, after_s = until_it_fails(camera)
    assert after_s < SOON_S
    assert f"camera left: {twin.serial()} is no longer connected" in error.what
    assert "cable" in error.cure
    time.sleep(1.0)  # however long that is: looking for it is no restart
    twin.tell("restore", "left")
    assert until_it_delivers(camera).sequence > before.sequence
    assert camera.restarts == 1


def test_frames_that_come_late_are_told(twin: Any, camera: Any) -> None:
    time.sleep(1.2)
    twin.tell("delay", "left", 1.0)
    error, after_s = until_it_fails(camera)
    assert after_s < SOON_S
    assert "s late" in error.what
    assert "overloaded" in error.cure
    twin.tell("restore", "left")
    until_it_delivers(camera)


def test_the_other_camera_goes_on(twin: Any, camera: Any, make_camera: Callable[..., Any]) -> None:
    other = make_camera(twin.serial("right"))
    other.connect()
    twin.tell("unplug", "left")
    until_it_fails(camera)
    first = other.read(0.2)
    time.sleep(0.2)
    assert other.read(0.2).sequence > first.sequence
    assert other.restarts == 0


def test_a_twin_that_is_killed_and_started_again(own_twin: Callable[..., Any], make_camera: Callable[..., Any]) -> None:
    twin = own_twin()
    camera = make_camera(twin.serial())
    camera.connect()
    time.sleep(1.0)
    before = camera.read(0.2)
    twin.process.kill()
    error, after_s = until_it_fails(camera)
    assert after_s < SOON_S
    assert "no longer connected" in error.what
    own_twin(twin.address)
    after = until_it_delivers(camera)
    assert after.sequence > before.sequence  # though the new one counts from the beginning
    assert after.time_s > before.time_s


def test_a_twin_that_hangs(own_twin: Callable[..., Any], make_camera: Callable[..., Any]) -> None:
    twin = own_twin()
    camera = make_camera(twin.serial())
    camera.connect()
    os.kill(twin.process.pid, signal.SIGSTOP)
    try:
        error, after_s = until_it_fails(camera)
    finally:
        os.kill(twin.process.pid, signal.SIGCONT)
    assert after_s < SOON_S
    assert "delivers no frames" in error.what
    until_it_delivers(camera)


def test_restarts_are_bounded(twin: Any, make_camera: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("skillcore_realsense.stream.FIRST_FRAME_S", 0.5)
    camera = make_camera(twin.serial(), restarts=2)
    camera.connect()
    twin.tell("freeze", "left")
    began = time.monotonic()
    while "2 restarts within 60 s did not help" not in until_it_fails(camera)[0].what:
        assert time.monotonic() - began < PATIENT_S
    twin.tell("restore", "left")
    time.sleep(0.5)
    error, _ = until_it_fails(camera)  # it has given up, whatever the camera does now
    assert "2 restarts within 60 s did not help" in error.what
    assert camera.restarts == 2
    camera.connect()
    assert camera.read(0.2).image.any()


def test_no_restart_where_none_is_allowed(twin: Any, make_camera: Callable[..., Any]) -> None:
    camera = make_camera(twin.serial(), restarts=0)
    camera.connect()
    twin.tell("freeze", "left")
    assert "(restarts: 0)" in until_it_fails(camera)[0].what
    twin.tell("restore", "left")
    time.sleep(0.5)
    assert "(restarts: 0)" in until_it_fails(camera)[0].what
    assert camera.restarts == 0


def test_a_stream_that_the_library_ends_is_started_again(twin: Any, library: Any) -> None:
    class Flaky(library.pipeline):  # type: ignore[misc]
        """Fails once."""

        failed = False

        def try_wait_for_frames(self, timeout_ms: int) -> Any:
            if camera.is_read and not Flaky.failed:
                Flaky.failed = True
                raise RuntimeError("Device disconnected. Failed to reconnect")
            return super().try_wait_for_frames(timeout_ms)

    class Library:
        """The vendor's, with that pipeline."""

        pipeline = Flaky

        def __getattr__(self, name: str) -> Any:
            return getattr(library, name)

    class Once(RealSenseCamera):
        is_read = False

    camera = Once(Library(), RealSenseOptions(serial=twin.serial()), WallClock(), name="left")
    try:
        camera.connect()
        before = camera.read(0.2)
        camera.is_read = True
        until_s = time.monotonic() + PATIENT_S
        while camera.restarts == 0:
            assert time.monotonic() < until_s
            until_it_delivers(camera)
        assert until_it_delivers(camera).sequence > before.sequence
        assert camera.restarts == 1
    finally:
        camera.close()


def test_a_usb_2_port_is_named(twin: Any, make_camera: Callable[..., Any]) -> None:
    twin.tell("plug_into_usb_2", "left")
    camera = make_camera(twin.serial())
    camera.connect()
    twin.tell("freeze", "left")
    error, _ = until_it_fails(camera)
    assert "USB 2 port" in error.what
    assert "USB 3 port" in error.cure


def test_a_camera_without_frames_does_not_open(
    twin: Any, make_camera: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillcore_realsense.stream.FIRST_FRAME_S", 0.5)
    twin.tell("freeze", "left")
    camera = make_camera(twin.serial())
    began = time.monotonic()
    with pytest.raises(DeviceError, match="delivers no frames"):
        camera.connect()
    assert time.monotonic() - began < PATIENT_S
    twin.tell("restore", "left")
    camera.connect()
    assert camera.read(0.2).image.any()


def test_a_camera_that_is_not_there_is_answered_at_once(twin: Any, make_camera: Callable[..., Any]) -> None:
    began = time.monotonic()
    with pytest.raises(DeviceError, match="has no camera 'lift' plugged in") as told:
        make_camera(twin.serial("lift")).connect()
    assert "did you mean left?" in told.value.cure
    twin.tell("unplug", "left")
    with pytest.raises(DeviceError, match="has no camera 'left' plugged in"):
        make_camera(twin.serial("left")).connect()
    with pytest.raises(DeviceError, match="no camera with serial '218622270973' is connected"):
        make_camera("218622270973").connect()
    with pytest.raises(DeviceError, match=r"no twin serves frames at 127\.251\.0\.2") as told:
        make_camera("twin-127.251.0.2-left").connect()
    assert "skill twin start" in told.value.cure
    assert time.monotonic() - began < 10.0  # of the 15 s that the library would take for each of them


def test_closing_in_the_middle_of_a_fault(twin: Any, camera: Any) -> None:
    twin.tell("freeze", "left")
    until_it_fails(camera)
    began = time.monotonic()
    camera.close()
    camera.close()
    assert time.monotonic() - began < SOON_S


ENDS = {
    "in the end": ("", 0),
    "by Ctrl-C": ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT),
    "by an error": ("raise SystemExit(3)", 3),
}
"""What a script does with its camera open, and the exit code that must come of it."""


@pytest.mark.parametrize("how", ENDS)
def test_a_process_that_leaves_its_camera_open_ends_as_it_should(
    twin: Any, library: Any, tmp_path: Path, how: str
) -> None:
    statement, code = ENDS[how]
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from skillcore.clock import WallClock\n"
        "from skillcore_realsense.camera import RealSenseCamera\n"
        "from skillcore_realsense.library import load\n"
        "from skillcore_realsense.options import RealSenseOptions\n"
        f"camera = RealSenseCamera(load(), RealSenseOptions(serial={twin.serial()!r}), WallClock())\n"
        "camera.connect()\n"
        "print(camera.read(0.2).image.shape, flush=True)\n" + statement + "\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False)
    assert "(480, 640, 3)" in done.stdout, done.stderr
    assert done.returncode == code, done.stderr
    assert "terminate called" not in done.stderr
