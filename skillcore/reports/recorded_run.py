"""A run as it lies in its folder: what it was made with, its trials by part, and what came of it.

The one reader for all that is made of a run: reports add why trials failed (`skillcore.reports.run_data`), films and
recordings the episodes of the trials that they show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skillcore.episodes import EpisodeStore
from skillcore.errors import InputError
from skillcore.learning.checks import is_check
from skillcore.learning.past_runs import PastRun
from skillcore.learning.runs import ABOUT, RESULTS, read_results, read_run
from skillcore.learning.saved_trials import EPISODES, Trial, read_trials

PARTS = ("zero-shot", "practice", "acceptance", "run")
"""Sources of episodes that a run can hold, in the order they come in."""
LARGEST = 1e300
_CURE = "put back a copy of the file"


@dataclass(frozen=True, slots=True)
class Setting:
    """What is not in an episode: words for what it shows, and what its numbers mean.

    cameras: names of the views. force_limit_n: what the arm may press with. hard_force_limit_n: where a trial ends.
    step_m, turn_step_rad: what an action of 1 moves and turns. Runs that were begun before this was written down have
    none of them.
    """

    title: str
    cameras: tuple[str, ...] = ()
    force_limit_n: float | None = None
    hard_force_limit_n: float | None = None
    step_m: float | None = None
    turn_step_rad: float | None = None

    def camera(self, view: int) -> str:
        """The name of a view."""
        return self.cameras[view] if view < len(self.cameras) else f"camera {view + 1}"


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run's folder. parts: the trials of each part that has any, in their order. results: None while unfinished;
    gate: the share of acceptance trials that is asked for, as they say; None where they say nothing of one."""

    folder: Path
    about: dict[str, Any]
    setting: Setting
    parts: dict[str, list[Trial]] = field(default_factory=dict)
    results: dict[str, Any] | None = None
    gate: float | None = None

    @property
    def store(self) -> EpisodeStore:
        """Its episodes. Raises EpisodeError, StorageError."""
        return EpisodeStore(self.folder / EPISODES, create=False)

    @property
    def accepted(self) -> bool | None:
        """The verdict of its end, which labels that people correct later leave as it is; None while there is none."""
        return PastRun(self.folder, self.about, self.results, damage="").accepted

    def words_of(self, part: str) -> str:
        """What a part is called in a picture."""
        if part == "acceptance" and self.about.get("command") == "eval":
            return "test"
        return {"zero-shot": "before practice", "acceptance": "after practice"}.get(part, part)


def read_recorded(folder: Path) -> RecordedRun:
    """The run in a folder, as far as it has come. Raises InputError, EpisodeError, StorageError."""
    about = read_run(folder)
    trials = read_trials(folder)
    results = read_results(folder)
    return RecordedRun(
        folder,
        about,
        setting_of(about, folder),
        {part: trials[part] for part in PARTS if part in trials},
        results,
        number_of(results or {}, "gate", folder / RESULTS),
    )


def setting_of(about: dict[str, Any], folder: Path) -> Setting:
    """What `skillcore.learning.job.circumstances` has written into run.json. Raises InputError if it is damaged."""
    path = folder / ABOUT
    cameras, limits, control = (about.get(name) for name in ("cameras", "limits", "control"))
    if cameras is not None and not isinstance(cameras, list):
        raise InputError(f"{path}: damaged: cameras is no list", cure=_CURE)
    return Setting(
        title=str(about.get("title") or about.get("variant") or ""),
        cameras=tuple(str(name) for name in cameras or ()),
        force_limit_n=number_of(limits, "force_n", path),
        hard_force_limit_n=number_of(limits, "hard_force_n", path),
        step_m=number_of(control, "step_m", path),
        turn_step_rad=number_of(control, "turn_step_rad", path),
    )


def number_of(noted: Any, name: str, path: Path) -> float | None:
    """A number by its name; None where nothing was noted. Raises InputError for what is no number."""
    if noted is None or (isinstance(noted, Mapping) and name not in noted):
        return None
    value = noted[name] if isinstance(noted, Mapping) else noted
    # JSON as Python reads it knows NaN, and whole numbers that no float can hold.
    if isinstance(value, bool) or not isinstance(value, float | int) or not abs(value) < LARGEST:
        raise InputError(f"{path}: damaged: {name} is no number", cure=_CURE)
    return float(value)


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
