"""Deleting episodes and bringing them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.episodes.index import Index
from skillcore.episodes.labels import read_correction
from skillcore.errors import EpisodeError, StorageError
from skillcore.types import Episode

Make = Callable[..., Episode]


def _ids(store: EpisodeStore) -> list[str]:
    return [row.id for row in store.rows()]


def test_a_deleted_episode_is_gone_with_its_label_and_comes_back_with_it(
    store: EpisodeStore, assert_same: Callable[[Episode, Episode], None]
) -> None:
    first, second, third = _ids(store)
    store.relabel(second, True, who="ada")
    before = store.read(second)
    assert [row.id for row in store.delete([second, third, second])] == [second, third]
    assert _ids(store) == [first]
    assert store.corrections() == {}
    assert store.verify() == []
    with pytest.raises(EpisodeError, match="there is no episode"):
        store.read(second)
    names = sorted(path.name for path in (store.folder / "deleted").iterdir())
    assert names == [f"{second}.0001.json", f"{second}.parquet", f"{third}.parquet"]
    assert [row.id for row in store.restore([second])] == [second]
    assert _ids(store) == [first, second]
    assert_same(store.read(second), before)
    assert store.read(second).corrected is True
    assert [row.id for row in store.restore()] == [third]
    assert list((store.folder / "deleted").iterdir()) == []
    assert store.verify() == []


def test_what_is_erased_is_gone_for_good(store: EpisodeStore) -> None:
    first, second, _ = _ids(store)
    store.relabel(first, False, who="ada")
    rows = store.delete([first, second])
    store.erase(rows[:1])
    assert [path.name for path in (store.folder / "deleted").iterdir()] == [f"{second}.parquet"]
    with pytest.raises(EpisodeError, match="there is no episode"):
        store.restore([first])


def test_an_unknown_episode_changes_nothing(store: EpisodeStore) -> None:
    before = _ids(store)
    with pytest.raises(EpisodeError, match="there is no episode"):
        store.delete([before[0], "000099-01234567"])
    assert _ids(store) == before
    assert not (store.folder / "pending.json").exists()


def test_an_index_that_refuses_changes_nothing(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _ids(store)

    def refuse(*_: object, **__: object) -> None:
        raise StorageError("cannot use the index: the disk is full")

    monkeypatch.setattr(Index, "change", refuse)
    with pytest.raises(StorageError, match="the disk is full"):
        store.delete(before[:2])
    monkeypatch.undo()
    assert _ids(store) == before
    assert not (store.folder / "pending.json").exists()
    assert store.verify() == []


def test_numbers_of_deleted_episodes_may_come_again_and_ids_do_not(store: EpisodeStore, make_episode: Make) -> None:
    before = _ids(store)
    store.delete(before[2:])
    new = store.append(make_episode(7))
    store.restore()
    assert new.id not in before
    assert sorted(_ids(store)) == sorted([*before, new.id])
    assert store.verify() == []


def test_a_damaged_deleted_episode_does_not_come_back(store: EpisodeStore) -> None:
    first = _ids(store)[0]
    store.delete([first])
    path = store.folder / "deleted" / f"{first}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(EpisodeError, match="its SHA-256 has changed"):
        store.restore()
    assert len(_ids(store)) == 2


@pytest.mark.parametrize("what", ["delete", "restore"])
def test_a_deletion_that_was_killed_is_finished_by_a_store_that_was_open_before(
    store: EpisodeStore, folder: Path, what: str
) -> None:
    first, second, third = _ids(store)
    store.relabel(first, True, who="ada")
    store.delete([second])
    with EpisodeStore(folder) as other, pytest.MonkeyPatch.context() as patch:
        # As a kill would leave it: the row is gone, the files lie where they were.
        patch.setattr("skillcore.episodes.deletion.settle", lambda layout, index: None)
        other.delete([first])
    store.delete([third]) if what == "delete" else store.restore([second])
    assert store.verify() == []
    store.restore()
    assert _ids(store) == [first, second, third]
    assert list(store.corrections()) == [first]


def test_what_is_damaged_blocks_no_other_that_is_named(store: EpisodeStore) -> None:
    first, second, _ = _ids(store)
    store.delete([first, second])
    path = store.folder / "deleted" / f"{first}.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    assert main(["data", "restore", str(store.folder), "--episode", second]) == 0
    assert second in _ids(store)
    assert path.exists()


def test_what_lies_where_an_episode_comes_back_to_is_kept(store: EpisodeStore) -> None:
    first = _ids(store)[0]
    store.relabel(first, True, who="ada")
    store.delete([first])
    # Somebody has put the file back by hand, and said something else of it since.
    (store.folder / "episodes" / f"{first}.parquet").write_bytes(
        (store.folder / "deleted" / f"{first}.parquet").read_bytes()
    )
    store.repair()
    store.relabel(first, False, who="bob")
    store.restore()
    assert [one.who for one in store.corrections(first)[first]] == ["ada"]
    (kept,) = (store.folder / "quarantine").iterdir()
    assert read_correction(kept).who == "bob"
    assert store.verify() == []


def test_a_damaged_note_of_what_is_pending_is_told_and_repaired(store: EpisodeStore, folder: Path) -> None:
    before = _ids(store)
    store.close()
    (folder / "pending.json").write_text('{"format": 1, "moving": ["../../etc/passwd"]}')
    with pytest.raises(EpisodeError, match="is no id"):
        EpisodeStore(folder)
    assert [finding.kind for finding in store.verify()] == ["pending"]
    assert store.repair().settled
    assert (folder / "quarantine" / "pending.json").exists()
    assert _ids(EpisodeStore(folder)) == before
