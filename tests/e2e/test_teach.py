"""`skill teach` at a terminal of its own: taught on the simulated cell, gone by, listed, forgotten, ended at will."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from skillcore.cli import main
from skillcore.cli.keyboard import not_suspended

WAIT_S = 120.0
"""How long anything may take on a busy machine."""
SET_FREE, TAKE = b"Enter sets the arm free", b"press Enter"
PLUGIN = '''\
"""The simulated arm, which writes down what is asked of it, and breaks when a file says so."""
import os
from skillcore.errors import DeviceError
from skillcore.hookspecs import hookimpl
from skillcore.parts import Part
from skillcore_mujoco.options import ArmOptions
from skillcore_mujoco.plugin import _world_of


def make(options, context):
    from skillcore_mujoco.arm import SimulatedArm

    path = os.environ["ARM_LOG"]

    class WatchedArm(SimulatedArm):
        def read(self):
            if os.path.exists(path + ".broken"):
                raise DeviceError("the controller is gone", cure="switch it on")
            return super().read()

    def watched(name):
        plain = getattr(WatchedArm, name)

        def method(self, *arguments, **options):
            with open(path, "a") as log:
                log.write(name + "\\n")
            return plain(self, *arguments, **options)

        setattr(WatchedArm, name, method)

    for name in ("start_freedrive", "end_freedrive", "stop", "servo_to", "move_to", "close"):
        watched(name)
    return WatchedArm(options, _world_of(context))


@hookimpl
def skillcore_arms():
    return {"watched": Part(ArmOptions, make, "the simulated arm, watched")}
'''
CELL = """\
schema: 1
name: bench
control: {rate_hz: 10, step_m: 5 mm}
safety:
  workspace: {min_m: [-0.05, -0.05, -0.06], max_m: [0.05, 0.05, 0.08]}
  force_limit_n: 40
fixture: {position_m: [0.5, 0.0, 0.1], rotvec_rad: [180 deg, 0, 0]}
simulation: {driver: mujoco}
arm: {driver: watched}
cameras:
  left: {driver: mujoco, azimuth_rad: -45 deg}
  right: {driver: mujoco, azimuth_rad: 45 deg}
"""
TEACH = ("teach", "insertion", "--connector", "hdmi", "--cell", "bench.yaml")


class Terminal:
    """`skill` with a terminal, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self.descriptor = descriptor
        self.printed = b""

    def type(self, keys: bytes) -> None:
        os.write(self.descriptor, keys)

    def read(self, timeout_s: float) -> bool:
        """Whether more came, or none ever will: then False."""
        if not select.select([self.descriptor], [], [], timeout_s)[0]:
            return True
        try:
            more = os.read(self.descriptor, 65536)
        except OSError:  # Linux tells so that the other side has closed it
            return False
        self.printed += more
        return bool(more)

    def await_text(self, text: bytes) -> None:
        """Waits for a text that was not there when the last was awaited, and forgets what came before it."""
        until = time.monotonic() + WAIT_S
        while text not in self.printed:
            assert self.read(1.0), self.printed.decode()
            assert time.monotonic() < until, self.printed.decode()
        self.printed = self.printed.split(text, 1)[1]

    def await_seat(self) -> None:
        """Waits for a line that says that the arm stands still, 11 mm or so below the mouth."""
        until = time.monotonic() + WAIT_S
        while not re.search(rb", -1[12]\.\d\] mm .*still", self.printed):
            assert self.read(1.0), self.printed.decode()
            assert time.monotonic() < until, self.printed.decode()

    def end(self) -> int:
        """The exit code."""
        until = time.monotonic() + WAIT_S
        while self.read(0.2) and self.process.poll() is None:
            assert time.monotonic() < until, self.printed.decode()
        while select.select([self.descriptor], [], [], 0.2)[0] and self.read(0.2):
            pass
        return self.process.wait(WAIT_S)


