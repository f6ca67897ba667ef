"""Other tools' data become episodes: through the reading process, as the command does it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.errors import EpisodeError
from skillcore.exchange import bring_in as bringing
from skillcore.exchange.bring_in import bring_in
from skillcore.exchange.lerobot_write import write_lerobot
from skillcore.types import Episode

MakeDataset = Callable[..., Path]


def test_what_was_exported_comes_back_as_it_was(store: EpisodeStore, tmp_path: Path) -> None:
    write_lerobot(store, store.rows(), tmp_path / "out")
    summary = bring_in(tmp_path / "out", tmp_path / "back", None)
    assert (summary.kept, summary.episodes, summary.refused) == (4, 4, [])
    with EpisodeStore(tmp_path / "back", create=False) as back:
        # The same files, bit for bit.
        assert [row.sha256 for row in back.rows()] == [row.sha256 for row in store.rows()]
        assert back.verify() == []


@pytest.mark.parametrize("final_frame", [True, False])
def test_corrections_come_back_and_what_they_corrected(store: EpisodeStore, tmp_path: Path, final_frame: bool) -> None:
    first, second, *_ = (row.id for row in store.rows())
    store.relabel(first, True, who="ada", why="seen")
    store.relabel(first, False, who="bob")
    store.relabel(second, True, who="ada")
    written = store.read(second)
    write_lerobot(store, store.rows(), tmp_path / "out", final_frame=final_frame)
    rows = pq.read_table(tmp_path / "out" / "data" / "chunk-000" / "file-000.parquet").to_pylist()
    # Others get what holds now.
    assert [row["success"] for row in rows if row["episode_index"] == 1] == written.success.tolist()[: 3 + final_frame]
    bring_in(tmp_path / "out", tmp_path / "back", None)
    with EpisodeStore(tmp_path / "back", create=False) as back:
        assert list(back.corrections().values()) == list(store.corrections().values())
        for row, again in zip(store.rows(), back.rows(), strict=True):
            if final_frame:
                assert row == again
            if row.corrected >= 0:
                for as_recorded in (True, False):
                    before, after = (
                        of.read(one.id, as_recorded=as_recorded) for of, one in ((store, row), (back, again))
                    )
                    np.testing.assert_array_equal(after.success[: row.steps], before.success[: row.steps])
                    np.testing.assert_array_equal(after.reward, before.reward)
        assert back.verify() == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"success": [7] * 3}, "labels are other than 1, 0 and -1"),
        ({"success": [1]}, "success is int8 (1,), not int8 (3,)"),
        ({"reward": [1e300] * 2}, "the reward reaches 1e+300"),
        ({"reward": [float("nan")] * 2}, "reward holds values that are not finite"),
        ({"corrections": []}, "is damaged: List should have at least 1 item"),
    ],
)
def test_what_was_corrected_is_checked(store: EpisodeStore, tmp_path: Path, wrong: dict[str, Any], told: str) -> None:
    store.relabel(store.rows()[0].id, True, who="ada")
    write_lerobot(store, store.rows(), tmp_path / "out")
    path = tmp_path / "out" / "meta" / "skillcore.json"
    ours = json.loads(path.read_text())
    ours["corrected"]["0"] |= wrong
    path.write_text(json.dumps(ours))
    (refused,) = bring_in(tmp_path / "out", tmp_path / "back", None).refused
    assert refused.name == "episode 0"
    assert told in refused.what


def test_what_was_exported_as_video_comes_back_but_for_its_pixels(
    make_episode: Callable[..., Episode], tmp_path: Path
) -> None:
    pytest.importorskip("av")
    episodes = [make_episode(seed, steps=4, side_px=32) for seed in range(3)]
    for number, episode in enumerate(episodes):
        # Smooth pictures, which compression keeps.
        episode.images[:] = (40 * np.arange(5) + 20 * number)[:, None, None, None, None].astype(np.uint8)
    with EpisodeStore(tmp_path / "recorded") as store:
        store.append_many(episodes)
        write_lerobot(store, store.rows(), tmp_path / "out", pictures="video")
    assert bring_in(tmp_path / "out", tmp_path / "back", None).kept == 3
    with EpisodeStore(tmp_path / "back", create=False) as back:
        for row, episode in zip(back.rows(), episodes, strict=True):
            found = back.read(row.id)
            assert found.info == episode.info
            np.testing.assert_array_equal(found.pose, episode.pose)
            np.testing.assert_array_equal(found.seated_from_tcp, episode.seated_from_tcp)
            assert np.abs(found.images.astype(int) - episode.images).max() <= 6


def test_a_bad_episode_is_refused_and_the_others_are_kept(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(episode: int, columns: dict[str, Any]) -> None:
        if episode == 1:
            columns["observation.state"][3][2] = float("nan")

    data = make_lerobot(tmp_path / "data", version="v3.0", change=change)
    out = tmp_path / "out"
    assert main(["data", "import", str(data), "--out", str(out), "--mapping", str(mapping_file)]) == 2
    told = capsys.readouterr().out
    assert "imported: 2 of 3 episodes of LeRobot v3.0" in told
    assert "episode 1: observation.state holds NaN or infinity in frame 3" in told
    with EpisodeStore(out, create=False) as store:
        assert [row.trial for row in store.rows()] == [0, 2]
        assert store.verify() == []


def reader_that(does: str) -> tuple[str, ...]:
    """A reading process that does something else besides."""
    return ("-P", "-c", f"from skillcore.exchange import lerobot_read, reader\n{does}\nreader.main()")


FALLS = """
import os, signal
reads = lerobot_read.LeRobotSource.read
def read(self, number, wanted):
    if number == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return reads(self, number, wanted)
