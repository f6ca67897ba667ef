"""Writing that lasts: a file appears whole or not at all, and it survives a kill and a power cut.

The order that makes it so: write under a temporary name in the same folder, flush the file to the disk,
rename it, flush the folder to the disk. What goes wrong on the way is told as a `StorageError`, with the
disk's free space.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import filelock

from skillcore.errors import InputError, StorageError

_MAKING_TIMEOUT_S = 5.0

_CAUSES = {
    errno.ENOSPC: ("the disk is full", "free some space, or choose a folder on another disk"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or have the quota raised"),
    errno.EFBIG: (
        "the file would be larger than is allowed here",
        "raise the limit (`ulimit -f`), or use another disk",
    ),
    errno.EROFS: ("the disk is read-only", "mount it writable, or choose a folder on another disk"),
    errno.EACCES: (
        "permission is denied",
        "change the folder's owner or permissions, or choose another folder",
    ),
    errno.EPERM: (
        "permission is denied",
        "change the folder's owner or permissions, or choose another folder",
    ),
    errno.EIO: (
        "the disk reports an error",
        "save what is on it, check it (`dmesg`, `smartctl`), and replace it",
    ),
}


@contextlib.contextmanager
def storage_faults(action: str, path: Path) -> Iterator[None]:
    """Turns an OSError inside the block into a StorageError that reads "cannot `action` `path`: ..."."""
    try:
        yield
    except OSError as error:
        raise storage_error(action, path, error) from error


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """The StorageError that tells of `error`: what failed, where, how much is free, and what to do."""
    reason = error.strerror or str(error)
    cause, cure = _CAUSES.get(error.errno or 0, (reason, "check that the folder exists, is writable and has space"))
    return StorageError(f"cannot {action} {path}: {cause} ({free_space(path)})", cure=cure)


def there(path: Path) -> bool:
    """Whether there is anything at a path. Raises StorageError where that cannot be told, as without permission."""
    with storage_faults("look for", path):
        return path.exists()


def require_space(path: Path, size: int) -> None:
    """Raises StorageError at once where writing `size` bytes would fail after a while."""
    for folder in path.parents:
        if there(folder):
            if shutil.disk_usage(folder).free < size:
                what = f"cannot write {path}: it needs {in_bytes(size)} ({free_space(path)})"
                raise StorageError(what, cure=_CAUSES[errno.ENOSPC][1])
            return


def free_space(path: Path) -> str:
    """How much is free on the disk that holds `path`, in words."""
    for folder in (path, *path.parents):
        # A path that does not exist yet will lie on the disk of its nearest ancestor that does.
        with contextlib.suppress(OSError):
            return f"{in_bytes(shutil.disk_usage(folder).free)} free there"
    return "free space unknown"


def in_bytes(size: int) -> str:
    """A number of bytes for a person to read: 512 B, 3.1 kB, 1.2 GB."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000.0:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000.0
    return f"{value:.1f} TB"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, 64 hex digits. Raises FileNotFoundError as it is, else StorageError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error("read", path, error) from error


def write_durably(path: Path, data: bytes) -> None:
    """Writes a file so that `path` holds what it held before or all of `data`, whatever happens.

    After the return the content survives a power cut. Raises StorageError, and leaves nothing behind then.
    """
    write_many_durably({path: data})


def write_json_durably(path: Path, value: Any) -> None:
    """As `write_durably`, a value as JSON. Raises StorageError."""
    write_durably(path, (json.dumps(value, indent=2) + "\n").encode())


def write_many_durably(files: Mapping[Path, bytes]) -> None:
    """As `write_durably` for several files, with one flush for each folder.

    No file takes its name before all of them are on the disk, so a full disk leaves none of them.
    """
    pending: list[tuple[Path, Path]] = []
    try:
        for path, data in files.items():
            temporary = temporary_beside(path)
            pending.append((temporary, path))
            with storage_faults("write", path):
                _write_and_flush(temporary, data)
        for temporary, path in pending:
            with storage_faults("write", path):
                temporary.replace(path)
        for folder in {path.parent for path in files}:
            flush_folder(folder)
    except BaseException:
        for temporary, _ in pending:
            with contextlib.suppress(OSError):
                temporary.unlink()
        raise


