"""Failures as film strips: which trials are shown, and which of their frames."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skillcore.episodes.images import encode_png
from skillcore.reports.moments import frames_of
from skillcore.reports.run_data import ExplainedTrial, Part, RunData
from skillcore.types import Episode

OF_ACCEPTANCE = 6
OF_PRACTICE = 4
GAP_PX = 1
LATE = 1 / 3
"""Of practice, failures of this last share of its trials are shown: earlier ones it has learned from."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. image: PNG of all views, the first on top, as a data: URI. score: NaN where none was asked."""

    step: int
    image: str
    force_n: float
    score: float


@dataclass(frozen=True, slots=True)
class Strip:
    """One trial. number: counted from 1."""

    source: str
    number: int
    title: str
    words: str
    steps: int
    peak_force_n: float
    frames: tuple[Frame, ...]


def chosen(data: RunData) -> list[tuple[Part, ExplainedTrial]]:
    """Failures that stand for the others: of acceptance, and of the end of practice; of each kind the latest first."""
    acceptance, practice = data.part("acceptance"), data.part("practice")
    late = practice.trials[len(practice.trials) - math.ceil(LATE * len(practice.trials)) :]
    found = [(acceptance, trial) for trial in _representative(acceptance.trials, OF_ACCEPTANCE)]
    return found + [(practice, trial) for trial in _representative(late, OF_PRACTICE)]


def _representative(trials: Sequence[ExplainedTrial], count: int) -> list[ExplainedTrial]:
    """At most `count` of the trials that failed: one of each kind in turn, the latest of it first."""
    kinds: dict[str, list[ExplainedTrial]] = {}
    for trial in trials:
        if trial.reason is not None:
            kinds.setdefault(trial.reason.kind, []).append(trial)
    # What happened most often comes first.
    rounds = sorted(kinds.values(), key=len, reverse=True)
    picked: list[ExplainedTrial] = []
    while any(rounds) and len(picked) < count:
        for one in rounds:
            if one and len(picked) < count:
                picked.append(one.pop())
    return picked


def strips(data: RunData) -> list[Strip]:
    """The strips of a run. Raises EpisodeError if an episode is damaged."""
    with data.run.store as store:
        return [_strip(part.source, trial, store.read(trial.episode_id)) for part, trial in chosen(data)]


def _strip(source: str, trial: ExplainedTrial, episode: Episode) -> Strip:
    if trial.reason is None:
        raise ValueError(f"trial {trial.result.number} did not fail")
    return Strip(
        source=source,
        number=trial.number,
        title=trial.reason.title,
        words=trial.reason.words,
        steps=trial.result.steps,
        peak_force_n=trial.result.peak_force_n,
        frames=tuple(_frame(episode, index) for index in frames_of(episode.steps)),
    )


def _frame(episode: Episode, index: int) -> Frame:
    first, *others = episode.images[index]
    gap = np.full((GAP_PX, *first.shape[1:]), 255, np.uint8)
    stacked = np.concatenate([first, *(part for view in others for part in (gap, view))])
    return Frame(
        step=index,
        image=data_uri(encode_png(stacked)),
        force_n=float(np.linalg.norm(episode.wrench[index, :3])),
        score=float(episode.score[index]),
    )


def data_uri(png: bytes) -> str:
    """A PNG as a browser takes it without asking anybody."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
