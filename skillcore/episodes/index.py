"""The index of an episode store: one SQLite row for each episode's file.

The index makes a store quick to search and names what each file must hold. It says nothing that the files do
not say too, so it can be made anew from them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import urllib.parse
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from skillcore.episodes.layout import is_id
from skillcore.errors import EpisodeError, StorageError
from skillcore.storage import flush_folder, free_space, storage_faults, temporary_beside
from skillcore.types import Episode, Outcome

INDEX_VERSION = 1

_APPLICATION_ID = 0x534B494C  # "SKIL": tells our files from other SQLite files.
_BUSY_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """What the index says of one episode; see `EpisodeInfo` for the fields named alike.

    id: also the name of its file. sequence: the order of saving, as far as it is unique. sha256, bytes: of
    the file. truth, success: of the last frame, 1, 0, or -1 where there is none. clamps: how often the guard
    clamped, in all. corrected: what a person said afterwards of how it ended, 1 or 0, which `success` then says too;
    -1 where nobody did. It lies beside the file, and not in the index.
    """

    id: str
    sequence: int
    sha256: str
    bytes: int
    skill: str
    variant: str
    cell: str
    source: str
    outcome: Outcome
    steps: int
    seed: int
    trial: int | None
    scenario: str
    reward_model: str
    started_at: str
    truth: int
    success: int
    overruns: int
    clamps: int
    peak_force_n: float
    views: int
    height_px: int
    width_px: int
    corrected: int = -1

    @property
    def content(self) -> str:
        """What tells this episode, with its newest label, from all others."""
        return self.sha256 if self.corrected < 0 else f"{self.sha256} success={self.corrected}"

    @property
    def known_success(self) -> bool | None:
        """As `Episode.known_success`."""
        if self.corrected >= 0:
            return self.corrected == 1
        return None if self.truth < 0 else self.truth == 1

    @staticmethod
    def of(episode: Episode, episode_id: str, *, sequence: int, sha256: str, size: int) -> EpisodeRow:
        info = episode.info
        _, views, height_px, width_px, _ = episode.images.shape
        return EpisodeRow(
            id=episode_id,
            sequence=sequence,
            sha256=sha256,
            bytes=size,
            skill=info.skill,
            variant=info.variant,
            cell=info.cell,
            source=info.source,
            outcome=info.outcome,
            steps=episode.steps,
            seed=int(info.seed),
            trial=None if info.trial is None else int(info.trial),
            scenario=info.scenario,
            reward_model=info.reward_model,
            started_at=info.started_at,
            truth=int(episode.truth[-1]),
            success=int(episode.success[-1]),
            overruns=int(info.overruns),
            clamps=int(sum(info.clamps.values())),
            peak_force_n=float(info.peak_force_n),
            views=views,
            height_px=height_px,
            width_px=width_px,
        )


class Filters(TypedDict, total=False):
    """Which episodes are meant: all whose field is the value, or one of the values, given for it."""

    skill: str | Collection[str]
    variant: str | Collection[str]
    cell: str | Collection[str]
    source: str | Collection[str]
    outcome: str | Collection[str]
    scenario: str | Collection[str]
    reward_model: str | Collection[str]
    truth: int | Collection[int]
    success: int | Collection[int]
    corrected: int | Collection[int]


def choices_of(wanted: object) -> list[Any]:
    """The values a filter names: one, or several."""
    return list(wanted) if isinstance(wanted, Collection) and not isinstance(wanted, str) else [wanted]


class IndexDamageError(Exception):
    """The index is missing or not what was written. The store and the repair answer it; no user meets it."""


# A seed may be longer than the 64 bits of an SQLite integer, so it is text there.
_KINDS: dict[str, type] = {
    name: str if name == "seed" else {"int": int, "int | None": int, "float": float}.get(kind, str)
    for name, kind in EpisodeRow.__annotations__.items()
    if name != "corrected"
}
_SQL_KINDS = {int: "INTEGER", float: "REAL", str: "TEXT"}
_COLUMNS = ", ".join(_KINDS)
_TABLE = "CREATE TABLE episodes ({}, PRIMARY KEY (id)) WITHOUT ROWID".format(
    ", ".join(f"{name} {_SQL_KINDS[kind]}{'' if name == 'trial' else ' NOT NULL'}" for name, kind in _KINDS.items())
)


class Index:
    """An open index. Safe to use from several threads one after another, not at the same time."""

    def __init__(self, path: Path) -> None:
        """Opens an index, and looks through it for damage.

        Raises IndexDamageError, EpisodeError for an index of a later version, StorageError if the disk fails.
        """
        self.path = path
        self._read_only = not os.access(path.parent, os.W_OK)
        if not path.is_file():
            raise IndexDamageError("it is missing")
        with storage_faults("read", path):
            self._inode = path.stat().st_ino
        with index_faults(path):
            self._connection = self._connect()
        try:
            with index_faults(path):
                self._check()
        except BaseException:
            self._connection.close()
            raise

    def _connect(self) -> sqlite3.Connection:
        mode = "rw"
        if self._read_only:
            # Where nothing can be written, SQLite needs to be told that nobody else writes either. A journal
            # beside the index says that somebody may, from another account.
            journal = self.path.with_name(self.path.name + "-wal")
            mode = "ro" if journal.exists() else "ro&immutable=1"
        address = f"file:{urllib.parse.quote(str(self.path.absolute()))}?mode={mode}"
        return sqlite3.connect(
            address, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )

    def _check(self) -> None:
        version = self._pragma("user_version")
        if self._pragma("application_id") != _APPLICATION_ID:
            raise IndexDamageError("it is not the index of an episode store")
        if version != INDEX_VERSION:
            raise EpisodeError(
                f"{self.path}: of version {version}, while this program reads version {INDEX_VERSION}",
                cure="update skillcore (pip install --upgrade skillcore); if no later one wrote it, delete this file, "
                "and `skill data repair` makes it anew",
            )
        self._connection.execute("PRAGMA synchronous=FULL")
        faults = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if faults != "ok":
            raise IndexDamageError(str(faults).splitlines()[-1])
        columns = [row[1] for row in self._connection.execute("PRAGMA table_info(episodes)")]
        if columns != list(_KINDS):
            raise IndexDamageError("its columns are not those of an episode store")

    def _pragma(self, name: str) -> object:
        return self._connection.execute(f"PRAGMA {name}").fetchone()[0]

    @staticmethod
    def create(path: Path, rows: Iterable[EpisodeRow] = ()) -> None:
        """Writes a new index with `rows`. It appears whole or not at all. Raises StorageError."""
        temporary = temporary_beside(path)
        try:
            with index_faults(path), contextlib.closing(sqlite3.connect(temporary)) as connection:
                # A journal protects nothing in a file that has no name yet.
                connection.execute("PRAGMA journal_mode=OFF")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version={INDEX_VERSION}")
                connection.execute(_TABLE)
                _insert(connection, rows)
                connection.commit()
                # Set once and for all here, where nobody else has the file open; a change later would need
                # that again.
                connection.execute("PRAGMA journal_mode=WAL")
            with storage_faults("write", path):
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
                temporary.replace(path)
            flush_folder(path.parent)
        except BaseException:
            for leftover in path.parent.glob(f"{temporary.name}*"):
                leftover.unlink(missing_ok=True)
            raise

    @property
    def is_current(self) -> bool:
        """False once another process has put a new index in this one's place, or removed it."""
        try:
            return self.path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def next_sequence(self) -> int:
        with index_faults(self.path):
            last = self._connection.execute("SELECT max(sequence) FROM episodes").fetchone()[0]
        return 0 if last is None else int(last) + 1

    def count(self) -> int:
        with index_faults(self.path):
            return int(self._connection.execute("SELECT count(*) FROM episodes").fetchone()[0])

    def change(self, *, add: Iterable[EpisodeRow] = (), remove: Iterable[str] = ()) -> None:
        """Adds or replaces rows and removes those of the ids: all of it or nothing. Durable at the return."""
        with index_faults(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "DELETE FROM episodes WHERE id = ?", [(episode_id,) for episode_id in remove]
                )
                _insert(self._connection, add)
                self._connection.execute("COMMIT")
            except BaseException:
                # SQLite rolls back by itself after some errors, and then complains of a second one.
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, filters: Filters | None = None) -> list[EpisodeRow]:
        """The rows that fit, in the order of their ids."""
        clauses, values = ["1"], list[object]()
        for name, wanted in (filters or {}).items():
            if name not in Filters.__annotations__:
                raise EpisodeError(
                    f"episodes cannot be chosen by {name!r}",
                    cure=f"one of: {', '.join(Filters.__annotations__)}",
                )
            choices = choices_of(wanted)
            clauses.append(f"{name} IN ({', '.join('?' * len(choices))})")
            values += choices
        # Only names from this module enter the text; what is looked for is bound.
        query = f"SELECT {_COLUMNS} FROM episodes WHERE {' AND '.join(clauses)} ORDER BY id"  # noqa: S608
        with index_faults(self.path):
            return [_row(found) for found in self._connection.execute(query, values)]

    def row(self, episode_id: str) -> EpisodeRow | None:
        query = f"SELECT {_COLUMNS} FROM episodes WHERE id = ?"  # noqa: S608
        with index_faults(self.path):
            found = self._connection.execute(query, (episode_id,)).fetchone()
        return None if found is None else _row(found)


