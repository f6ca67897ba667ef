"""Measures how long a person waits for what is drawn of a run, and what `--video` costs the control loop.

    python benchmarks/report_speed.py [--trials 200] [--frames 100] [--rounds 3] [--run FOLDER]

A run of `--trials` trials is made by `skill eval` in the cell `sim`; with --run an earlier one is taken. Then, once
each as a technician meets it, imports included:

    report      `skill report RUN`                                                    10 s at most
    saliency    Grad-CAM of policy and reward model, for `--frames` frames of the run  30 s at most
    video       time of a control step with `--video` beside without, in `--rounds` rounds of 20 trials each
                (see recording_cost.py): 1.1 times at most in the median, and no more steps above the period

Beside the time on the clock stands that of the processor, which other programs on the machine disturb less. Exit code 1
if one of the three takes longer than that. --rounds 0 leaves the video out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recording_cost import ALLOWED, PERIOD_S, Times, measured

from skillcore.episodes import EpisodeStore
from skillcore.learning.bundles import load_bundle
from skillcore.learning.past_runs import find_run
from skillcore.learning.saliency import policy_saliency, reward_saliency
from skillcore.plugins import Registry
from skillcore.types import Observation

REPORT_S, SALIENCY_S = 10.0, 30.0
ROUND_TRIALS = 20
SKILL = [sys.executable, "-c", "import sys; from skillcore.cli import main; sys.argv[0] = 'skill'; sys.exit(main())"]


@contextmanager
def timed(name: str, most_s: float, slow: list[str]) -> Iterator[None]:
    """Prints what the block takes, on the clock and of the processor, here and in processes; notes what is slow."""
    began, busy = time.perf_counter(), _processor_s()
    yield
    clock_s = time.perf_counter() - began
    print(f"{name}: {clock_s:.1f} s ({_processor_s() - busy:.1f} s of processor), {most_s:g} s are allowed", flush=True)
    if clock_s > most_s:
        slow.append(name)


def _processor_s() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def skill(*arguments: str) -> str:
    """What `skill` prints with these arguments, as a process of its own. Raises SystemExit if it fails."""
    done = subprocess.run([*SKILL, *arguments], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        print(done.stderr, file=sys.stderr)
        raise SystemExit(done.returncode)
    return done.stdout


def new_run(connector: str, trials: int) -> Path:
    """A run of so many trials."""
    told = skill("eval", "insertion", "--connector", connector, "--trials", str(trials))
    found = re.search(r"^run: +(.+)$", told, re.MULTILINE)
    if found is None:
        raise SystemExit(f"skill eval told no run:\n{told}")
    return Path(found.group(1))


def explain(run: Path, frames: int) -> Callable[[], Any]:
    """What explains frames at even distances over all of a run, with what that needs at hand."""
    about = json.loads((run / "run.json").read_bytes())
    results = run / "results.json"
    made = json.loads(results.read_bytes()).get("bundle") if results.is_file() else None
    brain = load_bundle(Path(str(made or about["bundle"])), Registry.discover(), device="cpu").brain
    with EpisodeStore(run / "episodes", create=False) as store:
        rows = store.rows()
        episodes = [store.read(rows[number].id) for number in np.linspace(0, len(rows) - 1, 20).round().astype(int)]
    every: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in episodes]) for name in Observation.__annotations__
    }
    chosen = np.linspace(0, len(every["pose"]) - 1, frames).round().astype(int)
    seen: Any = {name: values[chosen] for name, values in every.items()}

    def both() -> None:
        policy_saliency(brain, seen)
        reward_saliency(brain.reward_model, seen["images"])

    return both


def video(connector: str, rounds: int, slow: list[str]) -> None:
    """Steps with and without --video, one after the other, so that what else the machine does falls on both."""
    without, with_video = Times(), Times()
    command = ["eval", "insertion", "--connector", connector, "--trials", str(ROUND_TRIALS)]
    measured(Times(), [*command[:-1], "2"])  # What is loaded once falls on neither.
    for _ in range(rounds):
        measured(without, command)
        measured(with_video, [*command, "--video"])
    print(f"steps without --video: {without}")
    print(f"steps with --video:    {with_video}")
    ratio = float(np.median(with_video.steps) / np.median(without.steps))
    late = [sum(step > PERIOD_S for step in one.steps) for one in (without, with_video)]
    print(f"a step takes {ratio:.2f} times as long, {ALLOWED:g} are allowed")
    if ratio > ALLOWED or late[1] > late[0] + 0.01 * len(with_video.steps):
        slow.append("video")


def main() -> int:
    parser = argparse.ArgumentParser(description="how long a report, saliency and the video of a run take")
    parser.add_argument("--run", default="")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connector", default="hdmi")
    chosen = parser.parse_args()
    slow: list[str] = []
    run = find_run(chosen.run).folder if chosen.run else None
    with tempfile.TemporaryDirectory() as home:
        if run is None or chosen.rounds:
            os.environ["SKILLCORE_HOME"] = home
        run = run or new_run(chosen.connector, chosen.trials)
        with EpisodeStore(run / "episodes", create=False) as store:
            print(
                f"a run of {len(store)} trials, {torch.get_num_threads()} threads on {os.cpu_count()} cores", flush=True
            )
        with timed("report", REPORT_S, slow):
            skill("report", str(run))
        both = explain(run, chosen.frames)
        with timed(f"saliency of {chosen.frames} frames", SALIENCY_S, slow):
            both()
        if chosen.rounds:
            video(chosen.connector, chosen.rounds, slow)
    if slow:
        print(f"too slow: {', '.join(slow)}")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
