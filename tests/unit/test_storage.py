"""Writing that lasts, and how failures of the disk are told."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillcore.errors import InputError, StorageError
from skillcore.storage import (
    exclusive,
    folder_in_making,
    in_bytes,
    is_held,
    is_temporary,
    make_folder_durably,
    require_space,
    sha256_of,
    storage_faults,
    temporary_beside,
    write_durably,
    write_many_durably,
)


def test_a_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    for content in (b"one", b"", b"three" * 100_000):
        write_durably(path, content)
        assert path.read_bytes() == content
        assert sha256_of(path) == hashlib.sha256(content).hexdigest()
    assert list(tmp_path.iterdir()) == [path]


def test_the_folder_is_flushed_after_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: calls.append("flush"))
    replace = os.replace

    def logged_replace(source: Path, target: Path) -> None:
        calls.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "replace", logged_replace)
    write_many_durably({tmp_path / "a": b"a", tmp_path / "b": b"b"})
    assert calls == ["flush", "flush", "rename", "rename", "flush"]


def test_a_failed_write_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "card.json"
    write_durably(path, b"old")

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(StorageError, match="the disk reports an error"):
        write_many_durably({tmp_path / "new": b"new", path: b"new"})
    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {"card.json": b"old"}


@pytest.mark.parametrize(
    ("number", "cause", "cure"),
    [
        (errno.ENOSPC, "the disk is full", "free some space"),
        (errno.EDQUOT, "the disk quota is used up", "quota"),
        (errno.EFBIG, "the file would be larger than is allowed here", "ulimit"),
        (errno.EROFS, "the disk is read-only", "mount it writable"),
        (errno.EACCES, "permission is denied", "permissions"),
        (errno.EPERM, "permission is denied", "permissions"),
        (errno.EIO, "the disk reports an error", "smartctl"),
        (errno.ENAMETOOLONG, "File name too long", "check that the folder exists"),
    ],
)
def test_failures_say_what_where_how_much_is_free_and_what_to_do(
    tmp_path: Path, number: int, cause: str, cure: str
) -> None:
    path = tmp_path / "not there yet" / "file"
    with pytest.raises(StorageError) as caught, storage_faults("write", path):
        raise OSError(number, os.strerror(number))
    assert caught.value.what.startswith(f"cannot write {path}: {cause} (")
    assert caught.value.what.endswith(" free there)")
    assert cure in caught.value.cure
    assert caught.value.exit_code == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told_as_such() -> None:
    device = Path("/dev/full")
    with (
        device.open("wb", buffering=0) as file,
        pytest.raises(StorageError, match="the disk is full"),
        storage_faults("write", device),
    ):
        file.write(b"x")


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), storage_faults("write", tmp_path):
        raise ValueError("mine")
    with pytest.raises(FileNotFoundError):
        sha256_of(tmp_path / "missing")
    with pytest.raises(StorageError, match="cannot read"):
        sha256_of(tmp_path)


def test_folders_are_made_with_their_ancestors(tmp_path: Path) -> None:
    make_folder_durably(tmp_path / "a" / "b" / "c")
    make_folder_durably(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot make the folder"):
        make_folder_durably(tmp_path / "file" / "folder")


def test_temporary_names_are_known_again(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    assert is_temporary(temporary_beside(path))
    assert temporary_beside(path) != temporary_beside(path)
    assert not is_temporary(path)
    assert not is_temporary(tmp_path / ".hidden")
    assert not is_temporary(tmp_path / "a.tmp")


def test_space_is_required(tmp_path: Path) -> None:
    require_space(tmp_path / "x" / "y", 1)
    with pytest.raises(StorageError, match=r"it needs 1\.0 TB|it needs \d+\.\d TB"):
        require_space(tmp_path / "x" / "y", 10**18)


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_345_678, "2.3 MB"), (10**15, "1000.0 TB")]
)
def test_sizes_are_readable(size: int, words: str) -> None:
    assert in_bytes(size) == words


# --- the lock ----------------------------------------------------------------------------------------------------


def test_a_lock_keeps_other_threads_out(tmp_path: Path) -> None:
    inside, worst = 0, 0

    def work() -> None:
        nonlocal inside, worst
        for _ in range(5):
            with exclusive(tmp_path / "lock", timeout_s=30.0):
                inside += 1
                worst = max(worst, inside)
                time.sleep(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1


HOLD = """
import sys, time
from pathlib import Path
from skillcore.storage import exclusive
with exclusive(Path(sys.argv[1]), timeout_s=1.0):
    print("held", flush=True)
    time.sleep(60.0)
"""


def test_a_lock_of_another_process_is_told_and_ends_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        told = pytest.raises(StorageError, match=r"another process has held it for more than 0\.05 s")
        with told, exclusive(lock, timeout_s=0.05):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with exclusive(lock, timeout_s=5.0):
        pass


def test_an_error_inside_the_lock_frees_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive(tmp_path / "lock", timeout_s=1.0):
        raise KeyError
    with exclusive(tmp_path / "lock", timeout_s=1.0):
        pass


def test_a_lock_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    lock = tmp_path / "file" / "lock"
    with pytest.raises(StorageError, match="cannot lock"), exclusive(lock, timeout_s=1.0):
        pass


def test_a_lock_that_is_held_is_seen_and_one_that_is_free_is_left_alone(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    assert not is_held(lock)
    assert not lock.exists()
    with exclusive(lock, timeout_s=1.0):
        assert is_held(lock)
    assert not is_held(lock)
    # To look has not kept it.
    with exclusive(lock, timeout_s=1.0):
        pass


def test_a_folder_in_making_appears_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "new" / "data"
    with folder_in_making(out) as place:
        (place / "file").write_text("all of it")
        assert not out.exists()
    assert (out / "file").read_text() == "all of it"
    with pytest.raises(InputError, match="is there already"), folder_in_making(out):
        pass
    with pytest.raises(InputError, match="is there already"), folder_in_making(Path("/")):
        pass
    with pytest.raises(ValueError, match="given up"), folder_in_making(out.with_name("other")):
        raise ValueError("given up")
    with folder_in_making(out.with_name("none")) as place:
        place.rmdir()
    assert [path.name for path in out.parent.iterdir()] == ["data"]


def test_of_folders_in_making_only_what_a_kill_left_of_the_same_one_is_removed(tmp_path: Path) -> None:
    for name in (".data.1a2b3c4d.tmp", ".data.v2.1a2b3c4d.tmp", ".data.tmp", ".data.1a2b3c4d.tmp.mine"):
        (tmp_path / name).mkdir()
    with folder_in_making(tmp_path / "data"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".data.1a2b3c4d.tmp.mine",
        ".data.tmp",
        ".data.v2.1a2b3c4d.tmp",
        "data",
    ]


def test_a_folder_that_another_process_has_just_made_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "data"

    @contextlib.contextmanager
    def waited(lock: Path, *, timeout_s: float) -> Iterator[None]:
        out.mkdir()
        yield

    monkeypatch.setattr("skillcore.storage.exclusive", waited)
    with pytest.raises(InputError, match="is there already"), folder_in_making(out):
        pass