lerobot_read.LeRobotSource.read = read
"""


def test_a_fall_of_the_reading_process_costs_one_episode(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a hostile file may do to a library written in C.
    monkeypatch.setattr(bringing, "READER", reader_that(FALLS))
    summary = bring_in(make_lerobot(tmp_path / "data"), tmp_path / "out", mapping_file)
    assert [(one.name, one.what) for one in summary.refused] == [
        ("episode 1", "reading it ended the reading process (signal 11)")
    ]
    with EpisodeStore(tmp_path / "out", create=False) as store:
        assert [row.trial for row in store.rows()] == [0, 2]
        assert store.verify() == []


UNREADABLE = """
from skillcore.errors import StorageError
reads = lerobot_read.LeRobotSource.read
def read(self, number, wanted):
    if number == 1:
        raise StorageError("cannot read episode_000001.parquet: permission is denied", cure="change the permissions")
    return reads(self, number, wanted)
lerobot_read.LeRobotSource.read = read
"""


def test_a_file_that_cannot_be_read_costs_one_episode(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "READER", reader_that(UNREADABLE))
    summary = bring_in(make_lerobot(tmp_path / "data"), tmp_path / "out", mapping_file)
    assert summary.kept == 2
    assert [(one.name, one.what, one.cure) for one in summary.refused] == [
        ("episode 1", "cannot read episode_000001.parquet: permission is denied", "change the permissions")
    ]


ENDS_EARLY = """
import os
says = reader._say
def say(answers, **words):
    if "ended" in words:
        os._exit(7)
    says(answers, **words)
