"""What a run has left on disk, as pictures of it need it: its trials by part, and where it took place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillcore.episodes import EpisodeRow, EpisodeStore
from skillcore.errors import InputError
from skillcore.learning.evaluate import Evaluation, TrialResult
from skillcore.learning.practice import is_check
from skillcore.learning.runs import ABOUT, read_results, read_run

PARTS = ("zero-shot", "practice", "acceptance", "run")
"""Sources of episodes that a run can hold, in the order they come in."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What is not in an episode: words for what it shows, and what its numbers mean.

    cameras: names of the views. force_limit_n: what the arm may press with. step_m, turn_step_rad: what an action of 1
    moves and turns. Runs that were begun before this was written down have none of them.
    """

    title: str
    cameras: tuple[str, ...] = ()
    force_limit_n: float | None = None
    step_m: float | None = None
    turn_step_rad: float | None = None

    def camera(self, view: int) -> str:
        """The name of a view."""
        return self.cameras[view] if view < len(self.cameras) else f"camera {view + 1}"


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial that was saved: the part it is of, its result, and the id of its episode."""

    part: str
    result: TrialResult
    episode_id: str

    @property
    def number(self) -> int:
        """As people count: from 1."""
        return self.result.number + 1


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run's folder. parts: the trials of each part that has any, in their order. results: None while unfinished."""

    folder: Path
    about: dict[str, Any]
    setting: Setting
    parts: dict[str, list[Trial]] = field(default_factory=dict)
    results: dict[str, Any] | None = None

    @property
    def store(self) -> EpisodeStore:
        """Its episodes. Raises EpisodeError, StorageError."""
        return EpisodeStore(self.folder / "episodes", create=False)

    def words_of(self, part: str) -> str:
        """What a part is called in a picture."""
        if part == "acceptance" and self.about.get("command") == "eval":
            return "test"
        return {"zero-shot": "before practice", "acceptance": "after practice"}.get(part, part)


def read_recorded(folder: Path) -> RecordedRun:
    """The run in a folder, as far as it has come. Raises InputError, EpisodeError, StorageError."""
    about = read_run(folder)
    parts: dict[str, list[Trial]] = {}
    with EpisodeStore(folder / "episodes", create=False) as store:
        for part in PARTS:
            # Of a trial that was saved twice the later one counts, as it does when a run goes on.
            by_trial = {row.trial: row for row in store.rows(source=part) if row.trial is not None}
            if by_trial:
                parts[part] = [Trial(part, result_of(by_trial[key]), by_trial[key].id) for key in sorted(by_trial)]
    return RecordedRun(folder, about, setting_of(about, folder), parts, read_results(folder))


def setting_of(about: dict[str, Any], folder: Path) -> Setting:
    """What `skillcore.learning.job.circumstances` has written into run.json. Raises InputError if it is damaged."""
    limits, control = about.get("limits", {}), about.get("control", {})
    try:
        return Setting(
            title=str(about.get("title", about.get("variant", ""))),
            cameras=tuple(str(name) for name in about.get("cameras", ())),
            force_limit_n=float(limits["force_n"]) if "force_n" in limits else None,
            step_m=float(control["step_m"]) if "step_m" in control else None,
            turn_step_rad=float(control["turn_step_rad"]) if "turn_step_rad" in control else None,
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / ABOUT}: damaged: {error}", cure="put back a copy of the file") from error


def result_of(row: EpisodeRow) -> TrialResult:
    """How a trial went, by what the index says of it."""
    return TrialResult(
        number=row.trial or 0,
        claimed=row.outcome == "success",
        truth=row.known_success,
        steps=row.steps,
        peak_force_n=row.peak_force_n,
        clamps=row.clamps,
        overruns=row.overruns,
        aborted="aborted" if row.outcome == "aborted" else "",
    )


def evaluation_of(trials: Sequence[Trial]) -> Evaluation:
    """The figures of these trials."""
    return Evaluation(tuple(trial.result for trial in trials))


def shown_of_part(part: str, trials: Sequence[Trial]) -> list[Trial]:
    """The trials of a part that show how good the policy is: of practice those without noise, else all."""
    checks = [trial for trial in trials if is_check(trial.result.number)] if part == "practice" else []
    return checks or list(trials)


def spread(trials: Sequence[Trial], count: int) -> list[Trial]:
    """`count` of them at even distances, the first and the last among them: chosen by nothing but their number."""
    if count >= len(trials):
        return list(trials)
    if count == 1:
        return [trials[-1]]
    return [trials[round(place * (len(trials) - 1) / (count - 1))] for place in range(count)]
