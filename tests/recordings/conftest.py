"""Runs of made-up trials, small, in the form that commands leave on disk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.episodes import EpisodeStore
from skillcore.reports.recorded_run import RecordedRun, read_recorded
from skillcore.storage import write_json_durably
from skillcore.types import Episode, EpisodeInfo

MakeRun = Callable[..., RecordedRun]
SIDE_PX = 16
ABOUT: dict[str, Any] = {
    "command": "learn",
    "skill": "insertion",
    "variant": "hdmi_a",
    "began": "2026-01-02T03:04:05+00:00",
    "title": "HDMI plug",
    "cameras": ["left", "right"],
    "limits": {"force_n": 40.0, "hard_force_n": 100.0},
    "control": {"step_m": 0.005, "turn_step_rad": 0.2},
}


def trial_of(source: str, number: int, ending: str = "success", *, steps: int = 4, views: int = 2) -> Episode:
    """A trial. ending: success, timeout, wrong (taken for success), missed, aborted; with a ? nobody knows."""
    word, known = ending.removesuffix("?"), not ending.endswith("?")
    rng = np.random.default_rng(number)
    frames = steps + 1
    truth = np.zeros(frames, np.int8)
    truth[-1] = word in ("success", "missed")
    outcome: Any = {"success": "success", "wrong": "success", "aborted": "aborted"}.get(word, "timeout")
    action = rng.uniform(-1.0, 1.0, (steps, 4)).astype(np.float32)
    wrench = rng.uniform(-20.0, 20.0, (frames, 6)).astype(np.float32)
    info = EpisodeInfo(
        skill="insertion",
        variant="hdmi_a",
        cell="sim",
        seed=number,
        source=source,
        outcome=outcome,
        reward_model="threshold 0.7000, 2 of 3 frames",
        trial=number,
        peak_force_n=float(np.linalg.norm(wrench[:, :3], axis=1).max()),
        note="130 N measured, more than the hard limit of 100 N" if word == "aborted" else "",
        start_from_base=(0.5, 0.0, 0.1, 3.1, 0.0, 0.0),
    )
    score = np.linspace(0.0, 0.99 if outcome == "success" else 0.4, frames).astype(np.float32)
    return Episode(
        info=info,
        images=rng.integers(0, 256, (frames, views, SIDE_PX, SIDE_PX, 3), np.uint8),
        pose=rng.uniform(-0.02, 0.02, (frames, 6)).astype(np.float32),
        wrench=wrench,
        action=action,
        executed=(0.9 * action).astype(np.float32),
        reward=np.zeros(steps, np.float32),
        score=score,
        success=np.full(frames, -1, np.int8),
        truth=truth if known else np.full(frames, -1, np.int8),
        seated_from_tcp=np.full((frames, 6), np.nan, np.float32),
    )


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a run's folder and reads it: `make_run({"zero-shot": ["timeout", "success"]}, steps=4)`."""

    def make(
        parts: dict[str, Sequence[str]], results: dict[str, Any] | None = None, *, about: Any = ABOUT, **trial: Any
    ) -> RecordedRun:
        folder = tmp_path / "run"
        folder.mkdir()
        write_json_durably(folder / "run.json", about)
        if results is not None:
            write_json_durably(folder / "results.json", results)
        with EpisodeStore(folder / "episodes") as store:
            store.append_many(
                trial_of(part, number, ending, **trial)
                for part, endings in parts.items()
                for number, ending in enumerate(endings)
            )
        return read_recorded(folder)

    return make
