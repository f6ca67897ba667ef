"""`skill pretrain` and `skill collect`: offline data, and a bundle from it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillcore.cli.options import CellName, Device, Seed, SkillName, load_skill, say_where, variant_option
from skillcore.cli.output import collecting, print_note, training
from skillcore.errors import InputError

if TYPE_CHECKING:
    from skillcore.skill import Skill

Cells = Annotated[
    list[str] | None,
    typer.Option("--cell", help="A cell to collect on; may be repeated. Default: sim and sim_b.", show_default=False),
]


def collect_command(
    context: typer.Context,
    skill_name: SkillName,
    connector: Annotated[
        list[str] | None, typer.Option("--connector", "--variant", help="Only this connector; may be repeated.")
    ] = None,
    cell: CellName = "sim",
    seed: Seed = 0,
    episodes: Annotated[int, typer.Option(min=1, max=100000, help="Episodes of each connector.")] = 10,
    connectors: Annotated[
        int,
        typer.Option(
            "--connectors", "--variants", min=1, max=100000, help="How many training connectors, without --connector."
        ),
    ] = 50,
    out: Annotated[Path | None, typer.Option(help="Folder of the episodes; in the home if none is given.")] = None,
) -> None:
    """Collect labelled episodes with the scripted collector, which knows the truth. Needs a simulated cell."""
    from skillcore.cell_config import load_cell
    from skillcore.home import folder
    from skillcore.learning.collect import Assignment, collect

    if connector and _is_typed(context, "connectors"):
        raise InputError(
            "--connectors says how many are drawn, and with --connector none is", cure="leave one of the two away"
        )
    skill, registry = load_skill(skill_name)
    loaded = load_cell(cell, registry)
    # A file is asked for again where it is used; a name is told by its first spelling.
    names = tuple(
        name if "/" in name or name.endswith((".yaml", ".yml")) else skill.variant(name).name
        for name in connector or ()
    )
    assignment = Assignment(skill.name, (str(loaded.file),), episodes, seed, count=connectors, names=names)
    place = out or folder("datasets") / f"{skill.name}-{loaded.name}-seed{seed}"
    collect(assignment, place, report=collecting(f"{assignment.variants} connectors, in {place}"))
    say_where(dataset=place)
    typer.echo(f"next:   skill data list {place}")


def pretrain_command(
    context: typer.Context,
    skill_name: SkillName,
    cell: Cells = None,
    seed: Seed = 0,
    device: Device = "auto",
    recipe: Annotated[Path | None, typer.Option(help="YAML file: parts, options, training steps.")] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            help="Train on the episodes in this folder alone: collect nothing, need no simulator. May be repeated.",
        ),
    ] = None,
    connectors: Annotated[
        int,
        typer.Option("--connectors", "--variants", min=2, max=100000, help="Training connectors to collect on."),
    ] = 3000,
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
    reward_from: Annotated[
        Path | None, typer.Option(help="With --data: bundle whose reward model is kept: only the policy is trained.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the new bundle; in the home if none is given.")] = None,
) -> None:
    """Make the bundle that practice begins from: collect, train, choose the reward threshold.

    Takes half an hour on two cores of 2025. What was collected is kept, and used again by the same command. With
    `--data` it trains on what was recorded or imported; actions mean what the file of `--cell` says.
    """
    from skillcore.cell_config import load_cell
    from skillcore.config import load_yaml
    from skillcore.home import folder
    from skillcore.learning.bundles import PRETRAINED, about, load_bundle, next_folder
    from skillcore.learning.datasets import Collection
    from skillcore.learning.pretrain_job import Amounts, control_and_size, pretrain
    from skillcore.learning.pretrain_recorded import pretrain_recorded
    from skillcore.learning.recipe import Recipe, choose_device

    began = time.monotonic()
    _check_options(context, is_recorded=bool(data))
    skill, registry = load_skill(skill_name)
    chosen_device = choose_device(device)
    cells = [load_cell(name, registry) for name in cell or ["sim", "sim_b"]]
    _, size = control_and_size(cells)
    typer.echo(f"pretraining {skill.name} on {chosen_device}, seed {seed}")
    place = out or next_folder(folder("bundles"), skill.name, PRETRAINED)
    kept = None if policy_from is None else load_bundle(policy_from, registry, device=chosen_device)
    command = " ".join(["skill", *sys.argv[1:]])
    chosen = Recipe() if recipe is None else load_yaml(recipe, Recipe)
    if data:
        typer.echo(f"on {', '.join(map(str, data))}; nothing is collected")
        card = pretrain_recorded(
            place,
            skill,
            registry,
            chosen,
            cells,
            data,
            kept=kept,
            kept_reward=None if reward_from is None else load_bundle(reward_from, registry, device=chosen_device),
            seed=seed,
            device=chosen_device,
            report=training,
            say=print_note,
            command=command,
        )
    else:
        files = tuple(str(one.file) for one in cells)
        card = pretrain(
            place,
            skill,
            registry,
            chosen,
            cells,
            Collection(folder("datasets"), skill, files, size, seed, announce=collecting),
            Amounts(connectors, episodes, rollouts, validation_episodes),
            kept=kept,
            seed=seed,
            device=chosen_device,
            report=training,
            command=command,
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


def _check_options(context: typer.Context, *, is_recorded: bool) -> None:
    """Raises InputError for an option that would do nothing."""
    amounts = ("connectors", "episodes", "rollouts", "validation_episodes")
    idle = amounts if is_recorded else ("reward_from",)
    for name in idle:
        if _is_typed(context, name):
            option = f"--{name.replace('_', '-')}"
            raise InputError(
                f"{option} says how much is collected, and with --data nothing is"
                if is_recorded
                else f"{option} goes with --data only: a policy that is new runs into what its reward model must know",
                cure=f"leave {option} away",
            )


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _summary(figures: dict[str, Any], reward: dict[str, Any]) -> list[str]:
    found = figures.get("reward model on validation variants")
    if found is None:
        return [f"reward model: taken over as it was, with its threshold {reward['threshold']:.4f}"]
    way = figures["estimate of the way on validation variants"]
    at = found["at threshold"]
    off = []
    for place, words in (("near", "within 4 mm of the axis"), ("far", "farther out")):
        if f"{place}_mean_mm" in way:
            off.append(f"{way[f'{place}_mean_mm']:.2f} mm off on average {words}")
    apart = "episodes kept back" if "same variants" in str(reward.get("chosen", "")) else "connectors not trained on"
    lines = [f"estimate of the way, on {apart}: {', '.join(off)}"] if off else []
    lines.append(
        f"reward model, on {apart}: area under the ROC {found['area_under_roc']:.4f}; at threshold "
        f"{reward['threshold']:.4f} recall {at['recall']:.1%}, false positives {at['false_positives']:.2%}"
    )
    return lines
