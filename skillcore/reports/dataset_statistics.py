"""What is in a store of episodes, in figures."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skillcore.episodes import EpisodeRow, EpisodeStore, dataset_hash
from skillcore.episodes.labels import said_of
from skillcore.episodes.layout import Layout
from skillcore.errors import EpisodeError
from skillcore.learning.evaluate import Rate
from skillcore.types import ACTION_NAMES

FULL = 0.999
"""An action beyond it asks for all that a step allows."""
CUT = 0.02
"""Executed less or more than asked by so much, it was the guard or a reflex that changed it."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How a figure is spread: its least, median, 95th percentile and greatest value."""

    least: float
    median: float
    most_of_all: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        least, median, most, greatest = np.quantile(np.asarray(values, np.float64), [0.0, 0.5, 0.95, 1.0]).tolist()
        return cls(least, median, most, greatest)


@dataclass(frozen=True, slots=True)
class OfVariant:
    """One variant's episodes. steps: of an episode on average. peak_force_n: the greatest of all."""

    name: str
    episodes: int
    success: Rate
    corrected: int
    steps: float
    peak_force_n: float


@dataclass(frozen=True, slots=True)
class OfAction:
    """One number of the actions, in shares of a full step. full: the share of steps that ask for all of it. changed:
    the share of steps of which something else was executed."""

    name: str
    least: float
    mean: float
    greatest: float
    deviation: float
    full: float
    changed: float


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of a whole store. said_by: how many episodes are known to have succeeded or not by whom (`said_of`). seconds: of
    all steps by the control rate. corrections: how many each person made. disk: bytes in each part of the folder."""

    folder: str
    episodes: int
    steps: int
    frames: int
    seconds: float
    success: Rate
    said_by: Mapping[str, int]
    variants: tuple[OfVariant, ...]
    duration_s: Spread
    peak_force_n: Spread
    actions: tuple[OfAction, ...]
    corrected: int
    corrections: Mapping[str, int]
    outcomes: Mapping[str, int]
    sources: Mapping[str, int]
    cells: Mapping[str, int]
    images: Mapping[str, int]
    rates_hz: tuple[float, ...]
    first: str
    last: str
    disk: Mapping[str, int]
    dataset_hash: str

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        found["success"] = self.success.as_json()
        found["variants"] = [asdict(one) | {"success": one.success.as_json()} for one in self.variants]
        return found


def statistics_of(folder: Path, progress: Callable[[int, int], None] = lambda done, total: None) -> Statistics:
    """Reads every episode, without its images. Raises EpisodeError if there is none, or one is damaged; StorageError if
    the disk fails."""
    with EpisodeStore(folder, create=False) as store:
        rows, corrections = store.rows(), store.corrections()
        if not rows:
            raise EpisodeError(f"{folder}: there is no episode in this store", cure="record some: skill collect --help")
        seconds, rates = [], set[float]()
        asked, done = [], []
        peaks: dict[str, float] = {}
        for number, row in enumerate(rows):
            progress(number, len(rows))
            episode = store.read(row.id, images=False)
            # What was brought along from elsewhere may have no greatest force between two steps.
            peaks[row.id] = max(row.peak_force_n, float(np.linalg.norm(episode.wrench[:, :3], axis=1).max()))
            seconds.append(episode.steps / episode.info.control_hz)
            rates.add(episode.info.control_hz)
            asked.append(episode.action)
            done.append(episode.executed)
        progress(len(rows), len(rows))
    started = sorted(row.started_at for row in rows if row.started_at)
    return Statistics(
        folder=str(folder),
        episodes=len(rows),
        steps=sum(row.steps for row in rows),
        frames=sum(row.steps + 1 for row in rows),
        seconds=float(sum(seconds)),
        success=_success(rows),
        said_by=_counted(said_of(row).by for row in rows),
        variants=tuple(_of_variant(name, rows, peaks) for name in sorted({row.variant for row in rows})),
        duration_s=Spread.of(seconds),
        peak_force_n=Spread.of(list(peaks.values())),
        actions=_of_actions(np.concatenate(asked), np.concatenate(done)),
        corrected=sum(row.corrected >= 0 for row in rows),
        corrections=_counted(one.who for row in rows for one in corrections.get(row.id, ())),
        outcomes=_counted(row.outcome for row in rows),
        sources=_counted(row.source for row in rows),
        cells=_counted(row.cell for row in rows),
        images=_counted(f"{row.views} of {row.width_px}x{row.height_px} px" for row in rows),
        rates_hz=tuple(sorted(rates)),
        first=started[0] if started else "",
        last=started[-1] if started else "",
        disk=disk_usage(folder),
        dataset_hash=dataset_hash(rows),
    )


def _success(rows: Sequence[EpisodeRow]) -> Rate:
    """Of those of which anybody says how they ended."""
    known = [said.success for row in rows if (said := said_of(row)).success is not None]
    return Rate(sum(known), len(known))


def _of_variant(name: str, rows: Sequence[EpisodeRow], peaks: Mapping[str, float]) -> OfVariant:
    own = [row for row in rows if row.variant == name]
    return OfVariant(
        name,
        len(own),
        _success(own),
        sum(row.corrected >= 0 for row in own),
        sum(row.steps for row in own) / len(own),
        max(peaks[row.id] for row in own),
    )


def _of_actions(
    asked: np.ndarray[Any, np.dtype[np.float32]], done: np.ndarray[Any, np.dtype[np.float32]]
) -> tuple[OfAction, ...]:
    """asked, done: (steps, 4). Nothing without a step."""
    if not len(asked):
        return ()
    return tuple(
        OfAction(
            name,
            float(asked[:, column].min()),
            float(asked[:, column].mean()),
            float(asked[:, column].max()),
            float(asked[:, column].std()),
            float((np.abs(asked[:, column]) > FULL).mean()),
            float((np.abs(asked[:, column] - done[:, column]) > CUT).mean()),
        )
        for column, name in enumerate(ACTION_NAMES)
    )


def _counted(values: Any) -> dict[str, int]:
    """How often each was met, the most frequent first."""
    return dict(Counter(values).most_common())


def disk_usage(folder: Path) -> dict[str, int]:
    """Bytes in each part of a store's folder. Files that go while they are counted count as nothing."""
    layout = Layout(folder)
    places = {
        "episodes": layout.episodes,
        "labels": layout.labels,
        "cache": layout.cache,
        "quarantine": layout.quarantine,
        "deleted": layout.deleted,
    }
    sizes = {name: _size(place) for name, place in places.items()}
    return {"index": sum(path.stat().st_size for path in layout.index_files)} | sizes


def _size(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(place) / name).lstat().st_size
    return total
