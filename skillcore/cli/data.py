"""`skill data`: what lies in an episode store, whether it is sound, and how to make it so."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console

from skillcore.cli.data_changes import (
    delete_command,
    merge_command,
    relabel_command,
    restore_command,
    split_command,
)
from skillcore.cli.data_output import FOOTNOTE, Folder, episodes_table, progress_bar
from skillcore.cli.data_views import show_command, stats_command
from skillcore.cli.exchange import export_episodes, import_episodes
from skillcore.cli.output import printable
from skillcore.errors import UnknownNameError
from skillcore.storage import in_bytes

data_app = typer.Typer(
    name="data",
    help="Look into recorded episodes, correct their labels, join, split, exchange, check and repair them.",
    no_args_is_help=True,
)

UNSOUND = 2
"""Exit code of `verify` for a store that is not sound."""


@data_app.command("list")
def list_episodes(
    folder: Folder,
    variant: Annotated[
        list[str] | None, typer.Option("--connector", "--variant", help="Only this connector; may be repeated.")
    ] = None,
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
        known = {row.variant for row in store.rows()} if variant else set()
    for name in variant or ():
        if known and name not in known:
            raise UnknownNameError("connector", name, known, where=str(folder))
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
        Console(highlight=False).print(episodes_table(rows))
        if any(row.corrected >= 0 for row in rows):
            typer.echo(FOOTNOTE)
    typer.echo(f"{total['episodes']} episodes, {total['steps']} steps, {in_bytes(sum(row.bytes for row in rows))}")


data_app.command("show")(show_command)
data_app.command("stats")(stats_command)
data_app.command("relabel")(relabel_command)
data_app.command("merge")(merge_command)
data_app.command("split")(split_command)
data_app.command("delete")(delete_command)
data_app.command("restore")(restore_command)
data_app.command("export")(export_episodes)
data_app.command("import")(import_episodes)


@data_app.command("verify")
def verify_store(folder: Folder) -> None:
    """Check every file in DIR against its index. Exit code 0: sound, 2: not."""
    from skillcore.episodes.layout import Layout
    from skillcore.episodes.repair import verify

    with progress_bar("Checking") as progress:
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

    with progress_bar("Repairing") as progress:
        report = repair(folder, progress)
    for line in report.lines:
        typer.echo(printable(line))
    typer.echo(f"{'done' if report.lines else 'nothing to repair'}: {report.episodes} episodes")
