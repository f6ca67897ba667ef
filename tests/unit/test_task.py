"""Tasks: what an episode is made of, who says how it ends, and that they are proper gymnasium environments."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.errors import ArmFaultError, DeviceError, StaleFrameError
from skillcore.plugins import Registry
from skillcore.task import (
    FAULTS_IN_A_ROW,
    FRAMES_BACK_S,
    POSE_BOUND,
    RESET_TRIES,
    WRENCH_BOUND,
    Judge,
    Task,
    Truth,
)
from skillcore.types import Observation, Pose

STILL = np.zeros(4, np.float32)


class PaperTask(Task):
    """Prepares nothing. `truths` are told one after the other, the last one for good; none means nothing is known."""

    def __init__(self, cell: Cell, truths: list[bool], *, max_steps: int = 5, judge: Judge | None = None) -> None:
        super().__init__(cell, max_steps=max_steps, judge=judge)
        self.truths = truths
        self.prepared: list[float] = []
        self.moments: list[float] = []

    def prepare(self, rng: np.random.Generator) -> None:
        self.prepared.append(float(rng.random()))

    def truth(self) -> Truth | None:
        if not self.truths:
            return None
        # One truth a moment, however often it is asked for.
        now = self.cell.clock.now_s()
        if not self.moments or self.moments[-1] != now:
            self.moments.append(now)
        return Truth(self.truths[min(len(self.moments), len(self.truths)) - 1], Pose.identity())


class FakeJudge:
    """Gives the scores it was told to, one after the other; above a half counts."""

    def __init__(self, *scores: float) -> None:
        self.scores = list(scores)
        self.starts = 0
        self.seen: list[Observation] = []

    def start(self) -> None:
        self.starts += 1

    def judge(self, observation: Observation) -> tuple[float, bool]:
        self.seen.append(observation)
        score = self.scores.pop(0) if len(self.scores) > 1 else self.scores[0]
        return score, score > 0.5


@pytest.fixture(name="cell")
def open_paper_cell(paper: Any, tmp_path: Path) -> Iterator[Cell]:
    path = tmp_path / "paper.yaml"
    path.write_text(paper.CELL)
    with open_cell(load_cell(path, Registry.from_modules({"paper": paper}))) as cell:
        yield cell


def run(task: Task) -> list[tuple[float, bool, bool, dict[str, Any]]]:
    """An episode of standing still: reward, terminated, truncated and info of each step."""
    task.reset(seed=1)
    steps = []
    while not steps or not (steps[-1][1] or steps[-1][2]):
        _, reward, terminated, truncated, info = task.step(STILL)
        steps.append((reward, terminated, truncated, info))
    return steps


# --- how episodes end ---


def test_the_step_limit_truncates(cell: Cell) -> None:
    steps = run(PaperTask(cell, [False]))
    assert [step[:3] for step in steps] == [(0.0, False, False)] * 4 + [(0.0, False, True)]
    assert all(type(reward) is float for reward, *_ in steps)


def test_reaching_the_goal_terminates_with_a_reward_of_one(cell: Cell) -> None:
    steps = run(PaperTask(cell, [False, False, False, True]))
    assert [step[:3] for step in steps] == [(0.0, False, False)] * 2 + [(1.0, True, False)]
    assert [step[3]["is_success"] for step in steps] == [False, False, True]


def test_success_in_the_last_step_is_no_truncation(cell: Cell) -> None:
    steps = run(PaperTask(cell, [False, False, False, True], max_steps=3))
    assert steps[-1][:3] == (1.0, True, False)


def test_an_episode_that_has_ended_takes_no_step(cell: Cell) -> None:
    task = PaperTask(cell, [False, False, True])
    with pytest.raises(gymnasium.error.ResetNeeded):
        task.step(STILL)
    run(task)
    with pytest.raises(gymnasium.error.ResetNeeded):
        task.step(STILL)
    run(PaperTask(cell, [False], max_steps=1))
    with pytest.raises(gymnasium.error.ResetNeeded):
        task.step(STILL)


def test_steps_are_counted_anew(cell: Cell) -> None:
    task = PaperTask(cell, [False], max_steps=3)
    assert len(run(task)) == len(run(task)) == 3


def test_the_hard_force_limit_aborts(cell: Cell, paper: Any) -> None:
    task = PaperTask(cell, [False])
    task.reset(seed=1)
    task.step(STILL)
    paper.MADE["arm"].force_n = np.array([0.0, 0.0, -80.0])
    observation, reward, terminated, truncated, info = task.step(STILL)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["aborted"] == "80 N measured, more than the hard limit of 60 N"
    assert observation["wrench"][2] == -80.0
    assert "stop" in paper.LOG
    with pytest.raises(gymnasium.error.ResetNeeded):
        task.step(STILL)


def test_success_under_too_much_force_is_no_success(cell: Cell, paper: Any) -> None:
    task = PaperTask(cell, [False, True])
    task.reset(seed=1)
    paper.MADE["arm"].force_n = np.array([0.0, 0.0, -80.0])
    _, reward, terminated, truncated, info = task.step(STILL)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["is_success"] is True


def test_an_action_of_nan_aborts(cell: Cell, paper: Any) -> None:
    task = PaperTask(cell, [False])
    task.reset(seed=1)
    _, reward, terminated, truncated, info = task.step(np.full(4, np.nan, np.float32))
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "finite" in info["aborted"]
    assert np.array_equal(info["executed"], STILL)


def test_a_fault_of_the_arm_ends_the_episode_and_is_recovered_from(cell: Cell, paper: Any) -> None:
    task, arm = PaperTask(cell, [False]), paper.MADE["arm"]
    task.reset(seed=1)
    task.step(STILL)
    arm.fault = "joint 3 is too hot"
    arm.calls.clear()
    _, reward, terminated, truncated, info = task.step(STILL)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert "joint 3 is too hot" in info["aborted"]
    assert "stop" in arm.calls
    assert "recover" not in arm.calls
    task.reset(seed=2)
    assert "recover" in arm.calls
    assert arm.fault is None
    assert task.step(STILL)[4]["aborted"] == ""


def test_a_fault_that_a_person_must_clear_ends_the_work(
    cell: Cell, paper: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, arm = PaperTask(cell, [False]), paper.MADE["arm"]
    task.reset(seed=1)
    arm.fault = "emergency stop"

    def recover() -> None:
        raise ArmFaultError("emergency stop", cure="release the button")

    monkeypatch.setattr(arm, "recover", recover)
    assert task.step(STILL)[3] is True
    with pytest.raises(ArmFaultError, match="emergency stop"):
        task.reset(seed=2)


def test_faults_in_a_row_end_the_work_and_faults_now_and_then_do_not(cell: Cell, paper: Any) -> None:
    task, arm = PaperTask(cell, [False], max_steps=1), paper.MADE["arm"]
    for faulty in (True, True, False, True, True, True):
        task.reset(seed=1)
        arm.fault = "too hot" if faulty else None
        task.step(STILL)
    with pytest.raises(DeviceError, match=f"{FAULTS_IN_A_ROW} episodes in a row"):
        task.reset(seed=1)


def test_an_episode_that_somebody_else_ends_was_ended_by_no_fault(cell: Cell, paper: Any) -> None:
    task, arm = PaperTask(cell, [False], max_steps=3), paper.MADE["arm"]
    for faulty in (True, True, False, True, True):
        task.reset(seed=1)
        arm.fault = "too hot" if faulty else None
        task.step(STILL)
    task.reset(seed=1)


def test_a_fault_during_a_reset_is_recovered_from(cell: Cell, paper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task, arm = PaperTask(cell, [False]), paper.MADE["arm"]
    prepare, failures = task.prepare, iter([True, False])

    def meets_something(rng: np.random.Generator) -> None:
        prepare(rng)
        if next(failures):
            raise ArmFaultError("protective stop")

    monkeypatch.setattr(task, "prepare", meets_something)
    task.reset(seed=1)
    assert "recover" in arm.calls
    assert len(task.prepared) == 2


def test_a_camera_that_freezes_ends_the_episode_with_what_was_seen_last(cell: Cell, paper: Any) -> None:
    task, camera = PaperTask(cell, [False]), paper.MADE["front"]
    task.reset(seed=1)
    seen, *_ = task.step(STILL)
    camera.frozen = True
    for _ in range(20):
        observation, _, _, truncated, info = task.step(STILL)
        if truncated:
            break
        seen = observation
    assert "front" in info["aborted"] or "frame" in info["aborted"]
    assert np.array_equal(observation["images"], seen["images"])
    camera.frozen = False
    task.reset(seed=2)
    assert task.step(STILL)[4]["aborted"] == ""


def test_a_camera_that_stays_frozen_ends_the_work(cell: Cell, paper: Any) -> None:
    task, camera = PaperTask(cell, [False], max_steps=20), paper.MADE["front"]
    task.reset(seed=1)
    camera.frozen = True
    while not task.step(STILL)[3]:
        pass
    began = cell.clock.now_s()
    with pytest.raises(StaleFrameError):
        task.reset(seed=2)
    assert cell.clock.now_s() - began >= FRAMES_BACK_S


# --- who says so ---


def test_the_judge_decides_and_the_truth_is_reported(cell: Cell) -> None:
    judge = FakeJudge(0.1, 0.2, 0.9)
    steps = run(PaperTask(cell, [False], judge=judge))
    assert [step[:3] for step in steps] == [(0.0, False, False), (1.0, True, False)]
    assert [step[3]["score"] for step in steps] == [0.2, 0.9]
    assert [step[3]["is_success"] for step in steps] == [False, False]
    assert judge.starts == 1
    assert len(judge.seen) == 3


def test_a_judge_is_not_overruled_by_the_truth(cell: Cell) -> None:
    steps = run(PaperTask(cell, [True], judge=FakeJudge(0.0)))
    assert [step[:3] for step in steps][-1] == (0.0, False, True)
    assert all(step[3]["is_success"] for step in steps)


def test_a_judge_is_not_believed_where_there_can_be_no_success(cell: Cell) -> None:
    asked = iter([False, False, True])

    class Deep(PaperTask):
        def can_be_success(self) -> bool:
            return next(asked)

    steps = run(Deep(cell, [False], judge=FakeJudge(0.0, 0.9)))
    rewards, terminated, _, infos = zip(*steps, strict=True)
    # Two steps are refused; what the judge thought of them is kept.
    assert rewards == (0.0, 0.0, 1.0)
    assert terminated == (False, False, True)
    assert [info["score"] for info in infos] == [0.9, 0.9, 0.9]


def test_without_a_judge_there_is_no_score(cell: Cell) -> None:
    task = PaperTask(cell, [False])
    _, info = task.reset(seed=1)
    assert np.isnan(info["score"])
    assert info["truth"].success is False


def test_with_a_judge_no_truth_is_needed(cell: Cell) -> None:
    steps = run(PaperTask(cell, [], judge=FakeJudge(0.0, 0.7)))
    assert steps[-1][:2] == (1.0, True)
    assert steps[-1][3]["is_success"] is steps[-1][3]["truth"] is None


def test_a_cell_that_knows_nothing_needs_a_judge(cell: Cell) -> None:
    with pytest.raises(DeviceError, match="nothing in this cell says whether the task is solved"):
        PaperTask(cell, []).reset(seed=1)


# --- reset ---


def test_a_task_that_is_solved_already_is_prepared_again(cell: Cell) -> None:
    task = PaperTask(cell, [False], judge=FakeJudge(0.9, 0.9, 0.1))
    task.reset(seed=1)
    assert len(task.prepared) == 3
    assert len(set(task.prepared)) == 3


def test_a_task_that_stays_solved_is_an_error(cell: Cell) -> None:
    task = PaperTask(cell, [True])
    with pytest.raises(DeviceError, match="looks solved before it starts, 3 times"):
        task.reset(seed=1)
    assert len(task.prepared) == RESET_TRIES
    with pytest.raises(gymnasium.error.ResetNeeded):
        task.step(STILL)


def test_every_reset_zeroes_the_wrench_and_the_pose(cell: Cell, paper: Any) -> None:
    arm = paper.MADE["arm"]
    arm.force_n = np.array([3.0, 0.0, 0.0])
    task = PaperTask(cell, [False])
    for _ in range(2):
        observation, _ = task.reset(seed=1)
        assert observation["wrench"] == pytest.approx(np.zeros(6), abs=1e-6)
        assert observation["pose"] == pytest.approx(np.zeros(6), abs=1e-6)
        observation, *_ = task.step(np.array([0.0, 0.0, 1.0, 0.0], np.float32))
        assert observation["pose"][2] == pytest.approx(0.001, abs=1e-6)


def test_a_seed_gives_the_same_start(cell: Cell) -> None:
    task = PaperTask(cell, [False])
    for seed in (4, 4, 5, None):
        task.reset(seed=seed)
    first, again, other, onward = task.prepared
    assert first == again != other != onward


# --- observations ---


def test_observations_lie_in_their_space(cell: Cell, paper: Any) -> None:
    task = PaperTask(cell, [False])
    observation, _ = task.reset(seed=1)
    assert observation in task.observation_space
    paper.MADE["arm"].force_n = np.array([1e9, 0.0, 0.0])
    observation, *_ = task.step(STILL)
    assert observation in task.observation_space
    assert observation["wrench"][0] == WRENCH_BOUND
    assert np.all(np.abs(observation["pose"]) <= POSE_BOUND)


def test_what_was_really_commanded_is_told(cell: Cell) -> None:
    task = PaperTask(cell, [False])
    task.reset(seed=1)
    *_, info = task.step(np.array([0.5, 0.0, -2.0, 0.0], np.float32))
    assert info["executed"] == pytest.approx([0.5, 0.0, -1.0, 0.0], abs=1e-5)
    assert info["executed"].dtype == np.float32


# --- gymnasium ---


@contextmanager
def insertion(tmp_path: Path, connector: str) -> Iterator[Task]:
    import skillcore_mujoco.plugin
    from skillcore_insertion.skill import InsertionSkill

    skill = InsertionSkill()
    with open_cell(load_cell("sim", Registry.from_modules({"mujoco": skillcore_mujoco.plugin}))) as cell:
        # A judge, since the checker holds NaN for no equal of NaN, which is the score without one.
        yield skill.task(cell, skill.variant(connector), scenario="I", seed=1, judge=FakeJudge(0.25))


@pytest.mark.parametrize("connector", ["hdmi_a", "screw_m4"])
def test_insertion_passes_gymnasiums_checker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, connector: str) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    with insertion(tmp_path, connector) as task:
        check_env(task, skip_render_check=True)
