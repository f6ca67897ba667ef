"""The live console: what happens now, in a few lines that stay where they are, or line by line where nobody watches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from skillcore.learning.evaluate import Evaluation, TrialResult
from skillcore.learning.practice import checks_of

RECENT = 20
RECENT_CHECKS = 10
LINE_EVERY = 10


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
        self._began = time.monotonic()
        self._first = 0
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_stage()
        if self._live is not None:
            self._live.stop()

    # --- Watcher ---

    def stage(self, name: str, trials: int, earlier: Sequence[TrialResult], /) -> None:
        self._close_stage()
        self._stage, self._planned, self._results = name, trials, list(earlier)
        # Trials of an earlier run say nothing of how long one takes now.
        self._began, self._first = time.monotonic(), len(earlier)
        if self._live is None and trials:
            gone = f", {len(earlier)} of them finished earlier" if earlier else ""
            self._console.print(f"{name}: up to {trials} trials{gone}")

    def trial(self, result: TrialResult, figures: dict[str, float], /) -> None:
        self._results.append(result)
        if self._live is not None:
            self._live.update(self._drawn(), refresh=True)
        elif len(self._results) % LINE_EVERY == 0:
            self._console.print("  " + self._line())

    # --- drawing ---

    def _close_stage(self) -> None:
        if self._results:
            self._console.print(Text(f"{self._stage} done: ", style="bold") + Text(self._line()))
        self._results = []

    def _line(self) -> str:
        every, last = Evaluation(tuple(self._results)), Evaluation(tuple(self._results[-RECENT:]))
        parts = [f"{len(self._results):3d} trials", f"success {last.success.value:4.0%} of the last {len(last.trials)}"]
        if len(every.trials) > len(last.trials):
            parts.append(f"{every.success.value:.0%} of all")
        parts += [f"{checked} without noise"] if (checked := self._checked()) else []
        parts.append(judgement(every))
        parts.append(f"peak {max(trial.peak_force_n for trial in self._results):.0f} N")
        clamps = sum(trial.clamps for trial in self._results)
        parts += [f"{clamps} clamps"] if clamps else []
        left = self._left_s()
        parts += [f"{_minutes(left)} left"] if left is not None and len(self._results) < self._planned else []
        return ", ".join(parts)

    def _left_s(self) -> float | None:
        fresh = len(self._results) - self._first
        if fresh < 3:
            return None
        return (time.monotonic() - self._began) / fresh * (self._planned - len(self._results))

    def _checked(self) -> str:
        """How the last trials of practice went that were acted without noise; empty while there are none."""
        last = checks_of(self._results).trials[-RECENT_CHECKS:] if self._stage == "practice" else ()
        return f"{sum(one.success for one in last)} of the last {len(last)}" if last else ""

    def _drawn(self) -> Group:
        every, last = Evaluation(tuple(self._results)), Evaluation(tuple(self._results[-RECENT:]))
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column()
        left = self._left_s()
        bar = ProgressBar(total=max(1, self._planned), completed=len(self._results), width=40)
        table.add_row(self._stage, f"trial {len(self._results)} of at most {self._planned}")
        table.add_row("", bar)
        table.add_row("last trials", _marks(self._results[-RECENT:]))
        table.add_row("success", f"{last.success.value:.0%} of the last {len(last.trials)}")
        if checked := self._checked():
            table.add_row("without noise", checked)
        table.add_row("reward model", judgement(every))
        latest = self._results[-1]
        table.add_row("last trial", f"{latest.steps} steps, {latest.peak_force_n:.0f} N, {latest.clamps} clamps")
        table.add_row("time left", "..." if left is None else _minutes(left))
        return Group(Text(self._title, style="bold"), table)


def judgement(evaluation: Evaluation) -> str:
    """What the reward model got wrong, where the truth is known."""
    known = [trial for trial in evaluation.trials if trial.truth is not None]
    if not known:
        return f"{evaluation.claimed.hits} taken for successes"
    false = sum(trial.claimed and not trial.truth for trial in known)
    missed = sum(bool(trial.truth) and not trial.claimed for trial in known)
    return f"{false} taken for success wrongly, {missed} missed"


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
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
