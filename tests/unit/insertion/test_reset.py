"""The reset of insertion on a cell that no simulation puts right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skillcore.testing import FakeWorld, open_paper_cell
from skillcore.types import Observation, Pose
from skillcore_insertion.skill import InsertionSkill
from skillcore_insertion.task import CLEARANCE_M


class Never:
    """Judges that the goal is not reached."""

    def start(self) -> None:
        return

    def judge(self, observation: Observation) -> tuple[float, bool]:
        return 0.0, False


@pytest.mark.parametrize("connector", ["usb_a", "screw_m6"])
def test_the_first_reset_draws_out_what_an_earlier_process_has_left_in(
    connector: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    skill = InsertionSkill()
    with open_paper_cell() as cell:
        world, cell.simulation = cell.simulation, None
        assert isinstance(world, FakeWorld)
        world.arm.place(cell.socket_from_base @ Pose.from_xyz_yaw(0.001, 0.0, 0.004, 0.0))
        places: list[Any] = []
        move_to = world.arm.move_to

        def moved(tcp_from_base: Pose, **limits: float) -> None:
            move_to(tcp_from_base, **limits)
            places.append((cell.socket_from_base.inverse() @ tcp_from_base).position_m)

        monkeypatch.setattr(world.arm, "move_to", moved)
        task = skill.task(cell, skill.variant(connector), scenario="I", seed=0, judge=Never())
        task.reset(seed=1)
    drawn_out = next(number for number, place in enumerate(places) if place[2] < 0.0)
    for place in places[: drawn_out + 1]:
        assert np.allclose(place[:2], [0.001, 0.0])
    assert places[drawn_out][2] == pytest.approx(-CLEARANCE_M)
    assert drawn_out + 1 < len(places)
