"""`skill learn`: practise one connector on one cell until it is learned."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from skillcore.learning.job import Outcome, Plan


def learn_command(
    skill_name: SkillName,
    connector: ConnectorName,
    cell: CellName = "sim",
    seed: Seed = 0,
    device: Device = "cpu",
    bundle: BundleFolder = "",
    scenario: Scenario = "",
    trials: Annotated[int, typer.Option(min=0, max=10000, help="Practice trials at most.")] = 200,
    zero_shot: Annotated[int, typer.Option(min=0, max=10000, help="Trials of the test before practice.")] = 50,
    acceptance: Annotated[int, typer.Option(min=1, max=10000, help="Trials of the test after practice.")] = 100,
    gate: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of acceptance trials that must succeed.")] = 0.9,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last unfinished run of this kind.")] = False,
    video: Video = False,
    rerun: Rerun = False,
) -> None:
    """Learn a connector on the job: test, practise, test again, and keep what was learned.

    Exit code 0: it passes its gate; 1: it does not; 2: bad input; 3: a device fault.
    """
    from skillcore.cli.output import console, print_note
    from skillcore.cli.recordings import check_recorders, record
    from skillcore.cli.report import report_of
    from skillcore.home import folder
    from skillcore.learning.bundles import PRETRAINED, about, find_bundle
    from skillcore.learning.job import Plan, Together, circumstances, learn
    from skillcore.learning.runs import check_unchanged, new_run, unfinished_run, working_on
    from skillcore.reports.console import LiveConsole
    from skillcore.reports.tensorboard import EventWriter

    check_recorders(video=video, rerun=rerun)
    skill, registry = load_skill(skill_name)
    scenario = chosen_scenario(skill, scenario)
    variant = skill.variant(connector)
    loaded = load_cell_for(skill, variant, registry, cell=cell, connector=connector)
    if not bundle:
        # Learning begins from what is common to all connectors; what one run has learned is for `eval` and `run`.
        bundle = str(find_bundle(folder("bundles"), skill.name, "", PRETRAINED, skill.pretrained))
    plan = Plan(scenario=scenario, zero_shot=zero_shot, practice=trials, acceptance=acceptance, gate=gate)
    wanted: dict[str, Any] = {
        "skill": skill.name,
        "variant": variant.name,
        "connector": connector,
        "cell": str(loaded.file.resolve()),
        "taught": taught_at(loaded),
        "seed": seed,
        "bundle": str(Path(bundle).resolve()),
        "plan": {"scenario": scenario, "zero_shot": zero_shot, "practice": trials, "acceptance": acceptance},
    }
    run = unfinished_run("learn", wanted, print_note) if resume else None
    if resume and run is None:
        print_note("nothing to resume: no unfinished run has these settings; a new one begins")
    found, chosen = open_bundle(skill, registry, wanted=bundle, variant=None, device=device)
    around = {**circumstances(skill, variant, loaded), "device": chosen}
    if run is None:
        run = new_run("learn", skill.name, variant.name, {**wanted, **around})
    else:
        # What was typed may differ, and so may the versions of packages; what the arm does may not.
        check_unchanged(run, {name: value for name, value in around.items() if name not in ("typed", "packages")})
    typer.echo(f"{skill.name}: {variant.title} ({variant.name}) on cell {loaded.name}, seed {seed}, on {chosen}")
    typer.echo(f"bundle: {found.folder}")
    typer.echo(f"        {about(found.card)}")
    typer.echo("practice is rewarded by the reward model alone; the truth is shown beside it")
    with working_on(run), EventWriter(run) as events, LiveConsole(console(), f"learning {variant.name}") as live:
        outcome = learn(
            skill,
            variant,
            loaded,
            found,
            plan,
            folder=run,
            bundles=folder("bundles"),
            seed=seed,
            command=" ".join(["skill", *sys.argv[1:]]),
            watcher=Together(live, events),
        )
    for line in summary(outcome, plan, found.card.reward):
        typer.echo(line)
    recordings = record(run, events, video=video, rerun=rerun)
    say_where(run, report=report_of(run), **recordings, bundle=outcome.bundle)
    named = f"{variant_option(skill)} {connector}"
    if outcome.accepted:
        typer.echo(f"next:   skill run {skill.name} {named} --cell {cell}")
        return
    if outcome.practised and not any(result.claimed for result in outcome.practised):
        if any(result.refused for result in outcome.practised):
            typer.echo("next:   what looked like success lies elsewhere than the cell file has it; if it was one,")
            typer.echo("        show by hand where:")
            typer.echo(f"        skill teach {skill.name} {named} --cell {cell}")
            raise typer.Exit(1)
        typer.echo("next:   the reward model took no trial for a success, so practice taught nothing;")
        typer.echo("        another bundle may see more:")
        typer.echo(f"        {again_with('--bundle', 'FOLDER', sys.argv[1:])}")
        raise typer.Exit(1)
    typer.echo("next:   practise more:")
    typer.echo(f"        {again_with('--trials', str(max(400, 2 * trials)), sys.argv[1:])}")
    raise typer.Exit(1)


def again_with(option: str, value: str, typed: Sequence[str]) -> str:
    """The command as it was typed, begun anew with another value of an option."""
    words = iter(typed)
    kept = ["skill"]
    for word in words:
        if word == option:
            next(words, "")
        elif word != "--resume" and not word.startswith(f"{option}="):
            kept.append(word)
    return shlex.join([*kept, option, value])


def summary(outcome: Outcome, plan: Plan, reward: dict[str, Any]) -> list[str]:
    """What came of it, in words for a technician."""
    from skillcore.learning.checks import checks_of
    from skillcore.learning.evaluate import Evaluation
    from skillcore.learning.intervals import percent
    from skillcore.reports.console import refusals

    test = outcome.acceptance
    practised, checks = Evaluation(outcome.practised), checks_of(outcome.practised)
    verdict = "ACCEPTED" if outcome.accepted else "NOT ACCEPTED"
    lines = [
        "",
        f"{verdict}: {percent(test.success.value, plan.gate)} of {len(test.trials)} acceptance trials succeeded, "
        f"{percent(plan.gate, plan.gate)} are asked for",
        f"  before practice    {outcome.zero_shot.success}",
        f"  after practice     {test.success.told('none tried', plan.gate)}",
    ]
    if practised.trials:
        lines.append(
            f"  practice           {len(practised.trials)} trials, {percent(practised.success.value)} succeeded"
        )
        if checks.trials:
            lines.append(f"    without noise    {checks.success}")
    steps = test.mean_steps
    if steps == steps:
        lines.append(f"  an insertion takes {steps:.1f} steps on average")
    lines += [
        f"  greatest force     {max(trial.peak_force_n for trial in test.trials):.0f} N",
        f"Reward model (threshold {reward['threshold']:.3f}), judged by itself in the acceptance test:",
        f"  success it did not see     {test.false_negatives.told('no trial is known to have succeeded')}",
        f"  failure it took for one    {test.false_positives.told('no trial is known to have failed')}",
    ]
    every = Evaluation((*outcome.zero_shot.trials, *practised.trials, *test.trials))
    if every.refused:
        lines.append(f"  not believed               {refusals(every)}")
    return lines
