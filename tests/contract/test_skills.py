"""Skills keep what `Skill` promises: the one that comes with skillcore, and the example of docs/skills.md."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from skillcore.skill import Skill
from skillcore.testing import SkillContract
from skillcore_insertion.skill import InsertionSkill

EXAMPLE = Path(__file__).parents[1] / "example_skill"


class TestInsertion(SkillContract):
    name = "usb_a"

    def make_skill(self) -> Skill:
        return InsertionSkill()


class TestPress(SkillContract):
    @pytest.fixture(autouse=True)
    def _example(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(EXAMPLE))

    def make_skill(self) -> Skill:
        made: Skill = importlib.import_module("acme_press.skill").PressSkill()
        return made
