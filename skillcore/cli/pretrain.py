"""`skill pretrain` and `skill collect`: offline data, and a bundle from it."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillcore.cli.options import CellName, Device, Seed, SkillName, load_skill, say_where
from skillcore.cli.output import SAY_EVERY_S, collecting

if TYPE_CHECKING:
    from skillcore.learning.training import Progress

Cells = Annotated[
    list[str] | None,
    typer.Option("--cell", help="A cell to collect on; may be repeated. Default: sim and sim_b.", show_default=False),
]


def collect_command(
    skill_name: SkillName,
    connector: Annotated[
        list[str] | None, typer.Option("--connector", help="Only this connector; may be repeated.")
    ] = None,
    cell: CellName = "sim",
    seed: Seed = 0,
    device: Device = "cpu",
    episodes: Annotated[int, typer.Option(min=1, max=100000, help="Episodes of each connector.")] = 10,
    connectors: Annotated[
        int, typer.Option(min=1, max=100000, help="How many training connectors, without --connector.")
    ] = 50,
    out: Annotated[Path | None, typer.Option(help="Folder of the episodes; in the home if none is given.")] = None,
) -> None:
    """Collect labelled episodes with the scripted collector, which knows the truth. Needs a simulated cell.

    `--device` is accepted as everywhere and changes nothing: no network takes part.
    """
    from skillcore.cell_config import load_cell
    from skillcore.home import folder
    from skillcore.learning.collect import Assignment, collect

    skill, registry = load_skill(skill_name)
    loaded = load_cell(cell, registry)
    names = tuple(skill.variant(name).name if "/" not in name else name for name in connector or ())
    assignment = Assignment(skill.name, (str(loaded.file),), episodes, seed, count=connectors, names=names)
    place = out or folder("datasets") / f"{skill.name}-{loaded.name}-seed{seed}"
    collect(assignment, place, report=collecting(f"{assignment.variants} connectors, in {place}"))
    say_where(dataset=place)
    typer.echo(f"next:   skill data list {place}")


def pretrain_command(
    skill_name: SkillName,
    cell: Cells = None,
    seed: Seed = 0,
    device: Device = "auto",
    recipe: Annotated[Path | None, typer.Option(help="YAML file: parts, options, training steps.")] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of recorded episodes to train on, instead of collecting; may be repeated."),
    ] = None,
    connectors: Annotated[int, typer.Option(min=2, max=100000, help="Training connectors to collect on.")] = 1650,
    episodes: Annotated[int, typer.Option(min=1, max=1000, help="Episodes of each.")] = 3,
    rollouts: Annotated[
        int,
        typer.Option(min=0, max=100000, help="Connectors on which the new policy acts, to train the reward model on."),
    ] = 1000,
    validation_episodes: Annotated[
        int, typer.Option(min=1, max=1000, help="Episodes of each validation connector, to choose the threshold on.")
    ] = 24,
    policy_from: Annotated[
        Path | None, typer.Option(help="Bundle whose policy is kept as it is: only the reward model is trained.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the new bundle; in the home if none is given.")] = None,
) -> None:
    """Make the bundle that practice begins from: collect, train, choose the reward threshold.

    Takes most of an hour on two cores. What was collected is kept, and used again by the same command.
    """
    from skillcore.cell_config import load_cell
    from skillcore.config import load_yaml
    from skillcore.episodes import ReplayCache
    from skillcore.errors import InputError
    from skillcore.home import folder
    from skillcore.learning.bundles import PRETRAINED, about, load_bundle, new_card, next_folder, save_bundle
    from skillcore.learning.datasets import Collection, open_dataset
    from skillcore.learning.job import control_of
    from skillcore.learning.pretrain import Pretraining
    from skillcore.learning.recipe import Recipe, choose_device, completed
    from skillcore.storage import make_folder_durably

    began = time.monotonic()
    skill, registry = load_skill(skill_name)
    chosen_device = choose_device(device)
    chosen = Recipe() if recipe is None else load_yaml(recipe, Recipe)
    cells = [load_cell(name, registry) for name in cell or ["sim", "sim_b"]]
    control, size = control_of(cells[0]), cells[0].config.views.size_px
    if any(control_of(one) != control for one in cells):
        raise InputError("the cells mean different things by an action", cure="give them the same `control` section")
    if out is not None and out.exists():
        raise InputError(f"{out}: already exists", cure="give the name of a new folder")
    kept = None if policy_from is None else load_bundle(policy_from, registry, device=chosen_device)
    if kept is not None:
        # What makes the policy stays as it was made; the rest is this recipe's.
        made_with = kept.card.recipe
        same = ("representation", "learner", "training")
        chosen = chosen.model_copy(update={name: getattr(made_with, name) for name in same})
    chosen = completed(chosen, registry)
    typer.echo(f"pretraining {skill.name} on {chosen_device}, seed {seed}")
    collection = Collection(
        folder("datasets"), skill, tuple(str(one.file) for one in cells), size, seed, announce=collecting
    )
    shown = [open_dataset(place, size_px=size) for place in data or ()]
    if not data:
        shown.append(collection.demonstrations(connectors, episodes))
    unseen = [collection.validation(validation_episodes)]
    work = Pretraining(
        chosen, registry, ReplayCache.joined([one.cache for one in shown]), seed=seed, device=chosen_device,
        report=_training,
    )  # fmt: skip
    about_all: dict[str, Any] = {
        "skill": skill.name,
        "recipe": chosen,
        "views": work.views,
        "size_px": size,
        "control": control,
    }
    if kept is None:
        work.policy()
    else:
        work.keep(kept)
    if rollouts:
        # Other processes act by it, so that it must lie somewhere; its reward model is not trained yet.
        make_folder_durably(folder("datasets"))
        with tempfile.TemporaryDirectory(dir=folder("datasets")) as temporary:
            policy = Path(temporary) / "policy"
            save_bundle(policy, new_card(reward={"threshold": 1.0}, **about_all), work.brain, None)
            shown.append(collection.rollouts(policy, rollouts, first=connectors))
            unseen.append(collection.validation(validation_episodes, policy))
    training = ReplayCache.joined([one.cache for one in shown])
    made = work.reward_model(training, ReplayCache.joined([one.cache for one in unseen]))
    card = new_card(
        **about_all,
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
        command=" ".join(["skill", *sys.argv[1:]]),
    )
    place = out or next_folder(folder("bundles"), skill.name, PRETRAINED)
    save_bundle(place, card, made.brain, made.prior)
    for line in _summary(made.figures, made.reward):
        typer.echo(line)
    typer.echo(f"took {(time.monotonic() - began) / 60:.0f} min; {about(card)}")
    say_where(bundle=place)
    typer.echo(f"next:   skill learn {skill.name} --connector hdmi --bundle {place}")


def _summary(figures: dict[str, Any], reward: dict[str, Any]) -> list[str]:
    found = figures["reward model on validation variants"]
    way = figures["estimate of the way on validation variants"]
    at = found["at threshold"]
    return [
        f"estimate of the way, on connectors not trained on: {way.get('near_mean_mm', float('nan')):.2f} mm off on "
        f"average within 4 mm of the axis, {way.get('far_mean_mm', float('nan')):.2f} mm farther out",
        f"reward model, on connectors not trained on: area under the ROC {found['area_under_roc']:.4f}; at threshold "
        f"{reward['threshold']:.4f} recall {at['recall']:.1%}, false positives {at['false_positives']:.2%}",
    ]


def _training(stage: str) -> Progress:
    """Tells how a stage of training goes: a line now and then."""
    began, last = time.monotonic(), [time.monotonic()]
    typer.echo(f"training: {stage}")

    def report(done: int, total: int, figures: dict[str, float], /) -> None:
        now = time.monotonic()
        if done < total and now - last[0] < SAY_EVERY_S:
            return
        last[0] = now
        told = "".join(f", {name} {value:.4f}" for name, value in figures.items())
        left = (now - began) / done * (total - done)
        typer.echo(f"  {done} of {total}{told}, {left:.0f} s left")

    return report
