"""What every skill must do, as tests. They need pytest.

from skillcore.testing import SkillContract

class TestMySkill(SkillContract):
    def make_skill(self) -> Skill:
        return MySkill()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.cell import Cell
from skillcore.errors import InputError, UnknownNameError
from skillcore.skill import COLLECTING, Actor, Skill, Split, Variant
from skillcore.task import Task, Truth
from skillcore.testing.paper import open_paper_cell
from skillcore.testing.promises import is_near, promised, promised_error, promised_silence
from skillcore.types import Array, Observation

NO_SUCH = "surely no such variant"
FAR = 1000
"""A number in the series of training variants that no library reaches."""
PNG = b"\x89PNG\r\n\x1a\n"


class SkillContract:
    """Subclass it as `class TestMySkill(SkillContract)` and fill in `make_skill`.

    The skill is tried in `open_cell`: a cell on paper, without contacts, where nothing else is said. episodes: so many
    are demonstrated, and at least one must succeed, within `most_steps` each. width: columns of a description.
    """

    episodes: ClassVar[int] = 4
    most_steps: ClassVar[int] = 200
    width: ClassVar[int] = 80

    def make_skill(self) -> Skill:
        """A new one."""
        raise NotImplementedError("fill in make_skill")

    def open_cell(self) -> AbstractContextManager[Cell]:
        """A simulated cell in which the skill can be done."""
        return open_paper_cell()

    @pytest.fixture
    def skill(self) -> Skill:
        """A new one."""
        return self.make_skill()

    @pytest.fixture
    def cell(self) -> Iterator[Cell]:
        """The cell it is tried in."""
        with self.open_cell() as cell:
            yield cell

    @pytest.fixture
    def variant(self, skill: Skill) -> Variant:
        """The first that it is trained on."""
        return skill.training_variant(0, seed=0)

    # --- what it can be learned on ---

    def test_its_names_and_sizes_are_told(self, skill: Skill) -> None:
        for name in ("name", "variant_word"):
            promised(bool(getattr(skill, name)), f"Skill.{name} is a word", getattr(skill, name))
        promised(skill.max_steps > 0, "Skill.max_steps is a number of steps", skill.max_steps)
        words = all(text.strip() and "\n" not in text for text in skill.scenarios.values())
        promised(words, "Skill.scenarios tells of each in a line of words", dict(skill.scenarios))
        usual = next(iter(skill.scenarios), COLLECTING)
        promised(
            usual != COLLECTING and COLLECTING in skill.scenarios,
            f"Skill.scenarios begins with the usual one, and has {COLLECTING!r} to collect offline data in",
            list(skill.scenarios),
        )

    def test_its_variants_are_told_apart(self, skill: Skill) -> None:
        entries = skill.variants()
        promised(len(entries) > 0, "Skill.variants are all that come with the skill: at least one")
        names = [name for entry in entries for name in (entry.name, *entry.aliases)]
        twice = sorted({name for name in names if names.count(name) > 1})
        promised(not twice, "Skill.variants have names and aliases of their own", twice)
        for entry in entries:
            promised(entry.split in get_args(Split), f"VariantEntry.split of {entry.name} is one of Split", entry.split)
            promised(bool(entry.title.strip()), f"VariantEntry.title of {entry.name} says what it is")

    def test_a_variant_is_had_by_its_name(self, skill: Skill) -> None:
        for entry in skill.variants():
            for name in (entry.name, *entry.aliases):
                found = skill.variant(name)
                told = (found.name, found.split, found.family)
                same = told == (entry.name, entry.split, entry.family)
                promised(same, f"Skill.variant({name!r}) is the variant that Skill.variants lists", told)
        with promised_error(InputError, "Skill.variant raises UnknownNameError or ConfigError for what is none"):
            skill.variant(NO_SUCH)

    def test_it_is_validated_on_training_variants(self, skill: Skill) -> None:
        training = {entry.name for entry in skill.variants() if entry.split == "train"}
        others = sorted(set(skill.validation) - training)
        promised(not others, "Skill.validation names training variants", others)

    def test_training_variants_never_end(self, skill: Skill, tmp_path: Path) -> None:
        held_out = {entry.name for entry in skill.variants() if entry.split == "held_out"}
        for index in (0, 1, FAR):
            first, second = (skill.training_variant(index, seed=5) for _ in range(2))
            told = [
                (one.name, skill.describe(one, self.width), self._drawn(skill, one, tmp_path))
                for one in (first, second)
            ]
            promised(told[0] == told[1], "Skill.training_variant: the same number and seed give the same variant")
            promised(first.name not in held_out, "Skill.training_variant gives no variant that is held out", first.name)
        left_out = [*skill.validation] or [skill.training_variant(0, seed=5).name]
        names = {skill.training_variant(index, seed=5, without=left_out).name for index in (0, 1, 2, FAR)}
        promised(not names & set(left_out), "Skill.training_variant leaves out what is in `without`", sorted(names))

    def test_it_describes_and_draws_a_variant(self, skill: Skill, variant: Variant, tmp_path: Path) -> None:
        text = skill.describe(variant, self.width)
        longest = max(map(len, text.splitlines()), default=0)
        promised(0 < longest <= self.width, f"Skill.describe keeps to its width, here {self.width} columns", longest)
        path = tmp_path / "variant.png"
        promised(skill.draw(variant, path) == path, "Skill.draw returns the path")
        promised(path.is_file() and path.read_bytes().startswith(PNG), "Skill.draw writes a PNG")

    def test_a_seat_lies_inside(self, skill: Skill, variant: Variant) -> None:
        seat = skill.seat(variant)
        if seat is None:
            pytest.skip("a hand can show nothing of this skill: `skill teach` does not take it")
        promised(np.isfinite(seat.depth_m) and seat.depth_m >= 0.0, "Seat.depth_m lies beyond the mouth", seat.depth_m)

    # --- its task ---

    def test_an_episode_runs_from_reset_to_its_end(self, skill: Skill, variant: Variant, cell: Cell) -> None:
        task = self.task(skill, variant, cell, max_steps=3)
        observation, info = task.reset(seed=1)
        self._proper(task, observation, info)
        steps, is_over = 0, False
        while not is_over:
            promised(steps < 3, "Task: an episode has max_steps steps at most")
            observation, reward, terminated, truncated, info = task.step(np.zeros(4, np.float32))
            self._proper(task, observation, info)
            promised(reward in (0.0, 1.0), "Task: the reward is 1 in the step that reaches the goal, else 0", reward)
            steps, is_over = steps + 1, terminated or truncated
        promised(not info["aborted"], "Task: standing still is no fault", info["aborted"])

    def test_an_episode_runs_where_nobody_knows_the_truth(self, skill: Skill, variant: Variant) -> None:
        scenario, still = next(iter(skill.scenarios)), np.zeros(4, np.float32)
        promise = "Skill.task runs in a real cell too, where there is no simulation to ask"
        with open_paper_cell(simulated=False) as cell, promised_silence(promise):
            task = skill.task(cell, variant, scenario=scenario, seed=0, judge=_Never(), max_steps=3)
            told = [task.reset(seed=1)[1], *(task.step(still)[-1] for _ in range(3))]
        for info in told:
            known = info["truth"] is None and info["is_success"] is None
            promised(known, "Task.truth is None where no simulation knows it", info["truth"])
            promised(not info["aborted"], "Task: standing still is no fault", info["aborted"])

    def test_the_same_seed_begins_the_same_episode(self, skill: Skill, variant: Variant, cell: Cell) -> None:
        task = self.task(skill, variant, cell)
        starts = []
        for seed in (3, 4, 3):
            task.reset(seed=seed)
            starts.append(cell.start_from_base)
        promised(is_near(starts[0], starts[2], 1e-3, 1e-3), "Task.reset: the same seed gives the same start", starts)
        promised(
            not is_near(starts[0], starts[1], 1e-6, 1e-6), "Task.reset: another seed gives another start", starts[:2]
        )

    def test_an_unknown_scenario_is_refused(self, skill: Skill, variant: Variant, cell: Cell) -> None:
        with promised_error(UnknownNameError, "Skill.task raises UnknownNameError for a scenario it does not have"):
            skill.task(cell, variant, scenario="no such scenario", seed=0, judge=None)

    def test_a_demonstrator_reaches_the_goal(self, skill: Skill, variant: Variant, cell: Cell) -> None:
        task = self.task(skill, variant, cell, scenario=COLLECTING, max_steps=self.most_steps)
        reached = 0
        for number in range(self.episodes):
            _, info = task.reset(seed=number)
            promised(info["is_success"] is False, "Task.reset brings the tool to a start where nothing is solved")
            demonstrator = skill.demonstrator(cell, variant, np.random.default_rng(number))
            is_over = False
            while not is_over:
                action = demonstrator.act(info["truth"])
                self._bounded(action, "Demonstrator.act")
                _, _, terminated, truncated, info = task.step(action)
                is_over = terminated or truncated
            reached += bool(info["is_success"])
        promised(
            reached > 0,
            "Skill.demonstrator reaches the goal, at least once",
            f"never in {self.episodes} episodes of {self.most_steps} steps",
        )

    # --- who else acts ---

    def test_its_scripted_searches_act_within_bounds(self, skill: Skill, variant: Variant, cell: Cell) -> None:
        made: dict[str, Callable[[np.random.Generator], Actor]] = dict(skill.searches(cell, variant, _straight_on))
        explorer = skill.explorer(cell, variant, _straight_on)
        if explorer is not None:
            made["explorer"] = explorer
        if not made:
            pytest.skip("this skill has no scripted search")
        task = self.task(skill, variant, cell)
        for name, make in made.items():
            observation, info = task.reset(seed=2)
            actor = make(np.random.default_rng(0))
            is_over = False
            while not is_over:
                action = actor(observation, info, last=False)
                self._bounded(action, f"the search {name!r}")
                observation, _, terminated, truncated, info = task.step(action)
                is_over = terminated or truncated
            actor(observation, info, last=True)

    def test_its_reflex_keeps_to_bounds(self, skill: Skill, variant: Variant, cell: Cell) -> None:
        reflex = skill.reflex(cell)
        if reflex is None:
            pytest.skip("this skill has no reflex")
        task, rng = self.task(skill, variant, cell), np.random.default_rng(0)
        observation, _ = task.reset(seed=2)
        is_over = False
        while not is_over:
            action = reflex(observation, rng.uniform(-1.0, 1.0, 4).astype(np.float32))
            self._bounded(action, "Skill.reflex")
            observation, _, terminated, truncated, _ = task.step(action)
            is_over = terminated or truncated

    # --- shared ---

    def task(
        self, skill: Skill, variant: Variant, cell: Cell, *, scenario: str = "", max_steps: int | None = None
    ) -> Task:
        """A task of the usual scenario, if no other is named."""
        scenario = scenario or next(iter(skill.scenarios))
        return skill.task(cell, variant, scenario=scenario, seed=0, judge=None, max_steps=max_steps)

    def _proper(self, task: Task, observation: Observation, info: dict[str, Any]) -> None:
        inside = task.observation_space.contains(observation)
        shapes = [observation["images"].shape, observation["pose"].shape, observation["wrench"].shape]
        promised(inside, "Task: observations are those of its observation space", shapes)
        truth = info["truth"]
        known = isinstance(truth, Truth) and info["is_success"] is truth.success
        promised(known, "Task.truth is known in a simulated cell, and `info` holds it", truth)

    def _drawn(self, skill: Skill, variant: Variant, folder: Path) -> bytes:
        return skill.draw(variant, folder / "variant.png").read_bytes()

    def _bounded(self, action: NDArray[np.float32], who: str) -> None:
        fine = np.shape(action) == (4,) and bool((np.abs(action) <= 1.0 + 1e-6).all())
        promised(fine, f"{who} returns an action (4,) in [-1, 1]", action)


class _Never:
    """A judge to whom nothing is ever a success."""

    def start(self) -> None:
        return

    def judge(self, observation: Observation) -> tuple[float, bool]:
        return 0.0, False


def _straight_on(observation: Observation) -> Array:
    """An estimate for scripted searches: the goal lies straight ahead."""
    return np.zeros(3)
