"""Jobs of an evaluation: each finished once, its result in a file of its own, several side by side."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from skillcore.errors import DeviceError
from skillcore.learning.processes import end_with_parent, process_context
from skillcore.storage import make_folder_durably, write_json_durably

Report = Callable[["Job", int, int], None]
"""Told a job that has ended, how many are finished, and how many there are."""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to run. kind: of what sort. what: which of that sort. seed: with which random numbers."""

    kind: str
    what: tuple[str, ...]
    seed: int

    @property
    def name(self) -> str:
        """As its file is called."""
        return re.sub(r"[^\w.-]+", "_", "-".join([self.kind, *self.what, str(self.seed)]))


def result_of(out: Path, job: Job) -> dict[str, Any] | None:
    """What a job found; None while it is not finished."""
    try:
        found: dict[str, Any] = json.loads((out / "results" / f"{job.name}.json").read_bytes())
    except FileNotFoundError:
        return None
    return found


def unfinished(jobs: Sequence[Job], out: Path) -> list[Job]:
    """Those that have no result yet."""
    return [job for job in jobs if result_of(out, job) is None]


def run_all(
    jobs: Sequence[Job],
    out: Path,
    work: Callable[..., dict[str, Any]],
    arguments: tuple[Any, ...],
    *,
    workers: int,
    report: Report,
) -> None:
    """Runs what is not finished: `work(job, *arguments)` in processes of one thread each.

    workers: how many; 0 is one for each core. Raises what a job raised; the others that run are finished first. Raises
    DeviceError where one of the processes was killed. A KeyboardInterrupt stops them all.
    """
    waiting = unfinished(jobs, out)
    make_folder_durably(out / "results")
    done = len(jobs) - len(waiting)
    count = min(workers or os.cpu_count() or 1, max(1, len(waiting)))
    with ProcessPoolExecutor(count, mp_context=process_context(), initializer=_begin) as pool:
        futures = {pool.submit(_run, work, job, out, arguments): job for job in waiting}
        try:
            for future in as_completed(futures):
                future.result()
                done += 1
                report(futures[future], done, len(jobs))
        except BrokenProcessPool as error:
            # Somebody killed it, or the machine did, for memory.
            raise DeviceError(
                "a process that ran a job was ended from outside",
                cure="run the command again: what is finished is kept; with fewer --workers if memory ran out",
            ) from error
        except KeyboardInterrupt:
            # A Ctrl-C reaches every process, a signal from elsewhere only this one.
            for process in multiprocessing.active_children():
                if process.pid is not None:
                    os.kill(process.pid, signal.SIGINT)
            raise
        finally:
            # After a failure or a Ctrl-C nothing new is begun.
            pool.shutdown(wait=True, cancel_futures=True)


_idle = threading.Event()
"""Set while this process has no job."""


def _begin() -> None:
    _deaf()
    _idle.set()
    end_with_parent(_idle)


def _deaf() -> None:
    """A process without a job has nothing to stop, and nothing to say."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _interrupted(number: int, frame: FrameType | None) -> None:
    """Stops the job, once: stopping an arm is not to be interrupted."""
    _deaf()
    raise KeyboardInterrupt


def _run(work: Callable[..., dict[str, Any]], job: Job, out: Path, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    _idle.clear()
    signal.signal(signal.SIGINT, _interrupted)
    try:
        write_json_durably(out / "results" / f"{job.name}.json", work(job, *arguments))
    finally:
        _deaf()
        _idle.set()
