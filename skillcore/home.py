"""The one folder where everything lives that skillcore writes: `$SKILLCORE_HOME`, or the user's data folder.

    runs/ bundles/ datasets/ taught/ cache/ locks/ background/    made when they are first asked for
    settings.yaml                                                 what the user prefers; see `skillcore.settings`

Also the lock that keeps a cell to one process.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import quote

from skillcore.errors import CellBusyError, StorageError

Subfolder = Literal["runs", "bundles", "datasets", "taught", "cache", "locks", "background"]
SUBFOLDERS: tuple[Subfolder, ...] = get_args(Subfolder)

_CURE = "set SKILLCORE_HOME to a folder you can write to"


def home() -> Path:
    """The home, absolute. It need not exist. Raises StorageError if it cannot be told."""
    chosen = os.environ.get("SKILLCORE_HOME", "")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        import platformdirs

        return Path(platformdirs.user_data_dir("skillcore", appauthor=False)).absolute()
    except (RuntimeError, OSError) as error:
        raise StorageError(f"the home folder cannot be told: {error}", cure=_CURE) from error


def folder(name: Subfolder) -> Path:
    """A folder in the home, made if it is not there. Raises StorageError if it can't be written to."""
    path = home() / name
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror or error}", cure=_CURE) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write to {path}", cure=f"check its permissions, or {_CURE}")
    return path


@contextmanager
def cell_lock(cell: str, *, command: str = "") -> Iterator[None]:
    """Holds the cell for this process, so that no other one moves its arm. Never waits.

    The lock is the operating system's, so it ends with the process, however that ends.
    command: what others are told this process is doing; its command line if empty.

    Raises CellBusyError that says who holds the cell, StorageError if the lock cannot be made.
    """
    import filelock

    locks = folder("locks")
    path, holder = locks / f"{quote(cell, safe='')}.lock", locks / f"{quote(cell, safe='')}.json"
    # A soft lock would outlive a killed process, so a file system without real locks is an error.
    # And what one thread has opened, another may close.
    lock = filelock.FileLock(path, blocking=False, fallback_to_soft=False, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise _busy(cell, holder) from None
    except (OSError, NotImplementedError, RuntimeError) as error:
        raise StorageError(f"cannot lock {path}: {error}", cure=_CURE) from error
    try:
        _write_holder(holder, command or _command_line())
        yield
    finally:
        with suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def _command_line() -> str:
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _write_holder(path: Path, command: str) -> None:
    """Notes beside the lock who holds it. A reader never sees half a note; the lock does not depend on it."""
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    text = json.dumps({"pid": os.getpid(), "command": command, "since": since})
    new = path.with_suffix(".new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}", cure=_CURE) from error


def _busy(cell: str, holder: Path) -> CellBusyError:
    cure = "wait until it has ended, or end it"
    try:
        note = json.loads(holder.read_text(encoding="utf-8"))
        pid, command, since = int(note["pid"]), str(note["command"]), str(note["since"])
    except (OSError, ValueError, KeyError, TypeError):
        return CellBusyError(f"cell {cell!r} is held by another process", cure=cure)
    return CellBusyError(
        f"cell {cell!r} is held by process {pid} (`{command}`) since {since}",
        cure=f"{cure}: kill -INT {pid}",
    )
