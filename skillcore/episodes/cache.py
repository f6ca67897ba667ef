"""The replay cache: all frames of a dataset in flat arrays, ready for training.

Made from a store once a dataset and kept as plain `.npy` files that are mapped into memory, or made from
episodes that never saw a disk. The frames of an episode follow each other; the step taken at frame `f` leads
to frame `f + 1`, unless `is_last[f]`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, Unpack

import numpy as np
from numpy.typing import NDArray

from skillcore.episodes.cache_files import (
    BUILDING,
    CACHE_FORMAT,
    COLUMNS,
    META,
    CacheContent,
    ChosenImages,
    JoinedImages,
    Part,
    gather_in_memory,
    part_of,
    read_cache,
    write_cache,
)
from skillcore.episodes.checks import faults_of
from skillcore.episodes.index import EpisodeRow, Filters, choices_of
from skillcore.episodes.store import EpisodeStore
from skillcore.errors import EpisodeError
from skillcore.storage import exclusive, make_folder_durably
from skillcore.types import PAST, Episode, Observation, Past

Progress = Callable[[int, int], None]
"""Called with the number of episodes done and the number of all."""

Order = Callable[[EpisodeRow], tuple[str | int, ...]]

_LOCK_TIMEOUT_S = 3600.0  # As long as another process may take to build a large cache.


class ReplayCache:
    """All frames of a dataset. Every array is read-only.

    images (frames, views, H, W, 3) uint8 RGB. pose, wrench, seated_from_tcp (frames, 6), action, executed
    (frames, 4), reward, score (frames,) float32; success, truth (frames,) int8: as in `Episode`. In an
    episode's last frame, where no step was taken, action, executed and reward are 0.

    episode, step (frames,) int32: which episode a frame is of, and where in it. is_last (frames,) bool: no
    step was taken there. terminated (frames,) bool: the step taken there reached the goal, so no value
    follows it. step_frames (steps,) int64: the frames where a step was taken. episode_starts (episodes + 1,)
    int64: each episode's first frame, then the number of all frames. infos (episodes,): what is known of each
    episode besides. ids (episodes,): their ids in the store, empty for those that are in none. corrected (episodes,):
    what people said afterwards of how they ended, as in `Episode`; labels and rewards say it too.
    """

    pose: NDArray[np.float32]
    wrench: NDArray[np.float32]
    action: NDArray[np.float32]
    executed: NDArray[np.float32]
    reward: NDArray[np.float32]
    score: NDArray[np.float32]
    success: NDArray[np.int8]
    truth: NDArray[np.int8]
    seated_from_tcp: NDArray[np.float32]

    def __init__(self, content: CacheContent) -> None:
        """See `open`, `from_episodes` and `load`, which make one."""
        self.images = content.images
        for name in COLUMNS:
            setattr(self, name, content.columns[name])
        self.infos, self.ids, self.corrected = tuple(content.infos), tuple(content.ids), tuple(content.corrected)
        self.episode_starts = np.concatenate([[0], np.cumsum(content.lengths)]).astype(np.int64)
        self.episode = np.repeat(np.arange(self.episodes, dtype=np.int32), content.lengths)
        self.step = (np.arange(self.frames) - self.episode_starts[self.episode]).astype(np.int32)
        self.is_last = np.zeros(self.frames, bool)
        self.is_last[self.episode_starts[1:] - 1] = True
        said = zip(self.infos, self.corrected, strict=True)
        succeeded = np.array([info.outcome == "success" if one is None else one for info, one in said], bool)
        # The last step was taken one frame before the last; an episode that ended before its first step has
        # none.
        self.terminated = ~self.is_last & np.append(self.is_last[1:], False) & succeeded[self.episode]
        self.step_frames = np.flatnonzero(~self.is_last)
        for array in vars(self).values():
            if isinstance(array, np.ndarray):
                array.flags.writeable = False

    @property
    def frames(self) -> int:
        """The number of all frames."""
        return len(self.images)

    @property
    def episodes(self) -> int:
        """The number of episodes."""
        return len(self.infos)

    @property
    def variants(self) -> tuple[str, ...]:
        """(episodes,) The variant of each episode."""
        return tuple(info.variant for info in self.infos)

    def observations(self, frames: NDArray[np.integer[Any]]) -> Observation:
        """A batch of observations at the frames (batch,) given; copies, so they may be changed."""
        return Observation(images=self.images[frames], pose=self.pose[frames], wrench=self.wrench[frames])

    def past(self, frames: NDArray[np.integer[Any]]) -> Past:
        """What came before the frames (batch,) given, within their episodes; copies."""
        first = self.episode_starts[self.episode[frames]]
        before = np.maximum(frames[:, None] - np.arange(1, PAST + 1), first[:, None])
        return Past(pose=self.pose[before], wrench=self.wrench[before])

    @classmethod
    def open(
        cls,
        store: EpisodeStore,
        *,
        size_px: int,
        folder: Path | None = None,
        order: Order | None = None,
        progress: Progress = lambda done, total: None,
        **filters: Unpack[Filters],
    ) -> Self:
        """The cache of all episodes in `store` that fit the filters, with square images of `size_px`.

        Made once, and used again as long as the dataset stays the same. After episodes were added it is made
        anew from the old one and the added files, and takes its place. It lies in the store's `cache/`, or in
        `folder`. order: a key to sort episodes by; without one they come as they were saved.

        Raises EpisodeError if no episode fits, a file is damaged, or images differ in form or are not square;
        StorageError if the disk is full or fails.
        """
        rows = store.rows(**filters)
        if order is not None:
            rows.sort(key=order)
        views = _views(rows, store, size_px)
        root = folder if folder is not None else store.cache_folder
        place = root / _key(rows, size_px)
        with contextlib.suppress(EpisodeError):
            return cls.load(place)
        make_folder_durably(root)
        with exclusive(root / "cache.lock", timeout_s=_LOCK_TIMEOUT_S):
            with contextlib.suppress(EpisodeError):
                return cls.load(place)  # Another process has built it while this one waited.
            for leftover in root.glob(f"{BUILDING}*"):
                shutil.rmtree(leftover, ignore_errors=True)
            question = {
                "size_px": size_px,
                "filters": {name: sorted(choices_of(value)) for name, value in filters.items()},
            }
            write_cache(
                place,
                _parts(store, rows, size_px, _Donor(root, rows, size_px), progress),
                shape=(sum(row.steps + 1 for row in rows), views, size_px, size_px, 3),
                about={"question": question, "sources": [[row.id, row.content] for row in rows]},
            )
            _drop_superseded(root, question, keep=place)
            return cls.load(place)

    @classmethod
    def from_episodes(
        cls, episodes: Sequence[Episode], *, size_px: int | None = None, folder: Path | None = None
    ) -> Self:
        """The cache of episodes at hand: in memory, or in the new folder `folder` if one is given.

        size_px: the side of the square images; without it they stay as they are. Raises EpisodeError if there
        is no episode, one is not well formed, images differ in form, or the folder exists; StorageError if
        the disk fails.
        """
        for number, episode in enumerate(episodes):
            faults = faults_of(episode)
            if faults:
                raise EpisodeError(f"episode {number} of {len(episodes)}: {'; '.join(faults)}")
        shapes = {episode.images.shape[1:] for episode in episodes}
        if len(shapes) != 1:
            found = ", ".join(str(shape) for shape in sorted(shapes)) or "none, since there are no episodes"
            raise EpisodeError(f"a cache needs images of one shape, and these are {found}")
        views, height_px, width_px, _ = shapes.pop()
        if size_px is not None:
            _check_square(height_px, width_px, "the episodes")
            height_px = width_px = size_px
        shape = (sum(episode.steps + 1 for episode in episodes), views, height_px, width_px, 3)
        parts = (part_of(episode, size_px) for episode in episodes)
        if folder is None:
            return cls(gather_in_memory(parts, shape))
        if folder.exists():
            raise EpisodeError(f"{folder}: already exists", cure="give the name of a new folder")
        make_folder_durably(folder.parent)
        write_cache(folder, parts, shape, about={"sources": [["", ""]] * len(episodes)})
        return cls.load(folder)

    @classmethod
    def joined(cls, caches: Sequence[ReplayCache]) -> Self:
        """Several caches as one, their episodes one after the other. Images stay where they are.

        Raises EpisodeError if there is none, or images differ in form.
        """
        shapes = sorted({cache.images.shape[1:] for cache in caches})
        if len(shapes) != 1:
            found = " and ".join(str(shape) for shape in shapes) or "none"
            raise EpisodeError(f"datasets of one shape of images can be joined, and these are of {found}")
        columns = {name: np.concatenate([getattr(cache, name) for cache in caches]) for name in COLUMNS}
        images: Any = JoinedImages([cache.images for cache in caches])
        lengths = [int(length) for cache in caches for length in np.diff(cache.episode_starts)]
        infos = [info for cache in caches for info in cache.infos]
        ids = [name for cache in caches for name in cache.ids]
        corrected = [one for cache in caches for one in cache.corrected]
        return cls(CacheContent(images, columns, lengths, infos, ids, corrected))

    def of_episodes(self, chosen: NDArray[np.integer[Any]], *, in_memory: bool = True) -> ReplayCache:
        """Some of the episodes, in the order given, with copies of their frames in memory.

        chosen: (episodes,) their numbers. in_memory: if not, images stay where they are.
        Raises EpisodeError if there is none.
        """
        if not len(chosen):
            raise EpisodeError("a cache needs at least one episode")
        starts, ends = self.episode_starts[chosen], self.episode_starts[chosen + 1]
        frames = np.concatenate([np.arange(start, end) for start, end in zip(starts, ends, strict=True)])
        columns = {name: getattr(self, name)[frames] for name in COLUMNS}
        lengths = [int(length) for length in ends - starts]
        infos, ids = [self.infos[number] for number in chosen], [self.ids[number] for number in chosen]
        corrected = [self.corrected[number] for number in chosen]
        images: Any = self.images[frames] if in_memory else ChosenImages(self.images, frames)
        return ReplayCache(CacheContent(images, columns, lengths, infos, ids, corrected))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Opens the cache in `folder`. Raises EpisodeError if there is none, or it is damaged."""
        return cls(read_cache(folder))


