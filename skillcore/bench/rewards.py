"""Reward models compared on variants that they were not trained on: who is trained, tested, and with what threshold.

Every frame is judged by itself, as the demonstrator's labels have it. The threshold is the lowest that keeps false
positives rare among variants that are in neither set, so that no tested variant has a say in it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skillcore.bench.conditions import RewardStudy, Split
from skillcore.bench.jobs import Job, result_of, run_all, unfinished
from skillcore.config import validate_options
from skillcore.episodes import EpisodeStore, ReplayCache
from skillcore.errors import InputError
from skillcore.interfaces import Representation, RewardModel
from skillcore.learning.bundles import load_bundle
from skillcore.learning.collect import Assignment, collect
from skillcore.learning.datasets import by_content
from skillcore.learning.pretrain import choose_threshold, reward_figures, scores_of
from skillcore.learning.seeds import rng_for, seed_for
from skillcore.learning.training import domains_of, silent
from skillcore.parts import Context, ViewShape
from skillcore.plugins import Registry
from skillcore.skill import Skill, VariantEntry

BUNDLES = "the bundle's, as it is"
"""The row of the bundle's own reward model, at its own threshold; only where what is held out is tested, which no
bundle was trained on."""
CURVE = (*np.round(np.linspace(0.02, 0.98, 49), 2).tolist(), 0.99, 0.995, 0.999)
"""Thresholds at which curves are kept."""


@dataclass(frozen=True, slots=True)
class Sets:
    """Names of variants: trained on, the threshold chosen on, tested on."""

    train: tuple[str, ...]
    choose: tuple[str, ...]
    test: tuple[str, ...]


def draw_sets(split: Split, entries: Sequence[VariantEntry], seed: int) -> Sets:
    """The sets of one seed. Where a number of variants is tested, each is of another family, and none of its family is
    in the other sets.

    Raises InputError if there are too few variants.
    """
    rng = rng_for(seed, "variants")
    own = [entry for entry in entries if entry.split == "train"]
    order = [own[index] for index in rng.permutation(len(own))]
    needed = split.train + split.choose
    test = [entry for entry in entries if entry.split != "train"]
    if isinstance(split.test, int):
        test = []
        for entry in order:
            others = [other for other in order if other.family != entry.family]
            # A family so large that too few would be left to train on is passed over.
            if len(test) < split.test and entry in order and len(others) >= needed:
                test.append(entry)
                order = others
        if len(test) < split.test:
            raise _too_few(split.test, "test on", len(test))
    if len(order) < needed:
        raise _too_few(needed, "train and choose on", len(order))
    names = [entry.name for entry in order]
    return Sets(tuple(names[: split.train]), tuple(names[split.train : needed]), tuple(entry.name for entry in test))


def _too_few(wanted: int, what: str, found: int) -> InputError:
    return InputError(
        f"reward.splits: {wanted} variants to {what} are wanted, and there are {found}", cure="ask for fewer"
    )


def rows_of(study: RewardStudy, split: str) -> tuple[str, ...]:
    """What is compared in a split."""
    own = (BUNDLES,) if study.splits[split].test == "held-out" else ()
    return (*study.models, *own)


def jobs_of(study: RewardStudy) -> list[Job]:
    """All jobs, seed by seed. What is not trained has one seed."""
    return [
        Job("reward", (split, model), seed)
        for seed in study.seeds
        for split in study.splits
        for model in rows_of(study, split)
        if model != BUNDLES or seed == study.seeds[0]
    ]


def run_study(
    study: RewardStudy,
    skill: Skill,
    cells: Sequence[str],
    bundle: Path,
    datasets: Path,
    out: Path,
    *,
    size_px: int,
    workers: int,
    announce: Callable[[str], Callable[[int, int, int], None]],
    report: Callable[[Job, int, int], None],
) -> None:
    """Collects what is missing in `datasets`, and runs the jobs that are not finished. cells: their files.

    Raises UnknownNameError and ConfigError for a model that is none, and what collecting raises.
    """
    for model in study.models:
        _options(study, model)
    jobs = jobs_of(study)
    if not unfinished(jobs, out):
        return
    places = {
        one_bench: _collected(study, skill, cells, datasets, one_bench, size_px, announce)
        for one_bench in sorted({split.one_bench for split in study.splits.values()})
    }
    run_all(jobs, out, _run, (study, skill.name, bundle, places, size_px), workers=workers, report=report)


def _collected(
    study: RewardStudy,
    skill: Skill,
    cells: Sequence[str],
    datasets: Path,
    one_bench: bool,
    size_px: int,
    announce: Callable[[str], Callable[[int, int, int], None]],
) -> Path:
    """The dataset of all splits that are filmed alike, made if it is missing."""
    entries = list(skill.variants())
    splits = [split for split in study.splits.values() if split.one_bench == one_bench]
    sets = [draw_sets(split, entries, seed) for split in splits for seed in study.seeds]
    names = tuple(sorted({name for one in sets for name in (*one.train, *one.choose, *one.test)}))
    benches = "-one-bench" if one_bench else ""
    place = datasets / f"{skill.name}-{len(names)}-variants-{study.episodes}{benches}"
    collect(
        Assignment(skill.name, tuple(cells), study.episodes * len(cells), 0, names=names, one_bench=one_bench),
        place,
        report=announce(f"{len(names)} variants shown by the demonstrator, in {place}"),
    )
    with EpisodeStore(place, create=False) as store:
        ReplayCache.open(store, size_px=size_px, order=by_content)
    return place


def _run(
    job: Job, study: RewardStudy, skill_name: str, bundle: Path, places: dict[bool, Path], size_px: int
) -> dict[str, Any]:
    registry = Registry.discover()
    skill: Skill = registry.make("skills", skill_name, {}, Context(name=skill_name))
    split, model = job.what
    sets = draw_sets(study.splits[split], list(skill.variants()), job.seed)
    with EpisodeStore(places[study.splits[split].one_bench], create=False) as store:
        every = ReplayCache.open(store, size_px=size_px, order=by_content)
    train, choose, test = (_of_variants(every, names) for names in (sets.train, sets.choose, sets.test))
    if model == BUNDLES:
        return _figures(load_bundle(bundle, registry, device="cpu").brain.reward_model, test, sets)
    views = ViewShape(int(every.images.shape[1]), size_px, domains_of(train)[1])

    def representation(name: str, options: dict[str, Any]) -> Representation:
        made: Representation = registry.make("representations", name, options, Context(name=name, views=views))
        return made

    torch.manual_seed(seed_for(job.seed, "weights"))
    options = _options(study, model)
    context = Context(views=views, make_representation=representation)
    reward_model = registry.make("reward_models", study.reward_model, options, context)
    reward_model.fit(train, seed=seed_for(job.seed, "reward model"), progress=silent)
    choose_threshold(reward_model, choose, study.false_positives)
    return _figures(reward_model, test, sets)


def _figures(reward_model: RewardModel, test: ReplayCache, sets: Sets) -> dict[str, Any]:
    scores = scores_of(reward_model, test)
    return {
        **reward_figures(scores, test, reward_model.threshold),
        "threshold": reward_model.threshold,
        "curve": _curve(scores, test.success),
        "tested": list(sets.test),
    }


def _options(study: RewardStudy, model: str) -> dict[str, Any]:
    """A model's options, checked. Raises UnknownNameError, ConfigError."""
    options = {**study.options, **study.models[model]}
    part = Registry.discover().get("reward_models", study.reward_model).part
    validate_options(options, part.config, where=f"reward.models.{model}")
    return options


def _of_variants(every: ReplayCache, names: Sequence[str]) -> ReplayCache:
    return every.of_episodes(np.flatnonzero(np.isin(every.variants, names)))


def _curve(scores: NDArray[np.float32], success: NDArray[np.int8]) -> list[list[float]]:
    """At each threshold of `CURVE`: recall and the share of false positives."""
    return [
        [float((scores[success == 1] > level).mean()), float((scores[success == 0] > level).mean())] for level in CURVE
    ]


def results_of(study: RewardStudy, out: Path) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """What is finished, by split and model, one of each seed."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for job in jobs_of(study):
        split, model = job.what
        result = result_of(out, job)
        found.setdefault((split, model), [])
        if result is not None:
            found[split, model].append(result)
    return found
