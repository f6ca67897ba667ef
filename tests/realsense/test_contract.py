"""A RealSense camera keeps the promises of a camera, fed through the vendor's library from another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from skillcore.interfaces import Camera
from skillcore.testing import CameraContract


class TestRealSenseCamera(CameraContract):
    options: dict[str, Any] = {}  # noqa: RUF012 - read only

    @pytest.fixture(autouse=True)
    def _made_by(self, twin: Any, make_camera: Callable[..., Any]) -> None:
        self._twin, self._make = twin, make_camera

    def make_camera(self) -> Camera:
        return self._make(self._twin.serial("left"), **self.options)

    def freeze(self, camera: Camera) -> bool:
        self._twin.tell("freeze", "left")
        return True

    def cut_off(self, camera: Camera) -> bool:
        self._twin.tell("unplug", "left")
        return True


class TestRealSenseCameraWithDepth(TestRealSenseCamera):
    options = {  # noqa: RUF012 - read only
        "depth": True,
        "rate_hz": 15.0,
        "crop": {"left_px": 190, "top_px": 112, "width_px": 260, "height_px": 200},
        "resize_px": (65, 50),
    }
