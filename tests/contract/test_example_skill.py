"""The skill of docs/skills.md keeps the promises of a skill, in the simulated cell: pressing needs contact."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.plugins import Registry
from skillcore.skill import Skill
from skillcore.testing import SkillContract


class TestPress(SkillContract):
    most_steps = 60

    @pytest.fixture(autouse=True)
    def _example(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
        monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "example_skill"))
        yield
        # Tests that follow in this process must not find it installed.
        for name in [name for name in sys.modules if name.partition(".")[0] == "acme_press"]:
            del sys.modules[name]

    def make_skill(self) -> Skill:
        made: Skill = importlib.import_module("acme_press.skill").PressSkill()
        return made

    @contextmanager
    def open_cell(self) -> Iterator[Cell]:
        with open_cell(load_cell("sim", Registry.discover()), instance="example skill") as cell:
            yield cell
