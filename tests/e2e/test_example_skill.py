"""The skill of docs/skills.md, installed as a distribution of its own: every command of the page runs."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "skills.md"
EXAMPLE = ROOT / "tests" / "example_skill"
BLOCK = re.compile(r"^```(\w+)\n(?:# (\S+)\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)
RECIPE = """\
representation: {name: daib, options: {channels: [8, 8], code_dim: 8}}
learner: {name: rlpd, options: {hidden: 16, critics: 2, pretrain_steps: 20}}
reward_model:
  name: daib
  options:
    representation: erm
    representation_options: {channels: [8, 8], code_dim: 8}
    steps: 10
    batch: 16
    touch_steps: 50
training: {steps: 10, batch: 16}
"""
FEWER = {
    "collect": ("--variants", "2", "--episodes", "1"),
    "pretrain": (
        *("--variants", "2", "--episodes", "2", "--validation-episodes", "1", "--rollouts", "2"),
        *("--recipe", "recipe.yaml", "--cell", "sim", "--device", "cpu"),
    ),
    "learn": ("--zero-shot", "1", "--trials", "2", "--acceptance", "1"),
    "eval": ("--trials", "1"),
    "run": ("--times", "2"),
}
ALL_IN_TURN = """\
import json, sys
from pathlib import Path
from contextlib import redirect_stderr, redirect_stdout
from skillcore.cli import main

for number, arguments in enumerate(json.loads(sys.argv[1])):
    sys.argv = ["skill", *arguments]
    with open(f"{number}.out", "w") as out, open(f"{number}.err", "w") as err:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(arguments)
    Path(f"{number}.code").write_text(str(code))
"""
"""In one process, which imports torch once."""
NOT_ACCEPTED = ("learn", "eval", "run")
"""What ends with 1 where the skill is below its gate, which a bundle of no merit is."""


def commands() -> list[list[str]]:
    """The commands of the page, in their order."""
    lines = [line for _, _, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) for line in text.splitlines()]
    return [shlex.split(line)[2:] for line in lines if line.startswith("$ skill ")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip has installed the example into; nothing is fetched, and skillcore is the one that is here."""
    place = tmp_path_factory.mktemp("example")
    source = shutil.copytree(EXAMPLE, place / "source", ignore=shutil.ignore_patterns("__pycache__"))
    offline = ("--no-index", "--no-deps", "--no-build-isolation", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", "-q", *offline, "--target", str(place / "site"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return place / "site"


def run(code: str, *arguments: str, folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SKILLCORE_")}
    own = {"SKILLCORE_HOME": str(folder / "home"), "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(site)}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env=kept | own,
        cwd=folder,
    )


@pytest.mark.timeout(900)
def test_every_command_of_the_page_runs(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    assert {arguments[0] for arguments in commands()} >= {"pretrain", "learn", "eval", "run", "collect"}
    smaller = [[*arguments, *FEWER.get(arguments[0], ())] for arguments in commands()]
    done = run(ALL_IN_TURN, json.dumps(smaller), folder=tmp_path, site=installed)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = {}
    for number, arguments in enumerate(commands()):
        code, out, err = ((tmp_path / f"{number}.{end}").read_text() for end in ("code", "out", "err"))
        allowed = ("0", "1") if arguments[0] in NOT_ACCEPTED else ("0",)
        assert code in allowed, f"skill {shlex.join(arguments)}: {err}"
        assert "Traceback" not in err
        said[" ".join(arguments[:2])] = out
    assert re.search(r"skill +press +press a button with a finger +acme-press", said["plugins list"])
    assert "6 buttons (4 train, 2 held-out) of 2 families" in said["connectors list"]
    assert "Green, 22 mm" in said["connectors show"]
    assert (tmp_path / "green_22.png").stat().st_size > 500
    assert "next:   skill learn press --variant green_22 --bundle first" in said["pretrain press"]
    assert "press: Green, 22 mm (green_22) on cell sim" in said["learn press"]
    assert "--variant green_22" in said["learn press"].split("next:")[1]
    assert str(tmp_path / "home" / "bundles" / "press" / "green_22" / "0001") in said["eval press"]
    assert re.search(r"^   1: (not )?pressed", said["run press"], re.MULTILINE)


def test_gymnasium_knows_it(installed: Path, tmp_path: Path) -> None:
    code = (
        "import skillcore, gymnasium\n"
        "env = gymnasium.make('skillcore/Press-v0', button='yellow_14', reward='truth')\n"
        "env.reset(seed=1)\n"
        "print(env.step(env.action_space.sample())[1], env.unwrapped.scenario)\n"
        "env.close()\n"
    )
    done = run(code, folder=tmp_path, site=installed)
    assert done.stderr == ""
    assert done.stdout == "0.0 near\n"


def test_the_page_shows_the_files_as_they_are() -> None:
    shown = {name: text for _, name, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if name}
    assert {"acme_press/task.py", "acme_press/skill.py", "acme_press/plugin.py"} <= set(shown)
    for name, text in shown.items():
        if name.startswith("acme_press/"):
            assert text == (EXAMPLE / name).read_text(encoding="utf-8")
    points = (EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")
    (toml,) = (text for kind, _, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")) if kind == "toml")
    assert toml.strip() in points
