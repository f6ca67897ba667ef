"""The world behind a twin: a simulated cell, run in real time, known only by the interfaces of `skillcore`."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from skillcore.cell import Cell
from skillcore.cell_config import LoadedCell
from skillcore.errors import ArmFaultError, InputError
from skillcore.interfaces import Arm, Camera, Simulation
from skillcore.parts import Context
from skillcore.skill import Skill
from skillcore.types import ArmState, Frame, Pose

AT_ONCE_S = 1e-3
"""Ticks are shorter than the arm's own reaction: within one, the target is set and not ramped to."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What only the world knows. missing_m: how far the plug is from its seat along the socket's axis."""

    plug_from_socket: Pose
    missing_m: float
    turned_rad: float


class LiveWorld:
    """A simulated arm as a compliant actuator, advanced in ticks of a few milliseconds, and cameras that look at it.

    Calls may come from several threads; one at a time is served.
    """

    def __init__(self, cell: LoadedCell, *, skill: Skill | None = None, connector: str = "", seed: int = 0) -> None:
        if cell.simulation is None:
            raise InputError(
                f"cell {cell.name} is not simulated, and a twin needs a world",
                cure="name a simulated cell, such as sim",
            )
        self._lock = threading.RLock()
        self._stack = ExitStack()
        fixture = cell.config.fixture.socket_from_base
        self._world: Simulation = cell.simulation.make(Context(name="simulation", fixture=fixture))
        self._stack.callback(self._world.close)
        context: dict[str, Any] = {"clock": self._world.clock, "simulation": self._world, "fixture": fixture}
        self._arm: Arm = cell.arm.make(Context(name="arm", **context))
        self._cameras: dict[str, Camera] = {
            key: driver.make(Context(name=key, **context)) for key, driver in cell.cameras.items()
        }
        self.depth_m = 0.0
        try:
            for device in (self._arm, *self._cameras.values()):
                self._stack.callback(device.close)
                device.connect()
            if skill is not None and connector:
                scene = Cell(cell.config, self._arm, self._cameras, self._world.clock, self._world, fixture)
                task = skill.task(
                    scene, skill.variant(connector), scenario=next(iter(skill.scenarios)), seed=seed, judge=None
                )
                mating = getattr(task, "mating", None)
                self.depth_m = 0.0 if mating is None else float(mating.depth_m)
            self._world.new_episode(seed=seed)
        except BaseException:
            self.close()
            raise
        self.force_limit_n = self._arm.limits.force_n

    @property
    def socket_from_base(self) -> Pose:
        return self._world.socket_from_base

    def read(self) -> ArmState:
        """Pose, twist and wrench of the tool now."""
        with self._lock:
            return self._arm.read()

    def advance(self, tool_from_base: Pose, duration_s: float, *, force_limit_n: float) -> ArmState:
        """Sets the tool's target, yielding above the force, and returns what is measured after `duration_s`.

        Tilts are flattened by the simulated arm. Raises ArmFaultError, cleared already, when it was pushed too hard.
        """
        with self._lock:
            try:
                self._arm.servo_to(tool_from_base, duration_s=AT_ONCE_S, force_limit_n=force_limit_n)
                clock = self._world.clock
                clock.sleep_until(clock.now_s() + duration_s)
                state = self._arm.read()
                if state.fault is not None:
                    raise ArmFaultError(state.fault)
            except ArmFaultError:
                self._arm.recover()
                raise
            return state

    @property
    def camera_names(self) -> tuple[str, ...]:
        return tuple(self._cameras)

    def frame(self, name: str) -> Frame:
        """What a camera sees now. Its time and number are the simulated world's."""
        with self._lock:
            return self._cameras[name].read(1.0)

    def truth(self) -> Truth:
        with self._lock:
            plug = self._world.plug_from_socket()
            return Truth(plug, self.depth_m - float(plug.position_m[2]), self._world.turned_rad())

    def tool_at_seat(self) -> Pose:
        """tool_from_base with the plug seated: where a hand that knows the way leads the tool."""
        with self._lock:
            plug, tool = self._world.plug_from_socket(), self._arm.read().tcp_from_base
            tool_from_socket = self.socket_from_base.inverse() @ tool
            seated = Pose(np.array([0.0, 0.0, self.depth_m]), np.eye(3))
            return self.socket_from_base @ (seated @ plug.inverse() @ tool_from_socket)

    def close(self) -> None:
        """Frees the world. May be called twice."""
        with self._lock:
            self._stack.close()
