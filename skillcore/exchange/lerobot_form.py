"""The form of a LeRobot dataset, as far as writing and reading share it.

Version 3.0, which the lerobot package reads from 0.4 on:

    meta/info.json                               version, rate, features, and patterns of the paths below
    meta/stats.json                              statistics of each feature over all frames
    meta/tasks.parquet                           the text of each task
    meta/episodes/chunk-000/file-000.parquet     a row for each episode: its tasks, its frames, where they lie
    data/chunk-000/file-000.parquet              a row for each frame, many episodes in a file
    videos/KEY/chunk-000/file-000.mp4            frames of a camera, many episodes in a file

Version 2.1 has a file for each episode instead, and JSON lines for tasks and episodes.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from skillcore.episodes.labels import Correction
from skillcore.types import ACTION_NAMES

VERSION: Final = "v3.0"
OLDER_VERSION: Final = "v2.1"

INFO = "meta/info.json"
STATS = "meta/stats.json"
TASKS = "meta/tasks.parquet"
EPISODES = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEOS = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
OLDER_EPISODES = "meta/episodes.jsonl"
FILES_A_CHUNK = 1000

OURS = "meta/skillcore.json"
"""Beside what LeRobot knows: all that an episode holds besides its frames, so that nothing is lost on the way back."""
OURS_FORMAT = 1


class Corrected(BaseModel):
    """What was recorded of an episode whose label people corrected, and what they said, the newest last. success: of
    each frame, the last one too. reward: of each step."""

    model_config = ConfigDict(extra="forbid", strict=True)

    success: list[int]
    reward: list[float]
    corrections: Annotated[list[Correction], Field(min_length=1)]


VIEW = "observation.images.view_{view}"
STATE = "observation.state"
ACTION = "action"
REWARD, DONE, SUCCEEDED = "next.reward", "next.done", "next.success"
EXECUTED, SUCCESS, TRUTH, SCORE, SEATED = "executed", "success", "truth", "score", "seated_from_tcp"
TIMESTAMP, FRAME_INDEX, EPISODE_INDEX, INDEX, TASK_INDEX = (
    "timestamp", "frame_index", "episode_index", "index", "task_index",
)  # fmt: skip

STATE_NAMES = (
    "x_m", "y_m", "z_m", "turn_x_rad", "turn_y_rad", "turn_z_rad",
    "force_x_n", "force_y_n", "force_z_n", "torque_x_nm", "torque_y_nm", "torque_z_nm",
)  # fmt: skip
SEATED_NAMES = STATE_NAMES[:6]

NUMBERS: dict[str, tuple[str, tuple[str, ...]]] = {
    STATE: ("float32", STATE_NAMES),
    ACTION: ("float32", ACTION_NAMES),
    REWARD: ("float32", ()),
    DONE: ("bool", ()),
    SUCCEEDED: ("bool", ()),
    EXECUTED: ("float32", ACTION_NAMES),
    SUCCESS: ("int8", ()),
    TRUTH: ("int8", ()),
    SCORE: ("float32", ()),
    SEATED: ("float32", SEATED_NAMES),
    TIMESTAMP: ("float32", ()),
    FRAME_INDEX: ("int64", ()),
    EPISODE_INDEX: ("int64", ()),
    INDEX: ("int64", ()),
    TASK_INDEX: ("int64", ()),
}
"""All columns that are written besides images: type, and what each number of a row is; nothing for a single one."""

DATA_BYTES = 100 * 2**20
VIDEO_BYTES = 200 * 2**20
"""A file that has grown so large is followed by another, as in datasets that LeRobot writes itself."""
