"""`skill export`: a trained skill in a form that other programs run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillcore.cli.options import (
    BundleFolder,
    ConnectorName,
    Seed,
    SkillName,
    load_skill,
    open_bundle,
    say_where,
)

if TYPE_CHECKING:
    from skillcore.learning.bundles import Bundle
    from skillcore.learning.onnx_export import Samples
    from skillcore.learning.past_runs import PastRun
    from skillcore.plugins import Registry
    from skillcore.skill import Skill, Variant
    from skillcore.types import Episode

EPISODES = 20
"""Of a run at most so many are read."""
SIMULATED = 2
"""Episodes that are recorded where there are none."""


def export_command(
    skill_name: SkillName,
    connector: ConnectorName,
    onnx: Annotated[bool, typer.Option("--onnx", help="As ONNX; the one form there is.")] = False,
    bundle: BundleFolder = "",
    out: Annotated[str, typer.Option("--out", help="Folder to make. Default: SKILL-CONNECTOR-onnx, here.")] = "",
    observations: Annotated[
        str, typer.Option("--observations", help="Run whose episodes to compare on. Default: the connector's newest.")
    ] = "",
    cell: Annotated[
        str, typer.Option("--cell", help="Simulated cell to record a few episodes on where there are none.")
    ] = "sim",
    seed: Seed = 0,
) -> None:
    """Export policy and reward model as ONNX, compared with the originals on recorded observations.

    Their outputs agree within 1e-4, or nothing is written. Needs the extra `onnx`.
    """
    from skillcore.errors import InputError
    from skillcore.learning.bundles import about
    from skillcore.learning.onnx_export import export_onnx, require_onnx

    if not onnx:
        raise InputError("export: no form is named", cure="add --onnx")
    require_onnx()
    skill, registry = load_skill(skill_name)
    variant = skill.variant(connector)
    found, _ = open_bundle(skill, registry, wanted=bundle, variant=variant, device="cpu")
    if found.card.skill != skill.name:
        raise InputError(f"{found.folder}: is for the skill {found.card.skill!r}", cure="choose another with --bundle")
    typer.echo(f"bundle: {found.folder}")
    typer.echo(f"        {about(found.card)}")
    if found.card.variant != variant.name:
        cure = f"skill learn {skill.name} --connector {connector}"
        typer.echo(f"note: this bundle has not practised {variant.name}: {cure}")
    place = Path(out or f"{skill.name}-{variant.name.replace('/', '_')}-onnx").absolute()
    if place.exists():
        raise InputError(f"{place}: is there already", cure="remove it, or choose another folder with --out")
    samples = _samples(observations, found, skill, variant, registry, cell=cell, seed=seed)
    typer.echo(f"comparing on {len(samples)} frames of {samples.source}")
    command = " ".join(["skill", *sys.argv[1:]])
    card = export_onnx(found, samples, place, max_steps=skill.max_steps, command=command)
    typer.echo(f"greatest difference from the original, of {card.check.tolerance:g} allowed:")
    typer.echo(f"  policy         {card.check.policy:.1e}")
    typer.echo(f"  reward model   {card.check.reward_model:.1e}")
    say_where(export=place)
    typer.echo("next:   read `description` in its card.json; reflex, guard and depth check are not in it")


def _samples(
    named: str, bundle: Bundle, skill: Skill, variant: Variant, registry: Registry, *, cell: str, seed: int
) -> Samples:
    """Frames to compare on: of the run that was named, else of the newest that fits, else recorded now."""
    from skillcore.errors import InputError, SkillcoreError
    from skillcore.learning.onnx_export import Samples
    from skillcore.learning.past_runs import find_run, past_runs

    if named:
        run = find_run(named)
        episodes = _episodes(run, bundle)
        if not episodes:
            size = f"{bundle.card.views} views of {bundle.card.size_px} px"
            raise InputError(f"{run.folder}: has no episodes with {size}", cure="name another: skill runs list")
        return Samples.of(episodes, f"the run {run.name}")
    for run in past_runs():
        if (run.setting("skill"), run.setting("variant")) != (skill.name, variant.name):
            continue
        try:
            episodes = _episodes(run, bundle)
        except SkillcoreError as error:
            typer.echo(f"note: {run.name} is passed over: {error.what}")
            continue
        if episodes:
            return Samples.of(episodes, f"the run {run.name}")
    return Samples.of(
        _simulated(bundle, skill, variant, registry, cell=cell, seed=seed), f"{SIMULATED} episodes on cell {cell}"
    )


def _episodes(run: PastRun, bundle: Bundle) -> list[Episode]:
    """Some of a run's episodes, evenly taken, if their images fit. Raises EpisodeError, StorageError."""
    from skillcore.episodes import EpisodeStore

    if not (run.folder / "episodes").is_dir():
        return []
    size = (bundle.card.views, bundle.card.size_px, bundle.card.size_px)
    with EpisodeStore(run.folder / "episodes", create=False) as store:
        rows = [row for row in store.rows() if (row.views, row.height_px, row.width_px) == size]
        count = min(EPISODES, len(rows))
        return [store.read(rows[number * len(rows) // count].id) for number in range(count)]


def _simulated(
    bundle: Bundle, skill: Skill, variant: Variant, registry: Registry, *, cell: str, seed: int
) -> list[Episode]:
    """Episodes of the policy, recorded on a simulated cell and kept nowhere. Never moves a real arm."""
    from dataclasses import replace

    from skillcore.cell import open_cell
    from skillcore.cell_config import load_cell
    from skillcore.errors import InputError
    from skillcore.learning.job import Plan, check_fit, make_task, template_of
    from skillcore.learning.rollout import PolicyActor, run_episode
    from skillcore.learning.seeds import seed_for

    loaded = load_cell(cell, registry)
    if loaded.simulation is None:
        raise InputError(
            f"there are no recorded episodes of {variant.name}, and cell {loaded.name} is not simulated",
            cure="name a run with --observations, or a simulated cell with --cell",
        )
    check_fit(bundle, loaded, skill)
    plan = Plan(scenario=next(iter(skill.scenarios)))
    with open_cell(loaded) as opened:
        task = make_task(skill, opened, variant, bundle.brain, plan.scenario, seed)
        template = template_of(skill, opened, variant, bundle.brain, plan, "export")
        return [
            run_episode(
                task,
                PolicyActor(bundle.brain, reflex=skill.reflex(opened)),
                replace(template, seed=seed_for(seed, "export", number), trial=number, clamps={}),
            )
            for number in range(SIMULATED)
        ]
