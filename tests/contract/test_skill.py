"""The skill that comes along keeps the promises of a skill; and one that breaks them is found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.plugins import Registry
from skillcore.skill import Skill, Variant
from skillcore.task import Truth
from skillcore.testing import FakeWorld, SkillContract, open_paper_cell
from skillcore.types import Pose
from skillcore_insertion.skill import InsertionSkill


class TestInsertionOnPaper(SkillContract):
    def make_skill(self) -> Skill:
        return InsertionSkill()


class TestInsertionInTheSimulatedCell(TestInsertionOnPaper):
    episodes = 2

    @pytest.fixture(autouse=True)
    def _home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path))

    @contextmanager
    def open_cell(self) -> Iterator[Cell]:
        with open_cell(load_cell("sim", Registry.discover()), instance="suite of skills") as cell:
            yield cell

    # What has nothing to do with the cell was tested above.
    test_its_names_and_sizes_are_told = None
    test_its_variants_are_told_apart = None
    test_a_variant_is_had_by_its_name = None
    test_it_is_validated_on_training_variants = None
    test_training_variants_never_end = None
    test_it_describes_and_draws_a_variant = None
    test_a_seat_lies_inside = None


# --- broken skills -----------------------------------------------------------------------------------------------


class Odd(InsertionSkill):
    """Each option breaks one promise."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.broken = fault
        if fault == "no scenario to collect in":
            self.scenarios = {"I": "the usual one"}
        if fault == "validated on what is held out":
            self.validation = ("hdmi_a",)

    def variants(self) -> Any:
        entries = super().variants()
        return [*entries, entries[0]] if self.broken == "two of one name" else entries

    def variant(self, name_or_path: str) -> Variant:
        if self.broken == "knows everything":
            name_or_path = "hdmi_a" if " " in name_or_path else name_or_path
        if self.broken == "gives another for a late one" and name_or_path == super().variants()[7].name:
            name_or_path = "usb_a"
        if self.broken == "gives another":
            name_or_path = "usb_a"
        return super().variant(name_or_path)

    def training_variant(self, index: int, *, seed: int, without: Any = ()) -> Variant:
        if self.broken == "trains on what is held out":
            return self.variant("hdmi_a")
        if self.broken == "leaves nothing out":
            return self.variant(self.validation[0])
        if self.broken == "another shape every time":
            found = super().training_variant(np.random.default_rng().integers(1000, 10**6), seed=seed, without=without)
            return replace(found, name=f"made_{index}")
        found = super().training_variant(index, seed=seed, without=without)
        if self.broken == "another every time":
            return replace(found, name=f"{found.name}_{np.random.default_rng().integers(2**40)}")
        return found

    def task(self, cell: Cell, variant: Variant, *, scenario: str, **options: Any) -> Any:
        if self.broken == "takes any scenario" and scenario not in self.scenarios:
            scenario = "I"
        task = super().task(cell, variant, scenario=scenario, **options)
        if self.broken == "needs a simulation":
            cell.simulation.install(task.mating, seed=0)  # type: ignore[union-attr]
        if self.broken == "guesses the truth":
            task.truth = lambda: Truth(False, Pose.identity())  # type: ignore[method-assign]
        if self.broken == "knows no truth":
            task.truth = lambda: None  # type: ignore[method-assign]
            task.judge = SimpleNamespace(start=lambda: None, judge=lambda observation: (0.0, False))
        if self.broken == "starts anywhere":
            prepare = task.prepare
            task.prepare = lambda rng: prepare(np.random.default_rng())  # type: ignore[method-assign]
        return task

    def demonstrator(self, cell: Cell, variant: Variant, rng: np.random.Generator) -> Any:
        if self.broken == "hesitates":
            return SimpleNamespace(act=lambda truth: np.zeros(4, np.float32))
        if self.broken == "overdoes it":
            return SimpleNamespace(act=lambda truth: np.full(4, 3.0, np.float32))
        return super().demonstrator(cell, variant, rng)

    def reflex(self, cell: Cell) -> Any:
        if self.broken == "twitches":
            return lambda observation, action: 2.0 * np.ones(4, np.float32)
        return super().reflex(cell)

    def describe(self, variant: Variant, width: int) -> str:
        return (
            super().describe(variant, width + 40) + "x" * 100
            if self.broken == "wide"
            else super().describe(variant, width)
        )

    def draw(self, variant: Variant, path: Path) -> Path:
        if self.broken == "draws nothing":
            return path
        return super().draw(variant, path)