# --- making one from a store --------------------------------------------------------------------------------


class _Donor:
    """The cache in a folder that has most of the wanted episodes already, in the wanted size; or none."""

    def __init__(self, root: Path, rows: list[EpisodeRow], size_px: int) -> None:
        self._cache: ReplayCache | None = None
        self._places: dict[tuple[str, str], int] = {}
        wanted = {(row.id, row.content) for row in rows}
        for place, meta in _caches_in(root):
            with contextlib.suppress(EpisodeError, KeyError, TypeError, ValueError):
                places = {(str(name), str(sha)): number for number, (name, sha) in enumerate(meta["sources"])}
                more = len(wanted & places.keys()) > len(wanted & self._places.keys())
                if more and meta["question"]["size_px"] == size_px:
                    self._cache, self._places = ReplayCache.load(place), places

    def part(self, row: EpisodeRow) -> Part | None:
        number = self._places.get((row.id, row.content))
        if self._cache is None or number is None:
            return None
        start, end = self._cache.episode_starts[number : number + 2]
        arrays = {name: getattr(self._cache, name)[start:end] for name in ("images", *COLUMNS)}
        return arrays, self._cache.infos[number], self._cache.corrected[number]


def _parts(
    store: EpisodeStore, rows: list[EpisodeRow], size_px: int, donor: _Donor, progress: Progress
) -> Iterator[Part]:
    for done, row in enumerate(rows):
        progress(done, len(rows))
        yield donor.part(row) or part_of(_read(store, row), size_px)
    progress(len(rows), len(rows))


