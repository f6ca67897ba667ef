"""What every skill must do, as tests. They need pytest, and a simulated cell that the skill's task runs on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.errors import UnknownNameError
from skillcore.plugins import Registry
from skillcore.skill import COLLECTING, Actor, Skill, Variant
from skillcore.task import Task
from skillcore.testing.promises import promised, promised_error
from skillcore.types import Array, Observation

MakeActor = Callable[[np.random.Generator], Actor]

FAR = 10_000
WIDTH = 60
PNG = b"\x89PNG"


class SkillContract:
    """Subclass it as `class TestMySkill(SkillContract)` and fill in `make_skill`.

    cell: a simulated cell, by name or file, on which the task is tried. name: the variant that is tried; the first that
    is listed if empty. episodes, steps: in so many demonstrations of so many steps the demonstrator succeeds at least
    once.
    """

    cell: ClassVar[str] = "sim"
    name: ClassVar[str] = ""
    episodes: ClassVar[int] = 6
    steps: ClassVar[int] = 30

    def make_skill(self) -> Skill:
        """The skill."""
        raise NotImplementedError("fill in make_skill")

    @pytest.fixture
    def skill(self) -> Skill:
        """The skill."""
        return self.make_skill()

    @pytest.fixture
    def variant(self, skill: Skill) -> Variant:
        """The variant that is tried."""
        return skill.variant(self.name or skill.variants()[0].name)

    @pytest.fixture
    def opened(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
        """The simulated cell, open, with a home of its own."""
        monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
        with _open(self.cell) as cell:
            yield cell

    # --- words ---

    def test_it_says_what_it_is(self, skill: Skill) -> None:
        for field in ("name", "variant_word", "success_word"):
            promised(bool(getattr(skill, field).strip()), f"Skill.{field} is a word", getattr(skill, field))
        promised(skill.max_steps >= 1, "Skill.max_steps is at least 1", skill.max_steps)
        promised(COLLECTING in skill.scenarios, f"there is a scenario {COLLECTING!r} to collect in", skill.scenarios)
        promised(next(iter(skill.scenarios)) != COLLECTING, "the first scenario is the usual one", skill.scenarios)
        for name, words in skill.scenarios.items():
            promised(bool(words.strip()) and "\n" not in words, "a scenario is told in a line of words", (name, words))

    def test_a_variant_is_described_and_drawn(self, skill: Skill, variant: Variant, tmp_path: Path) -> None:
        lines = skill.describe(variant, WIDTH).splitlines()
        promised(bool(lines), "describe says something of a variant")
        wide = [line for line in lines if len(line) > WIDTH]
        promised(not wide, "describe keeps to the width it is given", wide)
        path = skill.draw(variant, tmp_path / "variant.png")
        promised(path.is_file() and path.read_bytes()[:4] == PNG, "draw writes a PNG and returns its path", path)

    # --- variants ---

    def test_each_variant_that_is_listed_can_be_had(self, skill: Skill) -> None:
        entries = skill.variants()
        promised(bool(entries), "a skill comes with variants")
        for entry in entries:
            found = skill.variant(entry.name)
            same = (found.name, found.title, found.family, found.split)
            promised(same == (entry.name, entry.title, entry.family, entry.split), "variant is as it is listed", same)
            for alias in entry.aliases:
                promised(skill.variant(alias).name == entry.name, "an alias stands for its variant", alias)

    def test_names_are_given_once(self, skill: Skill) -> None:
        names = [name.lower() for entry in skill.variants() for name in (entry.name, *entry.aliases)]
        promised(len(set(names)) == len(names), "each name and alias stands for one variant", sorted(names))

    def test_a_name_that_is_none_is_refused(self, skill: Skill) -> None:
        with promised_error(UnknownNameError, "variant raises UnknownNameError for a name that nothing answers to"):
            skill.variant("no such variant")

    def test_training_leaves_out_what_is_held_out(self, skill: Skill) -> None:
        splits = {entry.name: entry.split for entry in skill.variants()}
        promised(bool(skill.validation), "some training variants are named to choose thresholds on")
        odd = [name for name in skill.validation if splits.get(name) != "train"]
        promised(not odd, "validation names training variants", odd)
        left = frozenset(skill.validation)
        count = len(splits) + 3
        names = [skill.training_variant(index, seed=1, without=left).name for index in range(count)]
        shown = [name for name in names if splits.get(name) == "held_out" or name in left]
        promised(not shown, "training_variant gives nothing held out, and nothing left out", shown)
        promised(len(set(names)) == count, "training variants differ", names)

    def test_the_series_of_training_variants_is_endless_and_repeats(self, skill: Skill) -> None:
        far = skill.training_variant(FAR, seed=1)
        promised(skill.training_variant(FAR, seed=1).name == far.name, "the same number and seed, the same variant")
        promised(far.split == "train", "a training variant is of the split train", far.split)

    # --- the task ---

    def test_the_task_keeps_to_its_spaces_and_repeats(self, skill: Skill, variant: Variant, opened: Cell) -> None:
        task = self._task(skill, opened, variant)
        moves = np.random.default_rng(0).uniform(-1.0, 1.0, (4, 4)).astype(np.float32)
        first, again = (_played(task, moves, seed=3) for _ in range(2))
        for one, other in zip(first, again, strict=True):
            promised(one in task.observation_space, "observations lie in their space")
            same = all(np.array_equal(one[key], other[key]) for key in ("images", "pose", "wrench"))
            promised(same, "the same seed and actions give the same observations")
        promised(task.truth() is not None, "the truth is known in a simulation")

    def test_the_task_refuses_a_scenario_it_does_not_know(self, skill: Skill, variant: Variant, opened: Cell) -> None:
        with promised_error(UnknownNameError, "task raises UnknownNameError for a scenario that is none"):
            skill.task(opened, variant, scenario="no such scenario", seed=0, judge=None)

    def test_the_demonstrator_succeeds(self, skill: Skill, variant: Variant, opened: Cell) -> None:
        task = self._task(skill, opened, variant, COLLECTING)
        for episode in range(self.episodes):
            _, info = task.reset(seed=episode)
            demonstrator = skill.demonstrator(opened, variant, np.random.default_rng(episode))
            for _ in range(self.steps):
                action = _checked(demonstrator.act(info["truth"]), "a demonstrator's action")
                _, _, terminated, truncated, info = task.step(action)
                if terminated:
                    return
                if truncated:
                    break
        pytest.fail(f"broken promise: the demonstrator succeeds, and did not in {self.episodes} episodes")

    def test_what_helps_a_policy_acts_within_bounds(self, skill: Skill, variant: Variant, opened: Cell) -> None:
        task = self._task(skill, opened, variant)
        observation, info = task.reset(seed=0)
        actors = {name: make(np.random.default_rng(0)) for name, make in self._searches(skill, opened, variant)}
        for name, actor in actors.items():
            _checked(actor(observation, info, last=False), f"an action of {name}")
        reflex = skill.reflex(opened)
        if reflex is not None:
            _checked(reflex(observation, np.zeros(4, np.float32)), "a reflex's action")

    def test_a_seat_lies_within_reach(self, skill: Skill, variant: Variant) -> None:
        seat = skill.seat(variant)
        if seat is not None:
            promised(0.0 <= seat.depth_m < 0.2 and seat.loosen_rad >= 0.0, "a seat lies in the socket, in m", seat)

    def _task(self, skill: Skill, cell: Cell, variant: Variant, scenario: str = "") -> Task:
        chosen = scenario or next(iter(skill.scenarios))
        return skill.task(cell, variant, scenario=chosen, seed=1, judge=None, max_steps=self.steps)

    def _searches(self, skill: Skill, cell: Cell, variant: Variant) -> Iterator[tuple[str, MakeActor]]:
        yield from skill.searches(cell, variant, _straight_ahead).items()
        explorer = skill.explorer(cell, variant, _straight_ahead)
        if explorer is not None:
            yield "the explorer", explorer


@contextmanager
def _open(name: str) -> Iterator[Cell]:
    loaded = load_cell(name, Registry.discover())
    with open_cell(loaded, instance=f"contract-{os.getpid()}") as cell:
        yield cell


def _played(task: Task, moves: NDArray[np.float32], *, seed: int) -> list[Observation]:
    """The observations of an episode's beginning."""
    seen = [task.reset(seed=seed)[0]]
    for move in moves:
        observation, _, terminated, truncated, _ = task.step(move)
        seen.append(observation)
        if terminated or truncated:
            break
    return seen


def _checked(action: NDArray[np.float32], whose: str) -> NDArray[np.float32]:
    """The action, if it is one."""
    action = np.asarray(action)
    is_action = action.shape == (4,) and bool(np.isfinite(action).all()) and bool(np.abs(action).max() <= 1.0 + 1e-6)
    promised(is_action, f"{whose} is 4 numbers in [-1, 1]", action)
    return action.astype(np.float32)


def _straight_ahead(observation: Observation) -> Array:
    """Takes the goal to be where the TCP is."""
    return np.zeros(3)
