"""The simulated world: one socket, one plug in a gripper, and whatever looks at them, under one clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.errors import DeviceError
from skillcore.interfaces import Clock, Simulation
from skillcore.solids import Extrusion, Material, Mating
from skillcore.types import Array, Pose
from skillcore_mujoco.hand import PERIOD_S, Hand
from skillcore_mujoco.look import Look, draw_look, panel_around, reach_of, wandered
from skillcore_mujoco.options import WorldOptions
from skillcore_mujoco.physics import Grasp, Physics, ToolMechanics
from skillcore_mujoco.raycast import Eye, Picture, RayCaster

HOME_M = -0.020
"""Where an episode begins: the tip so far in front of the socket's mouth."""


@dataclass(frozen=True, slots=True)
class Body:
    """An arm as the world needs to know it."""

    mechanics: ToolMechanics
    fingers: tuple[Extrusion, ...]


class WorldClock(Clock):
    """Time that passes only while somebody sleeps on it."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now_s(self) -> float:
        return self._world.time_s

    def sleep_until(self, time_s: float) -> None:
        self._world.advance(time_s - self._world.time_s)


class World(Simulation):
    """Implements `Simulation`; arms and cameras of the same cell attach themselves to it."""

    def __init__(self, options: WorldOptions, socket_from_base: Pose) -> None:
        self._options = options
        self._socket_from_base = socket_from_base
        self._clock = WorldClock(self)
        self._body: Body | None = None
        self._eyes: list[Eye] = []
        self._mating = _bare_peg()
        self._look_seed = 0
        self._look: Look | None = None
        self._physics: Physics | None = None
        self._caster: RayCaster | None = None
        self._past_s = 0.0
        self._pictures: tuple[float, list[Picture]] | None = None
        self._noise = np.random.default_rng(0)
        self._bias = np.zeros(6)
        self.hand: Hand | None = None
        """Who guides the arm, while somebody does."""

    # --- what Simulation promises ---

    @property
    def clock(self) -> Clock:
        return self._clock

    @property
    def socket_from_base(self) -> Pose:
        return self._socket_from_base

    def install(self, mating: Mating, *, seed: int) -> None:
        if mating is not self._mating:
            self._forget_physics()
        self._mating, self._look_seed = mating, seed
        self._look = None
        self._caster = None
        self.new_episode(seed=seed)

    def new_episode(self, *, seed: int) -> None:
        options = self._options
        noise_rng, grasp_rng, light_rng, self._noise = np.random.default_rng([seed, 77]).spawn(4)
        physics = self.physics
        self._past_s += physics.time_s
        grasp = Grasp(
            offset_m=_within_ball(grasp_rng, options.grasp_error_m),
            rotation_rad=_within_ball(grasp_rng, options.grasp_error_rad),
        )
        physics.set_panel(self.look.panel_z_m)
        physics.reset(grasp, np.array([0.0, 0.0, HOME_M, 0.0]))
        bound = np.array([options.force_bias_n] * 3 + [0.02 * options.force_bias_n] * 3)
        self._bias = self._noise.uniform(-bound, bound)
        self._pictures = None
        if self._eyes:
            plug_from_tcp = physics.tcp_from_socket.inverse() @ physics.plug_from_socket
            self.caster.new_episode(plug_from_tcp, wandered(self.look.light, light_rng), noise_rng)

    def plug_from_socket(self) -> Pose:
        return self.physics.plug_from_socket

    def turned_rad(self) -> float:
        return self.physics.turned_rad

    def shown(self) -> tuple[NDArray[np.uint8], ...]:
        return tuple(self.picture(number).part for number in range(len(self._eyes)))

    def close(self) -> None:
        self._forget_physics()
        self._caster = None

    # --- what arms and cameras of this plugin use ---

    def attach_body(self, body: Body) -> None:
        self._body = body
        self._forget_physics()
        self._caster = None

    def attach_eye(self, eye: Eye) -> int:
        """Returns the view's number."""
        self._eyes.append(eye)
        self._look = self._caster = None
        return len(self._eyes) - 1

    @property
    def time_s(self) -> float:
        return self._past_s + (self._physics.time_s if self._physics is not None else 0.0)

    def advance(self, duration_s: float) -> None:
        remaining = duration_s
        while remaining > 0.0 and self.hand is not None:
            self.hand.guide(self.physics)
            self.physics.advance(min(PERIOD_S, remaining))
            remaining -= PERIOD_S
        if remaining > 0.0:
            self.physics.advance(remaining)

    @property
    def look(self) -> Look:
        if self._look is None:
            options = self._options
            self._look = draw_look(
                np.random.default_rng([self._look_seed, 11]),
                views=len(self._eyes),
                socket_half_m=reach_of(self._mating.socket),
                mount_error=(options.camera_error_m, options.camera_error_rad),
            )
        return self._look

    @property
    def physics(self) -> Physics:
        if self._physics is None:
            # Built the same for every look: how the world was set up before must not show in its numbers.
            panel = panel_around(self._mating, 0.0)
            self._physics = Physics(self._mating, self._attached_body().mechanics, panel)
            self._physics.set_panel(self.look.panel_z_m)
        return self._physics

    def _forget_physics(self) -> None:
        """Lets go of the mechanics and keeps the time that has passed in them."""
        self._past_s = self.time_s
        self._physics = None

    @property
    def caster(self) -> RayCaster:
        if self._caster is None:
            look = self.look
            fingers = [
                replace(finger, material=look.fingers, z_m=(low - self._mating.depth_m, high - self._mating.depth_m))
                for finger in self._attached_body().fingers
                for low, high in (finger.z_m,)
            ]
            self._caster = RayCaster(self._mating, look, fingers, self._eyes)
        return self._caster

    def _attached_body(self) -> Body:
        if self._body is None:
            raise DeviceError(
                "the simulated world has no arm", cure="connect an arm with `driver: mujoco`, before anything else"
            )
        return self._body

    def picture(self, number: int) -> Picture:
        """What a view shows now. All views are cast together, once for every moment that is asked for."""
        now = self.time_s
        if self._caster is None:
            self.new_episode(seed=self._look_seed)
        if self._pictures is None or self._pictures[0] != now:
            physics = self.physics
            self._pictures = (now, self.caster.render(physics.tcp_from_socket, physics.plug_from_socket))
        return self._pictures[1][number]

    def measured_tcp_from_socket(self) -> Pose:
        """The TCP's pose with the noise of joint sensors."""
        pose, spread = self.physics.tcp_from_socket, self._options.pose_noise_m
        jitter = self._noise.normal(0.0, spread, 4)
        x, y, z = pose.position_m + jitter[:3]
        return Pose.from_xyz_yaw(x, y, z, pose.yaw_rad + 5.0 * jitter[3])

    def measured_wrench(self) -> Array:
        """Force and torque (6,) with bias and noise, before any zeroing."""
        options = self._options
        spread = np.array([options.force_noise_n] * 3 + [options.torque_noise_nm] * 3)
        return np.asarray(self.physics.wrench + self._bias + self._noise.normal(0.0, spread))


