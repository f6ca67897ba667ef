"""What a connector is filmed on: a new bench in each episode, or one for all of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from skillcore.cell import Cell
from skillcore.learning.collect import collect_variant
from skillcore.skill import COLLECTING
from skillcore_insertion.skill import InsertionSkill


@pytest.mark.parametrize("one_bench", [False, True])
def test_a_connector_is_filmed_on_as_many_benches_as_asked_for(
    skill: InsertionSkill, cells: Callable[[str], AbstractContextManager[Cell]], one_bench: bool
) -> None:
    variant = skill.variant("usb_a")
    with cells("sim") as cell:
        task = skill.task(cell, variant, scenario=COLLECTING, seed=7, judge=None, max_steps=3)
        found = collect_variant(skill, task, variant, cell_name="sim", episodes=4, seed=1, one_bench=one_bench)
    assert len(found) == 4
    # The bench covers most of an image, whatever the arm does over it.
    colours = np.array([np.median(episode.images.reshape(-1, 3), axis=0) for episode in found])
    assert (np.ptp(colours, axis=0).max() < 15) == one_bench