reader._say = say
"""


def test_a_fall_after_the_last_episode_costs_none(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "READER", reader_that(ENDS_EARLY))
    summary = bring_in(make_lerobot(tmp_path / "data"), tmp_path / "out", mapping_file)
    assert (summary.kept, summary.refused) == (3, [])


def test_an_export_is_restored_by_its_own_numbers(store: EpisodeStore, tmp_path: Path) -> None:
    write_lerobot(store, store.rows(), tmp_path / "out")
    path = tmp_path / "out" / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    entries = table.to_pylist()
    # The first is gone, and another says nonsense, so that places in the list are no numbers of episodes.
    entries = [entries[1] | {"episode_index": -4}, *entries[2:]]
    pq.write_table(pa.Table.from_pylist(entries, schema=table.schema), path)
    summary = bring_in(tmp_path / "out", tmp_path / "back", None)
    assert [one.name for one in summary.refused] == ["entry 0 of meta/episodes", "the rest"]
    with EpisodeStore(tmp_path / "back", create=False) as back:
        assert [row.sha256 for row in back.rows()] == [row.sha256 for row in store.rows()][2:]


def test_a_process_that_is_silent_is_given_up(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bringing, "READER", ("-P", "-c", "import time; time.sleep(600)"))
    monkeypatch.setattr(bringing, "SILENCE_S", 0.5)
    with pytest.raises(EpisodeError, match=r"no answer in 0\.5 s|no answer in 0 s"):
        bring_in(make_lerobot(tmp_path / "data"), tmp_path / "out", mapping_file)
    assert not (tmp_path / "out").exists()


def test_memory_is_limited(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_lerobot(tmp_path / "data")
    path = data / "data" / "chunk-000" / "episode_000000.parquet"
    table = pq.read_table(path)
    image = pa.array([{"bytes": bytes(40 * 2**20), "path": None}] * 6, table.schema.field(0).type)
    pq.write_table(table.set_column(0, table.schema.field(0), image), path, compression="zstd", use_dictionary=False)
    monkeypatch.setattr(bringing, "READER", reader_that("reader.MEMORY_BYTES = 128 * 2**20"))
    summary = bring_in(data, tmp_path / "out", mapping_file)
    assert [one.name for one in summary.refused] == ["episode 0"], summary.refused
    assert "memory" in summary.refused[0].what or "malloc" in summary.refused[0].what


def test_without_a_sound_episode_nothing_is_made(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(episode: int, columns: dict[str, Any]) -> None:
        columns["action"][0][0] = 7.0

    data = make_lerobot(tmp_path / "data", change=change)
    assert main(["data", "import", str(data), "--out", str(tmp_path / "out"), "--mapping", str(mapping_file)]) == 2
    assert "outside of [-1, 1]" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mapping.yaml"]


def test_robomimic_is_taken_in(
    make_robomimic: MakeDataset, robomimic_mapping: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_robomimic(tmp_path / "demos.hdf5")
    out = tmp_path / "out"
    assert main(["data", "import", str(data), "--out", str(out), "--mapping", str(robomimic_mapping)]) == 0
    assert "success:  3 of them" in capsys.readouterr().out
    with EpisodeStore(out, create=False) as store:
        episode = store.read(store.rows()[0].id)
    assert (episode.steps, episode.images.shape) == (6, (7, 1, 8, 8, 3))
    assert (episode.info.control_hz, episode.info.variant, episode.info.source) == (20.0, "square", "import")
    # Half a turn about x: what is down for the base is up for the tool, and turns about z go the other way.
    np.testing.assert_allclose(episode.action[0], [0.5, -0.25, 0.5, -0.1], atol=1e-6)
    # The last observation is that of next_obs.
    np.testing.assert_allclose(episode.pose[:, 0], 0.01 * np.arange(7), atol=1e-6)
    assert int(episode.images[-1, 0, 0, 0, 1]) == 60


def test_success_that_the_data_do_not_say_is_not_known(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping_file.write_text(mapping_file.read_text().replace("success: {field: next.success}\n", ""))
    data, out = make_lerobot(tmp_path / "data"), tmp_path / "out"
    assert main(["data", "import", str(data), "--out", str(out), "--mapping", str(mapping_file)]) == 0
    assert "success:  not known\n" in capsys.readouterr().out
    with EpisodeStore(out, create=False) as store:
        first = store.rows()[0].id
    assert main(["data", "stats", str(out)]) == 0
    told = capsys.readouterr().out
    assert "success      not known\n" in told
    assert "known by   nobody 3\n" in told
    assert main(["data", "relabel", str(out), "--episode", first, "--success", "yes", "--who", "ada"]) == 0
    assert "(it was not known, nobody says)" in capsys.readouterr().out
    assert main(["data", "stats", str(out)]) == 0
    assert "success      100% (1 of 1;" in capsys.readouterr().out
    assert main(["data", "show", str(out), "--episode", "1", "--png", str(tmp_path / "look.png")]) == 0
    assert "success: not known, nobody says" in capsys.readouterr().out


def test_a_draft_fits_the_data_it_was_made_for(
    make_robomimic: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_robomimic(tmp_path / "demos.hdf5")
    draft = tmp_path / "draft.yaml"
    assert main(["data", "import", str(data), "--draft", str(draft)]) == 0
    assert "obs/robot0_eef_pos: 3 numbers" in draft.read_text()
    assert main(["data", "import", str(data), "--out", str(tmp_path / "out"), "--mapping", str(draft)]) == 0
    assert main(["data", "import", str(data), "--draft", str(draft)]) == 2
    assert "is there already" in capsys.readouterr().err
    both = ["--mapping", str(draft), "--draft", str(tmp_path / "another.yaml")]
    assert main(["data", "import", str(data), *both]) == 2
    assert "--draft makes a mapping, and --mapping gives one" in capsys.readouterr().err
    assert not (tmp_path / "another.yaml").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("field: action}", "field: acton}"), "mapping.yaml:8: action.field: 'acton' is no field of the data\n"),
        (("field: action}", "field: acton}"), "did you mean action?"),
        (("[3, 4, 5, 6]", "[3, 4, 5, 7]"), "there is no column 7"),
        (("[0, 1, 2]", "[0, 1]"), "3 are needed"),
        (("[observation.image]", "[observation.state]"), "is no image"),
        (("reward: {", "rewards: {"), "did you mean reward?"),
        (("schema: 1\n", "control_hz: 12\n"), "mapping.yaml:1: control_hz: is 12 Hz, and the data say 10 Hz"),
    ],
)
def test_faults_of_a_mapping_say_line_field_and_what_is_near(
    make_lerobot: MakeDataset,
    mapping_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    expected: str,
) -> None:
    text = mapping_file.read_text()
    assert change[0] in text
    mapping_file.write_text(text.replace(*change))
    data = make_lerobot(tmp_path / "data")
    assert main(["data", "import", str(data), "--out", str(tmp_path / "out"), "--mapping", str(mapping_file)]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_exports_and_imports_remove_what_a_killed_one_left_and_wait_for_no_other(
    store: EpisodeStore, tmp_path: Path
) -> None:
    for name in (".out.1a2b3c4d.tmp", ".back.1a2b3c4d.tmp", ".out.v2.1a2b3c4d.tmp"):
        (tmp_path / name).mkdir()
    write_lerobot(store, store.rows(), tmp_path / "out")
    bring_in(tmp_path / "out", tmp_path / "back", None)
    found = sorted(path.name for path in tmp_path.iterdir())
    assert found == [".out.v2.1a2b3c4d.tmp", "back", "out", "recorded"]


@pytest.mark.parametrize(
    "command",
    [
        "import LONG --out out",
        "import recorded --out LONG",
        "import recorded --draft LONG",
        "export recorded --out LONG",
        "export LONG --out out",
        "list LONG",
        "merge recorded LONG --out out",
        "split recorded --by-connector --out LONG",
    ],
)
def test_a_name_that_no_disk_takes_is_told(
    store: EpisodeStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.folder == tmp_path / "recorded"
    main(["data", *command.replace("LONG", 300 * "x").split()])
    told = capsys.readouterr().err
    assert "File name too long" in told
    assert "Traceback" not in told
    assert "bug" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["recorded"]


def test_names_of_fields_do_not_steer_the_terminal(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_lerobot(tmp_path / "data")
    path = data / "meta" / "info.json"
    info = json.loads(path.read_text())
    for name in ("observation.image", "observation.state"):
        info["features"][f"{name}s\x1b]0;mine\x07"] = info["features"].pop(name)
    path.write_text(json.dumps(info))
    assert main(["data", "import", str(data), "--out", str(tmp_path / "out"), "--mapping", str(mapping_file)]) == 2
    told = capsys.readouterr().err
    assert "did you mean observation.images?]0;mine?" in told
    assert "did you mean observation.states?]0;mine?" in told
    assert "\x1b" not in told


def test_strange_data_need_a_mapping(
    make_lerobot: MakeDataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_lerobot(tmp_path / "data")
    assert main(["data", "import", str(data), "--out", str(tmp_path / "out")]) == 2
    assert "--draft mapping.yaml" in capsys.readouterr().err


def test_nothing_to_read_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in (tmp_path / "nowhere", tmp_path):
        assert main(["data", "import", str(source), "--out", str(tmp_path / "out")]) == 2
        assert str(source) in capsys.readouterr().err


def test_export_tells_what_to_type_next(
    store: EpisodeStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["data", "export", str(store.folder), "--out", str(out), "--variant", "usb_a", "--outcome", "success"]
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "exported: 1 episode, 6 frames, 1 task\n" in told
    assert f"LeRobotDataset(repo_id='out', root={str(out)!r})" in told
    assert json.loads((out / "meta" / "info.json").read_text())["total_episodes"] == 1
    assert main(arguments) == 2
    assert "is there already" in capsys.readouterr().err
    chosen = ["data", "export", str(store.folder), "--out", str(tmp_path / "x"), "--episode"]
    assert main([*chosen, store.rows()[0].id + "0"]) == 2
    assert store.rows()[0].id in capsys.readouterr().err
    assert main([*chosen, "2", "--episode", store.rows()[0].id[-6:]]) == 0
    assert "exported: 2 episodes" in capsys.readouterr().out


@pytest.mark.parametrize("codec", ["libx264", "libsvtav1"])
def test_an_older_dataset_with_a_video_an_episode_is_taken(
    make_lerobot: MakeDataset, mapping_file: Path, tmp_path: Path, codec: str
) -> None:
    # Most datasets of version 2.1 are like this: a file for each camera and episode, in AV1 or H.264.
    av = pytest.importorskip("av")
    if codec not in av.codecs_available:
        pytest.skip(f"this build of av has no {codec}")
    pattern = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    key, frames, side = "observation.image", 6, 64
    folder = make_lerobot(tmp_path / "data", info={"video_path": pattern})
    about = json.loads((folder / "meta" / "info.json").read_text())
    about["features"][key] |= {"dtype": "video", "shape": [side, side, 3]}
    (folder / "meta" / "info.json").write_text(json.dumps(about))
    shown = []
    for episode in range(3):
        data = folder / "data" / "chunk-000" / f"episode_{episode:06d}.parquet"
        table = pq.read_table(data)
        assert table.num_rows == frames
        pq.write_table(table.drop_columns([key]), data)
        images = np.zeros((frames, side, side, 3), np.uint8)
        images[..., 0], images[..., 1] = 80 * episode, 30 * np.arange(frames)[:, np.newaxis, np.newaxis]
        shown.append(images)
        video = folder / "videos" / "chunk-000" / key / f"episode_{episode:06d}.mp4"
        video.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(video), "w") as container:
            stream = container.add_stream(codec, rate=10)
            stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode())
    summary = bring_in(folder, tmp_path / "out", mapping_file)
    assert (summary.kept, summary.refused) == (3, [])
    with EpisodeStore(tmp_path / "out", create=False) as store:
        for row, images in zip(store.rows(), shown, strict=True):
            found = store.read(row.id).images[:frames, 0]
            # A video is not lossless; which frame of which episode it is can be told by far.
            assert np.abs(found.mean((1, 2)) - images.mean((1, 2))).max() < 6
