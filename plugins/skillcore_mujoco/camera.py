"""A simulated camera on the tool."""

from __future__ import annotations

import numpy as np

from skillcore.errors import DeviceError
from skillcore.interfaces import Camera
from skillcore.types import Frame, Intrinsics
from skillcore_mujoco.options import CameraOptions
from skillcore_mujoco.raycast import Eye, look_at
from skillcore_mujoco.world import World


class SimulatedCamera(Camera):
    """One view of the world. A frame is always as old as the moment it is read in."""

    def __init__(self, options: CameraOptions, world: World) -> None:
        self._options = options
        self._world = world
        self._number: int | None = None
        self._open = False
        self._sequence = 0

    def connect(self) -> None:
        self._open = True
        if self._number is not None:
            return
        options = self._options
        aim = np.array([0.0, 0.0, options.ahead_m])
        flat = np.cos(options.elevation_rad)
        away = np.array(
            [flat * np.cos(options.azimuth_rad), flat * np.sin(options.azimuth_rad), -np.sin(options.elevation_rad)]
        )
        pose = look_at(aim + options.distance_m * away, aim, up=np.array([0.0, 0.0, -1.0]))
        self._number = self._world.attach_eye(Eye(pose, self.intrinsics))

    def close(self) -> None:
        self._open = False

    @property
    def intrinsics(self) -> Intrinsics:
        options = self._options
        focal = options.size_px * options.distance_m / options.view_m
        middle = 0.5 * options.size_px
        return Intrinsics(options.size_px, options.size_px, focal, focal, middle, middle)

    def read(self, max_age_s: float) -> Frame:
        if not self._open or self._number is None:
            raise DeviceError("the simulated camera is not connected", cure="call connect() first")
        picture = self._world.picture(self._number)
        self._sequence += 1
        return Frame(
            image=picture.image,
            depth_m=picture.depth_m if self._options.depth else None,
            intrinsics=self.intrinsics,
            time_s=self._world.time_s,
            sequence=self._sequence,
        )
