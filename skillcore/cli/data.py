"""`skill data`: what lies in an episode store, whether it is sound, and how to make it so."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from skillcore.cli.exchange import export_episodes, import_episodes
from skillcore.cli.output import printable
from skillcore.storage import in_bytes

if TYPE_CHECKING:
    from skillcore.episodes import EpisodeRow

# The store brings Arrow and OpenCV along, which is too slow for a `--help`: commands import it when they run.

data_app = typer.Typer(
    name="data", help="Look into a folder of episodes, check it, and repair it.", no_args_is_help=True
)

data_app.command("export")(export_episodes)
data_app.command("import")(import_episodes)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an episode store.", show_default=False)]
UNSOUND = 2
"""Exit code of `verify` for a store that is not sound."""


@data_app.command("list")
def list_episodes(
    folder: Folder,
    variant: Annotated[list[str] | None, typer.Option(help="Only this variant; may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all that is known.")] = False,
) -> None:
    """List the episodes in DIR."""
    from skillcore.episodes import EpisodeStore, Filters, dataset_hash

    filters = Filters()
    if variant:
        filters["variant"] = variant
    if source:
        filters["source"] = source
    with EpisodeStore(folder, create=False) as store:
        rows = store.rows(**filters)
    total = {
        "folder": str(folder),
        "episodes": len(rows),
        "steps": sum(row.steps for row in rows),
        "bytes": sum(row.bytes for row in rows),
        "dataset_hash": dataset_hash(rows),
    }
    if as_json:
        typer.echo(json.dumps(total | {"rows": [dataclasses.asdict(row) for row in rows]}, indent=2))
        return
    if rows:
        Console(highlight=False).print(_table(rows))
    typer.echo(f"{total['episodes']} episodes, {total['steps']} steps, {in_bytes(sum(row.bytes for row in rows))}")


@data_app.command("verify")
def verify_store(folder: Folder) -> None:
    """Check every file in DIR against its index. Exit code 0: sound, 2: not."""
    from skillcore.episodes.layout import Layout
    from skillcore.episodes.repair import verify

    with _progress("Checking") as progress:
        findings = verify(folder, progress)
    for finding in findings:
        typer.echo(printable(str(finding)))
    if findings:
        typer.echo(f"not sound: {len(findings)} findings\n  -> {Layout(folder).repair_command}")
        raise typer.Exit(UNSOUND)
    typer.echo("sound")


@data_app.command("repair")
def repair_store(folder: Folder) -> None:
    """Put DIR right. Damaged files move to DIR/quarantine; nothing is deleted but leftovers of writes."""
    from skillcore.episodes.repair import repair

    with _progress("Repairing") as progress:
        report = repair(folder, progress)
    for line in report.lines:
        typer.echo(printable(line))
    typer.echo(f"{'done' if report.lines else 'nothing to repair'}: {report.episodes} episodes")


def _table(rows: list[EpisodeRow]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("id", "variant", "source", "steps", "outcome", "truth", "started"):
        # Only names may be folded: the rest has a known width, which leaves them 16 columns of 80.
        name = heading in ("variant", "source")
        table.add_column(heading, justify="right" if heading == "steps" else "left", no_wrap=not name, overflow="fold")
    for row in rows:
        truth = {1: "yes", 0: "no"}.get(row.truth, "-")
        started = row.started_at[:16].replace("T", " ") or "-"
        cells = (row.id, row.variant, row.source, str(row.steps), row.outcome, truth, started)
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


@contextlib.contextmanager
def _progress(doing: str) -> Iterator[Callable[[int, int], Any]]:
    """A bar on stderr, only where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