def _read(store: EpisodeStore, row: EpisodeRow) -> Episode:
    """The episode, labelled as its row has it: the cache is known by that."""
    episode = store.read(row.id)
    if episode.corrected != (None if row.corrected < 0 else row.corrected == 1):
        raise EpisodeError(
            f"{store.folder}: the label of {row.id} was corrected just now", cure="run the command again"
        )
    return episode


def _key(rows: list[EpisodeRow], size_px: int) -> str:
    content = json.dumps([CACHE_FORMAT, size_px, [[row.id, row.content] for row in rows]])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _caches_in(root: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for place in sorted(root.iterdir()):
        if re.fullmatch("[0-9a-f]{16}", place.name):
            with contextlib.suppress(OSError, ValueError):
                meta = json.loads((place / META).read_bytes())
                if isinstance(meta, dict):
                    yield place, meta


def _drop_superseded(root: Path, question: dict[str, Any], *, keep: Path) -> None:
    """Removes what was made for the same question from an earlier state of the store."""
    for place, meta in _caches_in(root):
        if place != keep and meta.get("question") == question:
            # Who has it open keeps it: a map of memory outlives the name. On Windows the removal fails
            # instead.
            shutil.rmtree(place, ignore_errors=True)


def _views(rows: list[EpisodeRow], store: EpisodeStore, size_px: int) -> int:
    """The number of views, the same in all episodes. Raises EpisodeError."""
    if not rows:
        raise EpisodeError(
            f"{store.folder}: of the {len(store)} episodes none fits what was asked for",
            cure=f"see what is there: skill data list {store.folder}",
        )
    if size_px < 1:
        raise EpisodeError(f"images cannot be of {size_px} pixels", cure="give a size of at least 1")
    for row in rows:
        _check_square(row.height_px, row.width_px, str(store.path(row.id)))
        if row.views != rows[0].views:
            raise EpisodeError(
                f"{store.folder}: {rows[0].id} has {rows[0].views} views and {row.id} has {row.views}",
                cure="choose episodes of one cell",
            )
    return rows[0].views


def _check_square(height_px: int, width_px: int, where: str) -> None:
    if height_px != width_px:
        raise EpisodeError(
            f"{where}: images of {width_px}x{height_px} pixels would be distorted into squares",
            cure="set the cell's views to be as wide as high",
        )
