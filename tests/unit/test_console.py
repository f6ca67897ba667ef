"""The live console: readable at any width, in place on a terminal and line by line elsewhere."""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from skillcore.cli import output
from skillcore.learning.checks import is_check
from skillcore.learning.evaluate import TrialResult
from skillcore.reports import console as reports
from skillcore.reports.console import LiveConsole

TITLE = "learning a_connector_whose_name_is_longer_than_anybody_would_type_it_twice"


class Screen:
    """A terminal: as much of one as is needed to see what is on it after what was written."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0
        self.wrapped = 0

    def write(self, text: str) -> None:
        for code, character in re.findall(r"\x1b\[([?\d;]*[A-Za-z])|(.)", text, re.DOTALL):
            if code:
                self._control(code)
            elif character == "\n":
                self._to(self.row + 1, 0)
            elif character == "\r":
                self.column = 0
            else:
                self._put(character)

    def _control(self, code: str) -> None:
        if code.endswith("A"):
            self._to(self.row - int(code[:-1] or 1), self.column)
        elif code == "2K":
            self.rows[self.row] = []
        else:
            assert code[-1] in "mhl", f"unknown: {code}"

    def _put(self, character: str) -> None:
        assert character.isprintable(), repr(character)
        if self.column == self.width:
            self.wrapped += 1
            self._to(self.row + 1, 0)
        line = self.rows[self.row]
        line.extend(" " * (self.column + 1 - len(line)))
        line[self.column] = character
        self.column += 1

    def _to(self, row: int, column: int) -> None:
        self.row, self.column = max(0, row), column
        self.rows.extend([] for _ in range(self.row + 1 - len(self.rows)))

    @property
    def lines(self) -> list[str]:
        return [line for row in self.rows if (line := "".join(row).rstrip())]


class Shown:
    """A file that is a terminal, for a screen."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen

    def write(self, text: str) -> int:
        self.screen.write(text)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""

    def isatty(self) -> bool:
        return True


def trials(count: int, *, truth: bool = True) -> list[TrialResult]:
    """Trials that get better, with some mistakes of the reward model, strong forces and many clamps."""
    chance = random.Random(3)
    found = []
    for number in range(count):
        really = chance.random() < number / 30
        claimed = really if chance.random() < 0.9 else not really
        clamps = chance.choice([0, 0, 123])
        found.append(TrialResult(number, claimed, really if truth else None, 20, 137.4, clamps, 0, ""))
    return found


def watch(console: Console, count: int = 45, after: Callable[[int], None] = lambda trial: None, **how: bool) -> None:
    """A job as the console is told of it."""
    with LiveConsole(console, TITLE) as live:
        for name, planned in (("zero-shot", 10000), ("practice", 10000), ("acceptance", 12)):
            done = trials(min(count, planned), **how)
            live.stage(name, planned, done[:2])
            for result in done[2:]:
                live.trial(result, {})
                after(result.number)


def plain(width: int) -> Console:
    """A console as commands have it, in a pipe."""
    return Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def watch_a_fault(console: Console) -> None:
    """A job whose fourth trial is stopped."""
    why = "protective stop: the safety system stopped the arm, as it does where a force above its limits is met"
    with LiveConsole(console, TITLE) as live:
        live.stage("practice", 10, [])
        for result in trials(6):
            live.trial(replace(result, aborted=why) if result.number == 3 else result, {})


# --- line by line ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("width", [30, 40, 60, 79, 80, 200, 400])
def test_lines_fit_and_hold_no_control_characters(width: int, truth: bool) -> None:
    console = plain(width)
    watch(console, truth=truth)
    lines = written(console).splitlines()
    assert all(line.isprintable() for line in lines)
    # Not even a single piece is wider than 40 columns.
    assert max(map(len, lines)) <= max(40, min(width, 80))


def test_each_stage_has_its_columns() -> None:
    console = plain(400)
    watch(console)
    lines = written(console).splitlines()
    start = lines.index("practice: up to 10000 trials, 2 of them finished earlier")
    top, heading, *rows = lines[start + 1 : start + 7]
    assert heading.split() == ["at", "trial", "last", "20", "noise", "wrong", "missed", "force", "clamps", "left"]
    assert len({len(line) for line in (top, heading, *rows)}) == 1
    results = trials(45)
    last = results[30 - 20 : 30]
    checks = [one for one in results[:30] if is_check(one.number)][-10:]
    row = rows[2].split()
    assert re.fullmatch(r"\d\d:\d\d", row[0])
    assert row[1:3] == ["30", f"{sum(bool(one.truth) for one in last) / 20:.0%}"]
    assert " ".join(row[3:6]) == f"{sum(one.success for one in checks)} of {len(checks)}"
    assert row[6] == str(sum(one.claimed and not one.truth for one in results[:30]))
    assert row[7] == str(sum(bool(one.truth) and not one.claimed for one in results[:30]))
    assert row[8:10] == ["137", "N"]
    # A test has no trials with noise.
    (start,) = [number for number, line in enumerate(lines) if line.startswith("acceptance: ")]
    assert "noise" not in lines[start + 2]


