"""The whole of pretraining in simulation: collect data, train a recipe's parts on it, keep the bundle."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillcore.cell_config import LoadedCell
from skillcore.episodes import ReplayCache
from skillcore.errors import InputError
from skillcore.learning.bundles import Bundle, Card, new_card, save_bundle
from skillcore.learning.datasets import Collection, Dataset
from skillcore.learning.job import control_of
from skillcore.learning.pretrain import Pretraining, Report
from skillcore.learning.recipe import Recipe, completed, make_brain
from skillcore.parts import ViewShape
from skillcore.plugins import Registry
from skillcore.skill import Skill
from skillcore.storage import make_folder_durably


@dataclass(frozen=True, slots=True)
class Amounts:
    """How much data. connectors: training variants that are shown, with `episodes` of each. rollouts: further variants
    on which the new policy acts. validation_episodes: of each validation variant, by each who acts."""

    connectors: int = 3000
    episodes: int = 3
    rollouts: int = 1000
    validation_episodes: int = 24


def control_and_size(cells: Sequence[LoadedCell]) -> tuple[dict[str, float], int]:
    """What actions mean on cells, and the size of their images. Raises InputError unless it is the same on all."""
    control = control_of(cells[0])
    if any(control_of(one) != control for one in cells):
        raise InputError("the cells mean different things by an action", cure="give them the same `control` section")
    return control, cells[0].config.views.size_px


def pretrain(
    place: Path,
    skill: Skill,
    registry: Registry,
    recipe: Recipe,
    cells: Sequence[LoadedCell],
    collection: Collection,
    amounts: Amounts,
    *,
    kept: Bundle | None = None,
    seed: int,
    device: str,
    report: Report,
    command: str,
) -> Card:
    """Makes a bundle in the new folder `place`. Returns its card.

    kept: a bundle whose policy is kept as it is, so that only the reward model is trained. Raises UnknownNameError,
    ConfigError and PluginError for the recipe, InputError for the cells or a folder that exists, and what collecting
    and disk raise.
    """
    if place.exists():
        raise InputError(f"{place}: already exists", cure="give the name of a new folder")
    control, size = control_and_size(cells)
    if kept is not None:
        # What makes the policy stays as it was made; the rest is this recipe's.
        same = ("representation", "learner", "training")
        recipe = recipe.model_copy(update={name: getattr(kept.card.recipe, name) for name in same})
    recipe = completed(recipe, registry)
    # A package that is missing is told before anything is collected, not half an hour later.
    make_brain(recipe, registry, views=ViewShape(len(cells[0].config.cameras), size, domains=2), device=device)
    shown = [collection.demonstrations(amounts.connectors, amounts.episodes)]
    unseen = [collection.validation(amounts.validation_episodes)]
    work = Pretraining(recipe, registry, _joined(shown), seed=seed, device=device, report=report)
    common: dict[str, Any] = {
        "skill": skill.name,
        "recipe": recipe,
        "views": work.views,
        "size_px": size,
        "control": control,
    }
    if kept is None:
        work.policy()
    else:
        work.keep(kept)
    if amounts.rollouts:
        # Other processes act by it, so that it must lie somewhere; its reward model is not trained yet.
        make_folder_durably(collection.root)
        with tempfile.TemporaryDirectory(dir=collection.root) as temporary:
            policy = Path(temporary) / "policy"
            save_bundle(policy, new_card(reward={"threshold": 1.0}, **common), work.brain, None)
            shown.append(collection.rollouts(policy, amounts.rollouts, first=amounts.connectors))
            unseen.append(collection.validation(amounts.validation_episodes, policy))
    training = _joined(shown)
    made = work.reward_model(training, _joined(unseen))
    card = new_card(
        **common,
        reward=made.reward,
        data={
            "hashes": [one.hash for one in shown],
            "episodes": training.episodes,
            "frames": training.frames,
            "variants": len(set(training.variants)),
            "cells": sorted({info.cell for info in training.infos}),
        },
        figures=made.figures,
        seed=seed,
        parent="" if kept is None else f"policy: {kept.card.command} ({kept.card.created})",
        command=command,
    )
    return save_bundle(place, card, made.brain, made.prior)


def _joined(datasets: Sequence[Dataset]) -> ReplayCache:
    return ReplayCache.joined([one.cache for one in datasets])
