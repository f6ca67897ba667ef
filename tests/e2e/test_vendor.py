"""A vendor's package: built into a wheel, installed in a fresh virtual environment, its arm does the main job there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

from skillcore.episodes import EpisodeStore

pytestmark = pytest.mark.timeout(1800)

VENDOR = Path(__file__).parents[1] / "vendor" / "acme-robots"
PUBLIC = re.compile(r"^\s*(?:from|import) (skillcore\S*)", re.MULTILINE)
DOCUMENTED = {
    "skillcore.config",
    "skillcore.errors",
    "skillcore.hookspecs",
    "skillcore.interfaces",
    "skillcore.parts",
    "skillcore.plugins",
    "skillcore.testing",
    "skillcore.types",
}


@pytest.fixture(scope="module")
def acme(fresh: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The environment with the vendor's wheel in it."""
    (wheel,) = WheelBuilder(str(VENDOR)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    done = fresh(f"pip install {wheel}")
    assert done.returncode == 0, done.stderr
    return fresh


def test_it_uses_public_names_only() -> None:
    sources = [*VENDOR.rglob("*.py")]
    used = {name for source in sources for name in PUBLIC.findall(source.read_text(encoding="utf-8"))}
    assert used
    assert used <= DOCUMENTED


def test_it_comes_from_the_wheel_and_is_listed(acme: Any) -> None:
    done = acme("skill plugins list --json")
    assert done.returncode == 0, done.stderr
    (part,) = [part for part in json.loads(done.stdout) if part["distribution"] == "acme-robots"]
    assert (part["kind"], part["name"], part["version"]) == ("arms", "acme-six", "2.1.0")
    assert Path(part["file"]).is_relative_to(acme.folder / "env")


def test_its_arm_keeps_the_promises_of_an_arm(acme: Any, tmp_path: Path) -> None:
    shutil.copytree(VENDOR / "tests", tmp_path / "tests")
    shutil.copy(VENDOR / "pyproject.toml", tmp_path)
    done = acme("pytest -q -p no:cacheprovider -p no:xdist", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b2\d passed", done.stdout), done.stdout


def test_the_main_job_runs_with_its_arm(acme: Any, tiny: Path, tmp_path: Path) -> None:
    shutil.copy(VENDOR / "cell.yaml", tmp_path)
    job = f"skill learn insertion --connector hdmi --cell cell.yaml --bundle {tiny}"
    done = acme(f"{job} --zero-shot 1 --trials 2 --acceptance 1", tmp_path)
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    (run,) = (acme.folder / "home" / "runs").glob("*-learn-*")
    results = json.loads((run / "results.json").read_bytes())
    assert [results[part]["success"]["trials"] for part in ("zero_shot", "practice", "acceptance")] == [1, 2, 1]
    with EpisodeStore(run / "episodes") as store:
        steps = sum(row.steps for row in store.rows())
    journal = (tmp_path / "journal.csv").read_text(encoding="utf-8").splitlines()
    # Every step of every episode went through the vendor's driver, in millimetres.
    assert sum(line.startswith("follow,") for line in journal) == steps > 0
    assert all(400.0 < float(line.split(",")[1]) < 600.0 for line in journal)


def test_a_mistake_in_its_options_is_told_with_line_and_field(acme: Any, tmp_path: Path) -> None:
    text = (VENDOR / "cell.yaml").read_text(encoding="utf-8")
    (tmp_path / "cell.yaml").write_text(text.replace("gripper: slim", "griper: slim"), encoding="utf-8")
    done = acme("skill cell check cell.yaml", tmp_path)
    assert done.returncode == 2
    assert re.search(r"cell\.yaml:\d+: arm\.griper: .*\n.*did you mean gripper", done.stderr), done.stderr