def test_where_nothing_knows_the_truth_nothing_is_said_of_mistakes() -> None:
    console = plain(400)
    watch(console, truth=False)
    row = written(console).splitlines()[3].split()
    assert row[3:5] == ["-", "-"]
    assert "taken for success" in written(console)


def test_a_stage_without_trials_is_not_told() -> None:
    console = plain(80)
    with LiveConsole(console, TITLE) as live:
        live.stage("practice", 0, [])
    assert written(console) == ""


def test_slow_trials_are_told_before_there_are_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "LINE_EVERY_S", 0.0)
    console = plain(80)
    watch(console, count=4)
    assert [line.split()[1] for line in written(console).splitlines()[3:5]] == ["3", "4"]


def test_what_is_interrupted_is_not_called_done() -> None:
    console = plain(80)

    def interrupt(trial: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(console, after=interrupt)
    assert "zero-shot interrupted: 3 trials" in written(console)
    assert "done" not in written(console)


@pytest.mark.parametrize("term", ["dumb", "unknown"])
def test_a_dumb_terminal_gets_lines(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    screen = Screen(80)
    watch(Console(file=Shown(screen), soft_wrap=True))  # type: ignore[arg-type]
    assert screen.wrapped == 0
    assert sum("trials, success" in line for line in screen.lines) == 3
    assert sum(line.split()[1:2] == ["30"] for line in screen.lines) == 2


def test_a_pipe_gets_lines_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stdout", stream)
    watch(output.console())
    assert "\x1b" not in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 80


# --- in place ----------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], tuple[Console, Screen]]:
    """Makes a console as commands have it on a terminal of so many columns, and its screen."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def make(width: int) -> tuple[Console, Screen]:
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("LINES", "40")
        screen = Screen(width)
        file = Shown(screen)
        return Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=True), screen  # type: ignore[arg-type]

    return make


def drawn_once(screen: Screen) -> None:
    """There is one table, at the end, and nothing of an earlier one is left."""
    assert screen.wrapped == 0, screen.lines
    assert sum(line.startswith("last trials") for line in screen.lines) == 1, screen.lines
    assert screen.lines[-1].startswith("time left"), screen.lines


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_stopped_a_trial_is_told_and_stays(width: int, terminal: Callable[[int], tuple[Console, Screen]]) -> None:
    console, screen = terminal(width)
    watch_a_fault(console)
    piped = plain(width)
    watch_a_fault(piped)
    for lines in (screen.lines, written(piped).splitlines()):
        text = " ".join(line.strip() for line in lines)
        assert text.count("practice trial 4 aborted: protective stop: the safety system stopped the arm") == 1
        assert text.endswith("1 aborted")
        assert max(map(len, lines)) <= min(width, 80)
    assert screen.wrapped == 0


@pytest.mark.parametrize("no_color", [False, True])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_is_redrawn_in_place(
    width: int,
    no_color: bool,
    terminal: Callable[[int], tuple[Console, Screen]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    console, screen = terminal(width)
    watch(console, after=lambda trial: drawn_once(screen))
    # In the end what was drawn has gone, and a few lines a stage stay.
    assert [line.split(":")[0] for line in screen.lines if not line.startswith(" ")] == [
        "zero-shot done",
        "practice done",
        "acceptance done",
    ]
    assert max(map(len, screen.lines)) <= min(width, 80)
    assert screen.wrapped == 0


def test_all_that_matters_is_seen_at_a_glance(terminal: Callable[[int], tuple[Console, Screen]]) -> None:
    console, screen = terminal(80)
    seen: list[list[str]] = []
    watch(console, after=lambda trial: seen.append(screen.lines))
    practice = [lines for lines in seen if any(line.startswith("without noise") for line in lines)][-1]
    labels = [line[:14].strip() for line in practice[practice.index(next(p for p in practice if "at most" in p)) :]]
    wanted = ["practice", "", "last trials", "success", "without noise", "reward model", "peak force", "last trial"]
    assert labels == [*wanted, "time left"]
    marks = practice[-7].split()[-1]
    assert len(marks) == 20
    assert set(marks) <= set("+-!?")


@pytest.mark.parametrize(("before", "after"), [(200, 80), (80, 50), (80, 200)])
def test_a_terminal_that_changes_its_width_is_redrawn_in_place(
    before: int,
    after: int,
    terminal: Callable[[int], tuple[Console, Screen]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console, screen = terminal(before)

    def change(trial: int) -> None:
        drawn_once(screen)
        # What is shown must not be wider, or a terminal that wraps it anew would have more lines than were drawn.
        assert max(map(len, screen.lines)) <= max(after, 80)
        if trial == 7:
            monkeypatch.setenv("COLUMNS", str(after))
            screen.width = after

    with LiveConsole(console, "learning hdmi_a") as live:
        live.stage("practice", 200, [])
        for result in trials(30):
            live.trial(result, {})
            change(result.number)
            assert max(map(len, screen.lines[-9:])) <= 44
