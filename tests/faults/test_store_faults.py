"""What an episode store has reported as saved survives kills, full disks and read-only disks, all of them real."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from skillcore.episodes import EpisodeStore, ReplayCache
from skillcore.episodes.repair import repair, verify
from skillcore.errors import EpisodeError, SkillcoreError, StorageError
from skillcore.types import Episode

if sys.platform != "linux":
    pytest.skip("signals, limits and mounts as on Linux", allow_module_level=True)

WRITER = Path(__file__).with_name("store_writer.py")
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.fixture(scope="module")
def make_episode() -> Callable[..., Episode]:
    spec = importlib.util.spec_from_file_location("store_writer", WRITER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.make_episode  # type: ignore[no-any-return]


def _start(folder: Path, count: int, first_seed: int, fault: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(folder), str(count), str(first_seed), fault]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)


def _run(folder: Path, count: int, first_seed: int, fault: str = "") -> tuple[list[str], int]:
    """The lines the writer printed, and its exit code."""
    writer = _start(folder, count, first_seed, fault)
    output, _ = writer.communicate(timeout=60)
    return output.splitlines(), writer.returncode


def _assert_saved(folder: Path, ids: list[str], first_seed: int = 0) -> None:
    """Every id can be read, and is the episode it was reported for."""
    with EpisodeStore(folder, create=False) as store:
        for number, episode_id in enumerate(ids):
            assert store.read(episode_id).info.seed == first_seed + number


# --- killed processes --------------------------------------------------------------------------------------------


def test_what_was_reported_survives_kill_9_at_any_moment(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    reported: dict[int, list[str]] = {}
    for number, kill_after in enumerate([1, 7, 20]):
        writer = _start(folder, 0, 1000 * number)
        assert writer.stdout is not None
        ids = [writer.stdout.readline().strip() for _ in range(kill_after)]
        writer.kill()
        # The last line may be half written, and the reader may have missed whole ones.
        rest, _ = writer.communicate()
        reported[1000 * number] = ids + [line for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    for first_seed, ids in reported.items():
        _assert_saved(folder, [line.strip() for line in ids], first_seed)
    assert {finding.kind for finding in verify(folder)} <= {"orphan", "temporary"}
    repair(folder)
    assert verify(folder) == []
    for first_seed, ids in reported.items():
        _assert_saved(folder, [line.strip() for line in ids], first_seed)


def test_a_kill_between_file_and_row_leaves_an_orphan_that_is_taken_up(tmp_path: Path) -> None:
    ids, code = _run(tmp_path / "store", 5, 0, "die-before-row")
    assert (len(ids), code) == (2, -9)
    assert [finding.kind for finding in verify(tmp_path / "store")] == ["orphan"]
    (adopted,) = repair(tmp_path / "store").adopted
    _assert_saved(tmp_path / "store", [*ids, adopted])


def test_a_kill_in_the_middle_of_a_write_leaves_a_temporary_file_that_is_removed(tmp_path: Path) -> None:
    ids, code = _run(tmp_path / "store", 5, 0, "die-in-write")
    assert (len(ids), code) == (2, -9)
    assert [finding.kind for finding in verify(tmp_path / "store")] == ["temporary"]
    report = repair(tmp_path / "store")
    assert (report.temporaries, report.episodes) == (1, 2)
    assert verify(tmp_path / "store") == []
    _assert_saved(tmp_path / "store", ids)


def test_processes_append_side_by_side(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    writers = [_start(folder, 25, 1000 * number) for number in range(2)]
    outputs = [writer.communicate(timeout=60)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len({*outputs[0], *outputs[1]}) == 50
    for number, ids in enumerate(outputs):
        _assert_saved(folder, ids, 1000 * number)
    with EpisodeStore(folder) as store:
        assert [row.sequence for row in store.rows()] == list(range(50))
    assert verify(folder) == []


def test_the_store_is_checked_while_another_process_appends(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    writer = _start(folder, 0, 0)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        # What an append has under way is neither an orphan nor a leftover.
        for _ in range(5):
            assert verify(folder) == []
        assert repair(folder).lines == []
    finally:
        writer.kill()
        writer.communicate()


# --- limits and full disks ---------------------------------------------------------------------------------------


def test_a_limit_on_the_size_of_files_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    lines, code = _run(tmp_path / "store", 1, 0, "small-files")
    assert code == 3
    assert "the file would be larger than is allowed here" in lines[0]
    assert list((tmp_path / "store" / "episodes").iterdir()) == []
    assert verify(tmp_path / "store") == []


def test_an_index_that_cannot_grow_is_told_and_loses_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    *ids, last = _run(folder, 100, 0, "small-index")[0]
    assert last.startswith("StorageError: cannot use ")
    assert 0 < len(ids) < 100
    _assert_saved(folder, ids)
    # The file of the episode that was not reported as saved is complete, and is kept.
    report = repair(folder)
    assert len(report.adopted) == 1
    _assert_saved(folder, [*ids, *report.adopted])
    assert verify(folder) == []


def test_a_full_disk_is_told_and_loses_nothing(small_disk: Path, make_episode: Callable[..., Episode]) -> None:
    folder = small_disk / "store"
    filler = small_disk / "filler"
    ids: list[str] = []
    with EpisodeStore(folder) as store:
        filler.write_bytes(bytes(500_000))

        def append_on() -> None:
            while True:
                ids.append(store.append(make_episode(len(ids), size_px=32)).id)

        with pytest.raises(StorageError) as caught:
            append_on()
        assert ids
        assert "disk is full" in caught.value.what
        assert "free there" in caught.value.what
        assert {finding.kind for finding in verify(folder)} <= {"orphan"}
        _assert_saved(folder, ids)

        with pytest.raises(StorageError):
            store.append_many(make_episode(seed, size_px=32) for seed in range(20))
        assert len(store) == len(ids)

        # With space again, the same open store goes on.
        filler.unlink()
        ids.append(store.append(make_episode(len(ids), size_px=32)).id)
    repair(folder)
    assert verify(folder) == []
    _assert_saved(folder, ids)


def test_a_disk_that_fills_while_a_cache_is_built(
    small_disk: Path, make_episode: Callable[..., Episode], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EpisodeStore(tmp_path / "store") as store:
        store.append_many(make_episode(seed, steps=20, size_px=32) for seed in range(10))
        with pytest.raises(StorageError, match=r"it needs 1\.3 MB"):
            ReplayCache.open(store, size_px=32, folder=small_disk / "cache")
        # Others may take the space after the look at it. Writing through a map of memory would end this process.
        monkeypatch.setattr("skillcore.episodes.cache_files.require_space", lambda path, size: None)
        with pytest.raises(StorageError, match="the disk is full"):
            ReplayCache.open(store, size_px=32, folder=small_disk / "cache")
        assert [place.name for place in (small_disk / "cache").iterdir()] == ["cache.lock"]
        assert ReplayCache.open(store, size_px=16, folder=small_disk / "cache").frames == 210


def test_a_read_only_disk_is_read_and_not_written(
    small_disk: Path, make_episode: Callable[..., Episode], tmp_path: Path
) -> None:
    folder = small_disk / "store"
    with EpisodeStore(folder) as store:
        row = store.append(make_episode(0))
        cached = ReplayCache.open(store, size_px=16)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with EpisodeStore(folder) as store:
        assert store.rows() == [row]
        assert store.read(row.id).info.seed == 0
        assert store.verify() == []
        assert ReplayCache.open(store, size_px=16).frames == cached.frames
        assert ReplayCache.open(store, size_px=8, folder=tmp_path).frames == 3
        for write in (
            lambda: store.append(make_episode(1)),
            lambda: ReplayCache.open(store, size_px=8),
            store.repair,
            lambda: EpisodeStore(small_disk / "other"),
        ):
            with pytest.raises(StorageError, match="the disk is read-only"):
                write()


# --- damage at random --------------------------------------------------------------------------------------------


def test_no_damage_to_any_file_is_more_than_an_error(tmp_path: Path, make_episode: Callable[..., Episode]) -> None:
    """Bytes are changed all over the store: the answer is an error for the user, or what was saved."""
    folder = tmp_path / "store"
    with EpisodeStore(folder) as store:
        rows = store.append_many(make_episode(seed) for seed in range(2))
    sound = {path: path.read_bytes() for path in [folder / "index.sqlite", *folder.rglob("*.parquet")]}
    for path, data in sound.items():
        for place in range(0, len(data), len(data) // 60):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
            try:
                with EpisodeStore(folder) as store:
                    for row in store.rows():
                        store.read(row.id)
                verify(folder)
            except SkillcoreError:
                pass
        path.write_bytes(data)
    for path, data in sound.items():
        path.write_bytes(data[: len(data) // 2])
        with pytest.raises(EpisodeError):
            _assert_saved(folder, [row.id for row in rows])
        repair(folder)
        assert verify(folder) == []
        path.write_bytes(data)
        repair(folder)
        _assert_saved(folder, [row.id for row in rows])
