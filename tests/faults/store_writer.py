"""A collector for the fault tests: appends episodes to a store and prints each id once `append` has returned.

    python store_writer.py FOLDER COUNT FIRST_SEED [FAULT]

COUNT 0 goes on for ever. FAULT makes something fail for real, at a known place:
    die-before-row     ends itself by SIGKILL after the third file is complete, before its row is written
    die-in-write       ends itself by SIGKILL in the middle of the third file
    small-files        no file may grow beyond 60 kB
    small-index        no file may grow beyond 40 kB, which the episodes do not, and the index does
A StorageError is printed as `StorageError: ...`, and ends the program with exit code 3.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any

import numpy as np

from skillcore.episodes import EpisodeStore
from skillcore.episodes.index import Index
from skillcore.errors import StorageError
from skillcore.types import Episode, EpisodeInfo


def make_episode(seed: int, *, steps: int = 2, size_px: int = 16) -> Episode:
    """A well formed episode of random content."""
    rng = np.random.default_rng(seed)

    def floats(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return rng.uniform(-1.0, 1.0, shape).astype(np.float32)

    return Episode(
        info=EpisodeInfo("insertion", "hdmi", "sim", seed, "collect", "timeout"),
        images=rng.integers(0, 256, (steps + 1, 2, size_px, size_px, 3), np.uint8),
        pose=floats(steps + 1, 6),
        wrench=floats(steps + 1, 6),
        action=floats(steps, 4),
        executed=floats(steps, 4),
        reward=floats(steps),
        score=np.full(steps + 1, np.nan, np.float32),
        success=np.zeros(steps + 1, np.int8),
        truth=np.zeros(steps + 1, np.int8),
        seated_from_tcp=floats(steps + 1, 6),
    )


def _die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _write_half_and_die(descriptor: int) -> None:
    os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
    _die()


def _limit_files(size: int) -> None:
    # Without this, the first byte too many ends the process instead of failing.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def main(folder: str, count: int, first_seed: int, fault: str = "") -> int:
    store = EpisodeStore(folder)
    size_px = 128 if fault == "small-files" else 16
    if fault == "small-files":
        _limit_files(60_000)
    if fault == "small-index":
        _limit_files(40_000)
    number = 0
    while count == 0 or number < count:
        if number == 2 and fault == "die-before-row":
            Index.change = _die  # type: ignore[method-assign]
        if number == 2 and fault == "die-in-write":
            os.fsync = _write_half_and_die  # type: ignore[assignment]
        try:
            row = store.append(make_episode(first_seed + number, size_px=size_px))
        except StorageError as error:
            print(f"StorageError: {error.what}", flush=True)
            return 3
        print(row.id, flush=True)
        number += 1
    store.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
