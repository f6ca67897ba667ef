"""What a cell file may say about the simulated world, its arm and its cameras."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from skillcore.config import (
    ANGLE,
    FORCE,
    LENGTH,
    MASS,
    STIFFNESS,
    TORQUE,
    TURN_STIFFNESS,
    StrictModel,
    wrong,
)

LEVEL_RAD = 0.05
"""Every ray of a camera must point down by more than this, mounting errors included."""


class WorldOptions(StrictModel):
    """How far from ideal the simulated cell is. Errors are the largest that are drawn."""

    grasp_error_m: Annotated[float, LENGTH.within(0.0, 0.005)] = 0.001
    grasp_error_rad: Annotated[float, ANGLE.within(0.0, 0.2)] = 0.035
    camera_error_m: Annotated[float, LENGTH.within(0.0, 0.01)] = 0.0003
    camera_error_rad: Annotated[float, ANGLE.within(0.0, 0.2)] = 0.005
    pose_noise_m: Annotated[float, LENGTH.within(0.0, 0.001)] = 0.00002
    force_noise_n: Annotated[float, FORCE.within(0.0, 10.0)] = 0.2
    torque_noise_nm: Annotated[float, TORQUE.within(0.0, 1.0)] = 0.004
    force_bias_n: Annotated[float, FORCE.within(0.0, 20.0)] = 2.0


class ArmOptions(StrictModel):
    """The simulated arm: how stiffly it holds a target, and what its fingers look like."""

    lateral_stiffness_n_m: Annotated[float, STIFFNESS.within(200.0, 20000.0)] = 3000.0
    axial_stiffness_n_m: Annotated[float, STIFFNESS.within(200.0, 20000.0)] = 10000.0
    turn_stiffness_nm_rad: Annotated[float, TURN_STIFFNESS.within(1.0, 200.0)] = 30.0
    tilt_stiffness_nm_rad: Annotated[float, TURN_STIFFNESS.within(0.5, 50.0)] = 4.0
    mass_kg: Annotated[float, MASS.within(0.3, 10.0)] = 1.5
    gripper: Literal["parallel", "slim", "collet"] = "parallel"
    protective_stop_n: Annotated[float, FORCE.within(20.0, 500.0)] = 150.0


class CameraOptions(StrictModel):
    """A simulated camera on the tool. It looks at a point near the tool centre point.

    azimuth_rad: where it is mounted around the tool's z axis, 0 on the x axis' side. elevation_rad: how far above the
    plane of the socket's mouth it looks from. view_m: the width it sees at the point it looks at. ahead_m: how far that
    point lies beyond the TCP.
    """

    azimuth_rad: Annotated[float, ANGLE.within(-3.15, 3.15)] = 0.0
    elevation_rad: Annotated[float, ANGLE.within(0.3, 1.5)] = 0.65
    distance_m: Annotated[float, LENGTH.within(0.03, 0.5)] = 0.075
    view_m: Annotated[float, LENGTH.within(0.01, 0.5)] = 0.045
    ahead_m: Annotated[float, LENGTH.within(-0.05, 0.05)] = 0.0
    size_px: Annotated[int, Field(ge=16, le=1024)] = 64
    depth: bool = False

    @model_validator(mode="after")
    def _looks_down(self) -> CameraOptions:
        half_rad = math.atan(0.5 * self.view_m / self.distance_m)
        if self.elevation_rad < half_rad + LEVEL_RAD:
            reason = (
                f"the image's upper edge looks {math.degrees(half_rad):.0f} deg above its middle, and so past the cell"
            )
            least = math.degrees(half_rad + LEVEL_RAD)
            raise wrong(reason, f"write at least {least:.0f} deg, or a smaller view_m", field="elevation_rad")
        return self