def _write_and_flush(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def temporary_beside(path: Path) -> Path:
    """A fresh temporary name in the same folder: a rename is only atomic within one file system."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")


def is_temporary(path: Path) -> bool:
    """Whether a name was made by `temporary_beside`, or by SQLite from such a one."""
    return path.name.startswith(".") and path.suffix.startswith(".tmp")


def make_folder_durably(folder: Path) -> None:
    """Makes a folder and its missing ancestors, so that they survive a power cut. Raises StorageError."""
    missing = [place for place in (folder, *folder.parents) if not there(place)]
    with storage_faults("make the folder", folder):
        folder.mkdir(parents=True, exist_ok=True)
    for place in reversed(missing):
        flush_folder(place.parent)


def flush_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut. Raises StorageError."""
    if os.name == "nt":
        return  # Windows opens no folders; NTFS journals its names by itself.
    with storage_faults("write to the folder", folder):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _refuse_old(out: Path) -> None:
    if there(out) or out.is_symlink():
        raise InputError(f"{out}: is there already", cure="give the name of a new folder")


@contextlib.contextmanager
def folder_in_making(out: Path, *, size: int = 0) -> Iterator[Path]:
    """A temporary folder beside the new folder `out`. Where the block ends well, and the folder is still there, it
    takes that name; else it goes. What a kill leaves behind is removed by the next one that makes the same folder.

    size: bytes that it will take. Raises InputError if `out` exists, StorageError if another process is making it, or
    if the disk is full or fails.
    """
    out = out.absolute()
    _refuse_old(out)
    make_folder_durably(out.parent)
    lock = out.with_name(f".{out.name}.lock")
    with exclusive(lock, timeout_s=_MAKING_TIMEOUT_S):
        try:
            _refuse_old(out)
            leftover = re.compile(rf"\.{re.escape(out.name)}\.[0-9a-f]{{8}}\.tmp")
            for path in out.parent.iterdir():
                # The lock is held, so whoever made these has been killed.
                if leftover.fullmatch(path.name):
                    shutil.rmtree(path, ignore_errors=True)
            # A file system rounds sizes up to whole blocks.
            require_space(out, math.ceil(1.02 * size))
            place = temporary_beside(out)
            try:
                with storage_faults("make the folder", place):
                    place.mkdir()
                yield place
                if place.exists():
                    flush_folder(place)
                    with storage_faults("write", out):
                        place.rename(out)
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
            flush_folder(out.parent)
        finally:
            with contextlib.suppress(OSError):
                lock.unlink()


@contextlib.contextmanager
def exclusive(lock: Path, *, timeout_s: float) -> Iterator[None]:
    """Holds the lock file `lock` against other processes and threads. It is free again when its holder dies.

    Raises StorageError when another holds it for longer than `timeout_s`. Not to be nested.
    """
    holder = filelock.FileLock(lock, timeout=timeout_s, poll_interval=0.004, thread_local=False)
    with storage_faults("lock", lock):
        try:
            holder.acquire()
        except filelock.Timeout:
            raise StorageError(
                f"cannot lock {lock}: another process has held it for more than {timeout_s:g} s",
                cure=f"find it with `fuser {lock}`, and let it finish or end it",
            ) from None
    try:
        yield
    finally:
        holder.release()


def is_held(lock: Path) -> bool:
    """Whether a process holds the lock file `lock`. To look takes the lock for a moment, if it is free.

    Where there is no such file, or none that could be locked, nobody does.
    """
    if not lock.exists():
        return False
    looking = filelock.FileLock(lock, blocking=False, fallback_to_soft=False, thread_local=False)
    try:
        looking.acquire()
    except filelock.Timeout:
        return True
    except (OSError, NotImplementedError, RuntimeError):
        return False
    looking.release()
    return False