def _within_ball(rng: np.random.Generator, radius: float) -> tuple[float, float, float]:
    """A point drawn evenly from a ball."""
    direction = rng.normal(0.0, 1.0, 3)
    x, y, z = direction / np.linalg.norm(direction) * radius * rng.random() ** (1.0 / 3.0)
    return float(x), float(y), float(z)


def _bare_peg() -> Mating:
    """What is mounted before a skill installs something: a round peg and its hole."""
    around = np.arange(16) * (2 * np.pi / 16)
    circle = np.column_stack([np.cos(around), np.sin(around)])
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    steel, grey = Material((0.7, 0.7, 0.72), gloss=0.7), Material((0.35, 0.35, 0.38))
    return Mating(
        name="peg",
        plug=(
            Extrusion(0.006 * square, (-0.03, -0.01), grey),
            Extrusion(0.003 * circle, (-0.01, 0.0), steel, chamfer_m=0.0005),
        ),
        socket=(
            Extrusion(0.012 * square, (0.0, 0.0105), grey, holes=(0.0032 * circle,), chamfer_m=0.0005),
            Extrusion(0.012 * square, (0.0105, 0.012), grey),
        ),
        depth_m=0.010,
        friction=0.2,
        resistance_n=0.0,
    )


# Small images gain nothing from OpenCV's threads, and cells that run side by side lose by them.
cv2.setNumThreads(1)
