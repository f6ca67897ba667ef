"""Insertion as a task: a plug that is already grasped goes into a socket that is fixed in the cell."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from skillcore.cell import Cell
from skillcore.errors import ArmFaultError
from skillcore.solids import Mating
from skillcore.task import Judge, Task, Truth
from skillcore.types import Pose

SEATED_M = 0.0005
"""Fully seated means that no more than this is missing along the axis ..."""
CENTRED_M = 0.002
"""... and that the tip is not beside the hole, which only a shallow one would allow."""
TURNED = 0.95
"""A screw counts as turned in when this share of its turn is done."""
DRAW_SPEED_M_S = 0.06
WIGGLE_RAD = math.radians(8.0)
CLEARANCE_M = 0.006
"""How far the tip is drawn out of the mouth before it is moved sideways."""
SHORT_M = 0.0025
"""Who is farther short of the seat is not seated: the fingers may hold a plug 1 mm farther down than the one that was
taught, which may have been held 1 mm too high; the rest is for the arm."""


@dataclass(frozen=True, slots=True)
class Start:
    """Where episodes begin: the tip in front of the mouth, off its axis by `offset_m` (from, to), in any direction.

    height_m: how far in front (from, to). turn_rad: the greatest turn about the axis.
    """

    offset_m: tuple[float, float] = (0.0, 0.010)
    height_m: tuple[float, float] = (0.005, 0.012)
    turn_rad: float = math.radians(5.0)


SCENARIOS = {"I": Start(), "II": Start(offset_m=(0.010, 0.020))}
"""The paper's: start offsets within 10 mm, and between 10 and 20 mm."""


class InsertionTask(Task):
    """Inserts the plug of `mating`. Every reset draws the plug out along the tool's axis and starts anew."""

    def __init__(
        self,
        cell: Cell,
        mating: Mating,
        *,
        symmetry: int = 1,
        start: Start = SCENARIOS["I"],
        max_steps: int = 20,
        judge: Judge | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(cell, max_steps=max_steps, judge=judge)
        self.mating = mating
        self.start = start
        self.fixes_yaw = symmetry > 0 and mating.thread is None
        self._symmetry = symmetry
        if cell.simulation is not None:
            cell.simulation.install(mating, seed=seed)

    def prepare(self, rng: np.random.Generator) -> None:
        self._draw_out()
        if self.cell.simulation is not None:
            self.cell.simulation.new_episode(seed=int(rng.integers(2**31)))
        start = self.start
        angle, turn = rng.uniform(-math.pi, math.pi), rng.uniform(-start.turn_rad, start.turn_rad)
        near, far = start.offset_m
        # Evenly over the ring's area, not over its radius: the middle is no likelier than any other place.
        offset = math.sqrt(rng.uniform(near**2, far**2))
        height = rng.uniform(*start.height_m)
        tcp_from_socket = Pose.from_xyz_yaw(offset * math.cos(angle), offset * math.sin(angle), -height, turn)
        self.cell.move_to(self.cell.socket_from_base @ tcp_from_socket)

    def change_look(self, seed: int) -> None:
        if self.cell.simulation is not None:
            self.cell.simulation.install(self.mating, seed=seed)

    def can_be_success(self) -> bool:
        """As deep as the seat lies, or nearly so: a rim that the plug rests on feels like a seat, and lies higher."""
        return float(self._tcp_from_socket().position_m[2]) > self.mating.depth_m - SHORT_M

    def _draw_out(self) -> None:
        """Screws back what was screwed in, then draws the plug straight back until its tip is free."""
        self.cell.recover()
        socket_from_base = self.cell.socket_from_base
        tcp = self._tcp_from_socket()
        if self.mating.thread is not None:
            x, y, z = tcp.position_m
            unscrewed = Pose.from_xyz_yaw(x, y, z, -self.start.turn_rad)
            self.cell.move_to(socket_from_base @ unscrewed, speed_m_s=DRAW_SPEED_M_S)
            tcp = self._tcp_from_socket()
        if float(tcp.position_m[2]) > -CLEARANCE_M:
            self._pull(tcp)

    def _pull(self, tcp_from_socket: Pose) -> None:
        """Straight back. A plug that was forced in askew may be wedged: then it is turned as well, to and fro."""
        x, y, _ = tcp_from_socket.position_m
        turns = (tcp_from_socket.yaw_rad, 0.0, WIGGLE_RAD, -WIGGLE_RAD)
        for attempt, yaw in enumerate(turns, 1):
            free = self.cell.socket_from_base @ Pose.from_xyz_yaw(x, y, -CLEARANCE_M, yaw)
            try:
                self.cell.move_to(free, speed_m_s=DRAW_SPEED_M_S)
            except ArmFaultError:
                if attempt == len(turns):
                    raise
                self.cell.recover()
            else:
                return

    def _tcp_from_socket(self) -> Pose:
        return self.cell.socket_from_base.inverse() @ self.cell.state.tcp_from_base

    def truth(self) -> Truth | None:
        simulation = self.cell.simulation
        if simulation is None:
            return None
        plug = simulation.plug_from_socket()
        mating = self.mating
        missing = mating.depth_m - float(plug.position_m[2])
        aside = float(np.hypot(*plug.position_m[:2]))
        success = missing < SEATED_M and aside < CENTRED_M
        yaw_left = self._yaw_to_nearest_seat(plug.yaw_rad)
        if mating.thread is not None:
            turned = simulation.turned_rad()
            success = success and turned > TURNED * mating.thread.turn_rad
            yaw_left = max(0.0, mating.thread.turn_rad - turned)
        seated = Pose.from_xyz_yaw(0.0, 0.0, mating.depth_m, plug.yaw_rad + yaw_left)
        # The plug sits rigidly in the fingers: what would seat it is the same displacement for plug and TCP. The truth
        # is about the socket of the simulation, wherever the cell takes it to be.
        tcp = simulation.socket_from_base.inverse() @ self.cell.state.tcp_from_base
        plug_from_tcp = tcp.inverse() @ plug
        return Truth(success, tcp.inverse() @ seated @ plug_from_tcp.inverse())

    def _yaw_to_nearest_seat(self, yaw_rad: float) -> float:
        """How far to turn to the nearest orientation in which the plug fits."""
        if self._symmetry == 0:
            return 0.0
        period = 2.0 * math.pi / self._symmetry
        return -(math.remainder(yaw_rad, period))
