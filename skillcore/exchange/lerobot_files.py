"""The files of a LeRobot dataset that are written here: frames, episodes, tasks, and a card for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skillcore.episodes.images import encode_png
from skillcore.exchange import lerobot_form as form
from skillcore.storage import storage_faults, write_durably
from skillcore.types import Image

EPISODES_A_FILE = 2000

_PICTURE = pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())])
_TYPES = {"float32": pa.float32(), "int64": pa.int64(), "int8": pa.int8(), "bool": pa.bool_()}


def place_of(number: int) -> tuple[int, int]:
    """Chunk and file of a dataset's file, by its number."""
    return divmod(number, form.FILES_A_CHUNK)


class DataFiles:
    """The frames: each episode is a row group of its own, so that it can be read alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = -1
        self._size = 0
        self._writer: pq.ParquetWriter | None = None

    def write(self, numbers: Mapping[str, NDArray[Any]], images: Mapping[str, Image]) -> tuple[int, int]:
        """Writes an episode, and returns the chunk and the file that it is in. Raises StorageError."""
        table = _table(numbers, images)
        if self._writer is None or self._size + table.nbytes > form.DATA_BYTES:
            self.close()
            self._file, self._size = self._file + 1, 0
            path = self._path
            with storage_faults("write", path):
                path.parent.mkdir(parents=True, exist_ok=True)
                plain = [name for name in table.schema.names if name not in images]
                self._writer = pq.ParquetWriter(path, table.schema, compression="snappy", use_dictionary=plain)
        with storage_faults("write", self._path):
            self._writer.write_table(table)
        self._size += table.nbytes
        return place_of(self._file)

    @property
    def _path(self) -> Path:
        chunk, file = place_of(self._file)
        return self._folder / form.DATA.format(chunk_index=chunk, file_index=file)

    def close(self) -> None:
        """Ends the file that is open. May be called twice. Raises StorageError."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with storage_faults("write", self._path):
                writer.close()


def _table(numbers: Mapping[str, NDArray[Any]], images: Mapping[str, Image]) -> pa.Table:
    """numbers: by column (frames,) or (frames, width). images: by column (frames, H, W, 3)."""
    columns: dict[str, pa.Array] = {}
    known: dict[str, Any] = {}
    for name, frames in images.items():
        files = [{"bytes": encode_png(image), "path": f"frame-{number:06d}.png"} for number, image in enumerate(frames)]
        columns[name] = pa.array(files, _PICTURE)
        known[name] = {"_type": "Image"}
    for name, values in numbers.items():
        dtype = form.NUMBERS[name][0]
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), _TYPES[dtype])
        known[name] = {"dtype": dtype, "_type": "Value"}
        if values.ndim == 2:
            width = values.shape[1]
            flat = pa.FixedSizeListArray.from_arrays(flat, width)
            known[name] = {"feature": known[name], "length": width, "_type": "Sequence"}
        columns[name] = flat
    # How Hugging Face's own libraries know that these bytes are images.
    about = json.dumps({"info": {"features": known}})
    return pa.table(columns).replace_schema_metadata({"huggingface": about})


def write_tasks(folder: Path, tasks: Sequence[str]) -> None:
    """A row for each task. LeRobot reads it with pandas, and takes the texts for the table's index."""
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    columns = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64", "numpy_type": "int64"},
        {"name": "task", "field_name": "task", "pandas_type": "unicode", "numpy_type": "object"},
    ]
    about = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [column | {"metadata": None} for column in columns],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    _write(folder / form.TASKS, table.replace_schema_metadata({"pandas": json.dumps(about)}))


def write_episodes(folder: Path, entries: Sequence[dict[str, Any]]) -> None:
    """A row for each episode."""
    for number, start in enumerate(range(0, len(entries), EPISODES_A_FILE)):
        chunk, file = place_of(number)
        place = {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        rows = [entry | place for entry in entries[start : start + EPISODES_A_FILE]]
        _write(folder / form.EPISODES.format(chunk_index=chunk, file_index=file), pa.Table.from_pylist(rows))


def _write(path: Path, table: pa.Table) -> None:
    with storage_faults("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path, compression="snappy")


_MEANINGS = {
    form.STATE: "TCP pose seen from the TCP at the episode's start (m, rotation vector in rad), then force and torque "
    "on the tool in its own frame (N, Nm)",
    form.ACTION: "what the policy asked for, in [-1, 1]: displacement along the tool's axes, turn about its z axis",
    form.REWARD: "what the learner was told for the step",
    form.DONE: "whether the step was the last",
    form.SUCCEEDED: "whether the step reached the goal, as the reward model or the operator judged",
    form.EXECUTED: "what was really commanded after the guard, in units of action",
    form.SUCCESS: "label of this very frame: 1 success, 0 none, -1 not known",
    form.TRUTH: "what a simulation knows of this very frame: 1, 0 or -1; not to be learned from",
    form.SCORE: "the reward model's probability of success, NaN where none was asked",
    form.SEATED: "pose of the TCP at success seen from the TCP (m, rad), NaN where it is not known",
    form.TIMESTAMP: "s since the episode's start",
    form.FRAME_INDEX: "frame of the episode",
    form.EPISODE_INDEX: "episode",
    form.INDEX: "frame of the dataset",
    form.TASK_INDEX: "row of meta/tasks.parquet",
}


def write_card(folder: Path, info: Mapping[str, Any], *, final_frame: bool) -> None:
    """README.md: what the columns mean, with units. Raises StorageError."""
    lines = [
        "---", "tags: [LeRobot]", "task_categories: [robotics]",
        "configs: [{config_name: default, data_files: data/*/*.parquet}]", "---",
        "# Episodes from skillcore", "",
        f"{info['total_episodes']} episodes, {info['total_frames']} frames at {info['fps']} Hz, in the form of LeRobot "
        f"{info['codebase_version']}.", "",
    ]  # fmt: skip
    if final_frame:
        lines += ["An episode's last frame is the observation after its last step. Its action is 0: to stay.", ""]
    lines += ["| Column | Meaning |", "|---|---|"]
    for name in info["features"]:
        lines.append(f"| `{name}` | {_MEANINGS.get(name, 'one camera, RGB')} |")
    write_durably(folder / "README.md", ("\n".join(lines) + "\n").encode())
