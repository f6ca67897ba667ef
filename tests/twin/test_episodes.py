"""Faults in the middle of an episode: the arm stands, the episode ends and is kept, and the next one goes on, or says
why it cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell
from skillcore.episodes import EpisodeStore
from skillcore.errors import ArmFaultError
from skillcore.learning.rollout import run_episode
from skillcore.types import Episode, EpisodeInfo, Observation
from skillcore_insertion.skill import InsertionSkill
from skillcore_insertion.task import InsertionTask

STEPS = 20


class _Doubts:
    """A judge that takes nothing for a success."""

    def start(self) -> None:
        pass

    def judge(self, observation: Observation) -> tuple[float, bool]:
        return 0.0, False


def _up(observation: Observation, info: dict[str, Any], /, *, last: bool) -> np.ndarray:
    return np.array([0.0, 0.0, -0.2, 0.0], np.float32)


@pytest.fixture
def task(loop_cell: Cell) -> Iterator[InsertionTask]:
    variant = InsertionSkill().variant("hdmi")
    task = InsertionSkill().task(loop_cell, variant, scenario="I", seed=0, judge=_Doubts())
    assert isinstance(task, InsertionTask)
    task.max_steps = STEPS
    yield task
    loop_cell.stop()


def run(task: InsertionTask, number: int, *, ready: Callable[[], None] = lambda: None) -> Episode:
    info = EpisodeInfo("insertion", "hdmi_a", "loop", number, "practice", "timeout", trial=number)
    return run_episode(task, _up, info, ready=ready)


@pytest.mark.parametrize(
    ("fault", "times", "words"),
    [
        ("protective_stop", {}, "protective stop"),
        ("program_stopped", {}, "stopped"),
        ("lost_connection", {"lasts_s": 0.5}, ""),
        ("stream_frozen", {"lasts_s": 3.0}, ""),
    ],
)
def test_what_can_be_recovered_from_costs_one_episode(
    fault: str, times: dict[str, float], words: str, task: InsertionTask, robot: Any, tmp_path: Path
) -> None:
    with EpisodeStore(tmp_path / "episodes") as store:
        broken = run(task, 0, ready=lambda: robot.cause(fault, after_s=0.2, **times))
        store.append(broken)
        assert broken.info.outcome == "aborted"
        assert words in broken.info.note
        assert broken.info.note
        robot.comes_to_rest()
        task.cell.clock.sleep_until(task.cell.clock.now_s() + times.get("lasts_s", 0.0))
        whole = run(task, 1)
        store.append(whole)
        assert (whole.info.outcome, whole.info.note, whole.steps) == ("timeout", "", STEPS)
        assert [row.outcome for row in store.rows()] == ["aborted", "timeout"]


@pytest.mark.parametrize(
    ("fault", "cure"),
    [("emergency_stop", "release the button"), ("slider_zero", "100 %"), ("remote_control_off", "Remote Control")],
)
def test_where_a_person_is_needed_it_ends_and_says_so(fault: str, cure: str, task: InsertionTask, robot: Any) -> None:
    broken = run(task, 0, ready=lambda: robot.cause(fault, after_s=0.2))
    assert broken.info.outcome == "aborted"
    assert broken.info.note
    with pytest.raises(ArmFaultError) as caught:
        run(task, 1)
    assert cure in caught.value.cure
    robot.clear()
    # A cell that is opened anew goes on where it was.
    task.cell.clock.sleep_until(task.cell.clock.now_s() + 0.3)
    robot.eventually(lambda: _recovers(task.cell), "it does not recover")
    assert run(task, 1).steps == STEPS


def _recovers(cell: Cell) -> bool:
    try:
        cell.recover()
    except ArmFaultError:
        return False
    return True
