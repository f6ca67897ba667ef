"""The mechanics of a plug, a socket and a compliant tool in MuJoCo.

Everything here is given in the socket frame (origin at the middle of the mouth, z into the socket). The tool moves
along x, y, z and turns about z on position-controlled axes whose force is bounded in the actuator; the plug is held
with a little give in tilt, as rubber-lined fingers hold it. Gravity is left out: the tool is balanced.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from skillcore.solids import Extrusion, Mating
from skillcore.types import Array, Pose
from skillcore_mujoco.convex import convex_pieces

TIMESTEP_S = 0.002
CHUNK_STEPS = 5
"""Physics steps between updates of the servo ramp and samples of the force: every 10 ms."""
FORCE_FILTER = 0.4
"""Share of a new sample in the force sensor's low-pass filter: its time constant is 20 ms."""
AXES = ("x", "y", "z", "yaw")
PINS, SHOULDER = 1, 2
"""What collides with what: pins with the socket's pieces, the plug's shoulder with the mouth's plane."""
SHOULDER_M = 0.006
"""Half the distance between the points in which the shoulder rests."""
TURN_LEVER_M = 0.02
"""A limit of 40 N on the axes goes with one of 0.8 Nm on the turn."""
SEAT_SLACK_M = 0.0004
"""A thread takes hold when the tip is this close to its seat, and lets go when it is farther off than this again."""


@dataclass(frozen=True, slots=True)
class ToolMechanics:
    """How stiffly the arm holds its target and the fingers hold the plug."""

    lateral_stiffness_n_m: float = 3000.0
    axial_stiffness_n_m: float = 10000.0
    turn_stiffness_nm_rad: float = 30.0
    tilt_stiffness_nm_rad: float = 4.0
    mass_kg: float = 1.5