def _insert(connection: sqlite3.Connection, rows: Iterable[EpisodeRow]) -> None:
    places = ", ".join("?" * len(_KINDS))
    connection.executemany(
        f"INSERT OR REPLACE INTO episodes ({_COLUMNS}) VALUES ({places})",  # noqa: S608
        [_values(row) for row in rows],
    )


def _values(row: EpisodeRow) -> tuple[object, ...]:
    return tuple(str(row.seed) if name == "seed" else getattr(row, name) for name in _KINDS)


def _row(found: tuple[object, ...]) -> EpisodeRow:
    fields = dict(zip(_KINDS, found, strict=True))
    for name, value in fields.items():
        if not (type(value) is _KINDS[name] or (name == "trial" and value is None)):
            raise IndexDamageError(f"the row {fields['id']!r} holds {value!r} as {name}")
    if not is_id(str(fields["id"])):
        raise IndexDamageError(f"the row {fields['id']!r} has no valid id")
    try:
        fields["seed"] = int(str(fields["seed"]))
    except ValueError:
        raise IndexDamageError(f"the row {fields['id']!r} holds {fields['seed']!r} as seed") from None
    return EpisodeRow(**fields)  # type: ignore[arg-type]


@contextlib.contextmanager
def index_faults(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into IndexDamageError, or StorageError where the disk is at fault."""
    try:
        yield
    except UnicodeError as error:
        # SQLite quotes what it stumbles over, and Python expects that to be text.
        raise IndexDamageError("it holds what is not text") from error
    except sqlite3.Error as error:
        # The low byte is the kind of error; the rest tells variants of it apart.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code not in _STORAGE_CODES:
            raise IndexDamageError(str(error)) from error
        cause, cure = _STORAGE_CODES[code]
        raise StorageError(f"cannot use {path}: {cause} ({error}; {free_space(path)})", cure=cure) from error


_STORAGE_CODES = {
    sqlite3.SQLITE_FULL: ("the disk is full", "free some space, or choose a folder on another disk"),
    sqlite3.SQLITE_IOERR: (
        "the disk is full or failing",
        "free some space; if there is enough, check the disk",
    ),
    sqlite3.SQLITE_READONLY: (
        "it is read-only",
        "change the permissions of the folder, or choose another one",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "it cannot be opened",
        "change the permissions of the folder, or choose another one",
    ),
    sqlite3.SQLITE_PERM: (
        "permission is denied",
        "change the permissions of the folder, or choose another one",
    ),
    sqlite3.SQLITE_BUSY: ("another program holds it", "close the program that has the index open"),
    sqlite3.SQLITE_LOCKED: ("another program holds it", "close the program that has the index open"),
    sqlite3.SQLITE_NOMEM: ("memory is exhausted", "close other programs, and start again"),
    sqlite3.SQLITE_NOLFS: ("the file is too large for this disk", "choose a folder on another disk"),
}
