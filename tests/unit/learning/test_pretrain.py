"""Pretraining: how the threshold is chosen, what the figures mean, and that all parts come together."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.cli import main
from skillcore.episodes import ReplayCache
from skillcore.errors import InputError
from skillcore.interfaces import RewardModel
from skillcore.learning.pretrain import Pretraining, choose_threshold, features_of, reward_figures, way_errors
from skillcore.learning.recipe import Recipe
from skillcore.learning.training import silent
from skillcore.plugins import Registry
from skillcore.types import Observation, Past


class Known(RewardModel):
    """Reads the score of each frame from its pose, where a test has written it."""

    threshold = 0.5

    def fit(self, data: ReplayCache, *, seed: int, progress: Any) -> None:
        raise AssertionError("nothing to train")

    def score(self, observations: Observation, past: Past) -> NDArray[np.float32]:
        return np.asarray(observations["pose"][:, 0])

    def save(self, folder: Path) -> None:
        raise AssertionError("nothing to save")

    def load(self, folder: Path) -> None:
        raise AssertionError("nothing to load")


def validation(variants: Sequence[tuple[int, Any, Any]], make_episode: Any) -> ReplayCache:
    """For each variant: episodes, and its distributions of scores for failures and successes, from a generator."""
    rng = np.random.default_rng(0)
    episodes = []
    for number, (count, failures, successes) in enumerate(variants):
        for seed in range(count):
            episode = make_episode(seed, f"plug_{number}")
            scores = np.where(episode.success == 1, successes(rng, 7), failures(rng, 7))
            episode.pose[:, 0] = scores
            episodes.append(episode)
    return ReplayCache.from_episodes(episodes)


def low(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.uniform(0.0, 0.3, count)


def doubtful(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.uniform(0.0, 0.9, count)


def high(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return rng.uniform(0.8, 1.0, count)


def certain(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return np.ones(count)


def share_above(data: ReplayCache, threshold: float, variant: str | None = None) -> float:
    failures = data.success == 0
    if variant is not None:
        failures &= np.array(data.variants)[data.episode] == variant
    return float((data.pose[failures, 0] > threshold).mean())


def test_a_clear_case_gets_the_lowest_threshold(make_labelled_episode: Any) -> None:
    model = Known()
    reward, figures = choose_threshold(model, validation([(20, low, high)], make_labelled_episode), 0.01)
    assert model.threshold == reward["threshold"] == 0.5
    assert figures["at threshold"] == {"recall": 1.0, "false_positives": 0.0, "balanced_accuracy": 1.0}
    assert figures["area_under_roc"] == 1.0
    assert (figures["frames"], figures["successes"]) == (140, 40)


@pytest.mark.parametrize("allowed", [0.01, 0.05])
def test_false_positives_stay_within_what_is_allowed(make_labelled_episode: Any, allowed: float) -> None:
    data = validation([(150, low, high), (150, doubtful, high)], make_labelled_episode)
    model = Known()
    choose_threshold(model, data, allowed)
    assert share_above(data, model.threshold) <= allowed
    # And no more is given away than is needed.
    assert share_above(data, model.threshold - 0.02) > allowed


def test_a_variant_with_few_frames_counts_as_much_as_one_with_many(make_labelled_episode: Any) -> None:
    data = validation([(300, low, high), (10, doubtful, high)], make_labelled_episode)
    model = Known()
    choose_threshold(model, data, 0.02)
    assert share_above(data, 0.6) <= 0.02
    shares = [share_above(data, model.threshold, name) for name in ("plug_0", "plug_1")]
    assert np.mean(shares) <= 0.02
    assert model.threshold > 0.8


def test_a_variant_with_many_frames_is_not_outweighed_by_many_with_few(make_labelled_episode: Any) -> None:
    data = validation([(200, doubtful, high), *[(2, low, high)] * 60], make_labelled_episode)
    model = Known()
    choose_threshold(model, data, 0.02)
    assert share_above(data, model.threshold) <= 0.02


def test_where_nothing_fits_the_highest_threshold_is_taken(make_labelled_episode: Any) -> None:
    model = Known()
    reward, _ = choose_threshold(model, validation([(5, certain, high)], make_labelled_episode), 0.01)
    assert 0.999 < model.threshold < 1.0
    # And whoever reads the card is told.
    assert reward["chosen"].startswith("greatest there is, with 100.0% false positives")


def deceived(make_episode: Any, score: float, count: int = 40) -> ReplayCache:
    """Episodes of which one in twenty gets `score` in all frames before it succeeds, and in none of those after."""
    episodes = []
    for seed in range(count):
        episode = make_episode(seed, "plug")
        seated = episode.success == 1
        episode.pose[:, 0] = np.where(seated, 1.0, score if seed % 20 == 0 else 0.0)
        episodes.append(episode)
    return ReplayCache.from_episodes(episodes)


@pytest.mark.parametrize(("allowed", "least"), [(0.04, 0.8), (0.05, 0.5), (1.0, 0.5)])
def test_no_more_trials_end_in_a_wrong_claim_than_are_allowed(
    make_labelled_episode: Any, allowed: float, least: float
) -> None:
    model = Known()
    reward, _ = choose_threshold(model, deceived(make_labelled_episode, 0.795), 0.5, wrong_claims=allowed)
    assert model.threshold == pytest.approx(least)
    assert f"{allowed:.2%} wrong claims among trials" in reward["chosen"]


def test_what_looks_like_success_after_success_is_no_wrong_claim(make_labelled_episode: Any) -> None:
    episode = make_labelled_episode(0, "plug")
    # Seated for three frames, then drawn out a little, which looks the same.
    episode.success[:] = [0, 0, 1, 1, 1, 0, 0]
    episode.pose[:, 0] = [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    model = Known()
    choose_threshold(model, ReplayCache.from_episodes([episode]), 0.5, wrong_claims=0.01)
    assert model.threshold == 0.5


def test_without_failures_there_is_nothing_to_choose_by(make_labelled_episode: Any) -> None:
    data = validation([(2, low, high)], make_labelled_episode)
    data.success = np.ones_like(data.success)
    with pytest.raises(InputError, match=r"no frame of .* is known to be a failure"):
        choose_threshold(Known(), data, 0.01)


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order(make_labelled_episode: Any) -> None:
    data = validation([(8, doubtful, doubtful)], make_labelled_episode)
    scores = data.pose[:, 0]
    hits, misses = scores[data.success == 1], scores[data.success == 0]
    pairs = float((hits[:, None] > misses[None]).mean())
    figures = reward_figures(scores, data, 0.4)
    assert figures["area_under_roc"] == pytest.approx(pairs)
    assert figures["at threshold"]["recall"] == pytest.approx(float((hits > 0.4).mean()))
    assert figures["at threshold"]["false_positives"] == pytest.approx(float((misses > 0.4).mean()))


RECIPE = Recipe.model_validate(
    {
        "representation": {"name": "daib", "options": {"channels": (8, 8), "code_dim": 8}},
        "learner": {"name": "rlpd", "options": {"hidden": 16, "critics": 2, "pretrain_steps": 5}},
        "reward_model": {
            "name": "daib",
            "options": {
                "representation": "erm",
                "representation_options": {"channels": (8, 8), "code_dim": 8},
                "steps": 400,
                "touch_steps": 300,
                "batch": 32,
                "learning_rate": 3e-3,
            },
        },
        "training": {"steps": 100, "batch": 32, "learning_rate": 3e-3},
        "prior_frames": 60,
    }
)


def test_all_parts_are_trained_and_told_of(offline: ReplayCache, unseen: ReplayCache) -> None:
    stages: list[str] = []

    def report(stage: str) -> Any:
        stages.append(stage)
        return silent

    work = Pretraining(RECIPE, Registry.discover(), offline, seed=1, device="cpu", report=report)
    work.policy()
    made = work.reward_model(offline, unseen)
    assert stages == ["representation", "features", "learner", "reward model"]
    assert set(made.figures["seconds"]) == set(stages)
    assert made.reward["threshold"] == made.brain.reward_model.threshold
    assert made.reward["validation_variants"] == sorted(set(unseen.variants))
    assert made.figures["reward model on validation variants"]["area_under_roc"] > 0.7
    # 24 episodes of 6 steps are sampled down to stretches of what was asked for.
    assert len(made.prior) == 60
    features = features_of(made.brain.perception, offline, silent)
    before = {row.tobytes() for row in features}
    assert all(row.tobytes() in before for row in made.prior.features)
    assert set(np.unique(made.prior.rewards)) == {0.0, 1.0}


def test_what_networks_begin_with_follows_from_the_seed(offline: ReplayCache) -> None:
    def begun(seed: int) -> list[NDArray[np.float32]]:
        work = Pretraining(RECIPE, Registry.discover(), offline, seed=seed, device="cpu", report=lambda stage: silent)
        return [weights.detach().numpy() for weights in work.brain.perception.module.parameters() if weights.dim() > 1]

    first, again, other = begun(1), begun(1), begun(2)
    assert all(np.array_equal(*pair) for pair in zip(first, again, strict=True))
    assert not any(np.array_equal(*pair) for pair in zip(first, other, strict=True))


def test_errors_of_the_way_are_those_of_the_estimate(offline: ReplayCache) -> None:
    class Right:
        """Estimates the way as it is, but for 1 mm along x."""

        way_columns = slice(0, 4)

        def features(self, observations: Observation) -> NDArray[np.float32]:
            from skillcore.learning.perception import encoded_way

            way = observations["wrench"].copy()
            way[:, 0] += 1e-3
            return encoded_way(way)

    way, wrench = offline.seated_from_tcp, offline.wrench
    try:
        offline.wrench = way
        found = way_errors(Right(), offline)  # type: ignore[arg-type]
    finally:
        offline.wrench = wrench
    assert found["near_mean_mm"] == pytest.approx(1.0, abs=1e-3)
    assert found["near_median_mm"] == pytest.approx(1.0, abs=1e-3)


def test_a_part_that_cannot_be_made_is_told_before_anything_is_collected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[Any] = []
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("skillcore.learning.datasets.collect", lambda assignment, place, **_: begun.append(place))
    monkeypatch.setitem(sys.modules, "skillcore_iql.iql", None)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("learner: {name: iql}\n", encoding="utf-8")
    assert main(["pretrain", "insertion", "--recipe", str(recipe), "--device", "cpu"]) == 2
    assert "learner 'iql'" in capsys.readouterr().err
    assert begun == []