@pytest.mark.parametrize(
    ("fault", "test", "promise"),
    [
        ("no scenario to collect in", "test_its_names_and_sizes_are_told", "to collect offline data in"),
        ("two of one name", "test_its_variants_are_told_apart", "names and aliases of their own"),
        ("knows everything", "test_a_variant_is_had_by_its_name", "raises UnknownNameError or ConfigError"),
        ("gives another", "test_a_variant_is_had_by_its_name", "is the variant that Skill.variants lists"),
        ("validated on what is held out", "test_it_is_validated_on_training_variants", "names training variants"),
        ("trains on what is held out", "test_training_variants_never_end", "no variant that is held out"),
        ("another every time", "test_training_variants_never_end", "the same number and seed give the same"),
        ("another shape every time", "test_training_variants_never_end", "the same number and seed give the same"),
        (
            "gives another for a late one",
            "test_a_variant_is_had_by_its_name",
            "is the variant that Skill.variants lists",
        ),
        ("needs a simulation", "test_an_episode_runs_where_nobody_knows_the_truth", "in a real cell too"),
        ("guesses the truth", "test_an_episode_runs_where_nobody_knows_the_truth", "Task.truth is None where"),
        ("leaves nothing out", "test_training_variants_never_end", "leaves out what is in `without`"),
        ("wide", "test_it_describes_and_draws_a_variant", "keeps to its width"),
        ("draws nothing", "test_it_describes_and_draws_a_variant", "writes a PNG"),
        ("knows no truth", "test_an_episode_runs_from_reset_to_its_end", "Task.truth is known in a simulated cell"),
        ("starts anywhere", "test_the_same_seed_begins_the_same_episode", "the same seed gives the same start"),
        ("takes any scenario", "test_an_unknown_scenario_is_refused", "raises UnknownNameError for a scenario"),
        ("hesitates", "test_a_demonstrator_reaches_the_goal", "Skill.demonstrator reaches the goal"),
        ("overdoes it", "test_a_demonstrator_reaches_the_goal", "Demonstrator.act returns an action"),
        ("twitches", "test_its_reflex_keeps_to_bounds", "Skill.reflex returns an action"),
    ],
)
def test_a_broken_skill_is_found(fault: str, test: str, promise: str, tmp_path: Path) -> None:
    class Suite(SkillContract):
        episodes = 1
        most_steps = 20

        def make_skill(self) -> Skill:
            return Odd(fault)

    suite, skill = Suite(), Odd(fault)
    function: Any = getattr(suite, test)
    wanted = function.__code__.co_varnames[1 : function.__code__.co_argcount]
    with open_paper_cell() as cell:
        offered = {"skill": skill, "cell": cell, "variant": skill.training_variant(0, seed=0), "tmp_path": tmp_path}
        with pytest.raises(pytest.fail.Exception, match=promise):
            function(**{name: offered[name] for name in wanted})


def test_a_thread_takes_hold_on_paper() -> None:
    screw = InsertionSkill().task
    with open_paper_cell() as cell:
        variant = InsertionSkill().variant("screw_m4")
        task = screw(cell, variant, scenario="I", seed=0, judge=None)
        task.reset(seed=1)
        world = cell.simulation
        assert isinstance(world, FakeWorld)
        assert world.turned_rad() == 0.0
        for turn in (0.0, 0.3):
            world.arm.place(world.socket_from_base @ Pose.from_xyz_yaw(0.0, 0.0, task.mating.depth_m, turn))
            assert world.turned_rad() == pytest.approx(turn)
