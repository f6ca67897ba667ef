"""Registers the RealSense camera."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillcore.clock import WallClock
from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore_realsense.library import REQUIRES, load
from skillcore_realsense.options import RealSenseOptions

if TYPE_CHECKING:
    from skillcore.interfaces import Camera


def _make_camera(options: RealSenseOptions, context: Context) -> Camera:
    from skillcore_realsense.camera import RealSenseCamera

    return RealSenseCamera(load(), options, context.clock or WallClock(), name=context.name)


@hookimpl
def skillcore_cameras() -> Mapping[str, Part[Any, Any]]:
    return {"realsense": Part(RealSenseOptions, _make_camera, "Intel RealSense, by serial number", requires=REQUIRES)}
