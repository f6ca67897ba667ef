"""The live console: what happens now, in a few lines that stay where they are, or line by line where nobody watches."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skillcore.learning.checks import checks_of
from skillcore.learning.evaluate import Evaluation, TrialResult
from skillcore.learning.intervals import percent

RECENT = 20
RECENT_CHECKS = 10
LINE_EVERY = 10
LINE_EVERY_S = 60.0
"""Line by line, a line is told after so many trials, or so much time."""
WIDTH = 80
"""No line is wider, also where there is room: a log is read in windows of any size."""
LABEL = 15
"""Columns of a label with the space after it. A value has 25 in 40 columns, so that hardly any is broken there."""
HEADINGS = {
    "at": ("", "at", 5),
    "trial": ("", "trial", 7),
    "success": ("success of", f"last {RECENT}", 12),
    "noise": ("without", "noise", 10),
    "wrong": ("reward", "wrong", 8),
    "missed": ("model", "missed", 8),
    "peak": ("peak", "force", 8),
    "clamps": ("", "clamps", 8),
    "left": ("time", "left", 9),
}
"""What a line tells, with its two headings and its width."""


class LiveConsole:
    """Shows trials as they end. On a terminal it redraws a small table; elsewhere it prints a line now and then.

    Implements `skillcore.learning.job.Watcher`; to be used in a `with` block.
    """

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._stage = ""
        self._planned = 0
        self._results: list[TrialResult] = []
        self._began = self._told = time.monotonic()
        self._first = 0
        self._headed = False
        # A dumb terminal cannot go back to a line that it has shown.
        redraws = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, transient=True) if redraws else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_stage("done" if error is None else "interrupted")
        if self._live is not None:
            self._live.stop()

    # --- Watcher ---

    def stage(self, name: str, trials: int, earlier: Sequence[TrialResult], /) -> None:
        self._close_stage("done")
        self._stage, self._planned, self._results = name, trials, list(earlier)
        # Trials of an earlier run say nothing of how long one takes now.
        self._began, self._first = time.monotonic(), len(earlier)
        self._told = self._began
        if self._live is None and trials:
            gone = [f"{len(earlier)} of them finished earlier"] if earlier else []
            self._print(*self._folded(f"{name}: up to {trials} trials", gone))
            self._headed = False

    def trial(self, result: TrialResult, figures: dict[str, float], /) -> None:
        self._results.append(result)
        if result.aborted:
            # What stopped the arm is told at once, though practice goes on: somebody may have to see to it.
            told = f"{self._stage} trial {len(self._results)} aborted: {result.aborted}"
            self._print(*textwrap.wrap(told, min(WIDTH, self._console.width), subsequent_indent="    "))
        if self._live is not None:
            self._live.update(self._drawn(), refresh=True)
            return
        now = time.monotonic()
        if len(self._results) % LINE_EVERY == 0 or now - self._told >= LINE_EVERY_S:
            self._told = now
            self._tell()

    # --- lines ---

    def _tell(self) -> None:
        """How the stage goes, in columns where there is room for them."""
        if sum(HEADINGS[name][2] for name in self._columns) > self._console.width:
            left = self._left_s()
            more = [f"{_minutes(left)} left"] if left is not None else []
            self._print(*self._folded(f"  trial {len(self._results)} of {self._planned}", [*self._said(), *more]))
            return
        if not self._headed:
            self._headed = True
            for heading in zip(*(HEADINGS[name][:2] for name in self._columns), strict=True):
                self._print(self._aligned(heading))
        cells = self._cells()
        self._print(self._aligned([cells[name] for name in self._columns]))

    def _print(self, *lines: str) -> None:
        for line in lines:
            self._console.print(Text(line))

    @property
    def _columns(self) -> list[str]:
        return [name for name in HEADINGS if name != "noise" or self._stage == "practice"]

    def _aligned(self, cells: Sequence[str]) -> str:
        return "".join(cell.rjust(HEADINGS[name][2]) for name, cell in zip(self._columns, cells, strict=True))

    def _cells(self) -> dict[str, str]:
        """What a line tells, by column."""
        every, last = Evaluation(tuple(self._results)), Evaluation(tuple(self._results[-RECENT:]))
        mistakes = _mistakes(every)
        checks = self._checks()
        left = self._left_s()
        return {
            "at": datetime.now().astimezone().strftime("%H:%M"),
            "trial": str(len(self._results)),
            "success": percent(last.success.value),
            "noise": f"{checks[0]} of {checks[1]}" if checks else "-",
            "wrong": str(mistakes[0]) if mistakes else "-",
            "missed": str(mistakes[1]) if mistakes else "-",
            "peak": f"{_peak_n(self._results):.0f} N",
            "clamps": str(_clamps(self._results)),
            "left": "-" if left is None or len(self._results) >= self._planned else _minutes(left),
        }

    def _close_stage(self, how: str) -> None:
        if self._results:
            for line in self._folded(f"{self._stage} {how}: {len(self._results)} trials", self._said()):
                self._console.print(Text(line, style="bold" if line.startswith(self._stage) else ""))
        self._results = []

    def _said(self) -> list[str]:
        """How it went so far, in pieces."""
        every, last = Evaluation(tuple(self._results)), Evaluation(tuple(self._results[-RECENT:]))
        parts = [f"success {percent(last.success.value)} of the last {len(last.trials)}"]
        if len(every.trials) > len(last.trials):
            parts.append(f"{percent(every.success.value)} of all")
        if checks := self._checks():
            parts.append(f"{checks[0]} of the last {checks[1]} without noise")
        parts += [f"reward model: {judgement(every)}", f"peak force {_peak_n(self._results):.0f} N"]
        aborted = sum(bool(result.aborted) for result in self._results)
        counts = {"clamps": _clamps(self._results), "aborted": aborted}
        return [*parts, *(f"{count} {name}" for name, count in counts.items() if count)]

    def _folded(self, first: str, parts: Sequence[str]) -> list[str]:
        """Pieces in lines that are broken between them only."""
        width = min(WIDTH, self._console.width)
        lines = [first]
        for part in parts:
            # Room for a comma after it.
            if len(lines[-1]) + len(part) + 3 <= width:
                lines[-1] += f", {part}"
            else:
                lines[-1] += ","
                lines.append(f"    {part}")
        return lines

    def _left_s(self) -> float | None:
        fresh = len(self._results) - self._first
        if fresh < 3:
            return None
        return (time.monotonic() - self._began) / fresh * (self._planned - len(self._results))

    def _checks(self) -> tuple[int, int] | None:
        """How many of the last trials of practice that were acted without noise succeeded, and of how many; None where
        there are none."""
        last = checks_of(self._results).trials[-RECENT_CHECKS:] if self._stage == "practice" else ()
        return (sum(one.success for one in last), len(last)) if last else None

    # --- drawing ---

    def _drawn(self) -> Group:
        every, last = Evaluation(tuple(self._results)), Evaluation(tuple(self._results[-RECENT:]))
        width = min(WIDTH, self._console.width)
        # As wide as its values and no wider: what is narrower than the terminal stays whole when that is made narrower.
        table = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        left = self._left_s()
        bar = ProgressBar(
            total=max(1, self._planned), completed=len(self._results), width=max(1, min(25, width - LABEL))
        )
        table.add_row(self._stage, f"trial {len(self._results)} of at most {self._planned}")
        table.add_row("", bar)
        table.add_row("last trials", _marks(self._results[-RECENT:]))
        table.add_row("success", f"{percent(last.success.value)} of the last {len(last.trials)}")
        if checks := self._checks():
            table.add_row("without noise", f"{checks[0]} of the last {checks[1]}")
        table.add_row("reward model", judgement(every, marked=True))
        latest = self._results[-1]
        table.add_row("peak force", f"{_peak_n(self._results):.0f} N, last {latest.peak_force_n:.0f} N")
        table.add_row("last trial", f"{latest.steps} steps, {latest.clamps} clamps")
        table.add_row("time left", "..." if left is None else _minutes(left))
        title = Text(self._title, style="bold", no_wrap=True, overflow="ellipsis")
        title.truncate(width, overflow="ellipsis")
        return Group(title, table)


def judgement(evaluation: Evaluation, *, marked: bool = False) -> str:
    """What the reward model got wrong, where the truth is known: failures that it took for successes, and successes
    that it missed; and how often it was not believed. marked: with the letters of `_marks`."""
    mistakes = _mistakes(evaluation)
    refused = f", {evaluation.refused} refused" if evaluation.refused else ""
    if mistakes is None:
        return f"{evaluation.claimed.hits} taken for success{refused}"
    wrong, missed = (" (!)", " (?)") if marked else ("", "")
    return f"{mistakes[0]} wrong{wrong}, {mistakes[1]} missed{missed}{refused}"


def refusals(evaluation: Evaluation) -> str:
    """How often the reward model was not believed, and why."""
    return f"{evaluation.refused} of {len(evaluation.trials)} trials looked like success where there can be none"


def _mistakes(evaluation: Evaluation) -> tuple[int, int] | None:
    """Failures taken for successes and successes that were not seen; None where nothing knows the truth."""
    known = [trial for trial in evaluation.trials if trial.truth is not None]
    if not known:
        return None
    wrong = sum(trial.claimed and not trial.truth for trial in known)
    return wrong, sum(bool(trial.truth) and not trial.claimed for trial in known)


def _peak_n(results: Sequence[TrialResult]) -> float:
    return max(trial.peak_force_n for trial in results)


def _clamps(results: Sequence[TrialResult]) -> int:
    return sum(trial.clamps for trial in results)


def _marks(results: Sequence[TrialResult]) -> Text:
    """A letter a trial: + success, - failure, ! taken for success wrongly, ? success that was not seen."""
    text = Text()
    for result in results:
        if result.claimed and result.truth is False:
            text.append("!", "bold red")
        elif result.truth and not result.claimed:
            text.append("?", "yellow")
        elif result.success:
            text.append("+", "green")
        else:
            text.append("-", "red")
    return text


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
