"""Where a plug may be taken for seated: as deep as the cell takes the seat to lie, or nearly so."""

from __future__ import annotations

import numpy as np
import pytest

from skillcore.testing import FakeWorld, open_paper_cell
from skillcore.types import Observation, Pose
from skillcore_insertion.skill import InsertionSkill

STILL = np.zeros(4, np.float32)


class Always:
    """Takes everything for success."""

    def start(self) -> None:
        return

    def judge(self, observation: Observation) -> tuple[float, bool]:
        return 1.0, True


@pytest.mark.parametrize("connector", ["hdmi_a", "dt04_12p", "screw_m6"])
@pytest.mark.parametrize(("short_m", "believed"), [(0.0, True), (0.002, True), (0.003, False), (0.014, False)])
def test_who_is_short_of_the_seat_is_not_seated(connector: str, short_m: float, believed: bool) -> None:
    skill = InsertionSkill()
    variant = skill.variant(connector)
    seat = skill.seat(variant)
    assert seat is not None
    with open_paper_cell() as cell:
        task = skill.task(cell, variant, scenario="I", seed=0, judge=Always())
        # It looks seated from the first moment on, and that is not believed.
        task.reset(seed=1)
        _, reward, terminated, _, told = task.step(STILL)
        assert (told["score"], reward, terminated) == (1.0, 0.0, False)
        assert isinstance(cell.simulation, FakeWorld)
        # Beside the axis, as a socket is that is not quite where the cell takes it to be.
        cell.simulation.arm.place(cell.socket_from_base @ Pose.from_xyz_yaw(0.004, 0.0, seat.depth_m - short_m, 0.5))
        cell.read()
        assert task.can_be_success() == believed
