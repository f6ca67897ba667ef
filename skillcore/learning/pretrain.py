"""Pretraining: from labelled episodes of many variants to a bundle that can practise a new one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.errors import InputError
from skillcore.interfaces import RewardModel
from skillcore.learning.bundles import Bundle
from skillcore.learning.perception import Perception, decoded_way
from skillcore.learning.recipe import Brain, Recipe, make_brain
from skillcore.learning.replay import Transitions
from skillcore.learning.rewarding import RULE
from skillcore.learning.seeds import rng_for, seed_for
from skillcore.learning.training import Progress, domains_of
from skillcore.parts import ViewShape
from skillcore.plugins import Registry

APART = "the validation variants, none of which was trained on"
"""What the reward threshold is chosen on, in words."""
Report = Callable[[str], Progress]
"""Called with the name of a stage that begins; returns who is told of its progress."""


@dataclass(frozen=True, slots=True, eq=False)
class Pretrained:
    """What pretraining made: the parts, offline data in features to practise with, and figures."""

    brain: Brain
    prior: Transitions
    reward: dict[str, Any]
    figures: dict[str, Any]


class Pretraining:
    """Trains a recipe's parts, one after the other: `policy`, or `keep`; then `reward_model`.

    Raises UnknownNameError and ConfigError for the recipe.
    """

    def __init__(
        self, recipe: Recipe, registry: Registry, data: ReplayCache, *, seed: int, device: str, report: Report
    ) -> None:
        self._recipe, self._registry, self._data = recipe, registry, data
        self._seed, self._device, self._report = seed, device, report
        self._seconds: dict[str, float] = {}
        self.views = int(data.images.shape[1])
        self.brain = self._make_brain(data)
        self.prior = Transitions.none(self.brain.perception.feature_dim)

    def policy(self) -> None:
        """Trains the representation, and on its features the learner."""
        recipe, data, brain, seed = self._recipe, self._data, self.brain, self._seed
        self._timed(
            "representation",
            lambda progress: brain.perception.fit(
                data, schedule=recipe.training.schedule, seed=seed_for(seed, "representation"), progress=progress
            ),
        )
        features = self._timed("features", lambda progress: features_of(brain.perception, data, progress))
        prior = Transitions.of_labels(features, data)
        self._timed(
            "learner",
            lambda progress: brain.learner.pretrain(prior, seed=seed_for(seed, "learner"), progress=progress),
        )
        self.prior = _sample(prior, recipe.prior_frames, rng_for(seed, "prior"))

    def keep(self, bundle: Bundle) -> None:
        """Takes representation, learner and offline data of a bundle as they are. Raises InputError for one that has
        practised: its policy goes by an estimate that was adapted to one installation."""
        if bundle.brain.adapter is not None and bundle.brain.adapter.active:
            what = f"{bundle.folder}: has practised {bundle.card.variant or 'already'}, and goes by what it saw there"
            raise InputError(what, cure="give a bundle that `skill pretrain` made")
        self.brain.perception, self.brain.learner = bundle.brain.perception, bundle.brain.learner
        self.prior = bundle.prior

    def keep_reward(self, bundle: Bundle) -> Pretrained:
        """Takes the reward model of a bundle as it is, with its threshold."""
        self.brain.reward_model = bundle.brain.reward_model
        return Pretrained(self.brain, self.prior, dict(bundle.card.reward), {"seconds": self._seconds})

    def reward_model(self, data: ReplayCache, validation: ReplayCache, apart: str = APART) -> Pretrained:
        """Trains the reward model, and chooses its threshold on `validation`.

        data, validation: labelled episodes of different variants, best of all of a demonstrator and of this policy.
        apart: in words, what sets the validation data apart.
        """
        recipe, brain = self._recipe, self.brain
        # An adversary must know every variant there is.
        brain.reward_model = self._make_brain(data).reward_model
        start = brain.perception.representation if recipe.warm_reward_model else None
        self._timed(
            "reward model",
            lambda progress: brain.reward_model.fit(
                data, seed=seed_for(self._seed, "reward model"), progress=progress, start=start
            ),
        )
        reward, figures = choose_threshold(
            brain.reward_model,
            validation,
            recipe.false_positives,
            wrong_claims=recipe.wrong_claims,
            apart=apart,
        )
        told = {
            "reward model on validation variants": figures,
            "estimate of the way on validation variants": way_errors(brain.perception, validation),
            "seconds": self._seconds,
        }
        return Pretrained(brain, self.prior, reward, told)

    def _make_brain(self, data: ReplayCache) -> Brain:
        # What networks begin with is drawn from torch's own generator.
        torch.manual_seed(seed_for(self._seed, "weights"))
        _, views, size_px, _, _ = data.images.shape
        shape = ViewShape(views, size_px, domains_of(data)[1])
        return make_brain(self._recipe, self._registry, views=shape, device=self._device)

    def _timed(self, stage: str, work: Callable[[Progress], Any]) -> Any:
        begun = time.monotonic()
        result = work(self._report(stage))
        self._seconds[stage] = round(time.monotonic() - begun, 1)
        return result


def features_of(perception: Perception, data: ReplayCache, progress: Progress, batch: int = 512) -> NDArray[np.float32]:
    """(frames, feature_dim) of all frames."""
    parts = []
    for start in range(0, data.frames, batch):
        parts.append(perception.features(data.observations(np.arange(start, min(start + batch, data.frames)))))
        progress(min(start + batch, data.frames), data.frames, {})
    return np.concatenate(parts)


def choose_threshold(
    reward_model: RewardModel,
    validation: ReplayCache,
    false_positives: float,
    *,
    wrong_claims: float = 1.0,
    apart: str = APART,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Sets the lowest threshold that keeps two shares at or below what is allowed: of the failures among validation
    frames, those that look like success; of validation episodes, those that `RULE` would end in a wrong claim.

    The share of frames is the mean over variants, so that none outweighs the others, and never below that of all
    frames. Returns what the card says of the threshold, and the figures at it. Raises InputError where no frame is
    known to be none of success.
    """
    scores = scores_of(reward_model, validation)
    failure = validation.success == 0
    variants = np.array(validation.variants)[validation.episode]
    names = sorted(set(variants))
    failures = [np.sort(scores[failure & (variants == name)]) for name in names]

    pooled = np.concatenate(failures)
    if not len(pooled):
        raise InputError(
            f"no frame of {apart} is known to be a failure, so that no threshold can be chosen",
            cure="add episodes that fail, or label some: skill data relabel",
        )
    deceiving = _deceiving_levels(scores, validation)

    def shares_above(threshold: float) -> tuple[float, float]:
        shares = [1.0 - np.searchsorted(one, threshold, side="right") / len(one) for one in failures if len(one)]
        frames = max(float(np.mean(shares)), float(np.mean(pooled > threshold)))
        return frames, float(np.mean(deceiving > threshold))

    def fits(threshold: float) -> bool:
        frames, claims = shares_above(threshold)
        return frames <= false_positives and claims <= wrong_claims

    candidates = np.unique(np.concatenate([np.linspace(0.5, 0.99, 50), 1.0 - np.logspace(-2, -5, 40)]))
    fitting = [float(one) for one in candidates if fits(float(one))]
    threshold = fitting[0] if fitting else float(candidates[-1])
    reward_model.threshold = threshold
    figures = reward_figures(scores, validation, threshold)

    def told(frames: float, claims: float) -> str:
        return f"{frames:.1%} false positives among single frames and {claims:.2%} wrong claims among trials of {apart}"

    chosen = f"lowest with at most {told(false_positives, wrong_claims)}"
    if not fitting:
        found, allowed = shares_above(threshold), f"{false_positives:.1%} and {wrong_claims:.2%}"
        chosen = f"greatest there is, with {told(*found)}; {allowed} were allowed"
    reward = {
        "threshold": threshold,
        "agreement": str(RULE),
        "chosen": chosen,
        "validation_variants": names,
    }
    return reward, figures


