"""`skill plugins new`: each kind of package is installed, listed, valid, and fails only where it is to be filled in."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from skillcore import interfaces
from skillcore.cli import main
from skillcore.plugins import KINDS
from skillcore.scaffold.kinds import BEGUN, spelled
from skillcore.skill import Skill
from skillcore.task import Task

pytestmark = pytest.mark.timeout(1800)

ROOT = Path(__file__).parents[2]
WORDS = [spelled(kind) for kind in KINDS]
PACKAGES = " ".join(f"./new-{word}" for word in WORDS)
MADE = {
    "simulation": (interfaces.Simulation, interfaces.Arm, interfaces.Camera),
    "arm": (interfaces.Arm,),
    "camera": (interfaces.Camera,),
    "representation": (interfaces.Representation,),
    "reward-model": (interfaces.RewardModel,),
    "learner": (interfaces.Learner,),
    "skill": (Skill, Task),
}
FILLED = {"socket_from_base"}
"""What every world answers alike."""
_EMPTY = re.compile(r"(\w+)\.(\w+) is not filled in yet\s+-> write it: (\S+), line (\d+)")


def abstract(kind: type) -> set[str]:
    """Names of what must be filled in. `Task` is no ABC, since a `gymnasium.Env` is none."""
    return {name for name in dir(kind) if getattr(getattr(kind, name), "__isabstractmethod__", False)}


@pytest.fixture(scope="module")
def made(fresh: Any) -> Any:
    """An environment in which a package for each kind of part has been begun and installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKILLCORE_HOME", str(fresh.folder / "home"))
        patch.chdir(fresh.folder)
        for word in WORDS:
            assert main(["plugins", "new", f"new-{word}", "--kind", word]) == 0
    installs = " ".join(f'-e "./new-{word}[dev]"' for word in WORDS)
    done = fresh(f"pip install {installs}")
    assert done.returncode == 0, done.stderr
    return fresh


def test_each_is_listed(made: Any) -> None:
    done = made("skill plugins list --json")
    assert done.returncode == 0, done.stderr
    listed = {
        (part["kind"], part["name"]) for part in json.loads(done.stdout) if part["distribution"].startswith("new")
    }
    alone = {(kind, f"new-{spelled(kind)}") for kind in KINDS}
    assert listed == alone | {("arms", "new-simulation"), ("cameras", "new-simulation")}


def test_a_cell_file_with_it_validates_and_the_check_names_what_is_empty(made: Any) -> None:
    done = made("skill cell check new-arm/cell.yaml")
    assert done.returncode in (2, 3)
    assert "NewArm.limits is not filled in yet" in done.stderr
    assert "is not a field" not in done.stderr
    cell = made.folder / "new-arm" / "cell.yaml"
    (made.folder / "wrong.yaml").write_text(cell.read_text(encoding="utf-8").replace("port:", "prot:"))
    done = made("skill cell check wrong.yaml")
    assert done.returncode == 2
    assert "arm.prot" in done.stderr
    assert "did you mean port?" in done.stderr


@pytest.fixture(scope="module")
def outcomes(made: Any) -> dict[str, list[tuple[str, str]]]:
    """Of each package's tests: name, and what was said of a failure."""
    alone = "-q -p no:cacheprovider -p no:xdist -c new-arm/pyproject.toml --rootdir . --junit-xml out.xml"
    done = made(f"pytest {alone} {PACKAGES}")
    assert done.returncode == 1, done.stdout + done.stderr
    found: dict[str, list[tuple[str, str]]] = {word: [] for word in WORDS}
    for case in ElementTree.parse(made.folder / "out.xml").iter("testcase"):
        word = case.attrib["classname"].split(".")[0].removeprefix("new-")
        complaints = [one for one in case if one.tag in ("failure", "error")]
        said = "\n".join(f"{one.attrib.get('message', '')}\n{one.text}" for one in complaints)
        found[word].append((case.attrib["name"], said))
    return found


@pytest.mark.parametrize("word", WORDS)
def test_its_tests_fail_only_at_what_is_not_filled_in(
    word: str, outcomes: dict[str, list[tuple[str, str]]], made: Any
) -> None:
    assert len(outcomes[word]) >= 8
    empty = set()
    for name, said in outcomes[word]:
        if not said:
            continue
        told = _EMPTY.search(said)
        assert told, f"{name}: {said}"
        assert "broken promise" not in said, f"{name}: {said}"
        line = Path(told.group(3)).read_text(encoding="utf-8").splitlines()[int(told.group(4)) - 1]
        assert line.strip().startswith(("def ", "@property")), line
        assert Path(told.group(3)).is_relative_to(made.folder / f"new-{word}" / "src")
        empty.add(told.group(2))
    wanted = {name for kind in MADE[word] for name in abstract(kind)}
    assert empty, "nothing is left to fill in"
    assert empty <= wanted
    passed = {name for name, said in outcomes[word] if not said}
    assert {
        name for name, _ in outcomes[word] if name.startswith(("test_it_is_installed", "test_its_cell", "test_its_rec"))
    } <= passed


@pytest.mark.parametrize("word", WORDS)
def test_each_method_is_there_to_be_filled_in_with_its_promise(word: str, made: Any) -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (made.folder / f"new-{word}" / "src").rglob("*.py"))
    for kind in MADE[word]:
        for name in abstract(kind) - FILLED:
            body = re.search(rf"def {name}\(.*?(?=\n    def |\n    @|\nclass |\Z)", source, re.DOTALL)
            assert body, name
            assert '"""' in body.group(), f"{name} has no docstring"
            assert "raise not_filled_in()" in body.group(), f"{name} is not to be filled in"


def test_what_is_written_passes_ruff(made: Any) -> None:
    for command in ("check --no-cache", "format --no-cache --check"):
        done = made(f"{sys.executable} -m ruff {command} {PACKAGES}")
        assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_written_passes_mypy(made: Any, tmp_path: Path) -> None:
    """In the configuration and with the cache of this repository, so that torch and skillcore are not read again."""
    sources = [path for word in WORDS for path in sorted((made.folder / f"new-{word}" / "src").rglob("*.py"))]
    for word in WORDS:
        for test in (made.folder / f"new-{word}" / "tests").glob("*.py"):
            # Of one name in each package, and mypy takes one module of a name only.
            copy = tmp_path / f"{test.stem}_{word.replace('-', '_')}.py"
            sources.append(Path(shutil.copy(test, copy)))
    paths = [str(made.folder / f"new-{word}" / "src") for word in WORDS]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, sources)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"MYPYPATH": os.pathsep.join([*paths, str(tmp_path)])},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_a_package_for_each_kind() -> None:
    assert set(BEGUN) == set(KINDS)
    for kinds in MADE.values():
        assert all(abstract(kind) for kind in kinds)
