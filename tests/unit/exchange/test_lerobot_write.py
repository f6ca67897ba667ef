"""What `write_lerobot` leaves on the disk, looked at with pyarrow and json alone."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from skillcore.episodes import EpisodeStore
from skillcore.errors import InputError
from skillcore.exchange.lerobot_write import write_lerobot
from skillcore.exchange.statistics import Statistics
from skillcore.types import Episode

Make = Callable[..., Episode]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(folder / "data" / "chunk-000" / "file-000.parquet").to_pylist()
    return rows


def test_frames_hold_what_the_episodes_hold(store: EpisodeStore, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    written = write_lerobot(
        store, store.rows(), tmp_path / "out", progress=lambda done, total: told.append((done, total))
    )
    assert (written.episodes, written.frames, written.left_out) == (4, 3 + 4 + 5 + 6, ())
    assert told[0] == (0, 4)
    assert told[-1] == (4, 4)
    rows = rows_of(tmp_path / "out")
    assert [row["index"] for row in rows] == list(range(18))
    start = 0
    for number, row in enumerate(store.rows()):
        episode = store.read(row.id)
        some = rows[start : start + episode.steps + 1]
        start += len(some)
        assert {one["episode_index"] for one in some} == {number}
        assert [one["frame_index"] for one in some] == list(range(len(some)))
        np.testing.assert_allclose([one["timestamp"] for one in some], np.arange(len(some)) / 10, atol=1e-6)
        state = np.array([one["observation.state"] for one in some], np.float32)
        np.testing.assert_array_equal(state, np.concatenate([episode.pose, episode.wrench], axis=1))
        action = np.array([one["action"] for one in some], np.float32)
        np.testing.assert_array_equal(action[:-1], episode.action)
        assert not action[-1].any()
        np.testing.assert_array_equal(np.float32([one["next.reward"] for one in some[:-1]]), episode.reward)
        assert [one["next.done"] for one in some] == [False] * (len(some) - 2) + [True, True]
        assert [one["next.success"] for one in some][-1] == episode.terminated
        for view in range(2):
            data = np.frombuffer(some[1][f"observation.images.view_{view}"]["bytes"], np.uint8)
            image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
            assert image is not None
            np.testing.assert_array_equal(image, episode.images[1, view])


def test_the_metadata_agree_with_the_frames(store: EpisodeStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_lerobot(store, store.rows(), out, task="Insert the {variant} plug in {cell}")
    info = json.loads((out / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"], info["total_tasks"]) == ("v3.0", 10, 18, 2)
    assert info["splits"] == {"train": "0:4"}
    features = info["features"]
    assert set(rows_of(out)[0]) == set(features)
    assert features["observation.state"]["shape"] == [12] == [len(features["observation.state"]["names"])]
    assert features["observation.images.view_1"]["shape"] == [16, 16, 3]
    episodes = pq.read_table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    assert [one["length"] for one in episodes] == [3, 4, 5, 6]
    assert [one["dataset_from_index"] for one in episodes] == [0, 3, 7, 12]
    assert [one["dataset_to_index"] for one in episodes] == [3, 7, 12, 18]
    assert episodes[3]["tasks"] == ["Insert the usb_a plug in sim"]
    tasks = pq.read_table(out / "meta" / "tasks.parquet")
    assert tasks.to_pydict() == {
        "task_index": [0, 1],
        "task": ["Insert the hdmi plug in sim", "Insert the usb_a plug in sim"],
    }
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]
    assert "rotation vector" in (out / "README.md").read_text()
    # A row group each, so that one episode can be read alone.
    assert pq.ParquetFile(out / "data" / "chunk-000" / "file-000.parquet").num_row_groups == 4


def test_statistics_are_those_of_the_frames(store: EpisodeStore, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_lerobot(store, store.rows(), out)
    rows = rows_of(out)
    stats = json.loads((out / "meta" / "stats.json").read_text())
    action = np.array([row["action"] for row in rows])
    for name, value in (
        ("mean", action.mean(0)), ("std", action.std(0)), ("min", action.min(0)), ("max", action.max(0)),
        ("q90", np.quantile(action, 0.9, axis=0)),
    ):  # fmt: skip
        np.testing.assert_allclose(stats["action"][name], value, rtol=1e-6)
    assert stats["action"]["count"] == [18]
    # What is not known anywhere in a frame counts nowhere.
    assert np.isfinite(stats["seated_from_tcp"]["mean"]).all()
    assert stats["seated_from_tcp"]["count"] == [14]
    images = np.concatenate([store.read(row.id).images[:, 0] for row in store.rows()]) / 255.0
    view = stats["observation.images.view_0"]
    assert np.shape(view["mean"]) == (3, 1, 1)
    np.testing.assert_allclose(np.ravel(view["mean"]), images.mean((0, 1, 2)))
    np.testing.assert_allclose(np.ravel(view["std"]), images.std((0, 1, 2)), rtol=1e-9)
    np.testing.assert_allclose(np.ravel(view["q50"]), np.quantile(images, 0.5, axis=(0, 1, 2)), atol=0.5 / 255)


def test_statistics_of_what_is_nowhere_known_are_zero() -> None:
    statistics = Statistics()
    statistics.add({"score": np.full(3, np.nan, np.float32)}, {})
    assert statistics.of_all()["score"]["mean"] == [0.0]
    assert statistics.of_all()["score"]["count"] == [0]


def test_without_the_final_frame_every_action_was_taken(store: EpisodeStore, tmp_path: Path) -> None:
    write_lerobot(store, store.rows(), tmp_path / "out", final_frame=False)
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 14
    actions = np.concatenate([store.read(row.id).action for row in store.rows()])
    np.testing.assert_array_equal(np.float32([row["action"] for row in rows]), actions)


def test_an_episode_without_a_step_is_left_out(store: EpisodeStore, make_episode: Make, tmp_path: Path) -> None:
    short = store.append(make_episode(9, steps=0))
    written = write_lerobot(store, store.rows(), tmp_path / "out", final_frame=False)
    assert written.left_out == (short.id,)
    assert written.episodes == 4


def test_columns_that_are_nowhere_known_are_not_written(make_episode: Make, tmp_path: Path) -> None:
    episode = make_episode(1)
    episode.score[:], episode.seated_from_tcp[:] = np.nan, np.nan
    with EpisodeStore(tmp_path / "recorded") as store:
        store.append(episode)
        write_lerobot(store, store.rows(), tmp_path / "out")
    assert not {"score", "seated_from_tcp"} & set(rows_of(tmp_path / "out")[0])


def test_files_grow_to_their_limit_and_no_further(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillcore.exchange.lerobot_form.DATA_BYTES", 12_000)
    monkeypatch.setattr("skillcore.exchange.lerobot_form.FILES_A_CHUNK", 2)
    write_lerobot(store, store.rows(), tmp_path / "out")
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out" / "data").rglob("*.p*"))
    assert found[:3] == [f"data/chunk-00{chunk}/file-00{file}.parquet" for chunk, file in ((0, 0), (0, 1), (1, 0))]
    table = pq.read_table(tmp_path / "out" / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    places = {(row["data/chunk_index"], row["data/file_index"]) for row in table.to_pylist()}
    assert len(places) == len(found)


# --- what cannot be ------------------------------------------------------------------------------------------------


def test_a_folder_that_is_there_is_left_alone(store: EpisodeStore, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    with pytest.raises(InputError, match="is there already"):
        write_lerobot(store, store.rows(), tmp_path / "out")
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_nothing_is_left_of_an_export_that_fails(store: EpisodeStore, tmp_path: Path) -> None:
    rows = store.rows()
    store.path(rows[-1].id).write_bytes(b"changed behind our back")
    with pytest.raises(Exception, match="is not what was saved"):
        write_lerobot(store, rows, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["recorded"]


def test_nothing_is_left_when_the_disk_fails_half_way(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skillcore.exchange.lerobot_files.pq.write_table", fails)
    with pytest.raises(Exception, match="the disk is full"):
        write_lerobot(store, store.rows(), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["recorded"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"views": 1}, "images of one shape"),
        ({"side_px": 8}, "images of one shape"),
        ({"control_hz": 20.0}, "one rate"),
    ],
)
def test_episodes_that_do_not_fit_together_are_named(
    store: EpisodeStore, make_episode: Make, tmp_path: Path, other: dict[str, Any], reason: str
) -> None:
    odd = store.append(make_episode(9, **other))
    with pytest.raises(InputError, match=reason) as caught:
        write_lerobot(store, store.rows(), tmp_path / "out")
    assert odd.id in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_episode_is_an_error(store: EpisodeStore, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no episode was chosen"):
        write_lerobot(store, [], tmp_path / "out")


# --- videos --------------------------------------------------------------------------------------------------------


def test_a_video_holds_each_frame_at_its_time(make_episode: Make, tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with EpisodeStore(tmp_path / "recorded") as store:
        for seed in range(2):
            episode = make_episode(seed, steps=4, side_px=32)
            # Smooth pictures, which compression keeps.
            episode.images[:] = (40 * np.arange(5) + 50 * seed)[:, None, None, None, None].astype(np.uint8)
            store.append(episode)
        write_lerobot(store, store.rows(), tmp_path / "out", pictures="video")
    out = tmp_path / "out"
    assert "observation.images.view_0" not in rows_of(out)[0]
    feature = json.loads((out / "meta" / "info.json").read_text())["features"]["observation.images.view_0"]
    assert (feature["dtype"], feature["info"]["video.fps"]) == ("video", 10.0)
    episodes = pq.read_table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    key = "videos/observation.images.view_1"
    assert [(one[f"{key}/from_timestamp"], one[f"{key}/to_timestamp"]) for one in episodes] == [(0.0, 0.5), (0.5, 1.0)]
    data = (out / "videos" / "observation.images.view_1" / "chunk-000" / "file-000.mp4").read_bytes()
    with av.open(io.BytesIO(data), "r", format="mp4") as container:
        frames = [(float(frame.time), frame.to_ndarray(format="rgb24").mean()) for frame in container.decode(video=0)]
    np.testing.assert_allclose([time for time, _ in frames], np.arange(10) / 10, atol=1e-6)
    expected = [40 * frame + 50 * seed for seed in range(2) for frame in range(5)]
    np.testing.assert_allclose([level for _, level in frames], expected, atol=4)


def test_videos_grow_to_their_limit_and_no_further(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    av = pytest.importorskip("av")
    monkeypatch.setattr("skillcore.exchange.lerobot_form.VIDEO_BYTES", 1)
    out = tmp_path / "out"
    write_lerobot(store, store.rows(), out, pictures="video")
    episodes = pq.read_table(out / "meta" / "episodes" / "chunk-000" / "file-000.parquet").to_pylist()
    key = "videos/observation.images.view_0"
    frames: dict[int, int] = {}
    for episode in episodes:
        assert episode[f"{key}/from_timestamp"] == pytest.approx(frames.get(episode[f"{key}/file_index"], 0) / 10)
        frames[episode[f"{key}/file_index"]] = round(10 * episode[f"{key}/to_timestamp"])
    assert len(frames) > 1
    for file, count in frames.items():
        path = out / "videos" / "observation.images.view_0" / "chunk-000" / f"file-{file:03d}.mp4"
        with av.open(io.BytesIO(path.read_bytes()), "r", format="mp4") as container:
            assert len(list(container.decode(video=0))) == count


def test_a_video_needs_even_sides(make_episode: Make, tmp_path: Path) -> None:
    pytest.importorskip("av")
    with EpisodeStore(tmp_path / "recorded") as store:
        store.append(make_episode(1, side_px=15))
        with pytest.raises(InputError, match="even sides"):
            write_lerobot(store, store.rows(), tmp_path / "out", pictures="video")


@pytest.mark.parametrize("name", ["add_stream", "close"])
def test_an_encoder_that_fails_is_told(
    store: EpisodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    av = pytest.importorskip("av")
    opens = av.open

    class Fails:
        def __init__(self, *given: Any, **more: Any) -> None:
            self._container = opens(*given, **more)

        def __getattr__(self, what: str) -> Any:
            if what == name:
                raise av.error.InvalidDataError(1, "it is broken")
            return getattr(self._container, what)

    monkeypatch.setattr(av, "open", Fails)
    with pytest.raises(InputError, match="the video encoder failed"):
        write_lerobot(store, store.rows(), tmp_path / "out", pictures="video")
    assert [path.name for path in tmp_path.iterdir()] == ["recorded"]
