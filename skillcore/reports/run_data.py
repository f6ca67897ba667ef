"""What a report of a run is made of, read from the run's folder: nothing is remembered from the command itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from skillcore.episodes import EpisodeStore
from skillcore.errors import BundleError, InputError
from skillcore.learning.bundles import Card, read_card
from skillcore.learning.evaluate import Evaluation, TrialResult
from skillcore.learning.runs import ABOUT, RESULTS, read_results, read_run
from skillcore.reports.reasons import Reason, Socket, reason_of, socket_of
from skillcore.safety import CLAMPS
from skillcore.types import Episode, Pose

SOURCES = ("zero-shot", "practice", "acceptance")
REPORTED = ("learn", "eval")
"""Commands whose runs a report can be made of."""
_CURE = "put back a copy of the file"


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One trial: its result, why it failed (None for one that did not), where its episode lies, and whether a person
    has corrected its label."""

    result: TrialResult
    reason: Reason | None
    episode: str
    started: datetime | None
    clamps: Mapping[str, int]
    corrected: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One part of a run: trials of one source, in their order."""

    source: str
    trials: tuple[Trial, ...]

    @property
    def evaluation(self) -> Evaluation:
        return Evaluation(tuple(trial.result for trial in self.trials))

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
    """A run as it lies in its folder. results: None while it is not finished; gate: the share of acceptance trials that
    is asked for, once it is. limits: what the arm is to press with at most, and the force at which a trial ends, in N;
    None where they were not noted. bundle: what it has made, or tested; card: of that bundle; None where it cannot be
    read any more."""

    folder: Path
    about: Mapping[str, Any]
    results: Mapping[str, Any] | None
    gate: float | None
    limits: tuple[float, float] | None
    parts: Mapping[str, Part]
    card: Card | None
    bundle: Path | None
    control_hz: float
    scenario: str
    has_truth: bool
    has_socket: bool

    @property
    def store(self) -> Path:
        """Where its episodes lie."""
        return self.folder / "episodes"

    def part(self, source: str) -> Part:
        return self.parts.get(source, Part(source, ()))


def read_run_data(folder: Path) -> RunData:
    """Reads a finished or an unfinished run; images stay unread.

    Raises InputError if the folder is no run of `REPORTED`, or holds no trial; EpisodeError if an episode is damaged.
    """
    about = read_run(folder)
    command = about.get("command")
    if command not in REPORTED:
        raise InputError(
            f"{folder}: is a run of {command!r}, of which no report is made",
            cure=f"give the folder of a run of {' or '.join(REPORTED)}: they lie in the home's runs/",
        )
    with EpisodeStore(folder / "episodes", create=False) as store:
        rows = [row for row in store.rows(source=SOURCES) if row.trial is not None]
        # By trial, so that an order of saving that a resumed run has changed does not matter.
        rows.sort(key=lambda row: (SOURCES.index(row.source), row.trial or 0))
        episodes = [(row.id, store.read(row.id, images=False)) for row in rows]
    if not episodes:
        raise InputError(f"{folder}: there is no trial in it yet", cure="let it run, and ask again then")
    path = folder / ABOUT
    for name in ("skill", "variant"):
        if not isinstance(about.get(name), str):
            raise InputError(f"{path}: damaged: {name} is no text", cure=_CURE)
    socket = _socket(about, [episode for _, episode in episodes], path)
    limits = _numbers(about.get("limits"), ("force_n", "hard_force_n"), path)
    trials: dict[str, list[Trial]] = {}
    for episode_id, episode in episodes:
        trials.setdefault(episode.info.source, []).append(_trial(episode_id, episode, socket))
    results = read_results(folder)
    bundle = Path(str((results or {}).get("bundle") or about.get("bundle") or ""))
    card = _card(bundle)
    last = episodes[-1][1]
    return RunData(
        folder=folder,
        about=about,
        results=results,
        gate=None if results is None else _numbers(results, ("gate",), folder / RESULTS)[0],
        limits=(limits[0], limits[1]) if limits else None,
        parts={source: Part(source, tuple(found)) for source, found in trials.items()},
        card=card,
        bundle=bundle if card is not None else None,
        control_hz=last.info.control_hz,
        scenario=last.info.scenario,
        has_truth=all(episode.truth[-1] >= 0 for _, episode in episodes),
        has_socket=socket is not None,
    )


def _trial(episode_id: str, episode: Episode, socket: Socket | None) -> Trial:
    number = 0 if episode.info.trial is None else episode.info.trial
    result = TrialResult.of(episode, number)
    return Trial(
        result,
        reason_of(episode, socket),
        episode_id,
        _time(episode.info.started_at),
        episode.info.clamps,
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
    depth_m = _numbers(noted, ("depth_m",), path)
    place = noted.get("from_base") if isinstance(noted, dict) else None
    if not isinstance(place, list) or len(place) != 6 or not all(isinstance(one, float | int) for one in place):
        raise InputError(f"{path}: damaged: socket.from_base is not six numbers", cure=_CURE)
    # Where only the reward model knows, its word must do; one that errs now and then does not move the median.
    seated = [
        one for one in episodes if one.known_success or (one.known_success is None and one.info.outcome == "success")
    ]
    return socket_of(Pose.from_rotvec(place[:3], place[3:]), depth_m[0], seated)


def _numbers(noted: Any, names: Sequence[str], path: Path) -> list[float]:
    """Numbers by their names; empty where nothing was noted. Raises InputError for what is no number."""
    if noted is None:
        return []
    values = [noted.get(name) for name in names] if isinstance(noted, dict) else [None]
    wrong = [name for name, value in zip(names, values, strict=False) if not isinstance(value, float | int)]
    if wrong:
        raise InputError(f"{path}: damaged: {wrong[0]} is no number", cure=_CURE)
    return [float(value) for value in values if value is not None]


def _card(bundle: Path) -> Card | None:
    try:
        return read_card(bundle)
    except BundleError:
        return None  # It was moved or deleted since; the page says that it is not there.