def _deceiving_levels(scores: NDArray[np.float32], data: ReplayCache) -> NDArray[np.float32]:
    """(episodes,) below which threshold `RULE` would take each episode for a success before it is one; -inf where at
    none, as where nothing is known of an episode."""
    levels = []
    for first, end in pairwise(data.episode_starts):
        success = data.success[first:end]
        before = np.cumsum(success == 1) == 0
        levels.append(RULE.levels(scores[first:end])[before & (success == 0)].max(initial=-np.inf))
    return np.array(levels, np.float32)


def scores_of(reward_model: RewardModel, data: ReplayCache, batch: int = 512) -> NDArray[np.float32]:
    """(frames,) the reward model's scores."""
    chunks = np.array_split(np.arange(data.frames), max(1, data.frames // batch))
    return np.concatenate([reward_model.score(data.observations(chunk), data.past(chunk)) for chunk in chunks])


def reward_figures(scores: NDArray[np.float32], data: ReplayCache, threshold: float) -> dict[str, Any]:
    """How well scores (frames,) tell labels apart: at the threshold, at 0.5, and over all thresholds."""
    known = data.success >= 0
    success, scores = data.success[known] == 1, scores[known]
    order = np.argsort(scores, kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    hits, misses = int(success.sum()), int((~success).sum())
    area = (ranks[success].sum() - hits * (hits + 1) / 2) / max(1, hits * misses)

    def at(level: float) -> dict[str, float]:
        recall = float((scores[success] > level).mean()) if hits else float("nan")
        false = float((scores[~success] > level).mean()) if misses else float("nan")
        return {"recall": recall, "false_positives": false, "balanced_accuracy": 0.5 * (recall + 1.0 - false)}

    return {
        "frames": len(scores),
        "successes": hits,
        "area_under_roc": float(area),
        "at threshold": at(threshold),
        "at 0.5": at(0.5),
    }


def way_errors(perception: Perception, data: ReplayCache) -> dict[str, float]:
    """Sideways error in mm of the estimated way, near (within 4 mm of the axis) and far, before the plug is in."""
    frames = np.flatnonzero(np.isfinite(data.seated_from_tcp).all(1) & (data.success != 1))
    if not len(frames):
        return {}
    features = np.concatenate(
        [perception.features(data.observations(chunk)) for chunk in np.array_split(frames, max(1, len(frames) // 512))]
    )
    estimate = decoded_way(features[:, perception.way_columns])
    true = data.seated_from_tcp[frames]
    miss_mm = 1e3 * np.hypot(estimate[:, 0] - true[:, 0], estimate[:, 1] - true[:, 1])
    beside_mm = 1e3 * np.hypot(true[:, 0], true[:, 1])
    found = {}
    for name, group in (("near", beside_mm < 4.0), ("far", beside_mm >= 4.0)):
        if group.any():
            found[f"{name}_mean_mm"] = float(miss_mm[group].mean())
            found[f"{name}_median_mm"] = float(np.median(miss_mm[group]))
    return found


def _sample(prior: Transitions, count: int, rng: np.random.Generator) -> Transitions:
    """Stretches of neighbouring steps, so that vectors are shared; successes are kept as often as they were."""
    if len(prior) <= count:
        return prior
    stretch = 20
    starts = rng.permutation(len(prior) // stretch)[: count // stretch] * stretch
    return prior.chosen((np.sort(starts)[:, None] + np.arange(stretch)).ravel())
