"""The form of an episode's file: one Parquet file, one row for each observation.

Columns of an episode of `steps` steps, `steps + 1` rows:

    step              int32           0 ... steps
    view_0, view_1 .. binary          PNG, lossless, of each view
    pose, wrench      6 x float32
    action, executed  4 x float32     null in the last row, after which nothing was done
    reward            float32         null in the last row
    score             float32         NaN where no reward model was asked
    success, truth    int8            1, 0, or -1 where it is not known
    seated_from_tcp   6 x float32     NaN where it is not known

The file's metadata holds, under `skillcore.episode`, a JSON object with the version of this form, the sizes, and
the `EpisodeInfo`. What is read is checked as if it came from a stranger.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from skillcore.episodes.checks import (
    MAX_BYTES,
    MAX_FRAMES,
    MAX_SIDE_PX,
    MAX_VIEWS,
    OF_STEPS,
    WIDTHS,
    faults_of,
    info_from_json,
    info_to_json,
)
from skillcore.episodes.images import decode_png, encode_png
from skillcore.errors import EpisodeError
from skillcore.storage import in_bytes, storage_error
from skillcore.types import Episode, Image

FORMAT = 1
"""Version of the file's form. A reader refuses files of a later one."""

_METADATA_KEY = b"skillcore.episode"
_ROWS_AT_ONCE = 32


# --- writing ------------------------------------------------------------------------------------------------


def encode(episode: Episode) -> bytes:
    """The content of an episode's file. Raises EpisodeError with all reasons if it is not well formed."""
    faults = faults_of(episode)
    if faults:
        raise EpisodeError("an episode cannot be saved: " + "; ".join(faults), cure="correct what recorded it")
    _, views, height_px, width_px, _ = episode.images.shape
    header = {
        "format": FORMAT,
        "steps": episode.steps,
        "views": views,
        "height_px": height_px,
        "width_px": width_px,
        "info": info_to_json(episode.info),
    }
    columns = [pa.array(np.arange(episode.steps + 1, dtype=np.int32))]
    columns += [
        pa.array([encode_png(image) for image in episode.images[:, view]], pa.binary()) for view in range(views)
    ]
    for name in _column_names():
        values = getattr(episode, name)
        columns.append(_column(values, last_row_null=name in OF_STEPS))
    table = pa.Table.from_arrays(columns, schema=_schema(views))
    table = table.replace_schema_metadata({_METADATA_KEY: json.dumps(header, sort_keys=True)})
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=table.num_rows,
        compression="none",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    return cast(bytes, sink.getvalue().to_pybytes())


def _column_names() -> tuple[str, ...]:
    return ("pose", "wrench", "action", "executed", "reward", "score", "success", "truth", "seated_from_tcp")


def _schema(views: int) -> pa.Schema:
    def kind(name: str) -> pa.DataType:
        if name in WIDTHS:
            return pa.list_(pa.field("element", pa.float32(), nullable=False), WIDTHS[name])
        return pa.int8() if name in ("success", "truth") else pa.float32()

    fields = [pa.field("step", pa.int32(), nullable=False)]
    fields += [pa.field(f"view_{view}", pa.binary(), nullable=False) for view in range(views)]
    fields += [pa.field(name, kind(name), nullable=name in OF_STEPS) for name in _column_names()]
    return pa.schema(fields)


def _column(values: np.ndarray[Any, Any], *, last_row_null: bool) -> pa.Array:
    if last_row_null:
        values = np.concatenate([values, np.zeros((1, *values.shape[1:]), values.dtype)])
    mask = np.arange(len(values)) >= len(values) - int(last_row_null)
    flat = np.ascontiguousarray(values).reshape(-1)
    if values.ndim == 1:
        return pa.array(flat, mask=mask if last_row_null else None)
    element = pa.list_(pa.field("element", pa.float32(), nullable=False), values.shape[1])
    return pa.FixedSizeListArray.from_arrays(
        pa.array(flat), type=element, mask=pa.array(mask) if last_row_null else None
    )


# --- reading ------------------------------------------------------------------------------------------------


def decode(source: bytes | Path, *, name: str = "", images: bool = True) -> Episode:
    """The episode in a file, given by its path or its content. `name` names the content in messages.

    images: without them, which take most of the time, `Episode.images` has no views: (steps + 1, 0, H, W, 3).
    Raises EpisodeError that names the file and says what is wrong with it, StorageError if the disk fails.
    """
    if isinstance(source, Path):
        name = name or str(source)
        data = read_bytes(source)
    else:
        name = name or "an episode"
        data = source
    try:
        return _decode(data, with_images=images)
    except EpisodeError as error:
        raise EpisodeError(f"{name}: {error.what}", cure=error.cure) from error
    # Arrow answers a damaged file with any of these, depending on where the damage lies.
    except (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise EpisodeError(f"{name}: the file is damaged: {_first_line(error)}") from error


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises EpisodeError if it is missing or too large, StorageError if the disk fails."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise EpisodeError(f"{path}: there is no such episode file") from error
    except OSError as error:
        raise storage_error("read", path, error) from error
    if len(data) > MAX_BYTES:
        raise EpisodeError(f"{path}: larger than an episode can be (4 GiB)")
    return data


def is_newer(data: bytes) -> bool:
    """Whether a file's content is an episode in a form later than this program knows."""
    try:
        return int(_header(_open(data))["format"]) > FORMAT
    except (
        EpisodeError,
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        OverflowError,
        MemoryError,
    ):
        return False


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _open(data: bytes) -> pq.ParquetFile:
    if data[:4] != b"PAR1":
        raise EpisodeError("not a Parquet file")
    if data[-4:] != b"PAR1" or len(data) < 12:
        raise EpisodeError("the file is cut off")
    return pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)


