"""`skill report`: the page that says what came of a run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from skillcore.errors import SkillcoreError


def report_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder, or its name in the home's runs/.")],
) -> None:
    """Make the report of a run anew: one page to look at, print or send.

    `learn` and `eval` make it at their end; of a run that is not finished it says how far it is.
    """
    from skillcore.cli.options import say_where
    from skillcore.learning.past_runs import find_run
    from skillcore.reports.report import write_report
    from skillcore.reports.run_saliency import explained

    place = find_run(run).folder
    say_where(place, report=write_report(place, explain=explained))


def report_of(run: Path) -> Path | str:
    """Makes a run's report at its end, and returns where it is.

    What was learned does not depend on it: if it cannot be made, it is told instead, and the command goes on.
    """
    from skillcore.reports.report import write_report
    from skillcore.reports.run_saliency import explained

    return told(lambda: write_report(run, explain=explained), again=f"skill report {run}")


def told(make: Callable[[], Path], *, again: str) -> Path | str:
    """What `make` has made, or a few words where it could not; the error itself goes to stderr."""
    from skillcore.cli.output import print_note

    try:
        return make()
    except SkillcoreError as error:
        print_note(f"no report was made: {error}")
        return f"none; once that is mended: {again}"
