"""The store of episodes: one file for each, and an index over them. What it reports as saved, it keeps.

The order of an append makes it so: the file is complete on the disk before its row is written, and the row is
on the disk before `append` returns. A crash in between leaves a file without a row, which `repair` takes up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from skillcore.episodes import deletion, repair
from skillcore.episodes.format import decode, encode, read_bytes
from skillcore.episodes.index import EpisodeRow, Filters, Index, IndexDamageError, choices_of
from skillcore.episodes.labels import (
    Correction,
    Corrections,
    corrected_episode,
    corrected_row,
    next_correction,
    numbered,
    read_corrections,
    write_corrections,
)
from skillcore.episodes.layout import Layout, make_id
from skillcore.errors import EpisodeError, suggest
from skillcore.storage import make_folder_durably, write_many_durably
from skillcore.types import Episode

_inherited: list[Index] = []
"""Connections a fork brought along. SQLite must neither use nor close them in the child, so they are kept."""


class EpisodeStore:
    """The episodes in a folder. Several threads and processes may use one folder at the same time.

    Usable in a `with` block. After `close` the next use opens the store again.
    """

    def __init__(self, folder: Path | str, *, create: bool = True) -> None:
        """Opens the store in `folder`, and makes it where there is none, unless `create` is False.

        Raises EpisodeError if there is none, or its index is damaged or missing (the message says how to
        repair it); StorageError if the disk fails.
        """
        self._layout = Layout(Path(folder))
        self._mutex = threading.RLock()
        self._index: Index | None = None
        self._process = os.getpid()
        if not self._layout.exists():
            if not create:
                raise repair.no_store(self._layout)
            self._make()
        if self._layout.pending.exists() and os.access(self.folder, os.W_OK):
            # Another process was killed, or is about to finish by itself; the lock waits for that.
            with self._layout.locked(), self._open_index() as index:
                deletion.settle(self._layout, index)
        with self._open_index():
            pass

    def _make(self) -> None:
        make_folder_durably(self.folder)
        with self._layout.locked():
            # The index comes last: another process takes a folder with an index for a store that is ready.
            make_folder_durably(self._layout.episodes)
            if not self._layout.exists():
                Index.create(self._layout.index)

    @property
    def folder(self) -> Path:
        """Where the store lies."""
        return self._layout.folder

    @property
    def cache_folder(self) -> Path:
        """Where copies for training lie by default; may be deleted at any time."""
        return self._layout.cache

    def path(self, episode_id: str) -> Path:
        """Where an episode's file lies."""
        return self._layout.file(episode_id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the index. May be called twice."""
        with self._mutex:
            if self._index is not None and self._process == os.getpid():
                self._index.close()
                self._index = None

    @contextlib.contextmanager
    def _open_index(self) -> Iterator[Index]:
        """The open index, for this thread alone. Damage that shows inside the block is an EpisodeError."""
        with self._mutex:
            try:
                if self._index is not None and self._process != os.getpid():
                    _inherited.append(self._index)
                    self._index = None
                elif self._index is not None and not self._index.is_current:
                    self._index.close()
                    self._index = None
                if self._index is None:
                    self._index = Index(self._layout.index)
                    self._process = os.getpid()
                yield self._index
            except IndexDamageError as damage:
                raise EpisodeError(
                    f"{self._layout.index}: the index of the episodes is damaged: {damage}",
                    cure=f"{self._layout.repair_command} makes it anew; no episode is lost by that",
                ) from damage

    # --- writing --------------------------------------------------------------------------------------------

    def append(self, episode: Episode, corrections: Sequence[Correction] = ()) -> EpisodeRow:
        """Saves an episode. Once this returns, the episode survives a kill and a power cut. corrections: what people
        said of it in another store; they are numbered anew.

        Raises EpisodeError for an episode that is not well formed, StorageError if the disk is full or fails.
        """
        row = self.append_many([episode])[0]
        if corrections:
            with self._layout.locked():
                write_corrections(self._layout, {row.id: numbered(corrections)})
        return row

    def append_many(self, episodes: Iterable[Episode]) -> list[EpisodeRow]:
        """As `append` for many at once, with fewer flushes: all of them are saved, or none is."""
        drafts: list[EpisodeRow] = []
        contents: list[bytes] = []
        for episode in episodes:
            data = encode(episode)
            contents.append(data)
            sha256 = hashlib.sha256(data).hexdigest()
            drafts.append(EpisodeRow.of(episode, "", sequence=0, sha256=sha256, size=len(data)))
        if not drafts:
            return []
        with self._mutex, self._layout.locked(), self._open_index() as index:
            first = index.next_sequence()
            rows = [
                dataclasses.replace(draft, id=make_id(number, draft.sha256), sequence=number)
                for number, draft in enumerate(drafts, first)
            ]
            write_many_durably({self.path(row.id): data for row, data in zip(rows, contents, strict=True)})
            index.change(add=rows)
        return rows

    def relabel(self, episode_id: str, success: bool, *, who: str, why: str = "") -> Correction:
        """Says how an episode really ended. Earlier corrections stay, the newest counts; the file never changes.

        who: the name of the person who says so. Raises EpisodeError for an unknown episode, InputError for a name or a
        reason that is empty or too long, StorageError if the disk is full or fails.
        """
        return self.relabel_many([episode_id], success, who=who, why=why)[episode_id]

    def relabel_many(
        self, episode_ids: Iterable[str], success: bool, *, who: str, why: str = ""
    ) -> dict[str, Correction]:
        """As `relabel` for several, once all were found well: by their ids, what was written."""
        with self._mutex, self._layout.locked():
            rows = [self._row(episode_id) for episode_id in episode_ids]
            made = {row.id: next_correction(self._layout, row, success, who=who, why=why) for row in rows}
            write_corrections(self._layout, {name: [one] for name, one in made.items()})
        return made

    def delete(self, episode_ids: Iterable[str]) -> list[EpisodeRow]:
        """Moves episodes, with their labels, into the folder `deleted/`: all of them, or none. Returns their rows.

        Raises EpisodeError for an unknown episode, StorageError if the disk is full or fails.
        """
        with self._mutex, self._layout.locked():
            rows = [self._row(episode_id) for episode_id in dict.fromkeys(episode_ids)]
            if rows:
                with self._open_index() as index:
                    deletion.delete(self._layout, index, rows)
        return rows

    def restore(self, episode_ids: Iterable[str] | None = None) -> list[EpisodeRow]:
        """Brings deleted episodes back: those named, or all. Returns their rows.

        Raises EpisodeError for one that is not in `deleted/`, or damaged; StorageError if the disk is full or fails.
        """
        with self._mutex, self._layout.locked():
            there = deletion.deleted_ids(self._layout)
            wanted = there if episode_ids is None else list(dict.fromkeys(episode_ids))
            unknown = [name for name in wanted if name not in there]
            if unknown:
                what = f"{self._layout.deleted}: there is no episode {unknown[0]!r}"
                raise EpisodeError(what, cure=suggest(unknown[0], there))
            rows = [deletion.deleted_row(self._layout, name) for name in wanted]
            if rows:
                with self._open_index() as index:
                    deletion.restore(self._layout, index, rows)
        return rows

    def erase(self, rows: Iterable[EpisodeRow]) -> None:
        """Removes the files of deleted episodes for good. Raises StorageError."""
        with self._mutex, self._layout.locked():
            deletion.erase(self._layout, list(rows))

    # --- reading --------------------------------------------------------------------------------------------

    def rows(self, **filters: Unpack[Filters]) -> list[EpisodeRow]:
        """What is known of all episodes that fit, in the order of their ids; see `Filters`.

        Raises EpisodeError if the index or a correction is damaged, StorageError if the disk fails.
        """
        # Corrections lie beside the index, so what they change is chosen by here.
        late = {name: choices_of(filters.pop(name)) for name in ("success", "corrected") if name in filters}
        with self._open_index() as index:
            rows = index.rows(filters)
        corrections = self.corrections()
        rows = [corrected_row(row, corrections[row.id][-1].success) if row.id in corrections else row for row in rows]
        return [row for row in rows if all(getattr(row, name) in choices for name, choices in late.items())]

    def recorded_rows(self) -> list[EpisodeRow]:
        """What the index says of all episodes, whatever people said afterwards. Raises as `rows` does."""
        with self._open_index() as index:
            return index.rows()

    def corrections(self, episode_id: str = "") -> Corrections:
        """What people said afterwards of how episodes ended, of all or of one. Raises EpisodeError, StorageError."""
        return read_corrections(self._layout, episode_id)

    def _row(self, episode_id: str) -> EpisodeRow:
        """The row of an episode. Raises EpisodeError if it is unknown."""
        with self._open_index() as index:
            row = index.row(episode_id)
            if row is None:
                known = [found.id for found in index.rows()]
                raise EpisodeError(
                    f"{self.folder}: there is no episode {episode_id!r}", cure=suggest(episode_id, known)
                )
        corrections = self.corrections(episode_id).get(episode_id)
        return corrected_row(row, corrections[-1].success) if corrections else row

    def __len__(self) -> int:
        with self._open_index() as index:
            return index.count()

    def read(self, episode_id: str, *, images: bool = True, as_recorded: bool = False) -> Episode:
        """The episode with its newest label, after its file was compared with the SHA-256 in the index. images: as
        for `decode`. as_recorded: without what people said afterwards.

        Raises EpisodeError that names the file if it is unknown, missing or changed; StorageError if the disk
        fails.
        """
        row = self._row(episode_id)
        path = self.path(episode_id)
        try:
            data = read_bytes(path)
        except EpisodeError as error:
            raise EpisodeError(error.what, cure=self._layout.repair_command) from error
        sha256 = hashlib.sha256(data).hexdigest()
        if sha256 != row.sha256:
            raise EpisodeError(
                f"{path}: the file is not what was saved: its SHA-256 is {sha256[:8]}, not {row.sha256[:8]}",
                cure=f"put back a copy of the file, or take it out of use: {self._layout.repair_command}",
            )
        episode = decode(data, name=str(path), images=images)
        return episode if as_recorded or row.corrected < 0 else corrected_episode(episode, row.corrected == 1)

    def dataset_hash(self, **filters: Unpack[Filters]) -> str:
        """A hash of all episodes that fit: the same for the same files and labels, in whatever order they lie."""
        return dataset_hash(self.rows(**filters))

    # --- health ---------------------------------------------------------------------------------------------

    def verify(self) -> list[repair.Finding]:
        """Reads every file and compares it with the index; see `skillcore.episodes.repair.verify`."""
        return repair.verify(self.folder)

    def repair(self) -> repair.RepairReport:
        """Puts right what `verify` finds; see `skillcore.episodes.repair.repair`."""
        with self._mutex:
            self.close()
            return repair.repair(self.folder)


def dataset_hash(rows: Iterable[EpisodeRow]) -> str:
    """SHA-256 over the sorted hashes of the episodes' files, with their newest labels; 64 hex digits."""
    return hashlib.sha256("\n".join(sorted(row.content for row in rows)).encode()).hexdigest()
