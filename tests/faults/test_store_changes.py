"""Changes to stores finish or change nothing: killed at every step, on full disks, and side by side."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillcore.episodes import EpisodeStore
from skillcore.episodes.combining import merge
from skillcore.errors import StorageError
from skillcore.types import Episode

if sys.platform != "linux":
    pytest.skip("signals and mounts as on Linux", allow_module_level=True)

CHANGER = Path(__file__).with_name("store_changer.py")
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def make_episode() -> Callable[..., Episode]:
    spec = importlib.util.spec_from_file_location("store_writer", CHANGER.with_name("store_writer.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_episode  # type: ignore[no-any-return]


# --- killed at every step ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["delete", "restore", "relabel", "merge", "split"])
def test_a_change_that_is_killed_finishes_or_changes_nothing(tmp_path: Path, operation: str) -> None:
    command = [sys.executable, "-W", "error", str(CHANGER), str(tmp_path), operation]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr
    attempts: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    before, after = attempts[0], attempts[-1]
    assert (before["step"], after["step"]) == (1, None)
    assert len(attempts) > 3
    # It has done something.
    told = ("ids", "labels", "out")
    assert [before[name] for name in told] != [after[name] for name in told]
    for attempt in attempts:
        assert [attempt[name] for name in told] in ([one[name] for name in told] for one in (before, after)), attempt
        # A temporary file that was being written is all that may be left, and only in a store that was written to.
        assert set(attempt["findings"]) <= {"temporary"}, attempt
        # A lock that nobody holds may lie there once the new store does.
        assert set(attempt["left"]) <= ({".new.lock"} if attempt["out"] else set()), attempt
    assert (after["findings"], after["left"]) == ([], [])


# --- full disks --------------------------------------------------------------------------------------------------


def _fill(disk: Path, leave: int) -> Path:
    """Takes all of a disk but `leave` bytes."""
    filler = disk / "filler"
    free = os.statvfs(disk)
    filler.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return filler


def _refusal(do: Callable[[], object]) -> str:
    """Why something could not be done; "" if it could."""
    try:
        do()
    except StorageError as error:
        return error.what
    return ""


def _change(store: EpisodeStore, first: str, second: str) -> None:
    store.relabel(first, True, who="ada")
    store.delete([first, second])


def _state(store: EpisodeStore) -> tuple[object, ...]:
    return store.rows(), {name: len(kept) for name, kept in store.corrections().items()}


def test_deleting_and_relabelling_on_a_full_disk_finish_or_change_nothing(
    small_disk: Path, make_episode: Callable[..., Episode]
) -> None:
    with EpisodeStore(small_disk / "store") as store:
        store.append_many(make_episode(seed) for seed in range(6))
        refused = 0
        for leave in range(0, 64_000, 4096):
            first, second, *_ = (row.id for row in store.rows())
            filler = _fill(small_disk, leave)
            told = _refusal(lambda first=first, second=second: _change(store, first, second))  # type: ignore[misc]
            refused += bool(told)
            assert "full" in told if told else True
            assert len(store) == (6 if told else 4)
            filler.unlink()
            assert {finding.kind for finding in store.verify()} <= {"temporary"}
            store.restore()
            assert len(store) == 6
        assert 0 < refused < 16


def test_joining_on_a_full_disk_leaves_nothing(
    small_disk: Path, make_episode: Callable[..., Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, first in (("one", 0), ("two", 20)):
        with EpisodeStore(tmp_path / name) as store:
            store.append_many(make_episode(first + seed, size_px=32) for seed in range(20))
    sources = [tmp_path / "one", tmp_path / "two"]
    _fill(small_disk, 400_000)
    with pytest.raises(StorageError, match="it needs"):
        merge(sources, small_disk / "new")
    # Others may take the space after the look at it.
    monkeypatch.setattr("skillcore.storage.require_space", lambda path, size: None)
    for leave in (0, 200_000, 400_000):
        (small_disk / "filler").unlink()
        _fill(small_disk, leave)
        with pytest.raises(StorageError, match="the disk is full"):
            merge(sources, small_disk / "new")
        assert [path.name for path in small_disk.iterdir()] == ["filler"]
    (small_disk / "filler").unlink()
    assert merge(sources, tmp_path / "new").episodes == 40


def test_a_read_only_store_is_not_changed(small_disk: Path, make_episode: Callable[..., Episode]) -> None:
    with EpisodeStore(small_disk / "store") as store:
        name = store.append(make_episode(0)).id
        store.relabel(name, True, who="ada")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with EpisodeStore(small_disk / "store") as store:
        before = _state(store)
        for change in (lambda: store.delete([name]), lambda: store.relabel(name, False, who="bob")):
            with pytest.raises(StorageError, match="the disk is read-only"):
                change()
        assert _state(store) == before


# --- side by side ------------------------------------------------------------------------------------------------

CROWD = """
import sys
from skillcore.episodes import EpisodeStore
from skillcore.errors import SkillcoreError
with EpisodeStore(sys.argv[1], create=False) as store:
    for name in sys.argv[3:]:
        try:
            store.delete([name]) if sys.argv[2] == "delete" else store.relabel(name, True, who="ada")
            print(name)
        except SkillcoreError as error:
            assert "there is no episode" in error.what, error
"""


def test_two_processes_delete_and_relabel_side_by_side(tmp_path: Path, make_episode: Callable[..., Episode]) -> None:
    with EpisodeStore(tmp_path / "store") as store:
        ids = [store.append(make_episode(seed)).id for seed in range(20)]

        def start(what: str, names: list[str]) -> subprocess.Popen[str]:
            command = [sys.executable, "-W", "error", "-c", CROWD, str(store.folder), what, *names]
            return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)

        workers = [start("delete", ids[:12]), start("delete", ids[11::-1]), start("relabel", ids)]
        told = [worker.communicate(timeout=240)[0].split() for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0, 0]
        # Each was deleted by one of the two.
        assert sorted([*told[0], *told[1]]) == ids[:12]
        assert [row.id for row in store.rows()] == ids[12:]
        assert store.verify() == []
        assert set(ids[12:]) == set(store.corrections())
        assert set(told[2]) >= set(ids[12:])
        assert len(store.restore()) == 12
        assert set(store.corrections()) == set(told[2])
        assert store.verify() == []


def test_two_processes_build_one_folder_and_one_wins(tmp_path: Path, make_episode: Callable[..., Episode]) -> None:
    for name, first in (("one", 0), ("two", 40)):
        with EpisodeStore(tmp_path / name) as store:
            store.append_many(make_episode(first + seed) for seed in range(40))
    code = (
        "import sys; from pathlib import Path; from skillcore.cli import main; place = Path(sys.argv[1]); "
        "sys.exit(main(['data', 'merge', str(place / 'one'), str(place / 'two'), '--out', str(place / 'new')]))"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path)]
    workers = [subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    told = [worker.communicate(timeout=240)[1] for worker in workers]
    codes = [worker.returncode for worker in workers]
    # The other finds the folder there, or, where the first is slow, is told who holds it.
    assert sorted(codes)[0] == 0
    assert sorted(codes)[1] in (2, 3), told
    with EpisodeStore(tmp_path / "new", create=False) as new:
        assert len(new) == 80
        assert new.verify() == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "one", "two"]
