"""What a RealSense camera delivers: the right pixels, depth, intrinsics, times and numbers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from skillcore.clock import WallClock
from skillcore.errors import DeviceError, StaleFrameError
from skillcore.types import Intrinsics

VIEW = {"crop": {"left_px": 192, "top_px": 112, "width_px": 256, "height_px": 256}, "resize_px": (64, 64)}


def test_pictures_come_as_they_were_drawn(twin: Any, make_camera: Callable[..., Any], drawing: Any) -> None:
    cameras = [make_camera(twin.serial(name), **VIEW) for name in ("left", "right")]
    for camera in cameras:
        camera.connect()
    for odd, camera in zip((1, 0), cameras, strict=True):
        image = camera.read(0.2).image
        seed = drawing.seed_of(image)
        assert seed % 2 == odd  # of this camera, and not of the other
        np.testing.assert_array_equal(image, drawing.picture(seed))


def test_the_full_image_is_that_of_a_d405(twin: Any, make_camera: Callable[..., Any], drawing: Any) -> None:
    camera = make_camera(twin.serial())
    camera.connect()
    image = camera.read(0.2).image
    assert image.shape == (480, 640, 3)
    middle = image[112:368, 192:448]
    np.testing.assert_array_equal(middle[::4, ::4], drawing.picture(drawing.seed_of(middle[::4, ::4])))
    assert (image[:112] == 128).all()
    assert (image[:, :192] == 128).all()
    own = drawing.INTRINSICS
    expected = Intrinsics(640, 480, 4 * own.fx_px, 4 * own.fy_px, 192 + 4 * own.cx_px, 112 + 4 * own.cy_px)
    assert camera.intrinsics == expected


def test_intrinsics_follow_crop_and_size(twin: Any, make_camera: Callable[..., Any], drawing: Any) -> None:
    camera = make_camera(twin.serial(), **VIEW)
    camera.connect()
    assert camera.intrinsics == drawing.INTRINSICS


def test_depth_is_in_metres_and_zero_where_unknown(twin: Any, make_camera: Callable[..., Any], drawing: Any) -> None:
    camera = make_camera(twin.serial(), depth=True, **VIEW)
    camera.connect()
    depth = camera.read(0.2).depth_m
    assert depth.dtype == np.float32
    assert (depth[:, :8] == 0.0).all()
    np.testing.assert_allclose(depth[:, 8:], drawing.DEPTH_M, atol=1e-4)


def test_no_depth_unless_asked(twin: Any, make_camera: Callable[..., Any]) -> None:
    camera = make_camera(twin.serial())
    camera.connect()
    assert camera.read(0.2).depth_m is None


def test_times_and_numbers_are_those_of_the_exposures(twin: Any, make_camera: Callable[..., Any]) -> None:
    clock, camera = WallClock(), make_camera(twin.serial(), rate_hz=15.0)
    camera.connect()
    first, began = camera.read(0.2), clock.now_s()
    time.sleep(1.0)
    last, ended = camera.read(0.2), clock.now_s()
    passed, count = last.time_s - first.time_s, last.sequence - first.sequence
    assert passed == pytest.approx(ended - began, abs=0.25)
    assert 5 <= count <= 20  # of 15 that are sent, whether or not anybody read them


def test_frames_that_were_delivered_do_not_change(twin: Any, make_camera: Callable[..., Any]) -> None:
    camera = make_camera(twin.serial())
    camera.connect()
    frame = camera.read(0.2)
    before = frame.image.copy()
    time.sleep(0.3)
    assert camera.read(0.2).sequence > frame.sequence
    np.testing.assert_array_equal(frame.image, before)
    assert frame.image.flags.writeable


def test_the_age_in_the_options_goes_before_the_reader_s(
    twin: Any, make_camera: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillcore_realsense.stream.STALL_S", 60.0)
    camera = make_camera(twin.serial(), max_age_s=0.1)
    camera.connect()
    twin.tell("freeze", "left")
    time.sleep(0.5)
    with pytest.raises(StaleFrameError, match=r"no frame younger than 0\.1 s"):
        camera.read(10.0)


def test_a_closed_camera_says_so(twin: Any, make_camera: Callable[..., Any]) -> None:
    camera = make_camera(twin.serial())
    camera.connect()
    camera.close()
    with pytest.raises(DeviceError, match="camera left is not connected"):
        camera.read(0.2)
    with pytest.raises(DeviceError, match="not connected"):
        _ = camera.intrinsics
    camera.connect()
    assert camera.read(0.2).image.any()
