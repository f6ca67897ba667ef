"""The `skill` command: help, errors and their exit codes, signals, pipes, and the first command groups."""

import json
import os
import resource
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer

from skillcore.cli import app as cli_app
from skillcore.cli import main
from skillcore.cli.app import COMMANDS, LazyCommand, load_command
from skillcore.cli.learn import again_with
from skillcore.errors import DeviceError, InputError, StorageError
from skillcore.home import cell_lock

SOURCE = Path(cli_app.__file__).parents[2]
HEAVY = ("torch", "mujoco", "cv2", "pyarrow", "numpy", "gymnasium", "matplotlib", "shapely")

CELL = """\
schema: 1
name: bench
safety: {workspace: {min_m: [-0.05, -0.05, -0.03], max_m: [0.05, 0.05, 0.10]}}
fixture: {position_m: [0.5, 0.0, 0.1], rotvec_rad: [0, 180 deg, 0]}
arm: {driver: toy, fault: ARM}
cameras: {left: {driver: toy, fault: LEFT}}
views: {size_px: 48}
"""


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the toy plugin, as a distribution of its own; a home of its own; no colours."""
    site = tmp_path / "site"
    info = site / "toy_robots-1.5.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-robots\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[skillcore]\ntoys = toy_devices\n")
    toys = Path(__file__).parent / "toys"
    monkeypatch.syspath_prepend(str(toys))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (site, toys, SOURCE))))
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SKILLCORE_PLUGINS", "toys")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cell_file(tmp_path: Path) -> Callable[..., str]:
    def write(arm: str = "''", left: str = "''") -> str:
        (tmp_path / "bench.yaml").write_text(CELL.replace("ARM", arm).replace("LEFT", left))
        return "bench.yaml"

    return write


RUN = "import sys; from skillcore.cli import main; sys.exit(main())"


def run(*arguments: str, code: str = RUN, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, where every warning is an error."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def with_command(monkeypatch: pytest.MonkeyPatch, function: Callable[..., None]) -> None:
    """Adds `skill try`, which calls the function."""
    monkeypatch.setattr(cli_app, "try_it", function, raising=False)
    monkeypatch.setitem(COMMANDS, "try", LazyCommand("skillcore.cli.app:try_it", "Try it."))


# --- help --------------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom skillcore.cli import main\n"
        "code = main(['--help'])\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "groups = [name for name in sys.modules if name.startswith('skillcore.cli.')]\n"
        "print('heavy:', heavy, 'groups:', sorted(groups), 'code:', code)\n"
    )
    done = run(code=code)
    assert done.stderr == ""
    last = done.stdout.splitlines()[-1]
    assert last == "heavy: [] groups: ['skillcore.cli.app', 'skillcore.cli.output'] code: 0"
    for name, command in COMMANDS.items():
        assert name in done.stdout
        assert command.help[:40] in done.stdout


def test_help_is_fast() -> None:
    def cpu_seconds() -> float:
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    # The processor's time and not the clock's, since this machine may be busy with something else.
    before = cpu_seconds()
    assert run("--help").returncode == 0
    assert cpu_seconds() - before < 0.5


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_can_be_imported_and_says_what_its_line_says(name: str) -> None:
    command = load_command(name, COMMANDS[name])
    assert command.name == name
    assert (command.help or "").splitlines()[0] == COMMANDS[name].help
    assert "install_completion" not in [option.name for option in command.params]


@pytest.mark.parametrize("arguments", [(), ("cell",), ("plugins",)])
def test_a_group_without_a_command_shows_its_help(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Commands" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("skillcore ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["cel"], "Did you mean 'cell'?"),
        (["plugins", "lst"], "Did you mean 'list'?"),
        (["plugins", "list", "--jsn"], "--json"),
        (["cell", "check", "a", "b"], "unexpected extra argument"),
        (["--nothing"], "No such option"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError("is wrong", cure="write it right"), 2), (StorageError("is full"), 3), (DeviceError("is off"), 3)],
)
def test_an_error_is_told_in_a_line_with_its_cure_and_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    with_command(monkeypatch, fail)
    assert main(["try"]) == code
    told = capsys.readouterr()
    assert told.err == f"error: {error}\n"
    assert told.out == ""


def test_square_brackets_and_long_lines_are_printed_as_they_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "[red]max_m[2][/red] :warning: " + "x" * 500

    def fail() -> None:
        raise InputError(text)

    with_command(monkeypatch, fail)
    assert main(["try"]) == 2
    assert capsys.readouterr().err == f"error: {text}\n"


@pytest.mark.parametrize("arguments", [["--debug", "try"], ["try", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        try:
            raise ZeroDivisionError("the cause")
        except ZeroDivisionError as error:
            raise InputError("is wrong") from error

    with_command(monkeypatch, fail)
    assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "ZeroDivisionError: the cause" in told
    assert told.endswith("error: is wrong\n")
    assert main(["try"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_debug_behind_two_dashes_is_an_argument(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def show(word: str) -> None:
        typer.echo(word)

    with_command(monkeypatch, show)
    assert main(["try", "--", "--debug"]) == 0
    assert capsys.readouterr().out == "--debug\n"


def test_a_bug_is_told_as_one_with_a_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("division\nby zero")

    with_command(monkeypatch, fail)
    assert main(["try"]) == 3
    told = capsys.readouterr().err
    report = tmp_path / "home" / "last_crash.txt"
    assert told.startswith("error: this is a bug in skillcore or a plugin: ZeroDivisionError: division by zero\n")
    assert str(report) in told
    assert "Traceback" not in told
    assert "in fail" in report.read_text()
    assert main(["try", "--debug"]) == 3
    assert "in fail" in capsys.readouterr().err
    monkeypatch.setenv("SKILLCORE_HOME", "/proc/nothing")
    assert main(["try"]) == 3
    assert "run it again with --debug" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("leave", "code"),
    [
        (lambda: None, 0),
        (lambda: (_ for _ in ()).throw(typer.Exit(1)), 1),
        (lambda: sys.exit(1), 1),
        (lambda: sys.exit(), 0),
        (lambda: sys.exit("no more"), 2),
        (lambda: (_ for _ in ()).throw(typer.Abort()), 130),
        (lambda: (_ for _ in ()).throw(KeyboardInterrupt()), 130),
        (lambda: (_ for _ in ()).throw(BrokenPipeError(32, "Broken pipe")), 141),
    ],
)
def test_every_way_to_leave_has_its_exit_code(
    leave: Callable[[], None], code: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with_command(monkeypatch, lambda: leave())
    monkeypatch.setattr(cli_app, "_flushed", lambda number: number)
    assert main(["try"]) == code
    assert "Traceback" not in capfd.readouterr().err


def test_a_file_that_typer_cannot_open_is_bad_input_and_not_a_skill_below_its_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def write(file: typer.FileTextWrite) -> None:
        file.write("a")

    with_command(monkeypatch, write)
    assert main(["try", "no/such/file"]) == 2


def test_signal_handlers_are_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    main(["--version"])
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before


# --- processes ---------------------------------------------------------------------------------------------------


def test_a_reader_that_leaves_early_is_not_told_of() -> None:
    command = [sys.executable, "-W", "error", "-c", RUN, "cell", "schema"]
    for lines in (0, 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for _ in range(lines):
                process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == ""
            assert process.wait(30) in (0, 141)


def test_an_output_that_is_full_is_told_of() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-W", "error", "-c", RUN, "plugins", "list", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("fault", "code"), [("interrupt", 130), ("terminate", 143)])
def test_a_signal_closes_all_devices_and_frees_the_cell(fault: str, code: int, cell_file: Callable[..., str]) -> None:
    program = (
        # Tests that run in a shell's background inherit that interrupts are ignored.
        "import signal, sys, toy_devices\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from skillcore.cli import main\ncode = main()\n"
        "print('closed:', toy_devices.CLOSED)\nsys.exit(code)\n"
    )
    done = run("cell", "check", cell_file(arm=fault), code=program)
    assert done.returncode == code, done.stderr
    assert done.stdout == "closed: ['left', 'arm']\n"
    assert "Traceback" not in done.stderr
    with cell_lock("bench"):
        pass


def test_a_plugin_that_raises_on_import_is_told_with_its_distribution(tmp_path: Path) -> None:
    info = tmp_path / "site" / "bad_robots-0.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad-robots\nVersion: 0.9\n")
    (info / "entry_points.txt").write_text("[skillcore]\nbad = bad_robots\n")
    (tmp_path / "site" / "bad_robots.py").write_text("raise RuntimeError('bad day')\n")
    both = {**os.environ, "SKILLCORE_PLUGINS": "bad,toys"}
    done = run("cell", "schema", env=both)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: plugin 'bad' of bad-robots 0.9 cannot be imported: RuntimeError: bad day\n")
    assert "pip uninstall bad-robots" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("--debug", "cell", "schema", env=both)
    assert 'bad_robots.py", line 1' in done.stderr
    # The list shows what works all the same.
    done = run("plugins", "list", "--json", env=both)
    assert done.returncode == 2
    assert {part["plugin"] for part in json.loads(done.stdout)} == {"toys"}
    assert "bad day" in done.stderr
    assert run("cell", "schema").returncode == 0


# --- skill plugins, skill cell -----------------------------------------------------------------------------------


def test_plugins_are_listed_with_all_that_is_known_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["kind", "name", "summary", "distribution", "version", "file"]
    file = str(Path(__file__).parent / "toys" / "toy_devices.py")
    assert lines[2].split("  ")[0] == "arm"
    for words in ("toy", "An arm that stands still.", "toy-robots", "1.5", file):
        assert words in lines[2]


def test_plugins_are_listed_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "list", "--json"]) == 0
    parts = json.loads(capsys.readouterr().out)
    assert [part["kind"] for part in parts] == ["simulations", "arms", "cameras"]
    assert parts[1] == {
        "kind": "arms",
        "name": "toy",
        "summary": "An arm that stands still.",
        "distribution": "toy-robots",
        "version": "1.5",
        "plugin": "toys",
        "file": str(Path(__file__).parent / "toys" / "toy_devices.py"),
    }


def test_the_schema_is_printed_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cell", "schema"]) == 0
    printed = capsys.readouterr().out
    jsonschema.Draft202012Validator.check_schema(json.loads(printed))
    assert main(["cell", "schema", "--output", "cell.schema.json"]) == 0
    assert (tmp_path / "cell.schema.json").read_text() == printed
    assert capsys.readouterr().out == "wrote cell.schema.json\n"
    assert main(["cell", "schema", "--output", "no/such/folder.json"]) == 3
    assert "cannot write no/such/folder.json" in capsys.readouterr().err


def test_a_healthy_cell_is_ready(cell_file: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cell", "check", cell_file()]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].split("  ")[0] == "device"
    assert lines[1].split()[:3] == ["arm", "toy", "ok"]
    assert lines[2].split()[:4] == ["camera", "left", "toy", "ok"]
    assert lines[-1] == "cell 'bench' is ready"
    assert told.err == ""


def test_a_cell_is_found_by_its_name(
    cell_file: Callable[..., str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "cell_configs").mkdir()
    Path(cell_file()).rename(tmp_path / "cell_configs" / "bench.yaml")
    assert main(["cell", "check", "bench"]) == 0
    assert main(["cell", "check", "bnech"]) == 2
    assert "did you mean bench?" in capsys.readouterr().err


def test_all_faults_of_devices_are_told_with_their_cures(
    cell_file: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cell", "check", cell_file(arm="connect", left="stale")]) == 3
    told = capsys.readouterr()
    assert told.out.count("fault") == 2
    assert "ready" not in told.out
    assert "error: arm: nobody answers at 10.0.0.5\n  -> switch the arm on\n" in told.err
    assert "error: camera left: no new frame in 0.2 s\n  -> check the cable\n" in told.err


def test_notes_do_not_change_the_exit_code(cell_file: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cell", "check", cell_file(arm="outside")]) == 0
    assert "note: arm: the TCP is outside the workspace" in capsys.readouterr().err


def test_a_wrong_cell_file_is_bad_input(cell_file: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    file = cell_file()
    Path(file).write_text(Path(file).read_text().replace("driver: toy", "driver: toi").replace("name:", "nam:"))
    assert main(["cell", "check", file]) == 2
    told = capsys.readouterr().err
    for words in ("bench.yaml:2: nam:", "bench.yaml:5: arm.driver:", "bench.yaml:6: cameras.left.driver:"):
        assert words in told
    assert told.count("did you mean toy?") == 2


def test_a_cell_that_is_held_is_not_touched(cell_file: Callable[..., str], capsys: pytest.CaptureFixture[str]) -> None:
    with cell_lock("bench", command="skill learn insertion"):
        assert main(["cell", "check", cell_file()]) == 3
    told = capsys.readouterr()
    assert "is held by process" in told.err
    assert "skill learn insertion" in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("learn insertion --connector hdmi", "skill learn insertion --connector hdmi --trials 400"),
        (
            "learn insertion --trials 20 --scenario II --bundle 'my bundles/1' --seed 3 --gate 0.5 --resume",
            "skill learn insertion --scenario II --bundle 'my bundles/1' --seed 3 --gate 0.5 --trials 400",
        ),
        ("learn --trials=20 insertion --cell bench.yaml", "skill learn insertion --cell bench.yaml --trials 400"),
    ],
)
def test_practising_more_is_the_same_command_with_more_trials(typed: str, told: str) -> None:
    assert again_with("--trials", "400", shlex.split(typed)) == told
