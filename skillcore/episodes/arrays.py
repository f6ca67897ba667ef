"""Large arrays as `.npy` files: written piece by piece, and opened as read-only maps of memory."""

from __future__ import annotations

import io
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from skillcore.errors import EpisodeError
from skillcore.storage import storage_faults

Arrays = dict[str, NDArray[Any]]


class ArrayWriter:
    """Writes an array of known shape along its first axis. Use it in a `with` block.

    It writes to the file like any program instead of through a map of memory: on a full disk a write fails
    with an error, while a map kills the process with SIGBUS.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self._path, self._shape, self._dtype = path, shape, dtype
        self._rows = 0
        header = io.BytesIO()
        fields = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, fields)
        with storage_faults("write", path):
            self._file = path.open("wb")
            self._file.write(header.getvalue())

    def append(self, rows: NDArray[Any]) -> None:
        """Writes the next rows (n, ...). Raises StorageError, or ValueError if they do not fit."""
        if rows.dtype != self._dtype or rows.shape[1:] != self._shape[1:]:
            raise ValueError(f"{rows.dtype} {rows.shape} does not fit into {self._dtype} {self._shape}")
        with storage_faults("write", self._path):
            self._file.write(np.ascontiguousarray(rows).data)
        self._rows += len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            # The file is given up; what its buffer still holds may not fit on the disk.
            self._file.raw.close()
            return
        with storage_faults("write", self._path), self._file:
            if self._rows != self._shape[0]:
                raise ValueError(f"{self._rows} rows were written to {self._path}, not {self._shape[0]}")
            self._file.flush()
            os.fsync(self._file.fileno())


def open_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array in a file, as a read-only map of memory. Raises EpisodeError if it is not as expected."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EpisodeError(f"{path}: the file is missing or damaged: {error}") from error
    if array.dtype != dtype or array.shape != shape or not array.flags.c_contiguous:
        raise EpisodeError(f"{path}: holds {array.dtype} {array.shape}, not {dtype} {shape}")
    return np.asarray(array)