def _header(file: pq.ParquetFile) -> dict[str, Any]:
    text = (file.metadata.metadata or {}).get(_METADATA_KEY)
    if text is None:
        raise EpisodeError("a Parquet file, but not an episode: it lacks the metadata `skillcore.episode`")
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EpisodeError(f"its metadata are not JSON: {_first_line(error)}") from error
    if not isinstance(header, dict) or type(header.get("format")) is not int:
        raise EpisodeError("its metadata name no version")
    return header


def _decode(data: bytes, *, with_images: bool) -> Episode:
    file = _open(data)
    header = _header(file)
    if header["format"] != FORMAT:
        raise EpisodeError(
            f"written in version {header['format']} of the form, while this program reads version {FORMAT}",
            cure="update skillcore: pip install --upgrade skillcore" if header["format"] > FORMAT else "",
        )
    sizes = ("steps", "views", "height_px", "width_px")
    for size in sizes:
        if type(header.get(size)) is not int or header[size] < (size != "steps"):
            raise EpisodeError(f"its metadata give no valid {size}")
    steps, views, height_px, width_px = (int(header[size]) for size in sizes)
    if steps >= MAX_FRAMES or views > MAX_VIEWS or max(height_px, width_px) > MAX_SIDE_PX:
        raise EpisodeError(f"it declares {steps} steps and {views} views of {width_px}x{height_px}: too large")
    if (steps + 1) * views * height_px * width_px * 3 > MAX_BYTES:
        raise EpisodeError("its images would take more than 4 GiB")
    info = info_from_json(header.get("info"))
    unpacked = 2 * (steps + 1) * views * height_px * width_px * 3 + 2**20
    _check_layout(file, rows=steps + 1, schema=_schema(views), unpacked=unpacked)
    images = np.empty((steps + 1, views if with_images else 0, height_px, width_px, 3), np.uint8)
    table = _read_rows(file, images)
    if not np.array_equal(table["step"].to_numpy(), np.arange(steps + 1)):
        raise EpisodeError("its rows are not numbered 0, 1, 2 ...")
    columns: dict[str, Any] = {name: _values(table, name, steps) for name in _column_names()}
    episode = Episode(info, images, **columns)
    faults = faults_of(episode, without_images=not with_images)
    if faults:
        raise EpisodeError("; ".join(faults))
    return episode


def _check_layout(file: pq.ParquetFile, *, rows: int, schema: pa.Schema, unpacked: int) -> None:
    """Checks columns, types, rows and the unpacked size in bytes before anything is unpacked.

    Arrow's account of a single column stays unread: it ends the process if that part of a file is damaged.
    """
    found = file.schema_arrow
    missing = [name for name in schema.names if name not in found.names]
    extra = [name for name in found.names if name not in schema.names]
    if missing or extra:
        parts = [f"column {name} is missing" for name in missing] + [f"column {name} is unknown" for name in extra]
        raise EpisodeError("; ".join(parts))
    for field in schema:
        if found.field(field.name).type != field.type:
            raise EpisodeError(f"column {field.name} is of type {found.field(field.name).type}, not {field.type}")
    if not found.equals(schema, check_metadata=False):
        raise EpisodeError("its columns stand in another order, or allow missing values")
    if file.metadata.num_rows != rows or file.num_row_groups != 1:
        raise EpisodeError(f"it has {file.metadata.num_rows} rows, where {rows} were declared")
    if file.metadata.row_group(0).total_byte_size > unpacked:
        raise EpisodeError(f"it would unpack to more than {in_bytes(unpacked)}")


def _read_rows(file: pq.ParquetFile, images: Image) -> pa.Table:
    """Decodes the images into (rows, views, H, W, 3), as many views as it has room for; returns the other columns."""
    views = [f"view_{view}" for view in range(images.shape[1])]
    wanted = ["step", *views, *_column_names()]
    batches, row = [], 0
    # A few rows at a time: a column may name one large value again and again.
    for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=wanted, use_threads=False):
        batch.validate(full=True)
        for view, name in enumerate(views):
            for offset, value in enumerate(batch[name]):
                try:
                    images[row + offset, view] = decode_png(value.as_py(), *images.shape[2:4])
                except ValueError as error:
                    raise EpisodeError(f"column {name}, row {row + offset}: {error}") from error
        batches.append(batch.drop_columns(views))
        row += batch.num_rows
    return pa.Table.from_batches(batches).combine_chunks()


def _values(table: pa.Table, name: str, steps: int) -> np.ndarray[Any, Any]:
    """A column as a writable array: (steps,) or (steps + 1,), and the width of a list behind it."""
    column = table[name]
    array = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    rows = steps if name in OF_STEPS else steps + 1
    if name in OF_STEPS and array[steps].is_valid:
        raise EpisodeError(f"column {name} has a value in the last row, after which nothing was done")
    array = array.slice(0, rows)
    if array.null_count:
        raise EpisodeError(f"column {name} holds missing values")
    flat: Callable[[], pa.Array] = array.flatten if name in WIDTHS else lambda: array
    values = flat().to_numpy(zero_copy_only=False)
    return cast("np.ndarray[Any, Any]", values.reshape(rows, *([WIDTHS[name]] if name in WIDTHS else [])).copy())
