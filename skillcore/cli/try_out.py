"""`skill eval` and `skill run`: a trained skill at work, counted or just done."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillcore.cli.options import (
    BundleFolder,
    CellName,
    ConnectorName,
    Device,
    Scenario,
    Seed,
    SkillName,
    chosen_scenario,
    load_cell_for,
    load_skill,
    open_bundle,
    say_where,
    taught_at,
    variant_option,
)
from skillcore.cli.recordings import Rerun, Video

if TYPE_CHECKING:
    from skillcore.cell_config import LoadedCell
    from skillcore.learning.bundles import Bundle
    from skillcore.skill import Skill, Variant


def _prepared(
    command: str, skill_name: str, connector: str, cell: str, seed: int, device: str, bundle: str, scenario: str
) -> tuple[Skill, Variant, LoadedCell, Bundle, Path]:
    """What both commands begin with: what was named, checked to go together, and a new folder for the run."""
    from skillcore.home import folder
    from skillcore.learning.bundles import about, was_accepted
    from skillcore.learning.job import check_fit, circumstances
    from skillcore.learning.runs import new_run

    skill, registry = load_skill(skill_name)
    chosen_scenario(skill, scenario)
    variant = skill.variant(connector)
    loaded = load_cell_for(skill, variant, registry, cell=cell, connector=connector)
    found, chosen = open_bundle(skill, registry, wanted=bundle, variant=variant, device=device)
    check_fit(found, loaded, skill)
    settings = {
        "connector": connector,
        "cell": str(loaded.file.resolve()),
        "taught": taught_at(loaded),
        "seed": seed,
        "bundle": str(found.folder),
        "device": chosen,
    }
    run = new_run(command, skill.name, variant.name, {**settings, **circumstances(skill, variant, loaded)})
    typer.echo(f"bundle: {found.folder}")
    typer.echo(f"        {about(found.card)}")
    if was_accepted(found.card) is False:
        _warn_of(found, folder("bundles"))
    return skill, variant, loaded, found, run


def _warn_of(bundle: Bundle, root: Path) -> None:
    """Says that a bundle did not pass its test, and which one of the same variant did."""
    from skillcore.cli.output import print_note
    from skillcore.errors import BundleError
    from skillcore.learning.bundles import read_card, was_accepted, whole_bundles

    print_note(f"this bundle was NOT ACCEPTED at the end of its practice on {bundle.card.variant}")
    for other in reversed(whole_bundles(root, bundle.card.skill, bundle.card.variant)):
        try:
            accepted = was_accepted(read_card(other))
        except BundleError as error:
            print_note(f"passed over: {error.what}")
            continue
        if accepted:
            print_note(f"an accepted one: --bundle {other}")
            return


def eval_command(
    skill_name: SkillName,
    connector: ConnectorName,
    cell: CellName = "sim",
    seed: Seed = 0,
    device: Device = "cpu",
    bundle: BundleFolder = "",
    scenario: Scenario = "",
    trials: Annotated[int, typer.Option(min=1, max=10000, help="How many.")] = 100,
    gate: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share that must succeed for exit code 0.")] = 0.9,
    video: Video = False,
    rerun: Rerun = False,
) -> None:
    """Test a bundle on a connector, policy and reward model judged separately. Learns nothing."""
    from skillcore.cell import open_cell
    from skillcore.cli.output import console
    from skillcore.cli.recordings import check_recorders, record
    from skillcore.cli.report import report_of
    from skillcore.episodes import EpisodeStore
    from skillcore.learning.job import Plan, Together, make_task, measure_policy, template_of
    from skillcore.learning.runs import RESULTS, working_on
    from skillcore.reports.console import LiveConsole, refusals
    from skillcore.reports.tensorboard import EventWriter
    from skillcore.storage import write_json_durably

    check_recorders(video=video, rerun=rerun)
    skill, variant, loaded, found, run = _prepared("eval", skill_name, connector, cell, seed, device, bundle, scenario)
    scenario = chosen_scenario(skill, scenario)
    plan = Plan(scenario=scenario, acceptance=trials, gate=gate)
    with (
        working_on(run),
        EventWriter(run) as events,
        LiveConsole(console(), f"testing {variant.name}") as live,
        open_cell(loaded) as opened,
        EpisodeStore(run / "episodes") as store,
    ):
        task = make_task(skill, opened, variant, found.brain, scenario, seed)
        template = template_of(skill, opened, variant, found.brain, plan, "acceptance")
        result = measure_policy(
            task,
            found.brain,
            template,
            trials=trials,
            seed=seed,
            store=store,
            watcher=Together(live, events),
            reflex=partial(skill.reflex, opened),
        )
        accepted = result.success.value >= gate
        write_json_durably(
            run / RESULTS, {"acceptance": result.as_json(), "gate": gate, "accepted": accepted, "scenario": scenario}
        )
    typer.echo(f"success                  {result.success.told('none tried', gate)}")
    typer.echo(f"success not seen         {result.false_negatives.told('no trial is known to have succeeded')}")
    typer.echo(f"failure taken for one    {result.false_positives.told('no trial is known to have failed')}")
    if result.refused:
        typer.echo(f"not believed             {refusals(result)}")
    say_where(run, report=report_of(run), **record(run, events, video=video, rerun=rerun))
    if not accepted:
        raise typer.Exit(1)


def run_command(
    skill_name: SkillName,
    connector: ConnectorName,
    cell: CellName = "sim",
    seed: Seed = 0,
    device: Device = "cpu",
    bundle: BundleFolder = "",
    scenario: Scenario = "",
    times: Annotated[int, typer.Option(min=1, max=100000, help="How many times.")] = 1,
    video: Video = False,
    rerun: Rerun = False,
) -> None:
    """Do the job with a trained bundle: insert, and say each time what the reward model thinks of it.

    Exit code 0: every trial succeeded, as far as the reward model sees; 1: one did not.
    """
    from skillcore.cell import open_cell
    from skillcore.cli.recordings import check_recorders, record
    from skillcore.episodes import EpisodeStore
    from skillcore.learning.evaluate import TrialResult, evaluate
    from skillcore.learning.job import Plan, make_task, template_of
    from skillcore.learning.rollout import PolicyActor
    from skillcore.learning.runs import RESULTS, working_on
    from skillcore.reports.tensorboard import EventWriter
    from skillcore.storage import write_json_durably

    check_recorders(video=video, rerun=rerun)
    skill, variant, loaded, found, run = _prepared("run", skill_name, connector, cell, seed, device, bundle, scenario)
    scenario = chosen_scenario(skill, scenario)
    if found.card.variant != variant.name:
        cure = f"skill learn {skill.name} {variant_option(skill)} {connector}"
        typer.echo(f"note: this bundle has not practised {variant.name}: {cure}")

    def told(result: TrialResult) -> None:
        events.trial(result, {})
        missed = result.aborted or f"not {skill.success_word} within the steps allowed"
        if result.refused:
            missed = f"not {skill.success_word}: it looks so, but lies elsewhere than the cell has it"
        word = skill.success_word if result.claimed else missed
        typer.echo(f"{result.number + 1:4d}: {word} ({result.steps} steps, {result.peak_force_n:.0f} N)")

    with (
        working_on(run),
        EventWriter(run) as events,
        open_cell(loaded) as opened,
        EpisodeStore(run / "episodes") as store,
    ):
        task = make_task(skill, opened, variant, found.brain, scenario, seed)
        template = template_of(skill, opened, variant, found.brain, Plan(scenario=scenario), "run")
        events.stage(template.source, times, ())
        result = evaluate(
            task,
            lambda: PolicyActor(found.brain, reflex=skill.reflex(opened)),
            template,
            trials=times,
            seed=seed,
            store=store,
            report=told,
        )
        write_json_durably(run / RESULTS, {"run": result.as_json(), "scenario": scenario})
    say_where(run, **record(run, events, video=video, rerun=rerun))
    if result.claimed.hits < times:
        raise typer.Exit(1)
