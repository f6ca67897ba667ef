"""The replay cache: the same frames as in the episodes, made once, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from skillcore.episodes import EpisodeStore, ReplayCache
from skillcore.episodes.arrays import ArrayWriter
from skillcore.errors import EpisodeError, StorageError
from skillcore.types import PAST, Episode

Make = Callable[..., Episode]

COLUMNS = ("images", "pose", "wrench", "score", "success", "truth", "seated_from_tcp")
DERIVED = ("episode", "step", "is_last", "terminated", "step_frames", "episode_starts", "action", "reward")


@pytest.fixture
def episodes(make_episode: Make) -> list[Episode]:
    """Of different lengths and outcomes; one ended before its first step."""
    return [
        make_episode(0, steps=3, outcome="success"),
        make_episode(1, steps=0, outcome="success", variant="usb"),
        make_episode(2, steps=2, outcome="timeout", variant="rj45"),
    ]


@pytest.fixture
def store(tmp_path: Path, episodes: list[Episode]) -> EpisodeStore:
    store = EpisodeStore(tmp_path / "store")
    store.append_many(episodes)
    return store


def _assert_equal(one: ReplayCache, other: ReplayCache) -> None:
    for name in (*COLUMNS, *DERIVED, "executed"):
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes(), name
    assert one.infos == other.infos


def test_frames_stand_in_order_and_belong_together(episodes: list[Episode]) -> None:
    cache = ReplayCache.from_episodes(episodes)
    assert (cache.frames, cache.episodes) == (8, 3)
    for name in COLUMNS:
        joined = np.concatenate([getattr(episode, name) for episode in episodes])
        found = getattr(cache, name)
        assert (found.dtype, found.shape) == (joined.dtype, joined.shape)
        assert found.tobytes() == joined.tobytes()
    for name in ("action", "executed", "reward"):
        found = getattr(cache, name)
        expected = np.concatenate([getattr(episode, name) for episode in episodes])
        assert np.array_equal(found[cache.step_frames], expected)
        assert not found[cache.is_last].any()
    assert cache.episode.tolist() == [0, 0, 0, 0, 1, 2, 2, 2]
    assert cache.step.tolist() == [0, 1, 2, 3, 0, 0, 1, 2]
    assert cache.is_last.tolist() == [False, False, False, True, True, False, False, True]
    assert cache.terminated.tolist() == [False, False, True, False, False, False, False, False]
    assert cache.step_frames.tolist() == [0, 1, 2, 5, 6]
    assert cache.episode_starts.tolist() == [0, 4, 5, 8]
    assert cache.variants == ("hdmi", "usb", "rj45")
    assert cache.ids == ("", "", "")
    assert cache.infos[2] == episodes[2].info


def test_some_episodes_are_the_same_wherever_their_images_lie(episodes: list[Episode]) -> None:
    cache = ReplayCache.from_episodes(episodes)
    chosen = np.array([2, 0])
    copied, left = cache.of_episodes(chosen), cache.of_episodes(chosen, in_memory=False)
    assert (copied.frames, copied.infos) == (left.frames, left.infos)
    frames = np.array([6, 0, 3])
    assert np.array_equal(copied.images[frames], left.images[frames])
    assert copied.images.shape == left.images.shape
    assert np.array_equal(copied.pose, left.pose)


def test_a_batch_of_observations_is_a_copy(episodes: list[Episode]) -> None:
    cache = ReplayCache.from_episodes(episodes)
    batch = cache.observations(np.array([5, 1]))
    assert np.array_equal(batch["images"], np.stack([episodes[2].images[0], episodes[0].images[1]]))
    assert np.array_equal(batch["pose"][0], episodes[2].pose[0])
    assert np.array_equal(batch["wrench"][1], episodes[0].wrench[1])
    batch["images"][:] = 0
    assert cache.images.any()


def test_what_came_before_stays_within_the_episode(episodes: list[Episode]) -> None:
    cache = ReplayCache.from_episodes(episodes)
    past = cache.past(np.array([0, 2, 3, 4, 7]))
    assert past["pose"].shape == past["wrench"].shape == (5, PAST, 6)
    wanted = [[0, 0, 0, 0], [1, 0, 0, 0], [2, 1, 0, 0], [4, 4, 4, 4], [6, 5, 5, 5]]
    np.testing.assert_array_equal(past["pose"], cache.pose[np.array(wanted)])
    np.testing.assert_array_equal(past["wrench"], cache.wrench[np.array(wanted)])


def test_joined_caches_are_as_if_made_together(episodes: list[Episode]) -> None:
    together = ReplayCache.from_episodes(episodes)
    joined = ReplayCache.joined([ReplayCache.from_episodes(episodes[:1]), ReplayCache.from_episodes(episodes[1:])])
    assert (joined.frames, joined.episodes, joined.images.shape) == (8, 3, together.images.shape)
    for name in set(COLUMNS + DERIVED) - {"images"}:
        assert getattr(joined, name).tobytes() == getattr(together, name).tobytes(), name
    assert (joined.infos, joined.ids) == (together.infos, together.ids)
    frames = np.array([7, 0, 3, 4, 4])
    assert np.array_equal(joined.images[frames], together.images[frames])
    assert np.array_equal(joined.observations(frames)["images"], together.images[frames])


def test_some_episodes_are_as_if_only_they_had_been_there(episodes: list[Episode]) -> None:
    some = ReplayCache.from_episodes(episodes).of_episodes(np.array([2, 0]))
    _assert_equal(some, ReplayCache.from_episodes([episodes[2], episodes[0]]))
    with pytest.raises(EpisodeError, match="at least one"):
        some.of_episodes(np.array([], np.int64))


def test_only_what_is_alike_can_be_joined(episodes: list[Episode], make_episode: Make) -> None:
    with pytest.raises(EpisodeError, match="none"):
        ReplayCache.joined([])
    small = ReplayCache.from_episodes(episodes, size_px=2)
    with pytest.raises(EpisodeError, match="of one shape"):
        ReplayCache.joined([ReplayCache.from_episodes(episodes), small])


def test_a_cache_cannot_be_written_to(store: EpisodeStore, episodes: list[Episode]) -> None:
    for cache in (ReplayCache.open(store, size_px=8), ReplayCache.from_episodes(episodes)):
        for name in (*COLUMNS, *DERIVED):
            with pytest.raises(ValueError, match="read-only"):
                getattr(cache, name)[0] = 0


def test_the_cache_of_a_store_equals_that_of_its_episodes(
    store: EpisodeStore, episodes: list[Episode], tmp_path: Path
) -> None:
    cache = ReplayCache.open(store, size_px=8)
    _assert_equal(cache, ReplayCache.from_episodes(episodes))
    _assert_equal(cache, ReplayCache.from_episodes(episodes, folder=tmp_path / "new" / "cache"))
    _assert_equal(cache, ReplayCache.load(tmp_path / "new" / "cache"))
    assert cache.ids == tuple(row.id for row in store.rows())


def _is_mapped(array: Any) -> bool:
    while array is not None and not isinstance(array, np.memmap):
        array = getattr(array, "base", None)
    return array is not None


def test_images_are_mapped_and_not_loaded(store: EpisodeStore, episodes: list[Episode]) -> None:
    assert _is_mapped(ReplayCache.open(store, size_px=8).images)
    assert not _is_mapped(ReplayCache.from_episodes(episodes).images)


@pytest.mark.parametrize("size_px", [4, 16])
def test_images_are_resized_by_area(store: EpisodeStore, episodes: list[Episode], size_px: int) -> None:
    cache = ReplayCache.open(store, size_px=size_px)
    assert cache.images.shape == (8, 2, size_px, size_px, 3)
    image = episodes[2].images[1, 1]
    expected = cv2.resize(image, (size_px, size_px), interpolation=cv2.INTER_AREA)
    assert np.array_equal(cache.images[6, 1], expected)
    _assert_equal(cache, ReplayCache.from_episodes(episodes, size_px=size_px))


# --- using it again ----------------------------------------------------------------------------------------------


def _count_reads(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    reads: list[str] = []
    read = store.read

    def counted(episode_id: str) -> Episode:
        reads.append(episode_id)
        return read(episode_id)

    monkeypatch.setattr(store, "read", counted)
    return reads


def test_a_cache_is_made_once(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = _count_reads(store, monkeypatch)
    first = ReplayCache.open(store, size_px=8)
    assert len(reads) == 3
    _assert_equal(first, ReplayCache.open(store, size_px=8))
    assert len(reads) == 3


def test_added_episodes_alone_are_read_and_the_old_cache_goes(
    store: EpisodeStore, episodes: list[Episode], make_episode: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = ReplayCache.open(store, size_px=8)
    other = ReplayCache.open(store, size_px=8, variant="usb")
    row = store.append(make_episode(3))
    reads = _count_reads(store, monkeypatch)
    new = ReplayCache.open(store, size_px=8)
    assert reads == [row.id]
    _assert_equal(new, ReplayCache.from_episodes([*episodes, make_episode(3)]))
    assert len([place for place in store.cache_folder.iterdir() if place.is_dir()]) == 2
    smaller = [*episodes, make_episode(3)]
    _assert_equal(ReplayCache.open(store, size_px=4), ReplayCache.from_episodes(smaller, size_px=4))
    reads.clear()
    _assert_equal(old, ReplayCache.from_episodes(episodes))  # Whoever has it open keeps it.
    _assert_equal(other, ReplayCache.open(store, size_px=8, variant="usb"))
    assert reads == []


def test_sizes_and_filters_have_caches_of_their_own(store: EpisodeStore) -> None:
    small = ReplayCache.open(store, size_px=4)
    assert ReplayCache.open(store, size_px=8).images.shape[2] == 8
    assert ReplayCache.open(store, size_px=4).images.shape[2] == small.images.shape[2] == 4
    assert ReplayCache.open(store, size_px=8, variant=["hdmi", "rj45"]).variants == ("hdmi", "rj45")
    assert ReplayCache.open(store, size_px=8, outcome="timeout").frames == 3


def test_a_cache_may_lie_elsewhere(store: EpisodeStore, tmp_path: Path) -> None:
    ReplayCache.open(store, size_px=8, folder=tmp_path / "elsewhere")
    assert not store.cache_folder.exists()
    assert any((tmp_path / "elsewhere").rglob("images.npy"))


def test_building_tells_how_far_it_is(store: EpisodeStore) -> None:
    seen: list[tuple[int, int]] = []
    ReplayCache.open(store, size_px=8, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]


# --- damage ------------------------------------------------------------------------------------------------------


def _edit_meta(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "meta.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def _cut_off_images(folder: Path) -> None:
    path = folder / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])


def _pickled_rewards(folder: Path) -> None:
    np.save(folder / "reward.npy", np.array([print] * 8, object), allow_pickle=True)


DAMAGES = {
    "no meta": lambda folder: (folder / "meta.json").unlink(),
    "meta is not JSON": lambda folder: (folder / "meta.json").write_text("{"),
    "meta is a list": lambda folder: (folder / "meta.json").write_text("[]"),
    "another version": _edit_meta(format=2),
    "lengths do not add up": _edit_meta(lengths=[4, 1, 4]),
    "an empty episode": _edit_meta(lengths=[4, 0, 4]),
    "infos are missing": _edit_meta(infos=[]),
    "images are larger": _edit_meta(shape=[8, 2, 9, 9, 3]),
    "images are cut off": _cut_off_images,
    "a column is missing": lambda folder: (folder / "pose.npy").unlink(),
    "a column is of another type": lambda folder: np.save(folder / "pose.npy", np.zeros((8, 6))),
    "a column is of another shape": lambda folder: np.save(folder / "truth.npy", np.zeros(9, np.int8)),
    "a column is pickled": _pickled_rewards,
    "a column is empty": lambda folder: (folder / "pose.npy").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_cache_is_refused_and_made_anew(
    store: EpisodeStore, episodes: list[Episode], damage: Callable[[Path], Any]
) -> None:
    ReplayCache.open(store, size_px=8)
    (place,) = (place for place in store.cache_folder.iterdir() if place.is_dir())
    damage(place)
    with pytest.raises(EpisodeError) as caught:
        ReplayCache.load(place)
    assert str(place) in str(caught.value)
    _assert_equal(ReplayCache.open(store, size_px=8), ReplayCache.from_episodes(episodes))


def test_a_damaged_episode_is_named_and_leaves_no_half_cache(store: EpisodeStore) -> None:
    path = store.path(store.rows()[2].id)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(EpisodeError, match=path.name):
        ReplayCache.open(store, size_px=8)
    assert [place.name for place in store.cache_folder.iterdir()] == ["cache.lock"]


def test_what_an_interrupted_build_left_is_removed(store: EpisodeStore) -> None:
    leftover = store.cache_folder / ".building-0123456789abcdef-00000000"
    leftover.mkdir(parents=True)
    (leftover / "images.npy").write_bytes(b"half")
    ReplayCache.open(store, size_px=8)
    assert not leftover.exists()


def test_a_disk_too_small_is_told_before_the_work(store: EpisodeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = _count_reads(store, monkeypatch)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match=r"it needs 3.1 kB \(1.0 kB free there\)"):
        ReplayCache.open(store, size_px=8)
    assert reads == []


def _write_array(path: Path, rows: np.ndarray[Any, Any], error: Exception | None = None) -> None:
    """Announces (3, 2) int8, writes `rows`, and runs into `error`."""
    with ArrayWriter(path, (3, 2), np.dtype(np.int8)) as writer:
        writer.append(rows)
        if error is not None:
            raise error


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_does_not_hide_an_earlier_error() -> None:
    rows = np.zeros((3, 2), np.int8)
    with pytest.raises(StorageError, match="the disk is full"):
        _write_array(Path("/dev/full"), rows)
    with pytest.raises(KeyError, match="mine"):
        _write_array(Path("/dev/full"), rows, KeyError("mine"))


def test_an_array_is_written_as_announced(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with ArrayWriter(path, (3, 2), np.dtype(np.int8)) as writer:
        writer.append(np.ones((1, 2), np.int8))
        writer.append(np.zeros((2, 2), np.int8))
    assert np.load(path).tolist() == [[1, 1], [0, 0], [0, 0]]
    for wrong in (np.ones((3, 2)), np.ones((3, 1), np.int8), np.ones((2, 2), np.int8)):
        with pytest.raises(ValueError, match=r"does not fit|rows were written"):
            _write_array(path, wrong)


# --- what cannot be cached ---------------------------------------------------------------------------------------


def test_no_episode_at_all(store: EpisodeStore) -> None:
    with pytest.raises(EpisodeError, match="of the 3 episodes none fits"):
        ReplayCache.open(store, size_px=8, variant="vga")
    with pytest.raises(EpisodeError, match="there are no episodes"):
        ReplayCache.from_episodes([])


def test_images_that_differ_in_form(store: EpisodeStore, make_episode: Make) -> None:
    with pytest.raises(EpisodeError, match="images cannot be of 0 pixels"):
        ReplayCache.open(store, size_px=0)
    store.append(make_episode(4, height_px=16, width_px=16))
    assert ReplayCache.open(store, size_px=8).episodes == 4
    store.append(make_episode(5, views=1))
    with pytest.raises(EpisodeError, match=r"has 2 views and 000004-.* has 1"):
        ReplayCache.open(store, size_px=8)
    wide = store.append(make_episode(6, width_px=16, variant="wide"))
    with pytest.raises(EpisodeError, match=f"{wide.id}.*16x8 pixels would be distorted"):
        ReplayCache.open(store, size_px=8, variant="wide")
    with pytest.raises(EpisodeError, match="images of one shape"):
        ReplayCache.from_episodes([make_episode(), make_episode(views=1)])
    with pytest.raises(EpisodeError, match="16x8 pixels would be distorted"):
        ReplayCache.from_episodes([make_episode(width_px=16)], size_px=8)
    assert ReplayCache.from_episodes([make_episode(width_px=16)]).images.shape[2:4] == (8, 16)


def test_an_episode_that_is_not_well_formed(make_episode: Make) -> None:
    bad = make_episode()
    bad.wrench[0] = np.nan
    with pytest.raises(EpisodeError, match="episode 1 of 2: wrench"):
        ReplayCache.from_episodes([make_episode(), bad])


def test_a_folder_is_not_overwritten(make_episode: Make, tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="already exists"):
        ReplayCache.from_episodes([make_episode()], folder=tmp_path)
