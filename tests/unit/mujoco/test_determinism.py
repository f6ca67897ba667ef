"""Whole episodes repeat bit for bit: in the same world, in a fresh one, and in another process."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import ModuleType

import pytest

from skillcore.cell import Cell
from skillcore_insertion.skill import InsertionSkill

SCRIPT = Path(__file__).with_name("episode_script.py")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("episode_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("connector", ["hdmi_a", "screw_m4"])
def test_an_episode_repeats_in_the_same_and_in_a_fresh_world(
    script: ModuleType,
    skill: InsertionSkill,
    cells: Callable[[str], AbstractContextManager[Cell]],
    connector: str,
) -> None:
    with cells("sim") as cell:
        task = skill.task(cell, skill.variant(connector), scenario="I", seed=7, judge=None)
        first = script.digest(task, skill, connector, 3)
        other = script.digest(task, skill, connector, 4)
        again = script.digest(task, skill, connector, 3)
        task.change_look(8)
        elsewhere = script.digest(task, skill, connector, 3)
        task.change_look(7)
        back = script.digest(task, skill, connector, 3)
    assert first == again == back
    assert len({first, other, elsewhere}) == 3
    assert script.main(connector, 3) == first


def test_an_episode_repeats_in_another_process(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    here = script.main("usb_c", 5)
    # Another seed for Python's hashes, so that nothing may hang on the order of a set.
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    command = [sys.executable, str(SCRIPT), "usb_c", "5"]
    there = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert there.stdout.strip() == here
