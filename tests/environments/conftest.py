"""Cells on paper for environments: a real one, in which nobody moves anything, and who judges in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import skillcore.environment
import skillcore_insertion.plugin
from skillcore.plugins import Registry

TOYS = Path(__file__).parents[1] / "unit" / "toys"
REAL = """\
schema: 1
name: bench
control: {rate_hz: 10, step_m: 5 mm, turn_step_rad: 0.2}
safety:
  workspace: {min_m: [-0.05, -0.05, -0.06], max_m: [0.05, 0.05, 0.08]}
fixture: {position_m: [0.5, 0.0, 0.1], rotvec_rad: [180 deg, 0, 0]}
arm: {driver: paper}
cameras: {left: {driver: paper}, right: {driver: paper}}
"""
LIFE = f"""\
import atexit, sys
# What is registered first is called last.
atexit.register(lambda: print("at the end:", *sys.modules["paper_devices"].LOG, flush=True))
sys.path[:0] = [{str(TOYS)!r}, {str(Path(__file__).parent)!r}]
import paper_devices, conftest
import gymnasium, skillcore_insertion.plugin
conftest.on_paper(paper_devices)
env = gymnasium.make("skillcore/Insertion-v0", cell="bench.yaml")
env.reset(seed=1)
"""
"""The beginning of a program that has a real cell open, and tells at its end what the devices did."""


class Silent:
    """Judges without a bundle: nothing is ever a success."""

    def __init__(self, *arguments: Any) -> None:
        self.loads = 0

    def load(self) -> None:
        self.loads += 1

    def start(self) -> None:
        pass

    def judge(self, observation: Any) -> tuple[float, bool]:
        return 0.25, False


def on_paper(paper: Any) -> None:
    """Has environments find devices on paper, and nobody to judge."""
    registry = Registry.from_modules({"paper": paper, "insertion": skillcore_insertion.plugin})
    Registry.discover = classmethod(lambda cls: registry)  # type: ignore[method-assign,assignment]
    skillcore.environment._Scoring = Silent  # type: ignore[misc,assignment]
    skillcore.environment.SkillEnv._find_bundle = lambda self, wanted: Path()  # type: ignore[method-assign]


@pytest.fixture
def paper(paper: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The devices on paper, and a real cell made of them in `bench.yaml`."""
    for owner, name in (
        (Registry, "discover"),
        (skillcore.environment, "_Scoring"),
        (skillcore.environment.SkillEnv, "_find_bundle"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    on_paper(paper)
    (home.parent / "bench.yaml").write_text(REAL, encoding="utf-8")
    return paper


@pytest.fixture
def make(home: Path) -> Iterator[Any]:
    """`gymnasium.make` for insertion on the simulated cell, judged by the truth if nobody says otherwise."""
    made = []

    def make(**options: Any) -> gymnasium.Env[Any, Any]:
        env = gymnasium.make("skillcore/Insertion-v0", **{"reward": "truth", "connector": "usb_a", **options})
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


@pytest.fixture
def life() -> str:
    """The beginning of a program that has a real cell open."""
    return LIFE