class Place:
    """A folder with a cell, a plugin and a home, where `skill` is run."""

    def __init__(self, folder: Path, streams: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.streams = streams
        self.site = folder / "site"
        self.home = folder / "home"
        self.log = folder / "arm.log"
        self.file = self.home / "taught" / "bench" / "insertion-hdmi_a.yaml"
        info = self.site / "watched-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: watched\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[skillcore]\nwatched = watched_plugin\n")
        (self.site / "watched_plugin.py").write_text(PLUGIN)
        (folder / "bench.yaml").write_text(CELL)
        path = os.pathsep.join([str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])])
        own = {"SKILLCORE_HOME": str(self.home), "ARM_LOG": str(self.log), "PYTHONPATH": path, "NO_COLOR": "1"}
        self.environment = own | {"OMP_NUM_THREADS": "1", "TERM": "dumb"}

    def command(self, *arguments: str) -> list[str]:
        # Whoever started the tests in the background has these signals ignored from birth.
        heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        heed += "; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
        code = f"{heed}; import sys; from skillcore.cli import main; sys.argv[0] = 'skill'; sys.exit(main())"
        return [sys.executable, "-W", "error", "-c", code, *arguments]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """A command in this process: exit code, stdout, stderr."""
        code = main(arguments)
        return code, *self.streams.readouterr()

    @contextmanager
    def terminal(self, *arguments: str, **environment: str) -> Iterator[Terminal]:
        outer, inner = pty.openpty()
        process = subprocess.Popen(
            self.command(*arguments),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=os.environ | self.environment | environment,
            cwd=self.folder,
            start_new_session=True,
            # So that Ctrl-C and a hang-up reach it as they do from a real terminal.
            preexec_fn=lambda: _take_terminal(inner),
        )
        os.close(inner)
        try:
            yield Terminal(process, outer)
        finally:
            process.kill()
            process.wait()
            with suppress(OSError):
                os.close(outer)

    def calls(self) -> list[str]:
        return self.log.read_text().split()


def _take_terminal(descriptor: int) -> None:
    import fcntl

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Place:
    place = Place(tmp_path, capsys)
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SKILLCORE_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(str(place.site))
    monkeypatch.chdir(tmp_path)
    return place


def test_a_seat_is_taught_and_gone_by(place: Place) -> None:
    with place.terminal(*TEACH, "--times", "2", "--by", "Ann") as terminal:
        for number in (b"1 of 2", b"2 of 2"):
            terminal.await_text(b"Pose " + number)
            terminal.await_text(SET_FREE)
            terminal.type(b"\n")
            terminal.await_text(TAKE)
            terminal.await_seat()
            terminal.type(b"\n")
            terminal.await_text(b"Hands off")
        assert terminal.end() == 0
        told = terminal.printed.decode()
    assert "seat:   [500." in told
    assert "depth:  11.5 mm (connector)" in told
    assert re.search(r"spread: 2 poses, at most 0\.\d\d mm and \d\.\d\d deg apart", told)
    assert len(re.findall(r"way out: 17\.\d mm, at most \d+ N along it and \d+ N aside", told)) == 2
    assert "next:   skill learn insertion --connector hdmi --cell bench.yaml" in told
    assert "\x1b" not in told
    assert place.file.is_file()

    calls = [call for call in place.calls() if call != "servo_to"]
    assert calls.count("start_freedrive") == 2
    assert calls[-1] == "stop"
    assert "move_to" not in calls

    code, told, _ = place.run("teach", "insertion", "--list")
    assert code == 0
    assert re.search(r"bench +hdmi_a +\d{4}-\d\d-\d\d \d\d:\d\d +Ann +0\.\d\d mm +holds", told)
    code, told, _ = place.run("cell", "check", "bench.yaml")
    assert code == 0
    assert re.search(r"socket of insertion hdmi_a: taught .* by Ann, 2 times within 0\.\d\d mm", told)
    code, told, error = place.run("run", "insertion", "--connector", "hdmi", "--cell", "bench.yaml")
    assert code in (0, 1), error
    assert re.match(r"socket: taught .* by Ann", told)
    (run,) = (place.home / "runs").iterdir()
    assert json.loads((run / "run.json").read_text())["taught"].startswith("20")

    cell = place.folder / "bench.yaml"
    cell.write_text(CELL.replace("[0.5, 0.0, 0.1]", "[0.51, 0.0, 0.1]"))
    for command in ("learn", "eval", "run"):
        code, _, error = place.run(command, "insertion", "--connector", "hdmi", "--cell", "bench.yaml")
        assert code == 2
        assert "`fixture` in bench.yaml has changed" in error
        assert "teach anew: skill teach insertion --connector hdmi --cell bench.yaml" in error
    assert "`fixture` in" in place.run("teach", "insertion", "--list")[1]
    code, _, error = place.run("cell", "check", "bench.yaml")
    assert code == 0
    assert "note: what was taught of insertion hdmi_a no longer holds" in error

    assert place.run(*TEACH, "--forget")[0] == 0
    assert not place.file.exists()
    assert place.run("teach", "insertion", "--list") == (0, "nothing was taught\n", "")
    assert place.run(*TEACH, "--forget")[0] == 2


