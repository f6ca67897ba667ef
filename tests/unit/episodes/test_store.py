"""The episode store: what is appended is there, and what is wrong is found and put right."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from skillcore.episodes import EpisodeStore, dataset_hash
from skillcore.episodes.index import Index
from skillcore.episodes.repair import repair, verify
from skillcore.errors import EpisodeError
from skillcore.storage import sha256_of
from skillcore.types import Episode

Make = Callable[..., Episode]
Same = Callable[[Episode, Episode], None]


# --- appending and reading ---------------------------------------------------------------------------------------


def test_what_is_appended_is_read_back_also_after_reopening(
    folder: Path, make_episode: Make, assert_same: Same
) -> None:
    episode = make_episode(1)
    with EpisodeStore(folder) as store:
        row = store.append(episode)
        assert_same(store.read(row.id), episode)
    with EpisodeStore(folder, create=False) as store:
        assert len(store) == 1
        assert store.rows() == [row]
        assert_same(store.read(row.id), episode)


def test_an_episode_is_read_without_its_images(folder: Path, make_episode: Make, assert_same: Same) -> None:
    episode = make_episode(1, steps=5)
    with EpisodeStore(folder) as store:
        row = store.append(episode)
        found = store.read(row.id, images=False)
        assert found.images.shape == (6, 0, 8, 8, 3)
        assert_same(dataclasses.replace(found, images=episode.images), episode)
        # It is no episode that could be saved.
        with pytest.raises(EpisodeError, match="0 views of"):
            store.append(found)
        # A file that was changed is noticed as ever.
        store.path(row.id).write_bytes(store.path(row.id).read_bytes() + b"x")
        with pytest.raises(EpisodeError, match="is not what was saved"):
            store.read(row.id, images=False)


def test_the_row_tells_of_the_episode(folder: Path, make_episode: Make) -> None:
    known = {
        "skill": "insertion",
        "variant": "usb_c",
        "cell": "left",
        "source": "practice",
        "outcome": "success",
        "trial": 7,
        "scenario": "shifted",
        "reward_model": "daib",
        "started_at": "2025-01-31T12:00:00+00:00",
        "overruns": 1,
        "peak_force_n": 12.5,
    }
    episode = make_episode(1, steps=5, clamps={"speed": 2, "force": 3}, **known)
    episode.info.seed = 2**100
    episode.truth[-1], episode.success[-1] = 1, 0
    with EpisodeStore(folder) as store:
        row = store.append(episode)
        path = store.path(row.id)
    assert path.parent.parent == folder
    assert row.id == f"000000-{row.sha256[:8]}"
    assert (row.sha256, row.bytes) == (sha256_of(path), path.stat().st_size)
    fields = dataclasses.asdict(row)
    assert {name: fields[name] for name in known} == known
    assert row.seed == 2**100
    assert (row.sequence, row.steps, row.truth, row.success, row.clamps) == (0, 5, 1, 0, 5)
    assert (row.views, row.height_px, row.width_px) == (2, 8, 8)


def test_appending_many_saves_all_in_order(folder: Path, make_episode: Make, assert_same: Same) -> None:
    episodes = [make_episode(seed) for seed in range(4)]
    with EpisodeStore(folder) as store:
        first = store.append(episodes[0])
        rows = store.append_many(episode for episode in episodes)
        assert store.append_many([]) == []
        assert [row.sequence for row in rows] == [1, 2, 3, 4]
        assert store.rows() == [first, *rows]
        for row, episode in zip(rows, episodes, strict=True):
            assert_same(store.read(row.id), episode)
    assert verify(folder) == []


def test_appending_many_saves_none_if_one_is_not_well_formed(folder: Path, make_episode: Make) -> None:
    bad = make_episode(1)
    bad.pose[0, 0] = float("nan")
    with EpisodeStore(folder) as store:
        with pytest.raises(EpisodeError, match="pose"):
            store.append_many([make_episode(0), bad])
        assert len(store) == 0
        assert list(store.path("x").parent.iterdir()) == []


def test_rows_are_filtered(folder: Path, make_episode: Make) -> None:
    with EpisodeStore(folder) as store:
        store.append_many(
            make_episode(seed, variant=variant, source=source)
            for seed, (variant, source) in enumerate([("hdmi", "collect"), ("hdmi", "run"), ("usb", "run")])
        )

        def found(**filters: Any) -> list[int]:
            return [row.seed for row in store.rows(**filters)]

        assert found(variant="hdmi") == [0, 1]
        assert found(variant=["hdmi", "usb"], source="run") == [1, 2]
        assert found(variant=[]) == []
        assert found(variant="x' OR '1'='1") == []
        assert found(truth=(-1, 0, 1)) == [0, 1, 2]
        with pytest.raises(EpisodeError, match="cannot be chosen by 'mood'"):
            found(mood="good")


def test_the_dataset_hash_depends_on_content_alone(tmp_path: Path, make_episode: Make) -> None:
    def stored(name: str, *seeds: int) -> str:
        with EpisodeStore(tmp_path / name) as store:
            store.append_many(make_episode(seed) for seed in seeds)
            assert dataset_hash(store.rows()) == store.dataset_hash()
            return store.dataset_hash()

    assert stored("a", 1, 2, 3) == stored("b", 3, 1, 2) != stored("c", 1, 2)
    with EpisodeStore(tmp_path / "a") as store:
        assert store.dataset_hash(variant="hdmi") == store.dataset_hash() != store.dataset_hash(variant="usb")


def test_threads_share_a_store(folder: Path, make_episode: Make) -> None:
    store = EpisodeStore(folder)

    def work(first: int) -> list[int]:
        return [store.read(store.append(make_episode(first + number)).id).info.seed for number in range(5)]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, [0, 10, 20])) == [list(range(first, first + 5)) for first in (0, 10, 20)]
    assert [row.sequence for row in store.rows()] == list(range(15))
    assert store.verify() == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process")
def test_a_forked_child_uses_a_connection_of_its_own(store: EpisodeStore, make_episode: Make) -> None:
    inherited = store._index
    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.append(make_episode(9))
            code = 0 if store._index is not inherited else 2
            store.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    store.append(make_episode(10))
    assert [row.seed for row in store.rows()] == [0, 1, 2, 9, 10]
    assert store.verify() == []


def test_a_store_is_not_made_where_one_must_exist(tmp_path: Path) -> None:
    for missing in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(EpisodeError, match="no episode store"):
            EpisodeStore(missing, create=False)
        with pytest.raises(EpisodeError, match="no episode store"):
            verify(missing)
        with pytest.raises(EpisodeError, match="no episode store"):
            repair(missing)
    assert list(tmp_path.iterdir()) == []


def test_close_may_be_called_twice_and_the_store_used_again(store: EpisodeStore) -> None:
    store.close()
    store.close()
    assert len(store) == 3


# --- durability --------------------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed to the disk, renamed and written into the index from here on, in that order."""
    calls: list[str] = []
    fsync, replace, change = os.fsync, os.replace, Index.change

    def logged_fsync(descriptor: int) -> None:
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        calls.append(f"flush {'temporary' if name.endswith('.tmp') else name}")
        fsync(descriptor)

    def logged_replace(source: Any, target: Any) -> None:
        calls.append("rename")
        replace(source, target)

    def logged_change(index: Index, **changes: Any) -> None:
        calls.append("row")
        change(index, **changes)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    monkeypatch.setattr(Index, "change", logged_change)
    return calls


def test_a_file_is_on_the_disk_before_its_row(store: EpisodeStore, make_episode: Make, calls: list[str]) -> None:
    store.append(make_episode(5))
    assert calls == ["flush temporary", "rename", "flush episodes", "row"]
    calls.clear()
    store.append_many([make_episode(6), make_episode(7)])
    assert calls == ["flush temporary", "flush temporary", "rename", "rename", "flush episodes", "row"]


def test_a_new_store_is_on_the_disk_with_all_its_folders(tmp_path: Path, calls: list[str]) -> None:
    EpisodeStore(tmp_path / "data" / "hdmi")
    folders = [f"flush {tmp_path.name}", "flush data", "flush hdmi"]
    assert calls == [*folders, "flush temporary", "rename", "flush hdmi"]


def test_the_index_flushes_each_row(folder: Path, store: EpisodeStore) -> None:
    with store._open_index() as index:
        assert index._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert index._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
