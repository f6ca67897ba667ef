"""LeRobot datasets of strangers: what is not sound is refused with its reason, and the rest can still be read."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skillcore.errors import EpisodeError, SkillcoreError
from skillcore.exchange import parquet
from skillcore.exchange.lerobot_read import LeRobotSource
from skillcore.exchange.pictures import Fit, decode_picture
from skillcore.exchange.source import Wanted
from skillcore.exchange.strangers import StrangersFolder, expand

MakeDataset = Callable[..., Path]
WANTED = Wanted(frozenset({"observation.state", "action"}), ("observation.image",), Fit("keep"))
FIRST = "data/chunk-000/episode_000000.parquet"


def refusal(folder: Path, number: int = 0) -> str:
    """Why an episode is refused. The others must be read all the same."""
    source = LeRobotSource(folder)
    for other in range(len(source.names)):
        if other != number:
            assert len(source.read(other, WANTED).images) == 6
    with pytest.raises(EpisodeError) as caught:
        source.read(number, WANTED)
    return str(caught.value)


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_sound_dataset_is_read(make_lerobot: MakeDataset, tmp_path: Path, version: str) -> None:
    source = LeRobotSource(make_lerobot(tmp_path / "data", version=version))
    assert (source.form, source.rate_hz, len(source.names)) == (f"LeRobot {version}", 10.0, 3)
    for number in range(3):
        raw = source.read(number, WANTED)
        assert raw.task == "put it in"
        assert raw.numbers["observation.state"].shape == (6, 7)
        np.testing.assert_allclose(raw.numbers["action"][:, 0], 0.1 * np.arange(6), atol=1e-6)
        assert raw.images[:, 0, 0, 0].tolist() == [[20 * number, 10 * frame, 200] for frame in range(6)]


# --- one episode -----------------------------------------------------------------------------------------------------


def spoiled(make_lerobot: MakeDataset, folder: Path, change: Callable[[dict[str, Any]], None], version: str) -> Path:
    """A dataset whose first episode is changed."""
    return make_lerobot(
        folder, version=version, change=lambda episode, columns: change(columns) if episode == 0 else None
    )


def _set(column: str, row: int, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(columns: dict[str, Any]) -> None:
        columns[column][row] = value

    return change


def _drop(row: int) -> Callable[[dict[str, Any]], None]:
    def change(columns: dict[str, Any]) -> None:
        for values in columns.values():
            del values[row]

    return change


def _picture(data: bytes | None, path: str | None = None) -> Callable[[dict[str, Any]], None]:
    return _set("observation.image", 2, {"bytes": data, "path": path})


def _png_of(width: int, height: int) -> bytes:
    """A few bytes that declare an image of any size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def _jpeg(cut: int = 0) -> bytes:
    coded, data = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))
    assert coded
    return bytes(data)[: len(data) - cut]


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_set("observation.state", 4, [float("nan")] * 7), "observation.state holds NaN or infinity in frame 4"),
        (_set("action", 1, [0.0, float("inf"), 0.0, 0.0]), "action holds NaN or infinity in frame 1"),
        (_set("action", 1, [0.0] * 5), "action has not as many numbers in each frame"),
        (_set("action", 1, None), "missing values"),
        (_set("frame_index", 3, 4), "frames are missing or out of order: frame 3 has the number 4"),
        (_set("timestamp", 5, 3.0), "frames are missing: between frames 4 and 5 lie 2.6 s"),
        (_drop(3), "it declares 6 frames, and data/chunk-000"),
        (_picture(None, "/etc/passwd"), "an image lies in the file '/etc/passwd'"),
        (_picture(None), "an image is missing"),
        (_picture(b"GIF89a"), "observation.image, frame 2: the image is neither PNG nor JPEG"),
        (_picture(_png_of(65535, 65535)), "is of 65535x65535 pixels, where 16x16 were declared"),
        (_picture(_png_of(16, 16)), "cannot be decoded"),
        (_picture(_png_of(16, 16)[:-20]), "is a PNG that is cut off"),
        (_picture(_jpeg(cut=10)), "is a JPEG that is cut off"),
    ],
)
def test_a_spoiled_episode_is_refused(
    make_lerobot: MakeDataset, tmp_path: Path, version: str, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    assert reason in refusal(spoiled(make_lerobot, tmp_path / "data", change, version))


def test_a_jpeg_is_read(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    source = LeRobotSource(spoiled(make_lerobot, tmp_path / "data", _picture(_jpeg()), "v2.1"))
    assert not source.read(0, WANTED).images[2].any()


def test_a_linked_file_is_refused(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    folder = make_lerobot(tmp_path / "data")
    secret = tmp_path / "secret.parquet"
    (folder / FIRST).rename(secret)
    (folder / FIRST).symlink_to(secret)
    assert f"{FIRST} is a symbolic link" in refusal(folder)


def test_a_linked_folder_is_refused(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    folder = make_lerobot(tmp_path / "data")
    (folder / "data").rename(tmp_path / "elsewhere")
    (folder / "data").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EpisodeError, match="data is a symbolic link"):
        LeRobotSource(folder).read(0, WANTED)


def test_a_missing_damaged_or_odd_file_is_refused(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    folder = make_lerobot(tmp_path / "data")
    sound = (folder / FIRST).read_bytes()
    (folder / FIRST).unlink()
    assert "is missing" in refusal(folder)
    os.mkfifo(folder / FIRST)
    assert "is no regular file" in refusal(folder)
    (folder / FIRST).unlink()
    for data, reason in (
        (b"", "no Parquet file"),
        (sound[:-100], "no Parquet file"),
        (sound[:-8] + struct.pack("<I", 2**31) + b"PAR1", "claims a header of 2.1 GB"),
        (b"PAR1" + b"\xff" * 200 + struct.pack("<I", 150) + b"PAR1", "is damaged"),
    ):
        (folder / FIRST).write_bytes(data)
        assert reason in refusal(folder)


def test_a_small_file_that_unpacks_to_much_is_refused(
    make_lerobot: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "UNPACKED_LEAST", 2**20)
    monkeypatch.setattr(parquet, "UNPACKED_FACTOR", 2)
    folder = make_lerobot(tmp_path / "data")
    table = pq.read_table(folder / FIRST)
    bomb = pa.array([{"bytes": bytes(4 * 2**20), "path": None}] * 6, table.schema.field("observation.image").type)
    table = table.set_column(0, table.schema.field(0), bomb)
    pq.write_table(table, folder / FIRST, compression="zstd", use_dictionary=False)
    assert (folder / FIRST).stat().st_size < 100_000
    assert "claims to unpack to" in refusal(folder)


def test_another_episodes_file_is_refused(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    folder = make_lerobot(tmp_path / "data")
    (folder / FIRST).write_bytes((folder / FIRST.replace("000000", "000001")).read_bytes())
    assert "declares 6 frames, and data/chunk-000/episode_000000.parquet holds 0" in refusal(folder)


# --- what speaks of the whole ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("../../etc/passwd", "leads out of the dataset's folder"),
        ("/etc/passwd", "leads out of the dataset's folder"),
        ("data/{episode_index.__class__}", "braces that are not understood"),
        ("data/{episode_index!r}", "braces that are not understood"),
        ("data/{episode_index:0999999999d}", "braces that are not understood"),
        ("data/{secret}", "asks for 'secret'"),
        ("data/\0", "leads out"),
        ("x" * 2000, "longer than a path can be"),
        ("", "leads out"),
    ],
)
def test_paths_stay_inside(make_lerobot: MakeDataset, tmp_path: Path, pattern: str, reason: str) -> None:
    source = LeRobotSource(make_lerobot(tmp_path / "data", info={"data_path": pattern}))
    with pytest.raises(EpisodeError, match=reason):
        source.read(0, WANTED)


def test_a_video_key_that_climbs_out_is_refused(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    pytest.importorskip("av")
    key = "../../secret"
    folder = make_lerobot(tmp_path / "data", info={"video_path": "videos/{video_key}/{episode_index}.mp4"})
    path = folder / "meta" / "info.json"
    info = json.loads(path.read_text())
    info["features"][key] = {"dtype": "video", "shape": [16, 16, 3], "names": None}
    path.write_text(json.dumps(info))
    with pytest.raises(EpisodeError, match="leads out of the dataset's folder"):
        LeRobotSource(folder).read(0, Wanted(frozenset(), (key,), Fit("keep")))


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"codebase_version": "v2.0"}, "of LeRobot v2.0"),
        ({"codebase_version": ["v3.0"]}, "can be read"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": "10"}, "fps is 10"),
        ({"features": {}}, "features is missing"),
        ({"features": {"a": {"dtype": "image", "shape": [-1, 2, 3]}}}, "shape is -1"),
        ({"features": {"a": {"dtype": "float32", "shape": "huge"}}}, "shape is huge"),
        ({"chunks_size": 0}, "chunks_size is 0"),
        ({"data_path": None}, "data_path is missing"),
    ],
)
def test_an_unsound_whole_is_told(make_lerobot: MakeDataset, tmp_path: Path, info: dict[str, Any], reason: str) -> None:
    with pytest.raises(EpisodeError, match=reason):
        LeRobotSource(make_lerobot(tmp_path / "data", info=info))


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"a": NaN', "\xff\xfe"])
def test_metadata_that_are_no_json_are_told(make_lerobot: MakeDataset, tmp_path: Path, text: str) -> None:
    folder = make_lerobot(tmp_path / "data")
    (folder / "meta" / "info.json").write_text(text, encoding="latin-1")
    with pytest.raises(EpisodeError, match=r"meta/info\.json"):
        LeRobotSource(folder)


def test_entries_that_make_no_sense_are_refused_alone(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    folder = make_lerobot(tmp_path / "data")
    path = folder / "meta" / "episodes.jsonl"
    strange = [
        '{"episode_index": 1, "tasks": [], "length": 6}',  # a second time
        '{"episode_index": 7, "tasks": [], "length": 1e300}',
        '{"episode_index": -5, "length": 6}',
        "no json",
    ]
    path.write_text(path.read_text() + "\n".join(strange) + "\n")
    source = LeRobotSource(folder)
    sound = []
    for number, name in enumerate(source.names):
        try:
            source.read(number, WANTED)
        except EpisodeError:
            continue
        sound.append(name)
    assert sound == ["episode 0", "episode 2"]
    assert len(source.names) == 6


def test_episodes_that_are_nowhere_listed_are_told(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    source = LeRobotSource(make_lerobot(tmp_path / "data", version="v3.0", info={"total_episodes": 7}))
    assert source.names == ["episode 0", "episode 1", "episode 2", "the rest"]
    with pytest.raises(EpisodeError, match="speaks of 7 episodes, and meta/episodes lists 3"):
        source.read(3, WANTED)


def test_an_image_of_the_whole_memory_is_refused(make_lerobot: MakeDataset, tmp_path: Path) -> None:
    folder = make_lerobot(tmp_path / "data")
    path = folder / "meta" / "info.json"
    info = json.loads(path.read_text())
    info["features"]["observation.image"]["shape"] = [10**6, 10**6, 3]
    path.write_text(json.dumps(info))
    with pytest.raises(EpisodeError, match=r"outside 1 \.\.\. 4096 pixels"):
        LeRobotSource(folder).read(0, WANTED)


# --- whatever comes --------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_no_pattern_leads_out(tmp_path_factory: pytest.TempPathFactory, pattern: str) -> None:
    folder = StrangersFolder(tmp_path_factory.getbasetemp())
    try:
        path = folder.file(expand(pattern, {"episode_index": 0, "video_key": "a/b"}), limit=1)
    except SkillcoreError:
        return
    assert path.is_relative_to(folder.folder)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 3000), st.integers(0, 255), st.integers(0, 60))
def test_changed_bytes_of_a_picture_never_raise_anything_else(place: int, value: int, cut: int) -> None:
    coded, data = cv2.imencode(".png", np.random.default_rng(1).integers(0, 256, (16, 16, 3), np.uint8))
    assert coded
    changed = bytearray(bytes(data))
    changed[place % len(changed)] = value
    try:
        image = decode_picture(bytes(changed[: len(changed) - cut]), 16, 16)
    except ValueError:
        return
    assert image.shape == (16, 16, 3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_metadata_are_read_or_refused(make_lerobot: MakeDataset, tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / "data"
    if not folder.exists():
        make_lerobot(folder)
    path = folder / "meta" / "info.json"
    sound = json.loads((path.parent / "sound.json").read_text()) if (path.parent / "sound.json").exists() else None
    if sound is None:
        (path.parent / "sound.json").write_text(path.read_text())
        sound = json.loads(path.read_text())
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner))
    sound[data.draw(st.sampled_from(sorted(sound)))] = data.draw(values)
    path.write_text(json.dumps(sound))
    try:
        source = LeRobotSource(folder)
        kinds = {name: field.kind for name, field in source.fields.items()}
        if kinds.get("observation.image") == "image" and kinds.get("action") == kinds.get("observation.state"):
            source.read(0, WANTED)
    except SkillcoreError:
        pass
