"""Episodes of ours, and datasets as other tools write them, small and made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from skillcore.episodes import EpisodeStore
from skillcore.types import Episode, EpisodeInfo

MakeEpisode = Callable[..., Episode]
MakeDataset = Callable[..., Path]
FRAMES = 6
SIDE_PX = 16


def _make_episode(seed: int = 0, *, steps: int = 3, views: int = 2, side_px: int = SIDE_PX, **info: Any) -> Episode:
    """A well formed episode of random content; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    frames = steps + 1

    def floats(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return rng.uniform(-1.0, 1.0, shape).astype(np.float32)

    seated = floats(frames, 6)
    seated[0] = np.nan
    fields = {"skill": "insertion", "variant": "hdmi", "cell": "sim", "source": "collect", "outcome": "timeout"}
    return Episode(
        info=EpisodeInfo(**(fields | {"seed": seed} | info)),
        images=rng.integers(0, 256, (frames, views, side_px, side_px, 3), np.uint8),
        pose=floats(frames, 6),
        wrench=floats(frames, 6),
        action=floats(steps, 4),
        executed=floats(steps, 4),
        reward=floats(steps),
        score=np.where(rng.random(frames) < 0.5, np.nan, rng.random(frames)).astype(np.float32),
        success=rng.integers(-1, 2, frames).astype(np.int8),
        truth=rng.integers(-1, 2, frames).astype(np.int8),
        seated_from_tcp=seated,
    )


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path_factory.getbasetemp() / "home"))


