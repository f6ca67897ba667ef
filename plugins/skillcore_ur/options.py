"""What a cell file may say about a UR arm.

arm:
  driver: ur
  address: 192.168.1.10
  model: ur5e
  tcp: {position_m: [0, 0, 150 mm]}
  payload: {mass_kg: 1.2, cog_m: [0, 0, 50 mm]}
  compliance: {mode: force_mode, axial_stiffness_n_m: 10000}
  limits: {speed_m_s: 0.25, force_n: 60}
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from skillcore.config import (
    ACCELERATION,
    ANGLE,
    FORCE,
    FREQUENCY,
    LENGTH,
    MASS,
    SPEED,
    STIFFNESS,
    TIME,
    TORQUE,
    TURN_SPEED,
    TURN_STIFFNESS,
    StrictModel,
    Triple,
    wrong,
)
from skillcore.types import Pose

Model = Literal["ur3e", "ur5e", "ur10e", "ur16e"]


class Tcp(StrictModel):
    """The tool centre point seen from the flange, as it is set in the controller's installation."""

    position_m: Triple[Annotated[float, LENGTH.within(-1.0, 1.0)]]
    rotvec_rad: Triple[Annotated[float, ANGLE.within(-6.3, 6.3)]] = (0.0, 0.0, 0.0)

    @property
    def tcp_from_flange(self) -> Pose:
        return Pose.from_rotvec(self.position_m, self.rotvec_rad)


class Payload(StrictModel):
    """What hangs at the flange, as it is set in the controller's installation. cog_m: its centre of gravity."""

    mass_kg: Annotated[float, MASS.within(0.0, 20.0)]
    cog_m: Triple[Annotated[float, LENGTH.within(-1.0, 1.0)]] = (0.0, 0.0, 0.0)


class ForceMode(StrictModel):
    """Compliance by the controller's force mode: a spring between target and tool says with what wrench the controller
    may press, and never says more than the limit. The controller holds the force.

    axial_stiffness_n_m is along the tool's z axis, lateral_stiffness_n_m across it. gain_scaling, damping: of the
    controller's force mode.
    """

    mode: Literal["force_mode"] = "force_mode"
    axial_stiffness_n_m: Annotated[float, STIFFNESS.within(200.0, 50000.0)] = 10000.0
    lateral_stiffness_n_m: Annotated[float, STIFFNESS.within(200.0, 50000.0)] = 3000.0
    turn_stiffness_nm_rad: Annotated[float, TURN_STIFFNESS.within(1.0, 200.0)] = 40.0
    damping_n_s_m: Annotated[float, Field(ge=0.0, le=5000.0)] = 100.0
    torque_limit_nm: Annotated[float, TORQUE.within(0.1, 20.0)] = 3.0
    gain_scaling: Annotated[float, Field(ge=0.05, le=2.0)] = 0.5
    damping: Annotated[float, Field(ge=0.0, le=1.0)] = 0.025


class Servo(StrictModel):
    """Compliance by position: this computer measures the force and moves servoL's set point out of its way.

    In the controller the force is bounded by the safety system alone, which ends the motion with a protective stop
    above its "tool force". No program can read that limit, so it must be stated here as it stands on the pendant
    (Installation > Safety > Robot Limits): without it this mode is refused.

    speed_m_s: the set point goes no faster, so that what the tool meets is felt before it presses beyond the limit.
    """

    mode: Literal["servo"]
    tool_force_limit_n: Annotated[float, FORCE.within(20.0, 250.0)]
    speed_m_s: Annotated[float, SPEED.within(0.005, 0.25)] = 0.05
    axial_stiffness_n_m: Annotated[float, STIFFNESS.within(200.0, 50000.0)] = 5000.0
    lateral_stiffness_n_m: Annotated[float, STIFFNESS.within(200.0, 50000.0)] = 3000.0
    turn_stiffness_nm_rad: Annotated[float, TURN_STIFFNESS.within(1.0, 200.0)] = 40.0
    damping_n_s_m: Annotated[float, Field(ge=200.0, le=20000.0)] = 1500.0
    turn_damping_nm_s_rad: Annotated[float, Field(ge=0.5, le=200.0)] = 8.0
    torque_limit_nm: Annotated[float, TORQUE.within(0.1, 20.0)] = 3.0
    lookahead_time_s: Annotated[float, TIME.within(0.03, 0.2)] = 0.05
    gain: Annotated[float, Field(ge=100.0, le=2000.0)] = 300.0


class Limits(StrictModel):
    """What the arm may do at most, of which the cell's guard takes the tighter."""

    speed_m_s: Annotated[float, SPEED.within(0.005, 1.0)] = 0.25
    turn_speed_rad_s: Annotated[float, TURN_SPEED.within(0.05, 3.0)] = 2.0
    acceleration_m_s2: Annotated[float, ACCELERATION.within(0.05, 5.0)] = 0.8
    force_n: Annotated[float, FORCE.within(5.0, 150.0)] = 60.0


class ArmOptions(StrictModel):
    """A UR e-Series arm in remote control.

    watchdog_hz: the controller ends the program, and the arm stands, when it has heard nothing for one period of this.
    stale_s: a stream that stands still for so long is a fault. zero_residual_n: what a zeroed wrench may show.
    """

    address: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._:-]+$")]
    model: Model
    tcp: Tcp
    payload: Payload
    compliance: Annotated[ForceMode | Servo, Field(discriminator="mode")] = ForceMode()
    limits: Limits = Limits()
    rate_hz: Annotated[float, FREQUENCY.within(50.0, 500.0)] = 125.0
    watchdog_hz: Annotated[float, FREQUENCY.within(1.0, 50.0)] = 5.0
    stale_s: Annotated[float, TIME.within(0.05, 2.0)] = 0.3
    zero_residual_n: Annotated[float, FORCE.within(0.5, 20.0)] = 4.0

    @model_validator(mode="after")
    def _bounded_in_the_controller(self) -> ArmOptions:
        compliance, force = self.compliance, self.limits.force_n
        if isinstance(compliance, Servo) and force > compliance.tool_force_limit_n:
            reason = f"{force:g} N is more than the controller allows, which is {compliance.tool_force_limit_n:g} N"
            cure = "write no more than compliance.tool_force_limit_n, or use compliance mode force_mode"
            raise wrong(reason, cure, field="limits.force_n")
        return self
