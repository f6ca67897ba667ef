"""Parquet files of strangers: sizes are checked before anything is unpacked, and little is unpacked at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from skillcore.errors import EpisodeError
from skillcore.exchange.source import MAX_WIDTH
from skillcore.exchange.strangers import damaged, shown
from skillcore.storage import in_bytes, storage_error

MAX_FILE_BYTES = 16 * 2**30
MAX_ROWS = 20_000_000
MAX_FOOTER_BYTES = 64 * 2**20
MAX_COLUMNS = 2000
ROWS_AT_ONCE = 32
UNPACKED_FACTOR, UNPACKED_LEAST = 200, 2**28
"""A row group that claims to unpack to more than so many times the file's size, and more than 256 MB, is refused."""

_DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError, LookupError, OverflowError)


class StrangersParquet:
    """One file, open for reading. name: what it is called in messages.

    Raises EpisodeError for what is damaged or too large, StorageError if the disk fails. Use it in a `with` block.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.name = shown(name)
        try:
            self._stream = path.open("rb")
        except OSError as error:
            raise storage_error("read", path, error) from error
        try:
            self._size = self._check_ends()
            self._file = pq.ParquetFile(
                self._stream, thrift_string_size_limit=MAX_FOOTER_BYTES, thrift_container_size_limit=1_000_000
            )
            self._check_claims()
        except EpisodeError:
            self._stream.close()
            raise
        except (*_DAMAGE, MemoryError) as error:
            self._stream.close()
            raise damaged(self.name, error) from error

    def __enter__(self) -> StrangersParquet:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stream.close()

    def _check_ends(self) -> int:
        self._stream.seek(0, 2)
        size = self._stream.tell()
        self._stream.seek(max(0, size - 8))
        tail = self._stream.read(8)
        self._stream.seek(0)
        if size < 12 or self._stream.read(4) != b"PAR1" or tail[4:] != b"PAR1":
            raise EpisodeError(f"{self.name} is no Parquet file, or cut off")
        footer = struct.unpack("<I", tail[:4])[0]
        if footer > min(size - 12, MAX_FOOTER_BYTES):
            raise EpisodeError(f"{self.name} claims a header of {in_bytes(footer)}")
        self._stream.seek(0)
        return size

    def _check_claims(self) -> None:
        claims = self._file.metadata
        if not 0 <= claims.num_rows <= MAX_ROWS or claims.num_columns > MAX_COLUMNS:
            raise EpisodeError(f"{self.name} claims {claims.num_rows} rows of {claims.num_columns} columns")
        self._groups = [claims.row_group(number).num_rows for number in range(claims.num_row_groups)]
        if min(self._groups, default=0) < 0 or sum(self._groups) != claims.num_rows:
            raise EpisodeError(f"{self.name} is damaged: its parts do not add up to {claims.num_rows} rows")
        most = max(UNPACKED_LEAST, UNPACKED_FACTOR * self._size)
        for number in range(claims.num_row_groups):
            unpacked = claims.row_group(number).total_byte_size
            if not 0 <= unpacked <= most:
                raise EpisodeError(
                    f"{self.name} has {in_bytes(self._size)} and claims to unpack to {in_bytes(unpacked)}"
                )

    @property
    def rows(self) -> int:
        return int(sum(self._groups))

    @property
    def columns(self) -> list[str]:
        return [str(name) for name in self._file.schema_arrow.names]

    def batches(
        self, columns: Sequence[str], start: int = 0, stop: int | None = None, *, at_once: int = ROWS_AT_ONCE
    ) -> Iterator[pa.RecordBatch]:
        """Rows `start` ... `stop` of some columns, a few at a time."""
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise EpisodeError(f"{self.name} has no column {shown(missing[0])}")
        stop = self.rows if stop is None else stop
        groups: list[int] = []
        begin = first = 0
        for number, length in enumerate(self._groups):
            if begin < stop and start < begin + length:
                first = first if groups else begin
                groups.append(number)
            begin += length
        place = first
        try:
            for batch in self._file.iter_batches(
                batch_size=at_once, row_groups=groups, columns=list(columns), use_threads=False
            ):
                low, high = max(start - place, 0), min(stop - place, batch.num_rows)
                place += batch.num_rows
                if low < high:
                    some = batch.slice(low, high - low)
                    some.validate(full=True)
                    yield some
                if place >= stop:
                    break
        except EpisodeError:
            raise
        except MemoryError as error:
            raise EpisodeError(f"{self.name} needs more memory than reading it may take") from error
        except _DAMAGE as error:
            raise damaged(self.name, error) from error
        if place < stop:
            raise EpisodeError(f"{self.name} is damaged: it has fewer rows than it claims")

    def numbers(self, column: str, start: int = 0, stop: int | None = None) -> NDArray[np.float64]:
        """A column of numbers, (rows,) or (rows, width)."""
        parts = [numbers_of(column, batch.column(0)) for batch in self.batches([column], start, stop, at_once=65_536)]
        if not parts:
            return np.zeros(0)
        if len({part.shape[1:] for part in parts}) != 1:
            raise EpisodeError(f"{shown(column)} has not as many numbers in each frame")
        return np.concatenate(parts)


def numbers_of(name: str, column: pa.Array) -> NDArray[np.float64]:
    """Numbers of an Arrow column, (rows,) or (rows, width). Raises EpisodeError if it holds anything else."""
    if column.null_count:
        raise EpisodeError(f"{shown(name)} has missing values")
    kind = column.type
    if pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind):
        lengths = pc.unique(pc.list_value_length(column))
        if len(lengths) > 1:
            raise EpisodeError(f"{shown(name)} has not as many numbers in each frame")
        width = lengths[0].as_py() if len(lengths) else 0
        if not 0 < width <= MAX_WIDTH:
            raise EpisodeError(f"{shown(name)} has {width} numbers a frame, outside 1 ... {MAX_WIDTH}")
        return numbers_of(name, column.flatten()).reshape(-1, width)
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise EpisodeError(f"{shown(name)} holds {shown(str(kind))}, not numbers")
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values.astype(np.float64)
