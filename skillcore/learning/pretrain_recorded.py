"""Pretraining on recorded and imported episodes alone: nothing is collected, and no simulator is needed."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from skillcore.cell_config import LoadedCell
from skillcore.episodes import EpisodeStore, ReplayCache
from skillcore.errors import BundleError, InputError
from skillcore.learning.bundles import Bundle, Card, new_card, save_bundle
from skillcore.learning.datasets import Dataset, open_dataset
from skillcore.learning.pretrain import Pretraining, Report
from skillcore.learning.pretrain_job import control_and_size
from skillcore.learning.recipe import Recipe, completed
from skillcore.learning.recorded import HeldOut, completed_labels, doubts, held_out, refuse, shortages
from skillcore.learning.seeds import seed_for
from skillcore.plugins import Registry
from skillcore.skill import Skill
from skillcore.storage import there

RATE_TOLERANCE = 0.01


def pretrain_recorded(
    place: Path,
    skill: Skill,
    registry: Registry,
    recipe: Recipe,
    cells: Sequence[LoadedCell],
    folders: Sequence[Path],
    *,
    kept: Bundle | None = None,
    kept_reward: Bundle | None = None,
    seed: int,
    device: str,
    report: Report,
    say: Callable[[str], None],
    command: str,
) -> Card:
    """Makes a bundle in the new folder `place` from the stores in `folders`. Returns its card.

    cells: what actions mean is read from their files, and none is opened. kept, kept_reward: bundles whose policy or
    reward model is taken over as it is. say: is told what should be known. Raises InputError that lists what cannot be
    trained and why, for data that does not fit, or a folder that exists; EpisodeError, StorageError for the data;
    UnknownNameError and ConfigError for the recipe.
    """
    if there(place):
        raise InputError(f"{place}: already exists", cure="give the name of a new folder")
    if kept is not None and kept_reward is not None:
        raise InputError(
            "with both --policy-from and --reward-from nothing is left to train", cure="leave one of them away"
        )
    control, size = control_and_size(cells)
    datasets = [open_dataset(folder, size_px=size) for folder in folders]
    for folder, dataset in zip(folders, datasets, strict=True):
        _check(folder, dataset.cache, skill, control)
    _check_apart(folders)
    data = completed_labels(ReplayCache.joined([one.cache for one in datasets]))
    refuse(shortages(data, policy=kept is None, reward_model=kept_reward is None))
    for doubt in doubts(data, reward_model=kept_reward is None):
        say(doubt)
    views = int(data.labels.images.shape[1])
    for option, bundle in (("--policy-from", kept), ("--reward-from", kept_reward)):
        if bundle is not None:
            recipe = _taken_over(recipe, option, bundle, views, size)
    recipe = completed(recipe, registry)
    apart = None
    training = data
    if kept_reward is None:
        apart = held_out(data, preferred=skill.validation, seed=seed_for(seed, "held out"))
        training = data.of_episodes(apart.training)
        # What is kept back may be all that succeeded.
        refuse(shortages(training, policy=kept is None, reward_model=False))
    work = Pretraining(recipe, registry, training.steps, seed=seed, device=device, report=report)
    if kept is None:
        work.policy()
    else:
        work.keep(kept)
    if apart is not None:
        validation = data.of_episodes(apart.validation).labels
        made = work.reward_model(training.labels, validation, apart.words)
    else:
        assert kept_reward is not None
        made = work.keep_reward(kept_reward)
    card = new_card(
        skill=skill.name,
        recipe=recipe,
        views=views,
        size_px=size,
        control=control,
        reward=made.reward,
        data=_about(datasets, data.labels, training.labels, apart)
        | {
            "recorded": [str(folder) for folder in folders],
            "labels": {"by outcome": data.by_outcome, "by a person": data.by_person, "none": data.unlabelled},
        },
        figures=made.figures,
        seed=seed,
        parent=_parents(kept, kept_reward),
        command=command,
    )
    return save_bundle(place, card, made.brain, made.prior)


def _check(folder: Path, data: ReplayCache, skill: Skill, control: dict[str, float]) -> None:
    """Raises InputError for a dataset that is of another skill, or of actions that mean something else."""
    others = sorted({info.skill for info in data.infos} - {skill.name})
    if others:
        raise InputError(f"{folder}: holds episodes of {others[0]!r}", cure=f"give stores of {skill.name!r}")
    rate = control["rate_hz"]
    wrong = sorted({info.control_hz for info in data.infos if abs(info.control_hz - rate) > RATE_TOLERANCE * rate})
    if wrong:
        raise InputError(
            f"{folder}: was recorded at {wrong[0]:g} Hz, and control.rate_hz of the cell is {rate:g}",
            cure="name the cell whose actions these are: --cell FILE",
        )


def _check_apart(folders: Sequence[Path]) -> None:
    """Raises InputError where stores hold the same episodes: one that is trained on could be kept back as well."""
    holders: dict[str, Path] = {}
    for folder in folders:
        with EpisodeStore(folder, create=False) as store:
            own = {row.sha256 for row in store.recorded_rows()}
        both = holders.keys() & own
        if both:
            other = holders[min(both)]
            raise InputError(
                f"{len(both)} of the episodes in {folder} are in {other} too",
                cure=f"join them: skill data merge {shlex.quote(str(other))} {shlex.quote(str(folder))} --out NEW"
                if folder.resolve() != other.resolve()
                else "name each store once",
            )
        holders |= dict.fromkeys(own, folder)


def _taken_over(recipe: Recipe, option: str, bundle: Bundle, views: int, size_px: int) -> Recipe:
    """The recipe with what makes the parts of `bundle`. Raises BundleError if these look at other images."""
    card = bundle.card
    if (card.views, card.size_px) != (views, size_px):
        raise BundleError(
            f"{option}: {bundle.folder} looks at {card.views} views of {card.size_px} px, and the data has {views} of "
            f"{size_px} px",
            cure="take over another bundle, or name a cell with views of that size: --cell FILE",
        )
    names = ("representation", "learner", "training") if option == "--policy-from" else ("reward_model",)
    return recipe.model_copy(update={name: getattr(card.recipe, name) for name in names})


def _about(
    datasets: Sequence[Dataset], data: ReplayCache, training: ReplayCache, apart: HeldOut | None
) -> dict[str, Any]:
    return {
        "hashes": [one.hash for one in datasets],
        "episodes": training.episodes,
        "frames": training.frames,
        "variants": len(set(training.variants)),
        "cells": sorted({info.cell for info in data.infos}),
        "held out": 0 if apart is None else len(apart.validation),
    }


def _parents(kept: Bundle | None, kept_reward: Bundle | None) -> str:
    named = (("policy", kept), ("reward model", kept_reward))
    return "; ".join(f"{part}: {one.card.command} ({one.card.created})" for part, one in named if one is not None)