def press(keys: bytes) -> Callable[[Terminal, Place], None]:
    return lambda terminal, place: terminal.type(keys)


def send(number: int) -> Callable[[Terminal, Place], None]:
    return lambda terminal, place: terminal.process.send_signal(number)


def break_controller(terminal: Terminal, place: Place) -> None:
    place.log.with_name("arm.log.broken").touch()


def hang_up(terminal: Terminal, place: Place) -> None:
    os.close(terminal.descriptor)
    terminal.process.wait(WAIT_S)


@pytest.mark.parametrize(
    ("end", "code", "told"),
    [
        (press(b"\x03"), 130, "ended by Ctrl-C"),
        (press(b"\x04"), 2, "nobody answers: standard input has ended"),
        (send(signal.SIGTERM), 143, "nothing was stored"),
        (hang_up, 129, ""),
        (break_controller, 3, "the controller is gone"),
    ],
    ids=["Ctrl-C", "Ctrl-D", "terminated", "hang-up", "broken"],
)
def test_however_the_guiding_ends_the_arm_is_stopped_and_nothing_stored(
    place: Place, end: Callable[[Terminal, Place], None], code: int, told: str
) -> None:
    with place.terminal(*TEACH) as terminal:
        terminal.await_text(SET_FREE)
        terminal.type(b"\n")
        terminal.await_text(TAKE)
        end(terminal, place)
        if end is not hang_up:
            assert terminal.end() == code
            printed = terminal.printed.decode()
            assert told in printed
            assert "nothing was stored" in printed
            assert "Traceback" not in printed
        assert terminal.process.wait(WAIT_S) == code
    calls = place.calls()
    after = calls[calls.index("start_freedrive") + 1 :]
    assert "stop" in after[after.index("end_freedrive") :]
    assert "close" in after
    assert not {"servo_to", "move_to"} & set(after)
    assert not place.file.exists()


def test_a_process_that_watches_a_free_arm_is_not_suspended() -> None:
    before = signal.getsignal(signal.SIGTSTP)
    with not_suspended():
        os.kill(os.getpid(), signal.SIGTSTP)
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGTSTP) is before


def test_a_pose_outside_the_workspace_is_refused_with_figures(place: Place) -> None:
    cell = place.folder / "bench.yaml"
    cell.write_text(CELL.replace("min_m: [-0.05, -0.05, -0.06]", "min_m: [-0.05, -0.05, -0.01]"))
    with place.terminal(*TEACH, TERM="xterm", COLUMNS="80") as terminal:
        terminal.await_text(SET_FREE)
        terminal.type(b"\n")
        terminal.await_text(b"OUTSIDE by")
        terminal.await_text(b"still")
        terminal.type(b"\n")
        assert terminal.end() == 2
        told = " ".join(terminal.printed.decode().split())
    assert re.search(r"the seat is [12]\.\d mm outside the workspace on its -z side, \[", told)
    assert "write `fixture: {position_m: [0.5" in told
    assert "servo_to" not in place.calls()
    assert not place.file.exists()


def test_without_a_terminal_it_is_a_plain_error(place: Place) -> None:
    command = place.command(*TEACH)
    done = subprocess.run(command, input="\n\n", capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "standard input is no terminal" in done.stderr
    assert "Traceback" not in done.stderr
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert closed.returncode == 2
    assert "standard input is no terminal" in closed.stderr
    assert not place.log.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("teach", "insertion"), "say which connector"),
        (("teach", "insertion", "--connector", "hdmj"), "did you mean hdmi"),
        (("teach", "insertion", "--connector", "hdmi", "--cell", "none"), "there is no cell named 'none'"),
        (("teach", "insertion", "--connector", "hdmi", "--forget"), "nothing was taught of hdmi_a for cell sim"),
    ],
)
def test_mistakes_are_told(place: Place, arguments: tuple[str, ...], told: str) -> None:
    code, _, error = place.run(*arguments)
    assert code == 2
    assert told in error
