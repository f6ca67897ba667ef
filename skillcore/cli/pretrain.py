"""`skill pretrain` and `skill collect`: offline data, and a bundle from it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillcore.cli.options import CellName, Device, Seed, SkillName, load_skill, say_where, variant_option
from skillcore.cli.output import collecting, training

if TYPE_CHECKING:
    from skillcore.skill import Skill

Cells = Annotated[
    list[str] | None,
    typer.Option("--cell", help="A cell to collect on; may be repeated. Default: sim and sim_b.", show_default=False),
]


def collect_command(
    skill_name: SkillName,
    connector: Annotated[
        list[str] | None, typer.Option("--connector", "--variant", help="Only this connector; may be repeated.")
    ] = None,
    cell: CellName = "sim",
    seed: Seed = 0,
    device: Device = "cpu",
    episodes: Annotated[int, typer.Option(min=1, max=100000, help="Episodes of each connector.")] = 10,
    connectors: Annotated[
        int,
        typer.Option(
            "--connectors", "--variants", min=1, max=100000, help="How many training connectors, without --connector."
        ),
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
    connectors: Annotated[
        int,
        typer.Option("--connectors", "--variants", min=2, max=100000, help="Training connectors to collect on."),
    ] = 1650,
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
    from skillcore.home import folder
    from skillcore.learning.bundles import PRETRAINED, about, load_bundle, next_folder
    from skillcore.learning.datasets import Collection
    from skillcore.learning.pretrain_job import Amounts, control_and_size, pretrain
    from skillcore.learning.recipe import Recipe, choose_device

    began = time.monotonic()
    skill, registry = load_skill(skill_name)
    chosen_device = choose_device(device)
    cells = [load_cell(name, registry) for name in cell or ["sim", "sim_b"]]
    _, size = control_and_size(cells)
    typer.echo(f"pretraining {skill.name} on {chosen_device}, seed {seed}")
    place = out or next_folder(folder("bundles"), skill.name, PRETRAINED)
    card = pretrain(
        place,
        skill,
        registry,
        Recipe() if recipe is None else load_yaml(recipe, Recipe),
        cells,
        Collection(folder("datasets"), skill, tuple(str(one.file) for one in cells), size, seed, announce=collecting),
        Amounts(connectors, episodes, rollouts, validation_episodes),
        data=data or (),
        kept=None if policy_from is None else load_bundle(policy_from, registry, device=chosen_device),
        seed=seed,
        device=chosen_device,
        report=training,
        command=" ".join(["skill", *sys.argv[1:]]),
    )
    for line in _summary(card.figures, card.reward):
        typer.echo(line)
    typer.echo(f"took {(time.monotonic() - began) / 60:.0f} min; {about(card)}")
    say_where(bundle=place)
    typer.echo(f"next:   skill learn {skill.name} {variant_option(skill)} {_to_try(skill)} --bundle {place}")


def _to_try(skill: Skill) -> str:
    """A variant that nothing was trained on: HDMI, or else the first that is held out."""
    held_out = [name for one in skill.variants() if one.split == "held_out" for name in (*one.aliases, one.name)]
    return "hdmi" if "hdmi" in held_out else next(iter(held_out), "NAME")


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
