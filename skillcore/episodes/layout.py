"""Where things lie in the folder of an episode store.

FOLDER/
  index.sqlite             a row for each episode; SQLite keeps its journal beside it
  episodes/000042-9f3a01bc.parquet   saved in 42nd place, the first digits of its SHA-256
  labels/                  corrections of labels, a file each (skillcore.episodes.labels)
  deleted/                 episodes that were deleted, until somebody erases them
  pending.json             a deletion that is under way (skillcore.episodes.deletion)
  quarantine/              what a repair or a restored episode took out of use; never deleted
  cache/                   copies for training; may be deleted at any time
  store.lock               held while something is written
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skillcore.storage import exclusive, flush_folder, make_folder_durably, storage_faults, there

SUFFIX = ".parquet"

_LOCK_TIMEOUT_S = 300.0
"""A repair of a large store holds the lock for minutes; an append of one episode for milliseconds."""


def make_id(sequence: int, sha256: str) -> str:
    """The id of an episode: its place in the order of saving, and the first digits of its file's hash."""
    return f"{sequence:06d}-{sha256[:8]}"


def sequence_of(episode_id: str) -> int:
    """An episode's place in the order of saving, by its id."""
    return int(episode_id.partition("-")[0])


def is_id(text: str) -> bool:
    return re.fullmatch(r"[0-9]{6,18}-[0-9a-f]{8}", text) is not None


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths in the folder of one store."""

    folder: Path

    @property
    def index(self) -> Path:
        return self.folder / "index.sqlite"

    @property
    def index_files(self) -> list[Path]:
        """The index and what SQLite keeps beside it, as far as they exist."""
        names = [self.index.with_name(self.index.name + suffix) for suffix in ("", "-wal", "-shm", "-journal")]
        return [path for path in names if path.exists()]

    @property
    def episodes(self) -> Path:
        return self.folder / "episodes"

    @property
    def labels(self) -> Path:
        return self.folder / "labels"

    @property
    def deleted(self) -> Path:
        return self.folder / "deleted"

    @property
    def pending(self) -> Path:
        return self.folder / "pending.json"

    @property
    def quarantine(self) -> Path:
        return self.folder / "quarantine"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def repair_command(self) -> str:
        return f"skill data repair {shlex.quote(str(self.folder))}"

    def file(self, episode_id: str) -> Path:
        return self.episodes / f"{episode_id}{SUFFIX}"

    def files(self) -> list[Path]:
        """The episodes' files, in the order of their names; leftovers of interrupted writes are none."""
        if not self.episodes.is_dir():
            return []
        found = self.episodes.glob(f"*{SUFFIX}")
        return sorted(path for path in found if path.is_file() and not path.name.startswith("."))

    def exists(self) -> bool:
        """Whether there is a store in this folder, sound or not."""
        return there(self.index) or bool(self.files())

    def take_out_of_use(self, path: Path) -> None:
        """Moves a file to `quarantine/`. An earlier one of the same name stays. Raises StorageError."""
        make_folder_durably(self.quarantine)
        place = self.quarantine / path.name
        number = 0
        while place.exists():
            number += 1
            place = self.quarantine / f"{path.name}.{number}"
        with storage_faults("move", path):
            path.replace(place)
        flush_folder(self.quarantine)
        flush_folder(path.parent)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps all other writers out of the store. Raises StorageError if one stays for minutes."""
        with exclusive(self.folder / "store.lock", timeout_s=_LOCK_TIMEOUT_S):
            yield

    @contextlib.contextmanager
    def locked_if_writable(self) -> Iterator[None]:
        """As `locked`, for reading: on a read-only disk there are no writers to keep out."""
        if os.access(self.folder, os.W_OK):
            with self.locked():
                yield
        else:
            yield
