"""Everything that can be wrong with an episode store is found, told, and put right without losing an episode."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from skillcore.episodes import EpisodeStore, encode
from skillcore.episodes.index import INDEX_VERSION, Index
from skillcore.episodes.repair import repair, verify
from skillcore.errors import EpisodeError, StorageError
from skillcore.types import Episode

Make = Callable[..., Episode]
Same = Callable[[Episode, Episode], None]


def _kinds(folder: Path) -> list[str]:
    return [finding.kind for finding in verify(folder)]


# --- damaged files -----------------------------------------------------------------------------------------------


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _replace_by_text(path: Path) -> None:
    path.write_text("not an episode")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [_flip, _truncate, _replace_by_text, _empty])
def test_a_damaged_file_is_named_and_put_aside(
    store: EpisodeStore, folder: Path, damage: Callable[[Path], None]
) -> None:
    row = store.rows()[1]
    damage(store.path(row.id))
    with pytest.raises(EpisodeError) as caught:
        store.read(row.id)
    assert str(store.path(row.id)) in caught.value.what
    assert f"skill data repair '{folder}'" in caught.value.cure
    assert _kinds(folder) == ["changed"]

    report = store.repair()
    assert [finding.name for finding in report.quarantined] == [f"episodes/{row.id}.parquet"]
    assert (folder / "quarantine" / f"{row.id}.parquet").exists()
    assert (report.episodes, report.lost, len(store)) == (2, (), 2)
    assert verify(folder) == []
    with pytest.raises(EpisodeError, match="there is no episode"):
        store.read(row.id)


def test_an_earlier_file_in_quarantine_stays(store: EpisodeStore, folder: Path) -> None:
    path = store.path(store.rows()[0].id)
    good = path.read_bytes()
    for content in (b"one", b"two"):
        path.write_bytes(content)
        store.repair()
    assert sorted(found.read_bytes() for found in (folder / "quarantine").iterdir()) == [b"one", b"two"]
    path.write_bytes(good)
    assert store.repair().adopted == (path.stem,)
    assert len(store) == 3


def test_a_missing_file_is_found_and_its_row_taken_out(store: EpisodeStore, folder: Path) -> None:
    row = store.rows()[0]
    store.path(row.id).unlink()
    with pytest.raises(EpisodeError, match="there is no such episode file"):
        store.read(row.id)
    assert _kinds(folder) == ["missing"]
    report = store.repair()
    assert report.lost == (row.id,)
    assert "its file is gone" in report.lines[0]
    assert verify(folder) == []
    assert len(store) == 2


def test_an_orphan_is_taken_up(store: EpisodeStore, folder: Path, make_episode: Make, assert_same: Same) -> None:
    before = store.rows()
    with store._open_index() as index:
        index.change(remove=[before[1].id])
    assert _kinds(folder) == ["orphan"]
    assert store.repair().adopted == (before[1].id,)
    assert store.rows() == before
    assert_same(store.read(before[1].id), make_episode(1))


def test_a_damaged_orphan_is_not_taken_up(store: EpisodeStore, folder: Path) -> None:
    row = store.rows()[1]
    with store._open_index() as index:
        index.change(remove=[row.id])
    _flip(store.path(row.id))
    assert _kinds(folder) == ["changed"]
    assert store.repair().adopted == ()


def test_episodes_copied_in_under_any_name_are_taken_up(
    store: EpisodeStore, folder: Path, make_episode: Make, assert_same: Same
) -> None:
    (folder / "episodes" / "from another cell.parquet").write_bytes(encode(make_episode(42)))
    (folder / "episodes" / "junk.parquet").write_bytes(b"junk")
    (folder / "episodes" / "notes.txt").write_text("left alone")
    assert _kinds(folder) == ["orphan", "unreadable"]
    report = store.repair()
    (adopted,) = report.adopted
    assert adopted.startswith("000003-")
    assert_same(store.read(adopted), make_episode(42))
    assert verify(folder) == []
    assert (folder / "episodes" / "notes.txt").exists()


def test_a_row_that_says_other_than_its_file_is_corrected(store: EpisodeStore, folder: Path) -> None:
    before = store.rows()
    with store._open_index() as index:
        index.change(add=[dataclasses.replace(before[0], variant="usb", truth=-before[0].truth - 1)])
    assert _kinds(folder) == ["row"]
    assert store.repair().corrected == (before[0].id,)
    assert store.rows() == before


def test_a_file_the_disk_cannot_read_does_not_go_to_quarantine(
    store: EpisodeStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = store.rows()[0]

    def failing(path: Path) -> bytes:
        if path == store.path(row.id):
            raise StorageError("the disk reports an error")
        return path.read_bytes()

    with monkeypatch.context() as patch:
        patch.setattr("skillcore.episodes.repair.read_bytes", failing)
        assert _kinds(folder) == ["unreadable"]
        with pytest.raises(StorageError):
            repair(folder)
    assert verify(folder) == []


def test_leftovers_of_writes_are_removed(store: EpisodeStore, folder: Path) -> None:
    leftovers = [folder / "episodes" / ".x.parquet.1a2b.tmp", folder / ".index.sqlite.3c4d.tmp-wal"]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    assert _kinds(folder) == ["temporary", "temporary"]
    assert store.repair().temporaries == 2
    assert verify(folder) == []
    assert not any(leftover.exists() for leftover in leftovers)


def test_a_sound_store_is_left_alone(store: EpisodeStore, folder: Path) -> None:
    store.close()
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    index = (folder / "index.sqlite").read_bytes()
    report = repair(folder)
    assert (report.lines, report.episodes) == ([], 3)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")} == before
    assert (folder / "index.sqlite").read_bytes() == index


def test_checking_and_repairing_tell_how_far_they_are(store: EpisodeStore, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify(folder, lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


# --- a damaged index ---------------------------------------------------------------------------------------------


def _sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def _index_of_something_else(path: Path) -> None:
    path.unlink()
    _sql(path, "CREATE TABLE episodes (id)")


INDEX_DAMAGES = {
    "text": _replace_by_text,
    "cut off": _truncate,
    "cut off at a page": lambda path: os.truncate(path, 4096),
    "empty": _empty,
    "missing": Path.unlink,
    "another database": _index_of_something_else,
    "another table": lambda path: _sql(path, "ALTER TABLE episodes RENAME COLUMN skill TO ability"),
    "no table": lambda path: _sql(path, "DROP TABLE episodes"),
    "a bad value": lambda path: _sql(path, "UPDATE episodes SET steps = 'many'"),
    "a bad seed": lambda path: _sql(path, "UPDATE episodes SET seed = '1.5'"),
    "a bad id": lambda path: _sql(path, "UPDATE episodes SET id = '../../etc/passwd' WHERE sequence = 0"),
}


@pytest.mark.parametrize("damage", INDEX_DAMAGES.values(), ids=INDEX_DAMAGES.keys())
def test_a_damaged_index_is_told_and_made_anew(
    store: EpisodeStore, folder: Path, damage: Callable[[Path], None]
) -> None:
    before = store.rows()
    store.close()
    damage(folder / "index.sqlite")
    with pytest.raises(EpisodeError) as caught:
        EpisodeStore(folder).rows()
    assert "index.sqlite: the index of the episodes is damaged" in caught.value.what
    assert f"skill data repair '{folder}'" in caught.value.cure
    assert _kinds(folder) == ["index"]

    report = repair(folder)
    assert report.index_rebuilt
    assert (report.episodes, report.quarantined) == (3, ())
    assert verify(folder) == []
    assert store.rows() == before
    assert (folder / "quarantine" / "index.sqlite").exists() == (damage is not Path.unlink)


def test_a_store_notices_that_its_index_was_made_anew(store: EpisodeStore, folder: Path, make_episode: Make) -> None:
    assert len(store) == 3
    (folder / "index.sqlite").unlink()
    with pytest.raises(EpisodeError, match="it is missing"):
        len(store)
    repair(folder)
    row = store.append(make_episode(8))
    with EpisodeStore(folder) as other:
        assert [found.id for found in other.rows()][-1] == row.id
        assert len(other) == 4


def test_an_interrupted_repair_may_be_run_again(
    store: EpisodeStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.rows()
    store.close()
    _replace_by_text(folder / "index.sqlite")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Index, "create", interrupted)
        with pytest.raises(KeyboardInterrupt):
            repair(folder)
    with pytest.raises(EpisodeError, match="index"):
        EpisodeStore(folder)
    assert repair(folder).index_rebuilt
    assert store.rows() == before


def test_a_lost_journal_loses_no_episode(store: EpisodeStore, folder: Path, tmp_path: Path) -> None:
    # While the store is open, its newest rows are in the journal only.
    copied = tmp_path / "copy"
    shutil.copytree(folder, copied, ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    rows = store.rows()
    report = repair(copied)
    assert set(report.adopted) == {row.id for row in rows}
    assert EpisodeStore(copied).rows() == rows


# --- later versions ----------------------------------------------------------------------------------------------


def test_an_index_of_a_later_version_is_left_alone(store: EpisodeStore, folder: Path) -> None:
    store.close()
    _sql(folder / "index.sqlite", f"PRAGMA user_version = {INDEX_VERSION + 1}")
    before = (folder / "index.sqlite").read_bytes()
    for use in (lambda: EpisodeStore(folder), lambda: verify(folder), lambda: repair(folder)):
        with pytest.raises(EpisodeError, match="of version 2") as caught:
            use()
        assert "update skillcore" in caught.value.cure
    assert (folder / "index.sqlite").read_bytes() == before


def test_an_episode_of_a_later_version_is_left_alone(
    store: EpisodeStore, folder: Path, make_episode: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("skillcore.episodes.format.FORMAT", 2)
        data = encode(make_episode(7))
    path = folder / "episodes" / "later.parquet"
    path.write_bytes(data)
    assert _kinds(folder) == ["newer"]
    report = store.repair()
    assert [finding.kind for finding in report.left] == ["newer"]
    assert path.exists()
    assert report.episodes == len(store) == 3