@dataclass(frozen=True, slots=True)
class Grasp:
    """How the plug sits in the fingers: its displacement in m, and its tilt about x and y and turn about z in rad."""

    offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    rotation_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Physics:
    """One plug and one socket, ready to be pushed together.

    panel: what the socket is mounted in; `set_panel` moves it in height.
    """

    def __init__(self, mating: Mating, tool: ToolMechanics, panel: Extrusion) -> None:
        self.mating = mating
        self._tool = tool
        self._model = _model(mating, tool, panel)
        self._data = mujoco.MjData(self._model)
        self._held = self._model.body("plug").id
        self._panel = self._model.body("panel").id
        self._panel_z_m = panel.z_m[0]
        self._gain, self._damping = self._model.actuator_gainprm[:, 0].copy(), -self._model.actuator_biasprm[:, 2]
        self._damping_lag_s = self._damping / self._gain
        self._start = np.zeros(4)
        self._goal = np.zeros(4)
        self._ramp_from_s = 0.0
        self._ramp_until_s = 0.0
        self._engaged_yaw_rad: float | None = None
        self._force_limit_n = np.inf
        self._push, self._torque = np.zeros(3), np.zeros(3)
        self.reset(Grasp(), np.zeros(4))

    def reset(self, grasp: Grasp, tool_pose: Array) -> None:
        """Puts the tool to rest at `tool_pose` (x, y, z in m and yaw in rad), with the plug grasped anew."""
        model, data = self._model, self._data
        mujoco.mj_resetData(model, data)
        half_turn = 0.5 * grasp.rotation_rad[2]
        model.body_pos[self._held] = grasp.offset_m
        model.body_quat[self._held] = (np.cos(half_turn), 0.0, 0.0, np.sin(half_turn))
        model.qpos_spring[4:6] = grasp.rotation_rad[:2]
        model.dof_frictionloss[2] = 0.0
        if self.mating.thread is not None:
            data.eq_active[0] = 0
        data.qpos[:4] = tool_pose
        data.qpos[4:6] = grasp.rotation_rad[:2]
        data.ctrl[:] = tool_pose
        self._start = self._goal = np.array(tool_pose, dtype=np.float64)
        self._ramp_from_s = self._ramp_until_s = 0.0
        self._engaged_yaw_rad = None
        self._push, self._torque = np.zeros(3), np.zeros(3)
        self.limit_force(np.inf)
        mujoco.mj_forward(model, data)

    def set_panel(self, z_m: float) -> None:
        """Moves the panel's surface to `z_m` behind the mouth."""
        self._model.body_pos[self._panel][2] = z_m - self._panel_z_m

    # --- reading ---

    @property
    def time_s(self) -> float:
        return float(self._data.time)

    @property
    def tool_pose(self) -> Array:
        """x, y, z in m and yaw in rad of the TCP."""
        return np.array(self._data.qpos[:4])

    @property
    def tool_velocity(self) -> Array:
        """Of x, y, z in m/s and of yaw in rad/s."""
        return np.array(self._data.qvel[:4])

    @property
    def target(self) -> Array:
        """Where the servo ramp ends: x, y, z in m and yaw in rad."""
        return self._goal.copy()

    @property
    def tcp_from_socket(self) -> Pose:
        return Pose.from_xyz_yaw(*self._data.qpos[:4])

    @property
    def plug_from_socket(self) -> Pose:
        rotation = np.array(self._data.xmat[self._held]).reshape(3, 3)
        return Pose(np.array(self._data.xpos[self._held]), rotation)

    @property
    def wrench(self) -> Array:
        """Force in N and torque in Nm (6,) on the tool, at the plug's tip, in the tool's axes, low-pass filtered."""
        x, y, z = self._push
        cosine, sine = np.cos(self._data.qpos[3]), np.sin(self._data.qpos[3])
        return np.array([cosine * x + sine * y, cosine * y - sine * x, z, *-self._torque])

    @property
    def turned_rad(self) -> float:
        """How far the thread has been screwed in."""
        if self._engaged_yaw_rad is None:
            return 0.0
        return float(self._data.qpos[3]) - self._engaged_yaw_rad

    # --- acting ---

    def limit_force(self, force_n: float) -> None:
        """Bounds what the axes' actuators can push with together, in N, and the turn's in proportion."""
        if force_n != self._force_limit_n:
            bound = min(force_n, 1e4)
            self._model.actuator_forcerange[:3] = (-bound, bound)
            self._model.actuator_forcerange[3] = (-TURN_LEVER_M * bound, TURN_LEVER_M * bound)
            self._force_limit_n = force_n

    def servo(self, goal: Array, duration_s: float) -> None:
        """Moves the target in a straight line from where it is now to `goal` within `duration_s`, at once for 0."""
        if duration_s <= 0.0:
            self._data.ctrl[:] = goal
        self._start = np.array(self._data.ctrl)
        self._goal = np.array(goal, dtype=np.float64)
        self._ramp_from_s = self.time_s
        self._ramp_until_s = self.time_s + duration_s

    def advance(self, duration_s: float) -> None:
        """Lets the world run for `duration_s`, rounded to whole physics steps."""
        remaining = round(duration_s / TIMESTEP_S)
        while remaining > 0:
            count = min(CHUNK_STEPS, remaining)
            remaining -= count
            self._data.ctrl[:] = self._ramp_at(self.time_s + count * TIMESTEP_S)
            self._yield_to_limit()
            self._update_contacts()
            mujoco.mj_step(self._model, self._data, count)
            # What contacts, contact springs and thread do to the axes; the torque is what passes through the plug.
            self._push += FORCE_FILTER * (self._data.qfrc_constraint[:3] - self._push)
            self._torque += FORCE_FILTER * (self._data.sensordata - self._torque)
        # Sensors and body poses of the state just reached, not of the one before the last step.
        mujoco.mj_forward(self._model, self._data)

    def _yield_to_limit(self) -> None:
        """Draws the set point of x, y and z back to where they push with no more than the limit together.

        Between two updates each actuator's own bound holds them.
        """
        gain, place, held_back = self._gain[:3], self._data.qpos[:3], self._damping[:3] * self._data.qvel[:3]
        push = gain * (self._data.ctrl[:3] - place) - held_back
        strength = float(np.linalg.norm(push))
        if strength > self._force_limit_n:
            self._data.ctrl[:3] = place + (push * (self._force_limit_n / strength) + held_back) / gain

    def _ramp_at(self, time_s: float) -> Array:
        """The actuators' set point: the ramp, led by what the damping would hold back (velocity feed-forward)."""
        span = self._ramp_until_s - self._ramp_from_s
        if time_s > self._ramp_until_s + 1e-9:
            return self._goal
        share = (time_s - self._ramp_from_s) / span
        velocity = (self._goal - self._start) / span
        return np.asarray(self._start + share * (self._goal - self._start) + self._damping_lag_s * velocity)

    def _update_contacts(self) -> None:
        """Contact springs rub while the plug is inside; a thread takes hold at the seat and lets go when unscrewed."""
        tip_z = float(self._data.xpos[self._held][2])
        inside = min(1.0, max(0.0, tip_z / self.mating.depth_m))
        self._model.dof_frictionloss[2] = inside * self.mating.resistance_n
        thread = self.mating.thread
        if thread is None:
            return
        yaw = float(self._data.qpos[3])
        if self._engaged_yaw_rad is None:
            if tip_z > self.mating.depth_m - SEAT_SLACK_M:
                # z = z_engaged + pitch / 2 pi * (yaw - yaw_engaged), as MuJoCo's polynomial of one joint in another.
                slope = thread.pitch_m / (2.0 * np.pi)
                self._model.eq_data[0, :2] = (float(self._data.qpos[2]) - slope * yaw, slope)
                self._data.eq_active[0] = 1
                self._engaged_yaw_rad = yaw
        elif yaw < self._engaged_yaw_rad - 0.02:
            self._data.eq_active[0] = 0
            self._engaged_yaw_rad = None