@pytest.fixture(scope="session")
def make_episode() -> MakeEpisode:
    return _make_episode


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    """A store of four episodes of two variants, of 2 to 5 steps."""
    store = EpisodeStore(tmp_path / "recorded")
    for seed in range(4):
        outcome = "success" if seed % 2 else "timeout"
        store.append(_make_episode(seed, steps=2 + seed, variant=("hdmi", "usb_a")[seed // 2], outcome=outcome))
    return store


# --- LeRobot datasets as LeRobot writes them ------------------------------------------------------------------------


def picture(episode: int, frame: int, height_px: int = SIDE_PX, width_px: int = SIDE_PX) -> np.ndarray[Any, Any]:
    """An image that says which it is."""
    image = np.zeros((height_px, width_px, 3), np.uint8)
    image[..., 0], image[..., 1], image[: height_px // 2, :, 2] = 20 * episode, 10 * frame, 200
    return image


def png(image: np.ndarray[Any, Any]) -> bytes:
    coded, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert coded
    return bytes(data)


def columns_of(episode: int, frames: int = FRAMES) -> dict[str, Any]:
    """What an episode holds, as lists: a state of 7 numbers (position, quaternion xyzw), an action of 4."""
    state = [[0.4 + 0.001 * frame, 0.1, 0.2, 1.0, 0.0, 0.0, 0.0] for frame in range(frames)]
    return {
        "observation.image": [{"bytes": png(picture(episode, frame)), "path": None} for frame in range(frames)],
        "observation.state": state,
        "action": [[0.1 * frame, -0.5, 0.25, 0.0] for frame in range(frames)],
        "next.reward": [0.0] * (frames - 1) + [1.0],
        "next.success": [False] * (frames - 1) + [episode % 2 == 0],
        "timestamp": [frame / 10 for frame in range(frames)],
        "frame_index": list(range(frames)),
        "episode_index": [episode] * frames,
        "index": [episode * frames + frame for frame in range(frames)],
        "task_index": [0] * frames,
    }


SCHEMA = pa.schema(
    [
        ("observation.image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("observation.state", pa.list_(pa.float32())),
        ("action", pa.list_(pa.float32())),
        ("next.reward", pa.float32()),
        ("next.success", pa.bool_()),
        ("timestamp", pa.float32()),
        *((name, pa.int64()) for name in ("frame_index", "episode_index", "index", "task_index")),
    ]
)
FEATURES: dict[str, dict[str, Any]] = {
    "observation.image": {"dtype": "image", "shape": [SIDE_PX, SIDE_PX, 3], "names": ["height", "width", "channel"]},
    "observation.state": {"dtype": "float32", "shape": [7], "names": {"motors": list("abcdefg")}},
    "action": {"dtype": "float32", "shape": [4], "names": None},
    "next.reward": {"dtype": "float32", "shape": [1], "names": None},
    "next.success": {"dtype": "bool", "shape": [1], "names": None},
    "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    "frame_index": {"dtype": "int64", "shape": [1], "names": None},
    "episode_index": {"dtype": "int64", "shape": [1], "names": None},
    "index": {"dtype": "int64", "shape": [1], "names": None},
    "task_index": {"dtype": "int64", "shape": [1], "names": None},
}


def _make_lerobot(
    folder: Path,
    *,
    version: str = "v2.1",
    episodes: int = 3,
    change: Callable[[int, dict[str, Any]], None] = lambda episode, columns: None,
    info: dict[str, Any] | None = None,
) -> Path:
    """A dataset of one camera. change: what becomes of an episode's columns before they are written."""
    older = version == "v2.1"
    (folder / "meta").mkdir(parents=True)
    tables = []
    for episode in range(episodes):
        columns = columns_of(episode)
        change(episode, columns)
        tables.append(pa.table(columns, schema=SCHEMA))
    about = {
        "codebase_version": version,
        "robot_type": "so100",
        "total_episodes": episodes,
        "fps": 10,
        "chunks_size": 1000,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
        if older
        else "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": None,
        "features": FEATURES,
    }
    (folder / "meta" / "info.json").write_text(json.dumps(about | (info or {})))
    (folder / "data" / "chunk-000").mkdir(parents=True)
    rows = [{"episode_index": episode, "tasks": ["put it in"], "length": FRAMES} for episode in range(episodes)]
    if older:
        (folder / "meta" / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (folder / "meta" / "tasks.jsonl").write_text(json.dumps({"task_index": 0, "task": "put it in"}) + "\n")
        for episode, table in enumerate(tables):
            pq.write_table(table, folder / "data" / "chunk-000" / f"episode_{episode:06d}.parquet")
        return folder
    place = {"data/chunk_index": 0, "data/file_index": 0, "meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0}
    rows = [
        row | place | {"dataset_from_index": FRAMES * number, "dataset_to_index": FRAMES * (number + 1)}
        for number, row in enumerate(rows)
    ]
    (folder / "meta" / "episodes" / "chunk-000").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
    pq.write_table(pa.concat_tables(tables), folder / "data" / "chunk-000" / "file-000.parquet", row_group_size=4)
    return folder


@pytest.fixture(scope="session")
def make_lerobot() -> MakeDataset:
    return _make_lerobot


MAPPING = """\
schema: 1
cell: lab
variant: usb_a
images: {views: [observation.image], fit: keep}
pose:
  position: {field: observation.state, columns: [0, 1, 2]}
  rotation: {field: observation.state, columns: [3, 4, 5, 6], form: quaternion_xyzw}
action: {field: action}
reward: {field: next.reward}
success: {field: next.success}
"""


@pytest.fixture
def mapping_file(tmp_path: Path) -> Path:
    path = tmp_path / "mapping.yaml"
    path.write_text(MAPPING)
    return path


# --- robomimic ------------------------------------------------------------------------------------------------------


def _make_robomimic(path: Path, *, demos: int = 3, change: Callable[[Any], None] = lambda file: None) -> Path:
    """Demonstrations of one camera, as robomimic writes them. change: what becomes of the open file in the end."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = json.dumps({"env_name": "Square", "env_kwargs": {"control_freq": 20}})
        for number in range(demos):
            demo = data.create_group(f"demo_{number}")
            demo.attrs["num_samples"] = FRAMES
            demo["actions"] = np.tile(np.array([0.5, 0.25, -0.5, 0.0, 0.0, 0.1, -1.0]), (FRAMES, 1))
            demo["rewards"] = np.array([0.0] * (FRAMES - 1) + [1.0])
            demo["dones"] = np.array([0] * (FRAMES - 1) + [1])
            for group, shift in (("obs", 0), ("next_obs", 1)):
                frames = [frame + shift for frame in range(FRAMES)]
                demo[f"{group}/robot0_eef_pos"] = np.array([[0.01 * frame, 0.0, 1.0] for frame in frames])
                demo[f"{group}/robot0_eef_quat"] = np.tile([1.0, 0.0, 0.0, 0.0], (FRAMES, 1))
                images = np.stack([picture(number, frame) for frame in frames])
                demo.create_dataset(f"{group}/agentview_image", data=images, compression="gzip", chunks=True)
        change(file)
    return path


@pytest.fixture(scope="session")
def make_robomimic() -> MakeDataset:
    return _make_robomimic


ROBOMIMIC_MAPPING = """\
schema: 1
variant: square
images: {views: [obs/agentview_image], size_px: 8}
pose:
  position: {field: obs/robot0_eef_pos}
  rotation: {field: obs/robot0_eef_quat, form: quaternion_xyzw}
action: {field: actions, columns: [0, 1, 2, 5], frame: base}
reward: {field: rewards}
success: {field: dones}
last_frame: next_obs
"""


@pytest.fixture
def robomimic_mapping(tmp_path: Path) -> Path:
    path = tmp_path / "robomimic.yaml"
    path.write_text(ROBOMIMIC_MAPPING)
    return path
