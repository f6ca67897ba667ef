"""What is packaged: every first-party package and the bundle that ships are within the limits."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import skillcore_insertion
from skillcore.learning.bundles import read_card

ROOT = Path(__file__).parents[2]
PRETRAINED = Path(skillcore_insertion.__file__).parent / "pretrained"
MOST_BYTES = 16_000_000


def test_the_bundle_that_ships_is_whole_and_small() -> None:
    card = read_card(PRETRAINED)
    assert card.command.startswith("skill pretrain insertion")
    assert card.variant == ""
    assert set(card.files) == {path.name for path in PRETRAINED.glob("*.safetensors")}
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) <= MOST_BYTES


def test_its_threshold_was_chosen_on_connectors_it_was_not_trained_on() -> None:
    card = read_card(PRETRAINED)
    at = card.figures["reward model on validation variants"]["at threshold"]
    assert at["false_positives"] <= 0.01
    assert len(card.reward["validation_variants"]) >= 8


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of all files in the wheel."""
    (path,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    with zipfile.ZipFile(path) as opened:
        return set(opened.namelist())


def test_the_wheel_holds_the_templates_of_reports(wheel: set[str]) -> None:
    templates = {path.name for path in (ROOT / "skillcore" / "reports" / "templates").iterdir()}
    assert {"base.html.j2", "run.html.j2", "bench.html.j2", "style.css.j2"} <= templates
    assert {f"skillcore/reports/templates/{name}" for name in templates} <= wheel


def test_the_wheel_holds_the_templates_of_new_packages(wheel: set[str]) -> None:
    folder = ROOT / "skillcore" / "scaffold" / "templates"
    templates = {str(path.relative_to(ROOT)) for path in folder.rglob("*.j2")}
    assert len(templates) >= 40
    assert templates <= wheel


def test_the_wheel_says_that_it_is_typed(wheel: set[str]) -> None:
    assert "skillcore/py.typed" in wheel


def test_the_wheel_holds_cells_conditions_connectors_and_the_bundle(wheel: set[str]) -> None:
    assert "skillcore/cell_configs/sim.yaml" in wheel
    assert "skillcore/benchmarks/paper.yaml" in wheel
    assert "skillcore_insertion/pretrained/card.json" in wheel
    assert any(name.startswith("skillcore_insertion/connectors/") for name in wheel)
