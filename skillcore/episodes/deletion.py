"""Taking episodes out of a store and bringing them back: all of them or none, also when the process is killed.

The index decides. `pending.json` names the episodes that are being moved; then their rows leave the index, or enter
it, in one transaction; then their files follow. Whoever opens the store next and finds `pending.json` lets the files
follow the index: an episode with a row belongs in `episodes/`, one without in `deleted/`. A corrected label goes with
its episode.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skillcore.episodes.format import decode, read_bytes
from skillcore.episodes.index import EpisodeRow, Index
from skillcore.episodes.labels import id_of
from skillcore.episodes.layout import SUFFIX, Layout, is_id, sequence_of
from skillcore.errors import EpisodeError
from skillcore.storage import flush_folder, make_folder_durably, storage_faults, write_json_durably

MAX_BYTES = 64_000_000


class Pending(BaseModel):
    """Episodes that are being moved between `episodes/` and `deleted/`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1] = 1
    moving: Annotated[list[str], Field(min_length=1)]


def delete(layout: Layout, index: Index, rows: Sequence[EpisodeRow]) -> None:
    """Moves episodes to `deleted/`; the caller holds the store's lock. Raises StorageError, and has done nothing then,
    or will be finished by the next who opens the store."""
    with _moving(layout, index, [row.id for row in rows]):
        index.change(remove=[row.id for row in rows])


def restore(layout: Layout, index: Index, rows: Sequence[EpisodeRow]) -> None:
    """The way back. Raises as `delete` does."""
    with _moving(layout, index, [row.id for row in rows]):
        index.change(add=rows)


@contextlib.contextmanager
def _moving(layout: Layout, index: Index, ids: list[str]) -> Iterator[None]:
    """In the block the index changes, in one transaction; the files of `ids` follow it, whatever comes of it."""
    # Another process may have been killed since this one opened the store.
    settle(layout, index)
    # Made beforehand, so that a full disk stops it before anything has changed.
    make_folder_durably(layout.deleted)
    make_folder_durably(layout.labels)
    write_json_durably(layout.pending, Pending(moving=ids).model_dump())
    try:
        yield
    finally:
        settle(layout, index)


def settle(layout: Layout, index: Index) -> None:
    """Finishes what `pending.json` names, if there is one; the caller holds the store's lock.

    Raises EpisodeError if that file is damaged, StorageError if the disk fails.
    """
    pending = read_pending(layout)
    if pending is None:
        return
    there = {row.id for row in index.rows()}
    moved = set(pending.moving)
    folders = [folder for folder in (layout.episodes, layout.labels, layout.deleted) if folder.is_dir()]
    for folder in folders:
        for path in _files_of(folder, moved):
            home = layout.episodes if path.suffix == SUFFIX else layout.labels
            belongs = home if _id(path) in there else layout.deleted
            if folder != belongs:
                target = belongs / path.name
                with storage_faults("move", path):
                    differs = target.exists() and not filecmp.cmp(path, target, shallow=False)
                if differs:
                    layout.take_out_of_use(target)
                with storage_faults("move", path):
                    path.replace(target)
    for folder in folders:
        flush_folder(folder)
    with storage_faults("remove", layout.pending):
        layout.pending.unlink(missing_ok=True)
    flush_folder(layout.folder)


def read_pending(layout: Layout) -> Pending | None:
    """What is under way; None where nothing is. Raises EpisodeError if the file is damaged."""
    try:
        with storage_faults("read", layout.pending):
            if not layout.pending.exists():
                return None
            with layout.pending.open("rb") as file:
                data = file.read(MAX_BYTES)
        pending = Pending.model_validate_json(data)
    except ValidationError as error:
        raise EpisodeError(
            f"{layout.pending}: damaged: {error.errors()[0]['msg']}",
            cure=f"{layout.repair_command} takes it out of use",
        ) from error
    wrong = [name for name in pending.moving if not is_id(name)]
    if wrong:
        raise EpisodeError(
            f"{layout.pending}: damaged: {wrong[0]!r} is no id", cure=f"{layout.repair_command} takes it out of use"
        )
    return pending


def deleted_ids(layout: Layout) -> list[str]:
    """The ids of the episodes that lie in `deleted/`, in their order."""
    names = [path.name.removesuffix(SUFFIX) for path in layout.deleted.glob(f"*{SUFFIX}")]
    return sorted(name for name in names if is_id(name))


def deleted_row(layout: Layout, episode_id: str) -> EpisodeRow:
    """The row of an episode in `deleted/`, after its file was looked through.

    Raises EpisodeError if it is damaged, StorageError if the disk fails.
    """
    path = layout.deleted / f"{episode_id}{SUFFIX}"
    data = read_bytes(path)
    sha256 = hashlib.sha256(data).hexdigest()
    if not sha256.startswith(episode_id.rpartition("-")[2]):
        raise EpisodeError(
            f"{path}: the file is not what was saved: its SHA-256 has changed",
            cure="put back a copy of the file, or name the others with --episode",
        )
    episode = decode(data, name=str(path))
    return EpisodeRow.of(episode, episode_id, sequence=sequence_of(episode_id), sha256=sha256, size=len(data))


def erase(layout: Layout, rows: Sequence[EpisodeRow]) -> None:
    """Removes the files of deleted episodes for good. Raises StorageError."""
    for path in _files_of(layout.deleted, {row.id for row in rows}):
        with storage_faults("remove", path):
            path.unlink(missing_ok=True)
    flush_folder(layout.deleted)


def _files_of(folder: Path, ids: set[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _id(path) in ids)


def _id(path: Path) -> str | None:
    """The episode that a file is of, or about."""
    return path.name.removesuffix(SUFFIX) if path.suffix == SUFFIX else id_of(path)
