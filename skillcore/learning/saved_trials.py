"""The trials that a run has saved, by the part of it that they are of; told by the index, so no episode is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skillcore.episodes import EpisodeRow, EpisodeStore
from skillcore.learning.evaluate import Evaluation, TrialResult

EPISODES = "episodes"
"""The store in a run's folder."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that was saved: the part it is of (its episode's source), its result, and the id of its episode."""

    part: str
    result: TrialResult
    episode_id: str

    @property
    def number(self) -> int:
        """As people count: from 1."""
        return self.result.number + 1


def read_trials(folder: Path) -> dict[str, list[Trial]]:
    """The trials in a run's folder by part, each part in the order of its numbers. Raises EpisodeError, StorageError.

    Of a trial that was saved twice the later one counts, as it does when a run goes on.
    """
    with EpisodeStore(folder / EPISODES, create=False) as store:
        rows = store.rows()
    found: dict[str, dict[int, Trial]] = {}
    for row in rows:
        if row.trial is not None:
            found.setdefault(row.source, {})[row.trial] = Trial(row.source, _result(row, row.trial), row.id)
    return {part: [by_number[number] for number in sorted(by_number)] for part, by_number in found.items()}


def evaluation_of(trials: Sequence[Trial]) -> Evaluation:
    """The figures of these trials."""
    return Evaluation(tuple(trial.result for trial in trials))


def _result(row: EpisodeRow, number: int) -> TrialResult:
    """How a trial went, by what the index says of it."""
    return TrialResult(
        number=number,
        claimed=row.outcome == "success",
        truth=row.known_success,
        steps=row.steps,
        peak_force_n=row.peak_force_n,
        clamps=row.clamps,
        overruns=row.overruns,
        aborted="aborted" if row.outcome == "aborted" else "",
    )
