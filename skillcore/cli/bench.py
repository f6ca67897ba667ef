"""`skill bench`: whole evaluations that anybody can run again."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skillcore.bench.conditions import Ablation, Conditions, RewardStudy
    from skillcore.bench.jobs import Report
    from skillcore.plugins import Registry
    from skillcore.skill import Skill

app = typer.Typer(no_args_is_help=True, help="Whole evaluations: the paper's tables, with ours beside them.")


@app.callback()
def bench() -> None:
    """Whole evaluations: the paper's tables, with ours beside them."""


class Part(StrEnum):
    """Parts of the paper's comparison."""

    rewards = "rewards"
    scenarios = "scenarios"
    ablation = "ablation"


@app.command("paper")
def paper_command(
    conditions: Annotated[
        Path | None,
        typer.Option(
            help="YAML file: connectors, scenarios, methods, seeds, trials. Default: benchmarks/paper.yaml here, or as "
            "it comes with skillcore.",
            show_default=False,
        ),
    ] = None,
    only: Annotated[Part | None, typer.Option(help="One part of it.")] = None,
    bundle: Annotated[str, typer.Option(help="Bundle to begin from; the one that ships if none is given.")] = "",
    out: Annotated[Path, typer.Option(help="Folder of the results; what is finished there is not run again.")] = Path(
        "bench-paper"
    ),
    workers: Annotated[int, typer.Option(min=0, max=256, help="Jobs side by side; 0: one for each core.")] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="One connector, one seed, two trials each.")] = False,
) -> None:
    """Run the paper's comparison in the simulated cell, and print its tables with ours beside them.

    Takes hours. Whatever ends it, the same command goes on where it was.
    """
    from skillcore.bench.conditions import load_conditions, paper_conditions
    from skillcore.bench.jobs import Job
    from skillcore.bench.plots import can_plot
    from skillcore.bench.results_folder import check_same
    from skillcore.cli.options import load_skill, say_where
    from skillcore.cli.report import told
    from skillcore.home import folder
    from skillcore.learning.bundles import PRETRAINED, find_bundle
    from skillcore.learning.runs import working_on
    from skillcore.reports.bench_report import write_bench_report
    from skillcore.storage import make_folder_durably

    chosen = load_conditions(conditions or paper_conditions())
    if quick:
        chosen = chosen.smallest()
    skill, registry = load_skill(chosen.skill)
    # Names are spelled out before hours of work, and a wrong one is told at once.
    names = tuple(skill.variant(name).name for name in chosen.variants)
    chosen = chosen.model_copy(update={"variants": names})
    place = Path(bundle) if bundle else find_bundle(folder("bundles"), skill.name, "", PRETRAINED, skill.pretrained)
    began = time.monotonic()

    def report(job: Job, done: int, total: int) -> None:
        typer.echo(f"  {done} of {total} jobs, {(time.monotonic() - began) / 60:.0f} min: {job.name}")

    if not can_plot():
        typer.echo("no plots are drawn: they need the extra `plots` (pip install 'skillcore[plots]')")
    command = " ".join(["skill", *sys.argv[1:]])
    make_folder_durably(out)
    with working_on(out):
        check_same(chosen, place, out)
        if chosen.reward is not None and only in (None, Part.rewards):
            _rewards(chosen.reward, skill, registry, place, out, workers, report)
        if only in (None, Part.scenarios):
            _scenarios(chosen, place, out, workers, report)
        if chosen.ablation is not None and only in (None, Part.ablation):
            _ablation(chosen, chosen.ablation, skill, registry, out, workers, report)
        page = told(lambda: write_bench_report(chosen, place, out, command=command), again="the same command")
    say_where(results=out, report=page)


def _rewards(
    study: RewardStudy, skill: Skill, registry: Registry, bundle: Path, out: Path, workers: int, report: Report
) -> None:
    from skillcore.bench.plots import can_plot, plot_rewards
    from skillcore.bench.reward_tables import reward_table, write_reward_csv
    from skillcore.bench.rewards import jobs_of, run_study
    from skillcore.cell_config import load_cell
    from skillcore.cli.output import collecting, console
    from skillcore.home import folder

    cells = [load_cell(name, registry) for name in study.cells]
    typer.echo(f"{len(jobs_of(study))} reward models to train in {out}; what is finished is not run again")
    run_study(
        study,
        skill,
        [str(cell.file) for cell in cells],
        bundle,
        folder("datasets"),
        out,
        size_px=cells[0].config.views.size_px,
        workers=workers,
        announce=collecting,
        report=report,
    )
    for split in study.splits:
        console().print(reward_table(study, out, split))
    write_reward_csv(study, out, out / "rewards.csv")
    if can_plot():
        plot_rewards(study, out, out / "rewards.png")


def _scenarios(chosen: Conditions, place: Path, out: Path, workers: int, report: Report) -> None:
    from skillcore.bench.judged import judged_of, judged_table, write_judged_csv
    from skillcore.bench.plots import can_plot, plot_practice
    from skillcore.bench.scenarios import jobs_of, run_jobs
    from skillcore.bench.tables import curve_in_words, curve_of, scores_of, table_of, write_csv
    from skillcore.cli.output import console

    typer.echo(f"bundle: {place}")
    typer.echo(f"{len(jobs_of(chosen))} jobs in {out}; what is finished is not run again")
    run_jobs(chosen, place, out, workers=workers, report=report)
    scores = scores_of(chosen, out)
    for scenario in chosen.scenarios:
        console().print(table_of(chosen, scores, scenario))
        for which, without_noise in (("all", False), ("without noise", True)):
            curve = curve_of(chosen, out, scenario, without_noise=without_noise)
            if curve:
                typer.echo(f"success in successive 25 trials of practice, {which}: {curve_in_words(curve)}")
    write_csv(chosen, scores, out / "scenarios.csv")
    judged = judged_of(chosen, out)
    if judged:
        console().print(judged_table(judged))
        write_judged_csv(judged, out / "judged.csv")
    if can_plot():
        plot_practice(chosen, out, out / "practice.png")


def _ablation(
    chosen: Conditions,
    ablation: Ablation,
    skill: Skill,
    registry: Registry,
    out: Path,
    workers: int,
    report: Report,
) -> None:
    from skillcore.bench.ablation import ablation_table, jobs_of, run_ablation
    from skillcore.cell_config import load_cell
    from skillcore.cli.output import collecting, console, training
    from skillcore.home import folder
    from skillcore.learning.datasets import Collection
    from skillcore.learning.pretrain_job import control_and_size
    from skillcore.learning.recipe import choose_device

    cells = [load_cell(name, registry) for name in ablation.cells]
    _, size = control_and_size(cells)
    files = tuple(str(cell.file) for cell in cells)
    typer.echo(f"{len(ablation.arms)} ways to learn, {len(jobs_of(ablation))} jobs in {out}")
    run_ablation(
        chosen,
        ablation,
        skill,
        registry,
        cells,
        Collection(folder("datasets"), skill, files, size, 0, announce=collecting),
        out,
        workers=workers,
        device=choose_device("auto"),
        announce=lambda arm: typer.echo(f"pretraining: {arm}"),
        training=training,
        report=report,
    )
    console().print(ablation_table(ablation, out))
