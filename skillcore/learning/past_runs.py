"""Runs that were: found by a part of their name, and read in whatever state they are."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from skillcore.errors import InputError
from skillcore.home import home
from skillcore.learning.runs import ABOUT, RESULTS

if TYPE_CHECKING:
    from skillcore.learning.evaluate import Evaluation, Rate

State = Literal["finished", "unfinished", "damaged"]
PARTS = ("zero_shot", "practice", "acceptance")
"""Parts of a run that have results, in their order; a run need not have all of them."""
NEAREST = 3


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run's folder, and what was read of it. damage: what could not be read, or ""."""

    folder: Path
    about: Mapping[str, Any]
    results: Mapping[str, Any] | None
    damage: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def short(self) -> str:
        """The end of the name, which hardly two runs share."""
        return self.name.rpartition("-")[2]

    @property
    def state(self) -> State:
        """Whether it has results, has none yet, or cannot be read."""
        if self.damage:
            return "damaged"
        return "unfinished" if self.results is None else "finished"

    def setting(self, name: str) -> str:
        """What the run says of itself under a name; "" where it says nothing."""
        value = self.about.get(name)
        return "" if value is None else str(value)

    @property
    def cell(self) -> str:
        """The cell's name: that of its file."""
        return Path(self.setting("cell")).stem

    @property
    def accepted(self) -> bool | None:
        """Whether it passed its gate; None where there was none or it has not come so far."""
        if self.results is None:
            return None
        told = self.results.get("accepted")
        if isinstance(told, bool):
            return told
        gate, rate = self.results.get("gate"), self.rate("acceptance")
        return rate.value >= gate if isinstance(gate, int | float) and rate is not None and rate.trials else None

    def age_s(self, now: datetime) -> float | None:
        """Since it began; None where that is not known."""
        try:
            began = datetime.fromisoformat(self.setting("began"))
        except ValueError:
            return None
        return (now - (began if began.tzinfo else began.replace(tzinfo=UTC))).total_seconds()

    def rate(self, *path: str, figure: str = "success") -> Rate | None:
        """A share in the results, such as `rate("practice", "without_noise")`; None where there is none."""
        found: Any = self.results
        for key in (*path, figure):
            found = found.get(key) if isinstance(found, Mapping) else None
        return as_rate(found)

    def trials(self) -> int:
        """How many were finished, in all parts. Raises EpisodeError, StorageError."""
        if self.results is not None:
            rates = [self.rate(part) for part in (*PARTS, "run")]
            return sum(rate.trials for rate in rates if rate is not None)
        return sum(len(part.trials) for part in self.evaluations().values())

    def evaluations(self) -> dict[str, Evaluation]:
        """What the saved episodes say, by source; nothing where there are none. Raises EpisodeError, StorageError."""
        from skillcore.episodes import EpisodeStore
        from skillcore.learning.evaluate import Evaluation, TrialResult

        if not (self.folder / "episodes").is_dir():
            return {}
        with EpisodeStore(self.folder / "episodes", create=False) as store:
            rows = store.rows()
        found: dict[str, dict[int, TrialResult]] = {}
        for row in rows:
            if row.trial is not None:
                found.setdefault(row.source, {})[row.trial] = TrialResult(
                    number=row.trial,
                    claimed=row.outcome == "success",
                    truth=row.known_success,
                    steps=row.steps,
                    peak_force_n=row.peak_force_n,
                    clamps=row.clamps,
                    overruns=row.overruns,
                    aborted="aborted" if row.outcome == "aborted" else "",
                )
        return {
            source: Evaluation(tuple(by_trial[number] for number in sorted(by_trial)))
            for source, by_trial in found.items()
        }


def as_rate(value: object) -> Rate | None:
    """A share as `Rate.as_json` wrote it; None for anything else."""
    from skillcore.learning.evaluate import Rate

    if not isinstance(value, Mapping):
        return None
    hits, trials = value.get("hits"), value.get("trials")
    if not isinstance(hits, int) or not isinstance(trials, int) or not 0 <= hits <= trials:
        return None
    return Rate(hits, trials)


def read_past_run(folder: Path) -> PastRun:
    """What lies in a run's folder. Never raises over what is in it: `damage` tells."""
    faults: list[str] = []
    about = _mapping(folder / ABOUT, faults)
    if about is None and not faults:
        faults.append(f"{folder / ABOUT}: the file is missing")
    results = _mapping(folder / RESULTS, faults)
    return PastRun(folder, about or {}, results, "; ".join(faults))


def _mapping(path: Path, faults: list[str]) -> dict[str, Any] | None:
    """A JSON file; None where there is none, or where it is damaged, of which `faults` is told."""
    try:
        value: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        faults.append(f"{path}: damaged: {error}")
        return None
    if isinstance(value, dict):
        return value
    faults.append(f"{path}: damaged: holds no mapping")
    return None


def past_runs() -> list[PastRun]:
    """All runs of this home, the newest first."""
    return [read_past_run(folder) for folder in _folders()]


def find_run(wanted: str) -> PastRun:
    """A run by its folder, its name, the end of its name, or any part of it that no other run has.

    Raises InputError that names the nearest, or those that a part may mean.
    """
    path = Path(wanted).expanduser()
    if (path / ABOUT).is_file() or (path / RESULTS).is_file():
        return read_past_run(path.absolute())
    if os.sep in wanted:
        raise InputError(f"{wanted}: is no run: there is no {ABOUT}", cure="list them: skill runs list")
    folders = _folders()
    for found in (
        [folder for folder in folders if folder.name == wanted],
        [folder for folder in folders if wanted and folder.name.endswith(f"-{wanted}")],
        [folder for folder in folders if wanted and wanted in folder.name],
    ):
        if len(found) == 1:
            return read_past_run(found[0])
        if found:
            shown = ", ".join(folder.name for folder in found[:NEAREST])
            more = f", ... ({len(found)} in all)" if len(found) > NEAREST else ""
            raise InputError(f"{wanted!r} may mean {len(found)} runs", cure=f"say more of one of: {shown}{more}")
    raise InputError(f"there is no run named {wanted!r}", cure=_nearest(wanted, [folder.name for folder in folders]))


def _folders() -> list[Path]:
    """The newest first, by name, which begins with the time."""
    place = home() / "runs"
    try:
        found = [path for path in place.iterdir() if path.is_dir() and not path.name.startswith(".")]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda path: path.name, reverse=True)


def _nearest(wanted: str, names: Sequence[str]) -> str:
    """Runs whose name, or a piece of it, is nearest to what was written."""
    if not names:
        return f"there are no runs in {home() / 'runs'} yet: skill learn --help"
    pieces: dict[str, str] = {}
    for name in reversed(names):
        # The newest run keeps a piece that several share.
        pieces |= dict.fromkeys((name, *name.split("-")), name)
    near = difflib.get_close_matches(wanted, pieces, n=NEAREST, cutoff=0.5)
    told = list(dict.fromkeys(pieces[piece] for piece in near)) or list(names[:NEAREST])
    return ("did you mean " if near else "the newest are: ") + " or ".join(told) + ("?" if near else "")
