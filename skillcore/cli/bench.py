"""`skill bench`: whole evaluations that anybody can run again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Whole evaluations: the paper's tables, with ours beside them.")

DEFAULT_CONDITIONS = Path("benchmarks/paper.yaml")


@app.callback()
def bench() -> None:
    """Whole evaluations: the paper's tables, with ours beside them."""


@app.command("paper")
def paper_command(
    conditions: Annotated[
        Path, typer.Option(help="YAML file: connectors, scenarios, methods, seeds, trials.")
    ] = DEFAULT_CONDITIONS,
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
    from skillcore.bench.conditions import load_conditions
    from skillcore.bench.scenarios import Job, jobs_of, run_jobs
    from skillcore.bench.tables import curve_of, scores_of, table_of, write_csv
    from skillcore.cli.options import load_skill, say_where
    from skillcore.cli.output import console
    from skillcore.home import folder
    from skillcore.learning.bundles import PRETRAINED, find_bundle

    chosen = load_conditions(conditions)
    if quick:
        chosen = chosen.smallest()
    skill, _ = load_skill(chosen.skill)
    # Names are spelled out before hours of work, and a wrong one is told at once.
    names = tuple(skill.variant(name).name for name in chosen.variants)
    chosen = chosen.model_copy(update={"variants": names})
    place = Path(bundle) if bundle else find_bundle(folder("bundles"), skill.name, "", PRETRAINED, skill.pretrained)
    began = time.monotonic()

    def report(job: Job, done: int, total: int) -> None:
        typer.echo(f"  {done} of {total} jobs, {(time.monotonic() - began) / 60:.0f} min: {job.name}")

    typer.echo(f"bundle: {place}")
    typer.echo(f"{len(jobs_of(chosen))} jobs in {out}; what is finished is not run again")
    run_jobs(chosen, place, out, workers=workers, report=report)
    scores = scores_of(chosen, out)
    for scenario in chosen.scenarios:
        console().print(table_of(chosen, scores, scenario))
        curve = curve_of(chosen, out, scenario)
        if curve:
            typer.echo("success in successive 25 trials of practice: " + ", ".join(f"{one.value:.0%}" for one in curve))
    write_csv(chosen, scores, out / "scenarios.csv")
    say_where(results=out)
