"""Measures what recording costs: seconds of each control step with and without --video and --rerun, and of writing an
episode.

    python benchmarks/recording_cost.py [--trials 20] [--rounds 3] [--connector hdmi]

The same `skill eval` in the cell `sim`, alternately with and without, so that what else the machine does falls on both.
A step's time is all that a step needs: policy, arm, cameras and reward model; at 10 Hz it may take 100 ms. What is made
after the last trial is timed by itself, and so is what is written after each trial: its figures for TensorBoard, and
the episode, until it is on the disk for good (`EpisodeStore.append`). Exit code 1 if steps with recording take
more than 10 % longer in the median, or writing an episode takes 50 ms or more.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import numpy as np

from skillcore.cli import main as skill
from skillcore.cli import recordings
from skillcore.episodes import EpisodeStore
from skillcore.reports.tensorboard import EventWriter
from skillcore.task import Task

PERIOD_S = 0.1
ALLOWED = 1.1
ALLOWED_WRITE_S = 0.05


class Times:
    """Times of one way to run, in s: of steps, of what is written after a trial, of writing its episode, and of what is
    made at the end."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.after_trial: list[float] = []
        self.writing: list[float] = []
        self.writing_cpu: list[float] = []
        self.at_end: list[float] = []

    def __str__(self) -> str:
        steps, writing = np.array(self.steps) * 1e3, np.array(self.writing) * 1e3
        late = int((steps > PERIOD_S * 1e3).sum())
        return (
            f"{len(steps)} steps, median {np.median(steps):.2f} ms, "
            f"99 of 100 within {np.percentile(steps, 99):.1f} ms, {late} above {PERIOD_S * 1e3:.0f} ms; "
            f"after a trial {np.median(self.after_trial) * 1e3:.2f} ms, and {np.median(writing):.1f} ms to write its "
            f"episode (99 of 100 within {np.percentile(writing, 99):.0f} ms); at the end {np.median(self.at_end):.1f} s"
        )


def measured(times: Times, arguments: list[str]) -> None:
    """Runs `skill` and adds to the times."""
    step, trial, record, append = Task.step, EventWriter.trial, recordings.record, EpisodeStore.append
    ended = [0.0]

    def timed_step(self: Task, action: Any) -> Any:
        done = step(self, action)
        now = time.perf_counter()
        # From the end of the step before, so that the policy's time is in it; the first of a trial has none before.
        if self._steps > 1:
            times.steps.append(now - ended[0])
        ended[0] = now
        return done

    def timed_trial(self: EventWriter, *told: Any) -> None:
        began = time.perf_counter()
        trial(self, *told)
        times.after_trial.append(time.perf_counter() - began)

    def timed_record(*place: Any, **wanted: Any) -> Any:
        began = time.perf_counter()
        made = record(*place, **wanted)
        times.at_end.append(time.perf_counter() - began)
        return made

    def timed_append(self: EpisodeStore, episode: Any) -> Any:
        began, worked = time.perf_counter(), time.thread_time()
        row = append(self, episode)
        times.writing.append(time.perf_counter() - began)
        times.writing_cpu.append(time.thread_time() - worked)
        return row

    Task.step, EventWriter.trial, recordings.record = timed_step, timed_trial, timed_record  # type: ignore[method-assign]
    EpisodeStore.append = timed_append  # type: ignore[method-assign]
    try:
        with redirect_stdout(StringIO()):
            code = skill(arguments)
    finally:
        Task.step, EventWriter.trial, recordings.record = step, trial, record  # type: ignore[method-assign]
        EpisodeStore.append = append  # type: ignore[method-assign]
    if code not in (0, 1):
        raise SystemExit(code)


def main() -> int:
    parser = argparse.ArgumentParser(description="what recording costs the control loop")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connector", default="hdmi")
    chosen = parser.parse_args()
    without, with_both = Times(), Times()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SKILLCORE_HOME"] = home
        command = ["eval", "insertion", "--connector", chosen.connector, "--trials", str(chosen.trials)]
        measured(Times(), [*command[:-1], "2"])  # What is loaded once falls on neither.
        for _ in range(chosen.rounds):
            measured(without, command)
            measured(with_both, [*command, "--video", "--rerun"])
    print(f"without: {without}")
    print(f"with:    {with_both}")
    slower = float(np.median(with_both.steps) / np.median(without.steps))
    print(f"a step takes {slower:.2f} times as long with --video and --rerun")
    write_s = float(np.median(without.writing + with_both.writing))
    # Where other work takes the cores, the first figure tells of that work, and the second still of this.
    cpu_s = float(np.median(without.writing_cpu + with_both.writing_cpu))
    print(f"writing an episode takes {write_s * 1e3:.1f} ms in the median, {cpu_s * 1e3:.1f} ms of it on a core")
    return int(slower > ALLOWED or write_s >= ALLOWED_WRITE_S)


if __name__ == "__main__":
    sys.exit(main())
