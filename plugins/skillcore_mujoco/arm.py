"""The simulated arm: compliant, with bounded force, and a controller that stops on what it takes for a collision."""

from __future__ import annotations

import numpy as np

from skillcore.errors import ArmFaultError, DeviceError
from skillcore.interfaces import Arm, ArmLimits
from skillcore.solids import Extrusion, Material
from skillcore.types import ArmState, Array, Pose, Wrench
from skillcore_mujoco.hand import Hand
from skillcore_mujoco.options import ArmOptions
from skillcore_mujoco.physics import ToolMechanics
from skillcore_mujoco.world import Body, World

POLL_S = 0.02
LIMITS = ArmLimits(speed_m_s=0.5, turn_speed_rad_s=3.0, force_n=80.0)
TURN_SPEED_RAD_S = 1.0
SETTLE_S = 0.1
ARRIVED_M = 0.002
WAY_CURE = "free the tool, and see that the way to the start pose is clear"


class SimulatedArm(Arm):
    """Drives the world's tool. Poses with tilt are flattened: this arm turns about the tool's z axis only.

    It is `Guidable`, by a scripted hand: see `skillcore_mujoco.hand`.
    """

    def __init__(self, options: ArmOptions, world: World) -> None:
        self._options = options
        self._world = world
        self._connected = False
        self._fault: str | None = None
        self._sequence = 0
        self._zero = np.zeros(6)
        self._guidings = 0

    @property
    def limits(self) -> ArmLimits:
        return LIMITS

    def connect(self) -> None:
        options = self._options
        mechanics = ToolMechanics(
            lateral_stiffness_n_m=options.lateral_stiffness_n_m,
            axial_stiffness_n_m=options.axial_stiffness_n_m,
            turn_stiffness_nm_rad=options.turn_stiffness_nm_rad,
            tilt_stiffness_nm_rad=options.tilt_stiffness_nm_rad,
            mass_kg=options.mass_kg,
        )
        if not self._connected:
            self._world.attach_body(Body(mechanics, FINGERS[options.gripper]))
            self._connected = True

    def close(self) -> None:
        if self._connected:
            self.stop()
            self._connected = False

    def read(self) -> ArmState:
        world = self._opened()
        self._watch_force()
        self._sequence += 1
        wrench = world.measured_wrench() - self._zero
        velocity, base = world.physics.tool_velocity, world.socket_from_base.rotation
        return ArmState(
            tcp_from_base=world.socket_from_base @ world.measured_tcp_from_socket(),
            twist=np.concatenate([base @ velocity[:3], base @ np.array([0.0, 0.0, velocity[3]])]),
            wrench=Wrench(wrench[:3], wrench[3:]),
            fault=self._fault,
            time_s=world.time_s,
            sequence=self._sequence,
        )

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        physics = self._opened().physics
        self._refuse_unless_ready()
        goal = self._in_tool_axes(tcp_from_base)
        travel = goal - physics.tool_pose
        speed = min(speed_m_s, LIMITS.speed_m_s)
        duration = max(float(np.linalg.norm(travel[:3])) / speed, abs(float(travel[3])) / TURN_SPEED_RAD_S)
        physics.limit_force(LIMITS.force_n)
        physics.servo(goal, duration)
        remaining = duration + SETTLE_S
        while remaining > 0.0:
            physics.advance(min(POLL_S, remaining))
            remaining -= POLL_S
            self._watch_force()
            force = float(np.linalg.norm(physics.wrench[:3]))
            if force > force_limit_n or self._fault:
                self.stop()
                raise ArmFaultError(
                    self._fault or f"the arm met {force:.0f} N on its way, more than the {force_limit_n:.0f} N allowed",
                    cure=WAY_CURE,
                )
        short = float(np.linalg.norm(goal[:3] - physics.tool_pose[:3]))
        if short > ARRIVED_M:
            self.stop()
            raise ArmFaultError(f"the arm was held up {short * 1e3:.1f} mm before its goal", cure=WAY_CURE)

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        world = self._opened()
        self._refuse_unless_ready()
        physics = world.physics
        goal = self._in_tool_axes(tcp_from_base)
        physics.limit_force(min(force_limit_n, LIMITS.force_n))
        physics.servo(goal, duration_s)
        return world.socket_from_base @ Pose.from_xyz_yaw(*goal)

    def zero_wrench(self) -> None:
        world = self._opened()
        self._zero = np.mean([world.measured_wrench() for _ in range(25)], axis=0)

    def start_freedrive(self) -> None:
        world = self._opened()
        self._refuse_if_faulty()
        self.stop()
        self._guidings += 1
        world.hand = Hand(np.random.default_rng([self._guidings, 91]))

    def end_freedrive(self) -> None:
        if self._connected and self._world.hand is not None:
            self.stop()

    def stop(self) -> None:
        if self._connected:
            self._world.hand = None
            physics = self._world.physics
            physics.servo(physics.tool_pose, 0.0)

    def recover(self) -> None:
        physics = self._opened().physics
        self.stop()
        if self._fault is not None:
            # What it pressed against must have let go, or the next reading would find the same fault again.
            physics.advance(SETTLE_S)
            self._fault = None
            self._watch_force()
            self._refuse_if_faulty()

    def _opened(self) -> World:
        if not self._connected:
            raise DeviceError("the simulated arm is not connected", cure="call connect() first")
        return self._world

    def _refuse_unless_ready(self) -> None:
        if self._world.hand is not None:
            raise DeviceError("somebody guides the arm by hand", cure="call end_freedrive() first")
        self._refuse_if_faulty()

    def _refuse_if_faulty(self) -> None:
        if self._fault:
            raise ArmFaultError(self._fault, cure="call recover() once the tool is free")

    def _watch_force(self) -> None:
        """Stops for good when it is pushed harder than its own actuators could push."""
        force = float(np.linalg.norm(self._world.physics.wrench[:3]))
        if self._fault is None and force > self._options.protective_stop_n:
            self._fault = f"protective stop: {force:.0f} N on the tool"
            self.stop()

    def _in_tool_axes(self, tcp_from_base: Pose) -> Array:
        """x, y, z in m and yaw in rad of a pose, in the socket frame; of equal angles the one nearest to now."""
        local = self._world.socket_from_base.inverse() @ tcp_from_base
        now = float(self._world.physics.tool_pose[3])
        turn = (local.yaw_rad - now + np.pi) % (2 * np.pi) - np.pi
        return np.array([*local.position_m, now + turn])


def _block(x_m: tuple[float, float], y_m: tuple[float, float], z_m: tuple[float, float]) -> Extrusion:
    ring = np.array([[x_m[0], y_m[0]], [x_m[1], y_m[0]], [x_m[1], y_m[1]], [x_m[0], y_m[1]]])
    return Extrusion(ring, z_m, Material((0.5, 0.5, 0.5)), collides=False)


def _pair(gap_m: float, thickness_m: float, width_m: float) -> tuple[Extrusion, ...]:
    """Two fingers that close along y; z is counted from the plug's shoulder."""
    half = 0.5 * width_m
    return tuple(_block((-half, half), (y, y + thickness_m), (-0.060, -0.012)) for y in (gap_m, -gap_m - thickness_m))


FINGERS: dict[str, tuple[Extrusion, ...]] = {
    "parallel": (*_pair(0.007, 0.006, 0.014), _block((-0.02, 0.02), (-0.03, 0.03), (-0.10, -0.045))),
    "slim": (*_pair(0.006, 0.003, 0.008), _block((-0.012, 0.012), (-0.02, 0.02), (-0.10, -0.040))),
    "collet": (_block((-0.011, 0.011), (-0.011, 0.011), (-0.09, -0.016)),),
}
"""The grippers' shapes."""
