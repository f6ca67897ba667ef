"""Pressing as a task: where an episode begins, and what success is."""

from __future__ import annotations

import math

import numpy as np

from acme_press.buttons import Button
from skillcore import Cell, Judge, Pose, Task, Truth

TOUCHING_M = 0.0005
CLEAR_M = 0.006
"""So far the tip is drawn out before it goes sideways."""


class PressTask(Task):
    """Presses `button`. An episode begins up to `offset_m` beside it, above the panel."""

    def __init__(
        self, cell: Cell, button: Button, *, offset_m: float, max_steps: int, judge: Judge | None, seed: int
    ) -> None:
        super().__init__(cell, max_steps=max_steps, judge=judge)
        self.button = button
        self.offset_m = offset_m
        self._mating = button.mating()
        self.change_look(seed)

    def prepare(self, rng: np.random.Generator) -> None:
        """Real work: whatever the last episode did, the finger is drawn out before it moves sideways."""
        cell = self.cell
        cell.recover()
        here = cell.socket_from_base.inverse() @ cell.state.tcp_from_base
        x, y, z = here.position_m
        if z > -CLEAR_M:
            cell.move_to(cell.socket_from_base @ Pose.from_xyz_yaw(x, y, -CLEAR_M, here.yaw_rad))
        if cell.simulation is not None:
            cell.simulation.new_episode(seed=int(rng.integers(2**31)))
        angle, radius = rng.uniform(-math.pi, math.pi), self.offset_m * math.sqrt(rng.uniform())
        start = Pose.from_xyz_yaw(radius * math.cos(angle), radius * math.sin(angle), -rng.uniform(0.004, 0.012), 0.0)
        cell.move_to(cell.socket_from_base @ start)

    def change_look(self, seed: int) -> None:
        if self.cell.simulation is not None:
            self.cell.simulation.install(self._mating, seed=seed)

    def truth(self) -> Truth | None:
        """A simulation knows where the tip is; a real cell does not, and the reward model judges instead."""
        simulation = self.cell.simulation
        if simulation is None:
            return None
        button, state = self.button, self.cell.state
        x, y, z = simulation.plug_from_socket().position_m.tolist()
        is_on_cap = math.hypot(x, y) < button.reach_m and button.recess_m - z < TOUCHING_M
        is_pressed = -float(state.wrench.force_n[2]) > button.press_n
        # The finger is held rigidly: what brings its tip to the middle of the cap is the same way for the TCP.
        tcp = simulation.socket_from_base.inverse() @ state.tcp_from_base
        there = Pose(tcp.position_m + np.array([-x, -y, button.recess_m - z]), tcp.rotation)
        return Truth(is_on_cap and is_pressed, tcp.inverse() @ there)
