"""The installed `skill` command in processes of its own, and the smallest bundle that it can make."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from skillcore.learning import consistency
from skillcore_insertion import task

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

CREDULOUS = (
    "from skillcore.learning import consistency; from skillcore_insertion import task; "
    "consistency.LEAST = 1; task.SHORT_M = 1.0"
)

Done = subprocess.CompletedProcess[str]
Start = Callable[..., subprocess.Popen[str]]


def command(*arguments: str) -> list[str]:
    """`skill` with these arguments, where every warning is an error."""
    # A process that a script's background job has started ignores SIGINT from birth, which Python then respects.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    first = CREDULOUS if os.environ.get("TEST_CREDULOUS") else "import skillcore"
    code = f"{heed}; {first}; import sys; from skillcore.cli import main; sys.argv[0] = 'skill'; sys.exit(main())"
    return [sys.executable, "-W", "error", "-c", code, *arguments]


def environment(home: Path) -> dict[str, str]:
    """Variables for `skill` with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SKILLCORE_")}
    return kept | {"SKILLCORE_HOME": str(home), "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}


class Skill:
    """Runs `skill` with a home of its own."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder

    def __call__(self, *arguments: str) -> Done:
        return subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
            env=environment(self.home),
            cwd=self.folder,
        )


def pretrain_tiny(place: Path, *more: str) -> Path:
    """Makes a bundle with `skill pretrain` from hardly any data, in a folder, with a home there. It cannot insert
    anything."""
    (place / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
    skill = Skill(place / "home", place)
    sizes = ("--connectors", "2", "--episodes", "2", "--validation-episodes", "1", "--rollouts", "2")
    parts = ("--recipe", "recipe.yaml", "--cell", "sim", "--device", "cpu", "--out", "bundle")
    done = skill("pretrain", "insertion", *sizes, *parts, *more)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return place / "bundle"


@pytest.fixture(scope="session")
def make_tiny() -> Callable[..., Path]:
    """Makes such a bundle; see `pretrain_tiny`."""
    return pretrain_tiny


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that the first of pytest's processes to ask for it makes, and the others wait for."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / f"{name}.lock"):
        place = shared / name
        if not place.exists():
            begun = factory.mktemp(name)
            make(begun)
            begun.rename(place)
    return place


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a bundle."""
    return made_once(tmp_path_factory, "tiny", pretrain_tiny) / "bundle"


@pytest.fixture(scope="session")
def practised(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a run of two trials that has lost its results, as if it had been killed in the acceptance test."""

    def make(place: Path) -> None:
        sizes = ("--zero-shot", "0", "--trials", "2", "--acceptance", "1")
        done = Skill(place, place)("learn", "insertion", "--connector", "hdmi", "--bundle", str(tiny), *sizes)
        assert done.returncode in (0, 1), done.stderr
        for results in place.glob("runs/*/results.json"):
            results.unlink()

    return made_once(tmp_path_factory, "practised", make)


@pytest.fixture
def skill(home: Path, tmp_path: Path) -> Skill:
    """`skill` with that home."""
    return Skill(home, tmp_path)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `skill` with some home and returns at once; both streams are pipes."""

    def start(*arguments: str, home: Path) -> subprocess.Popen[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(
            # In a group of its own, so that a Ctrl-C for all of its processes reaches no others.
            command(*arguments),
            **pipes,
            text=True,
            env=environment(home),
            cwd=tmp_path,
            start_new_session=True,
        )

    return start


@pytest.fixture
def own(tiny: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may damage."""
    return Path(shutil.copytree(tiny, tmp_path / "tiny"))


@pytest.fixture
def credulous(monkeypatch: pytest.MonkeyPatch) -> None:
    """Practice, here and in processes, believes the latest claim at once, wherever it lies: with a bundle of no merit
    no three agree, and none is deep in the socket."""
    monkeypatch.setattr(consistency, "LEAST", 1)
    monkeypatch.setattr(task, "SHORT_M", 1.0)
    monkeypatch.setenv("TEST_CREDULOUS", "1")


PATIENCE_S = 900.0
"""Many times what anything in a fresh environment takes, so that a busy machine fails nothing."""
SCRIPTS = {
    "skill": "from skillcore.cli import main",
    "pytest": "from pytest import console_main as main",
    "pip": "from pip._internal.cli.main import main",
}


class FreshEnvironment:
    """A virtual environment of its own, with nothing in it. What is installed here can be imported there as well, by a
    line in a .pth file, so that torch and the rest need not be installed again: what is tested is what is new."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        venv.create(folder / "env", with_pip=False, symlinks=True)
        self.bin = folder / "env" / "bin"
        site = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "env")}))
        lines = [
            f"import site; site.addsitedir({path!r})" for path in {*map(sysconfig.get_path, ("purelib", "platlib"))}
        ]
        (site / "outer.pth").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name, target in SCRIPTS.items():
            script = self.bin / name
            script.write_text(f"#!{self.bin / 'python'}\nimport sys\n{target}\nsys.exit(main())\n", encoding="utf-8")
            script.chmod(0o755)

    def __call__(self, line: str, folder: Path | None = None) -> Done:
        """Runs a line of the shell there. pip asks no index, and builds with what is installed."""
        usual = environment(self.folder / "home").items()
        kept = {name: value for name, value in usual if not name.startswith(("PYTEST_", "PYTHON", "PIP_"))}
        pip = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        path = {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}"}
        return subprocess.run(
            ["bash", "-c", line],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
            env=kept | pip | path,
            cwd=folder or self.folder,
        )


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """A fresh virtual environment for the tests of a module."""
    return FreshEnvironment(tmp_path_factory.mktemp("fresh"))