def _model(mating: Mating, tool: ToolMechanics, panel: Extrusion) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    option = spec.option
    option.timestep = TIMESTEP_S
    option.gravity = (0.0, 0.0, 0.0)
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0

    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_MULTICCD

    facing_up = (0.0, 1.0, 0.0, 0.0)
    socket = spec.worldbody.add_body(name="socket")
    _add_pieces(spec, socket, "socket", mating.socket, mating.friction, contype=PINS, conaffinity=PINS)
    board = spec.worldbody.add_body(name="panel")
    _add_pieces(spec, board, "panel", (panel,), mating.friction, contype=PINS, conaffinity=PINS)
    # The shoulder meets the mouth's plane: a few balls on a plane cost a tenth of what the two faces would.
    stop = socket.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=(1.0, 1.0, 0.1), quat=facing_up)
    stop.contype = stop.conaffinity = SHOULDER
    _soften(stop, mating.friction)

    arm = spec.worldbody.add_body(name="tool", mass=tool.mass_kg, inertia=(2e-3, 2e-3, 2e-3), explicitinertial=True)
    stiffness = (tool.lateral_stiffness_n_m,) * 2 + (tool.axial_stiffness_n_m, tool.turn_stiffness_nm_rad)
    inertia = (tool.mass_kg,) * 3 + (2e-3,)
    for name, axis, is_slide in zip(AXES, ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 1)), (1, 1, 1, 0), strict=True):
        kind = mujoco.mjtJoint.mjJNT_SLIDE if is_slide else mujoco.mjtJoint.mjJNT_HINGE
        arm.add_joint(name=name, type=kind, axis=axis)
    for name, gain, mass in zip(AXES, stiffness, inertia, strict=True):
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=gain, kv=2.0 * float(np.sqrt(gain * mass)))
        actuator.forcelimited = True
        actuator.forcerange = (-1e4, 1e4)

    plug = arm.add_body(name="plug", mass=0.05, inertia=(2e-5, 2e-5, 1e-5), explicitinertial=True)
    grip = (0.0, 0.0, -mating.depth_m - 0.010)
    for name, axis in (("tilt_x", (1, 0, 0)), ("tilt_y", (0, 1, 0))):
        tilt = plug.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=axis, pos=grip)
        tilt.stiffness[0], tilt.damping[0] = tool.tilt_stiffness_nm_rad, 0.05
        tilt.armature = 1e-4
    guides = tuple(part for part in mating.plug if part.z_m[1] > -mating.depth_m + 1e-5)
    _add_pieces(spec, plug, "plug", guides, mating.friction, contype=PINS, conaffinity=PINS)
    for x, y in ((-SHOULDER_M, 0.0), (SHOULDER_M, 0.0), (0.0, -SHOULDER_M), (0.0, SHOULDER_M)):
        ball = plug.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=(0.001, 0.0, 0.0), mass=0.0)
        ball.pos = (x, y, -mating.depth_m - 0.001)
        ball.contype = ball.conaffinity = SHOULDER
        _soften(ball, mating.friction)
    plug.add_site(name="tip")
    spec.add_sensor(type=mujoco.mjtSensor.mjSENS_TORQUE, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="tip")

    if mating.thread is not None:
        helix = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1="z", name2="yaw", active=False)
        helix.objtype = mujoco.mjtObj.mjOBJ_JOINT
    return spec.compile()


def _add_pieces(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    extrusions: tuple[Extrusion, ...],
    friction: float,
    *,
    contype: int,
    conaffinity: int,
) -> None:
    """Adds the solid extrusions' convex pieces as meshes. Their mass is nothing: the bodies' inertia is given."""
    number = 0
    for extrusion in extrusions:
        if not extrusion.collides:
            continue
        for corners in convex_pieces(extrusion):
            mesh = spec.add_mesh(name=f"{name}{number}", uservert=corners.ravel())
            mesh.maxhullvert = -1
            geom = body.add_geom(type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name, mass=0.0)
            geom.contype, geom.conaffinity = contype, conaffinity
            _soften(geom, friction)
            number += 1


def _soften(geom: mujoco.MjsGeom, friction: float) -> None:
    """The stiffest contact that the time step bears: about 0.01 mm of give at 10 N."""
    geom.friction = (friction, 0.0, 0.0)
    geom.solref, geom.solimp = (2.0 * TIMESTEP_S, 1.0), (0.95, 0.99, 0.0005, 0.5, 2.0)
    geom.condim = 3
