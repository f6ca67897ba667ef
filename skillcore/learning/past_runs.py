"""Runs that were: found by a part of their name, and read in whatever state they are."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from skillcore.errors import InputError
from skillcore.home import home
from skillcore.learning.runs import ABOUT, RESULTS, is_worked_on, read_mapping

if TYPE_CHECKING:
    from skillcore.learning.evaluate import Evaluation, Rate

State = Literal["done", "running", "interrupted", "damaged"]
PARTS = ("zero_shot", "practice", "acceptance")
"""Parts of a run that have results, in their order; a run need not have all of them."""
NEAREST = 3


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run's folder, and what was read of it. damage: what could not be read, or "". is_running: whether a process
    was at work on it when it was read."""

    folder: Path
    about: Mapping[str, Any]
    results: Mapping[str, Any] | None
    damage: str
    is_running: bool = False

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
        """Done if it has results; else running or interrupted, for which there is --resume; or it cannot be read."""
        if self.damage:
            return "damaged"
        if self.results is not None:
            return "done"
        return "running" if self.is_running else "interrupted"

    def setting(self, name: str) -> str:
        """What the run says of itself under a name; "" where it says nothing."""
        value = self.about.get(name)
        return "" if value is None else str(value)

    @property
    def cell(self) -> str:
        """The cell's name: that of its file."""
        return Path(self.setting("cell")).stem

    @property
    def gate(self) -> float | None:
        """The share that was asked for; None where there was none or it has not come so far."""
        gate = (self.results or {}).get("gate")
        return float(gate) if isinstance(gate, int | float) else None

    @property
    def accepted(self) -> bool | None:
        """Whether it passed its gate; None where there was none or it has not come so far."""
        if self.results is None:
            return None
        told = self.results.get("accepted")
        if isinstance(told, bool):
            return told
        rate = self.rate("acceptance")
        return None if self.gate is None or rate is None or not rate.trials else rate.value >= self.gate

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
        from skillcore.learning.saved_trials import EPISODES, evaluation_of, read_trials

        if not (self.folder / EPISODES).is_dir():
            return {}
        return {part: evaluation_of(trials) for part, trials in read_trials(self.folder).items()}


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
    read: dict[str, dict[str, Any] | None] = {}
    for name in (ABOUT, RESULTS):
        try:
            read[name] = read_mapping(folder / name)
        except InputError as error:
            faults.append(error.what)
        else:
            if name == ABOUT and read[name] is None:
                faults.append(f"{folder / ABOUT}: the file is missing")
    results = read.get(RESULTS)
    # Who holds the lock of a run that has its results makes pictures of it, if anything.
    is_running = results is None and is_worked_on(folder)
    return PastRun(folder, read.get(ABOUT) or {}, results, "; ".join(faults), is_running)


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
