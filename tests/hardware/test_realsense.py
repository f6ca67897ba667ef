"""A real RealSense camera. Plug it in, take its cap off, point it at something with a pattern, and run

    SKILLCORE_REALSENSE_SERIAL=218622270973 pytest tests/hardware/test_realsense.py

SKILLCORE_REALSENSE_PULL=1 adds the test that asks you to pull the cable out and to plug it in again.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from skillcore.clock import WallClock
from skillcore.errors import DeviceError, StaleFrameError
from skillcore.interfaces import Camera
from skillcore.testing import CameraContract

SERIAL = os.environ.get("SKILLCORE_REALSENSE_SERIAL", "")

pytestmark = [
    pytest.mark.hardware,
    pytest.mark.skipif(not SERIAL, reason="SKILLCORE_REALSENSE_SERIAL names no camera"),
]


def make_camera(**options: object) -> Camera:
    from skillcore.config import validate_options
    from skillcore_realsense.camera import RealSenseCamera
    from skillcore_realsense.library import load
    from skillcore_realsense.options import RealSenseOptions

    chosen = validate_options({"serial": SERIAL, **options}, RealSenseOptions, where="options")
    return RealSenseCamera(load(), chosen, WallClock(), name="real")


class TestRealCamera(CameraContract):
    def make_camera(self) -> Camera:
        return make_camera()


class TestRealCameraWithDepth(CameraContract):
    def make_camera(self) -> Camera:
        return make_camera(depth=True)


def read_for(camera: Camera, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        camera.read(0.2)
        time.sleep(0.01)


def test_a_wrong_serial_is_answered_within_a_second_with_the_right_one() -> None:
    began = time.monotonic()
    with pytest.raises(DeviceError, match=SERIAL):
        make_camera(serial=SERIAL[:-1] + "x").connect()
    assert time.monotonic() - began < 1.0


def test_all_that_it_cannot_do_is_told_at_once() -> None:
    with pytest.raises(DeviceError, match="size_px: this camera has no colour stream of 641x480"):
        make_camera(size_px=[641, 480]).connect()


def test_a_longer_exposure_is_brighter() -> None:
    means = []
    for exposure in ("1 ms", "20 ms"):
        camera = make_camera(exposure_s=exposure, white_balance_k=4600)
        camera.connect()
        time.sleep(1.0)
        means.append(float(camera.read(0.2).image.mean()))
        camera.close()
    assert means[1] > means[0] + 5.0


def test_it_can_be_opened_again_and_again() -> None:
    for _ in range(5):
        camera = make_camera()
        camera.connect()
        assert camera.read(0.2).image.any()
        camera.close()


def test_a_recording_is_played(tmp_path: Path) -> None:
    camera = make_camera(record_to=str(tmp_path))
    camera.connect()
    time.sleep(2.0)
    intrinsics = camera.intrinsics
    camera.close()
    player = make_camera(play_from=str(next(tmp_path.glob("*.db3"))))
    player.connect()
    assert player.intrinsics == intrinsics
    assert np.std(player.read(0.5).image) > 0.0
    player.close()


@pytest.mark.skipif(os.environ.get("SKILLCORE_REALSENSE_PULL") != "1", reason="SKILLCORE_REALSENSE_PULL is not 1")
def test_pulling_the_cable_is_told_and_plugging_in_brings_it_back() -> None:
    camera = make_camera()
    camera.connect()
    print("\npull the cable out now", flush=True)
    try:
        with pytest.raises(StaleFrameError, match="no longer connected"):
            read_for(camera, 60.0)
        print("plug it in again", flush=True)
        until_s = time.monotonic() + 60.0
        while True:
            try:
                camera.read(0.2)
                break
            except StaleFrameError:
                assert time.monotonic() < until_s
    finally:
        camera.close()
