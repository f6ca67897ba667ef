"""What every camera must do, as tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pytest

from skillcore.clock import WallClock
from skillcore.errors import DeviceError, StaleFrameError
from skillcore.interfaces import Camera, Clock
from skillcore.testing.promises import connected, promised, promised_error, promised_silence
from skillcore.types import Image

ALIKE = 16.0
"""Levels, of 255, that an image may be off on average: it may have been compressed."""


class CameraContract:
    """Subclass it as `class TestMyCamera(CameraContract)` and fill in `make_camera`, its lens uncovered.

    max_age_s: how old frames may be. slack_s: what handing over a frame may take. patience_s: how long the camera may
    take to tell that nobody answers.

    What goes wrong is tested where the suite is told how to make it go wrong: `freeze` and `cut_off`. Colours are
    tested where `shows` says what there is to see.
    """

    max_age_s: ClassVar[float] = 0.2
    slack_s: ClassVar[float] = 0.05
    patience_s: ClassVar[float] = 20.0

    def make_camera(self) -> Camera:
        """A new camera, not connected."""
        raise NotImplementedError("fill in make_camera")

    def make_clock(self) -> Clock:
        """The time the camera lives by; asked for after `make_camera`."""
        return WallClock()

    def shows(self, camera: Camera) -> Image | None:
        """Keeps what is before a connected camera as it is, and returns the image that it must deliver of it, (H, W, 3)
        uint8, RGB. None if nobody knows."""
        return None

    def freeze(self, camera: Camera) -> bool:
        """Makes a connected camera deliver nothing new. False if it can't be made to."""
        return False

    def cut_off(self, camera: Camera) -> bool:
        """Cuts a connected camera off, as a cable that is pulled. False if it can't be."""
        return False

    @pytest.fixture
    def camera(self) -> Iterator[Camera]:
        """A connected camera, closed afterwards."""
        with connected(self.make_camera()) as camera:
            yield camera

    @pytest.fixture
    def clock(self, camera: Camera) -> Clock:
        """The camera's clock."""
        return self.make_clock()

    def test_close_may_be_called_twice_and_without_connect(self) -> None:
        camera = self.make_camera()
        with promised_silence("Camera.close may be called after a failed connect"):
            camera.close()
        camera.connect()
        with promised_silence("Camera.close may be called twice"):
            camera.close()
            camera.close()

    def test_an_unconnected_camera_answers_with_a_device_error(self) -> None:
        with promised_error(DeviceError, "Camera.read raises DeviceError when there is no stream"):
            self.make_camera().read(self.max_age_s)

    def test_frames_are_colour_images(self, camera: Camera) -> None:
        image = camera.read(self.max_age_s).image
        colour = image.ndim == 3 and image.shape[2] == 3 and image.size > 0
        promised(colour, "Frame.image is (H, W, 3)", image.shape)
        promised(image.dtype == np.uint8, "Frame.image is uint8", image.dtype)
        promised(float(image.std()) > 0.0, "Frame.image shows something", "all pixels are alike")

    def test_colours_are_red_green_and_blue(self, camera: Camera, clock: Clock) -> None:
        shown = self.shows(camera)
        if shown is None:
            pytest.skip("nobody knows what is before this camera; `shows` says it")
        clock.sleep_until(clock.now_s() + 0.1)
        image = camera.read(self.patience_s).image
        promised(image.shape == shown.shape, "Frame.image is as large as what the camera shows", image.shape)
        off = float(np.abs(image.astype(np.float64) - shown).mean())
        promised(off < ALIKE, "Frame.image is RGB, from the top row down", f"{off:.0f} levels off on average")

    def test_depth_fits_the_image(self, camera: Camera) -> None:
        frame = camera.read(self.max_age_s)
        depth = frame.depth_m
        if depth is None:
            return
        promised(depth.shape == frame.image.shape[:2], "Frame.depth_m is (H, W) as the image", depth.shape)
        promised(depth.dtype == np.float32, "Frame.depth_m is float32", depth.dtype)
        valid = bool(np.isfinite(depth).all() and (depth >= 0.0).all())
        promised(valid, "Frame.depth_m is a depth in m, 0 where unknown", (depth.min(), depth.max()))

    def test_intrinsics_are_those_of_the_images(self, camera: Camera) -> None:
        frame = camera.read(self.max_age_s)
        own, told = camera.intrinsics, frame.intrinsics
        promised(own == told, "Camera.intrinsics are those of the images delivered", (own, told))
        size = (own.height_px, own.width_px)
        promised(size == frame.image.shape[:2], "Intrinsics are of an image of width_px by height_px", size)
        promised(own.fx_px > 0.0 and own.fy_px > 0.0, "Intrinsics have positive focal lengths", own)

    def test_frames_are_young(self, camera: Camera, clock: Clock) -> None:
        for _ in range(3):
            frame = camera.read(self.max_age_s)
            age = clock.now_s() - frame.time_s
            promised(
                -self.slack_s <= age <= self.max_age_s + self.slack_s,
                f"Camera.read delivers a frame exposed at most max_age_s ({self.max_age_s} s) ago, by the cell's clock",
                f"{age:.3f} s ago",
            )
            clock.sleep_until(clock.now_s() + 0.1)

    def test_later_frames_are_newer(self, camera: Camera, clock: Clock) -> None:
        first = camera.read(self.max_age_s)
        clock.sleep_until(clock.now_s() + self.max_age_s + self.slack_s)
        second = camera.read(self.max_age_s)
        numbers, times = (first.sequence, second.sequence), (first.time_s, second.time_s)
        promised(second.sequence > first.sequence, "Frame.sequence is the camera's frame number", numbers)
        promised(second.time_s > first.time_s, "Frame.time_s is the time of the exposure", times)

    def test_a_frozen_camera_is_told(self, camera: Camera, clock: Clock) -> None:
        camera.read(self.max_age_s)
        if not self.freeze(camera):
            pytest.skip("this camera can't be frozen on purpose; `freeze` says how")
        clock.sleep_until(clock.now_s() + self.max_age_s + self.slack_s)
        with promised_error(StaleFrameError, "Camera.read raises StaleFrameError if no frame comes in time"):
            camera.read(self.max_age_s)

    def test_a_camera_that_is_cut_off_says_so(self, camera: Camera) -> None:
        camera.read(self.max_age_s)
        if not self.cut_off(camera):
            pytest.skip("this camera can't be cut off on purpose; `cut_off` says how")
        # By the wall's clock: where nobody answers, a camera's own time may stand still.
        wall = WallClock()
        until = wall.now_s() + self.patience_s
        with promised_error(DeviceError, "Camera.read raises DeviceError when nothing answers"):
            while wall.now_s() < until:
                camera.read(self.max_age_s)
                wall.sleep_until(wall.now_s() + 0.05)
        with promised_silence("Camera.close closes a camera that does not answer"):
            camera.close()
