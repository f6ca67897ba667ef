"""A run's figures as TensorBoard shows them: one point a trial, written when the trial has ended.

zero-shot/..., practice/..., acceptance/..., run/...   success, claimed, peak_force_n, steps, clamps, overruns
.../success_of_last_20                                 the share, which shows more than noughts and ones
.../taken_for_success_wrongly, .../success_not_seen    the reward model's mistakes so far, where the truth is known
practice/check_success, ..._of_last_10                 practice trials without noise alone
learner/...                                            what the learner tells of itself after each practice trial
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from skillcore.errors import StorageError
from skillcore.learning.checks import checks_of, is_check
from skillcore.learning.evaluate import Evaluation, TrialResult
from skillcore.reports.event_file import NAME, EventFile

FOLDER = "events"
RECENT, RECENT_CHECKS = 20, 10


class EventWriter:
    """A `skillcore.learning.job.Watcher` that writes the figures of a run into an event file. Use it in a `with` block.

    A run that goes on goes on in the same file: what it holds is not written twice, and what it lacks of earlier trials
    is written then. A disk that fails ends the writing and nothing else; `problem` says why, and is "" without one.
    """

    def __init__(self, run: Path) -> None:
        self.problem = ""
        self._stage = ""
        self._results: list[TrialResult] = []
        self._file: EventFile | None = None
        try:
            self._file = EventFile(run / FOLDER / NAME)
        except StorageError as error:
            self.problem = error.what

    def stage(self, name: str, trials: int, earlier: Sequence[TrialResult], /) -> None:
        self._stage, self._results = name, []
        for result in earlier:
            self.trial(result, {})

    def trial(self, result: TrialResult, figures: dict[str, float], /) -> None:
        self._results.append(result)
        told = scalars_of(self._stage, self._results)
        told |= {f"learner/{name}": value for name, value in figures.items()}
        if self._file is None:
            return
        try:
            self._file.write(result.number + 1, told)
        except StorageError as error:
            self.problem = error.what
            self._close()

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is None:
            return
        try:
            file.close()
        except StorageError as error:
            self.problem = self.problem or error.what

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()


def scalars_of(stage: str, results: Sequence[TrialResult]) -> dict[str, float]:
    """What is told of the last of these results."""
    last, recent = results[-1], Evaluation(tuple(results[-RECENT:]))
    told = {
        "success": float(last.success),
        "claimed": float(last.claimed),
        f"success_of_last_{RECENT}": recent.success.value,
        "peak_force_n": last.peak_force_n,
        "steps": float(last.steps),
        "clamps": float(last.clamps),
        "overruns": float(last.overruns),
    }
    known = [result for result in results if result.truth is not None]
    if known:
        told["taken_for_success_wrongly"] = float(sum(one.claimed and not one.truth for one in known))
        told["success_not_seen"] = float(sum(bool(one.truth) and not one.claimed for one in known))
    if stage == "practice" and is_check(last.number):
        checks = Evaluation(checks_of(results).trials[-RECENT_CHECKS:])
        told["check_success"] = float(last.success)
        told[f"check_success_of_last_{RECENT_CHECKS}"] = checks.success.value
    return {f"{stage}/{name}": value for name, value in told.items()}
