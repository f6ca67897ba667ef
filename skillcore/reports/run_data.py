"""What a report of a run is made of: the recorded run, and why its trials failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from skillcore.errors import BundleError, InputError
from skillcore.learning.bundles import Card, read_card
from skillcore.learning.evaluate import Evaluation
from skillcore.learning.runs import ABOUT, RESULTS
from skillcore.learning.saved_trials import Trial, evaluation_of
from skillcore.reports.reasons import Reason, Socket, reason_of, socket_of
from skillcore.reports.recorded_run import RecordedRun, number_of, read_recorded
from skillcore.safety import CLAMPS
from skillcore.types import Episode, Pose

SOURCES = ("zero-shot", "practice", "acceptance")
REPORTED = ("learn", "eval")
"""Commands whose runs a report can be made of."""
_CURE = "put back a copy of the file"


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedTrial(Trial):
    """A trial, why it failed (None for one that did not), when it began, what the guard cut back in it, and whether a
    person has corrected its label."""

    reason: Reason | None
    started: datetime | None
    clamps: Mapping[str, int]
    corrected: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of a run: trials of one source, in their order."""

    source: str
    trials: tuple[ExplainedTrial, ...]

    @property
    def evaluation(self) -> Evaluation:
        return evaluation_of(self.trials)

    @property
    def peak_force_n(self) -> float:
        """The greatest force of all; NaN without trials."""
        return max((trial.result.peak_force_n for trial in self.trials), default=math.nan)

    @property
    def clamps(self) -> dict[str, int]:
        """How often the guard cut a command back, by what it was cut back for."""
        return {name: sum(trial.clamps.get(name, 0) for trial in self.trials) for name in CLAMPS}

    @property
    def overruns(self) -> int:
        return sum(trial.result.overruns for trial in self.trials)

    @property
    def aborted(self) -> int:
        return sum(trial.reason is not None and trial.reason.kind == "aborted" for trial in self.trials)

    @property
    def corrected(self) -> int:
        """How many labels people have corrected."""
        return sum(trial.corrected for trial in self.trials)

    @property
    def between_s(self) -> float:
        """How long it took from one trial's start to the next one's, the way back included (median); NaN where it was
        not recorded."""
        times = [trial.started for trial in self.trials]
        gaps = [
            (after - before).total_seconds()
            for before, after in pairwise(times)
            if before is not None and after is not None
        ]
        return median(gaps) if gaps else math.nan


@dataclass(frozen=True, slots=True, eq=False)
class RunData:
    """A run that a report is made of. gate: the share of acceptance trials that is asked for; None while it is not
    finished. bundle: what it has made, or tested; card: of that bundle; None where it cannot be read any more.

    simulated: whether a simulation told how trials ended. has_truth: whether that is known of every trial, from it or
    from a person.
    """

    run: RecordedRun
    gate: float | None
    parts: Mapping[str, Part]
    card: Card | None
    bundle: Path | None
    control_hz: float
    scenario: str
    simulated: bool
    has_truth: bool
    has_socket: bool

    def part(self, source: str) -> Part:
        return self.parts.get(source, Part(source, ()))

    @property
    def limits(self) -> tuple[float, float] | None:
        """What the arm is to press with at most, and the force at which a trial ends, in N; None where they were not
        noted."""
        force_n, hard_force_n = self.run.setting.force_limit_n, self.run.setting.hard_force_limit_n
        return None if force_n is None or hard_force_n is None else (force_n, hard_force_n)


def read_run_data(folder: Path) -> RunData:
    """Reads a finished or an unfinished run; images stay unread.

    Raises InputError if the folder is no run of `REPORTED`, or holds no trial; EpisodeError if an episode is damaged.
    """
    run = read_recorded(folder)
    about, path = run.about, folder / ABOUT
    command = about.get("command")
    if command not in REPORTED:
        raise InputError(
            f"{folder}: is a run of {command!r}, of which no report is made",
            cure=f"give the folder of a run of {' or '.join(REPORTED)}: they lie in the home's runs/",
        )
    for name in ("skill", "variant"):
        if not isinstance(about.get(name), str):
            raise InputError(f"{path}: damaged: {name} is no text", cure=_CURE)
    if run.results is not None and run.gate is None:
        raise InputError(f"{folder / RESULTS}: damaged: gate is no number", cure=_CURE)
    trials = [trial for source in SOURCES for trial in run.parts.get(source, ())]
    if not trials:
        raise InputError(f"{folder}: there is no trial in it yet", cure="let it run, and ask again then")
    with run.store as store:
        episodes = [store.read(trial.episode_id, images=False) for trial in trials]
    socket = _socket(about, episodes, path)
    parts: dict[str, list[ExplainedTrial]] = {}
    for trial, episode in zip(trials, episodes, strict=True):
        parts.setdefault(trial.part, []).append(_explained(trial, episode, socket))
    bundle = Path(str((run.results or {}).get("bundle") or about.get("bundle") or ""))
    card = _card(bundle)
    last = episodes[-1].info
    return RunData(
        run=run,
        gate=run.gate,
        parts={source: Part(source, tuple(found)) for source, found in parts.items()},
        card=card,
        bundle=bundle if card is not None else None,
        control_hz=last.control_hz,
        scenario=last.scenario,
        simulated=any((episode.truth >= 0).any() for episode in episodes),
        has_truth=all(trial.result.truth is not None for trial in trials),
        has_socket=socket is not None,
    )


def _explained(trial: Trial, episode: Episode, socket: Socket | None) -> ExplainedTrial:
    return ExplainedTrial(
        trial.part,
        trial.result,
        trial.episode_id,
        reason=reason_of(episode, socket),
        started=_time(episode.info.started_at),
        clamps=episode.info.clamps,
        corrected=episode.corrected is not None,
    )


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _socket(about: Mapping[str, Any], episodes: Sequence[Episode], path: Path) -> Socket | None:
    """Where success lies, by what the run noted of the socket; None where it noted nothing."""
    noted = about.get("socket")
    if noted is None or (isinstance(noted, dict) and noted.get("depth_m") is None):
        return None  # A skill may have no depth to tell.
    depth_m = number_of(noted, "depth_m", path)
    place = noted.get("from_base") if isinstance(noted, dict) else None
    numbers = place if isinstance(place, list) and all(isinstance(one, float | int) for one in place) else []
    if depth_m is None or len(numbers) != 6:
        raise InputError(f"{path}: damaged: socket.from_base is not six numbers", cure=_CURE)
    # Where only the reward model knows, its word must do; one that errs now and then does not move the median.
    seated = [
        one for one in episodes if one.known_success or (one.known_success is None and one.info.outcome == "success")
    ]
    return socket_of(Pose.from_rotvec(numbers[:3], numbers[3:]), depth_m, seated)


def _card(bundle: Path) -> Card | None:
    try:
        return read_card(bundle)
    except BundleError:
        return None  # It was moved or deleted since; the page says that it is not there.
