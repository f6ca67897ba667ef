"""What practice does with earlier trials, told from what it writes down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch

from skillcore.learning import practice
from skillcore.learning.practice import WAYS, Practice
from skillcore.learning.recipe import Brain, Recipe, make_brain
from skillcore.learning.replay import Transitions
from skillcore.parts import ViewShape
from skillcore.plugins import Registry
from skillcore.types import Episode, EpisodeInfo

SMALL = {"channels": [8, 8], "code_dim": 8}
RECIPE = Recipe.model_validate(
    {
        "representation": {"name": "erm", "options": SMALL},
        "learner": {"name": "rlpd", "options": {"hidden": 16, "critics": 2}},
        "reward_model": {"name": "daib", "options": {"representation": "erm", "representation_options": SMALL}},
    }
)
FIRST, TRIALS = 12, 30
"""The trial from which on all succeed, and how many there are."""
TASK: Any = SimpleNamespace(fixes_yaw=True)


def small_brain() -> Brain:
    torch.manual_seed(0)
    return make_brain(RECIPE, Registry.discover(), views=ViewShape(2, 16), device="cpu")


def template(make: Callable[..., Episode]) -> EpisodeInfo:
    return replace(make(0).info, clamps={}, start_from_base=(0.0,) * 6)


@pytest.fixture
def acted(monkeypatch: pytest.MonkeyPatch, make_labelled_episode: Callable[..., Episode]) -> None:
    """Trials are made up instead of acted."""

    def run_episode(task: Any, actor: Any, info: EpisodeInfo, *, ready: Callable[[], None]) -> Episode:
        ready()
        made = make_labelled_episode(info.trial)
        # All end in one place, so that claims agree.
        made.pose[-1] = 0.0
        made.info = replace(info, outcome="success" if info.trial >= FIRST else "timeout")
        for frame in range(made.steps + 1):
            actor(made.observation(frame), {}, last=frame == made.steps)
        return made

    monkeypatch.setattr(practice, "run_episode", run_episode)


def ways_and_features(folder: Path, trials: int) -> list[tuple[Any, Any]]:
    """For each trial the way as it was estimated last, and the features it was acted on."""
    features = [
        safetensors.numpy.load_file(folder / "practice" / f"trial_{trial + 1:04d}.safetensors")["features"]
        for trial in range(trials)
    ]
    ways = safetensors.numpy.load_file(folder / "practice" / f"{trials:04d}" / WAYS)["ways"]
    return list(zip(np.split(ways, np.cumsum([len(one) for one in features])[:-1]), features, strict=True))


@pytest.mark.usefixtures("acted")
def test_all_trials_are_looked_at_anew_with_the_adapted_estimate(
    make_labelled_episode: Callable[..., Episode], tmp_path: Path
) -> None:
    brain = small_brain()
    prior = Transitions.none(brain.perception.feature_dim)
    work = Practice(TASK, brain, prior, template(make_labelled_episode), folder=tmp_path, seed=0)
    work.run(TRIALS)
    columns = brain.perception.way_columns
    for ways, features in ways_and_features(tmp_path, TRIALS):
        assert (ways != features[:, columns]).any()


@pytest.mark.usefixtures("acted")
def test_what_was_adapted_before_is_gone_on_with(make_labelled_episode: Callable[..., Episode], tmp_path: Path) -> None:
    brain = small_brain()
    prior = Transitions.none(brain.perception.feature_dim)
    told = template(make_labelled_episode)
    Practice(TASK, brain, prior, told, folder=tmp_path / "first", seed=0).run(FIRST + 4)
    seen = make_labelled_episode(77)
    features = brain.perception.features(seen.observation(slice(None)))  # type: ignore[arg-type]
    adapted = brain.adapted(features, seen.images)
    assert (adapted != features).any()
    # Nothing succeeds in so few trials, so that nothing is learned anew and nothing is lost.
    for adapt in (True, False):
        place = tmp_path / f"second-{adapt}"
        Practice(TASK, brain, prior, told, folder=place, seed=0, adapt=adapt).run(2)
        np.testing.assert_array_equal(brain.adapted(features, seen.images), adapted)
