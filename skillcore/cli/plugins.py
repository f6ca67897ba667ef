"""`skill plugins`: what is installed, and where it comes from."""

from __future__ import annotations

import json
from typing import Annotated

import typer

plugins_app = typer.Typer(help="List the parts that are installed.", no_args_is_help=True)


@plugins_app.callback()
def plugins() -> None:
    """List the parts that are installed."""


@plugins_app.command("list")
def list_plugins(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Every part of every plugin: its kind, name and summary, and which distribution and file it comes from."""
    from skillcore.cli.output import print_error, print_table
    from skillcore.plugins import Registry, singular

    registry, errors = Registry.survey()
    parts = registry.parts()
    if as_json:
        rows = [
            {
                "kind": part.kind,
                "name": part.name,
                "summary": part.part.summary,
                "distribution": part.source.distribution,
                "version": part.source.version,
                "plugin": part.source.plugin,
                "file": part.source.file,
            }
            for part in parts
        ]
        typer.echo(json.dumps(rows, indent=2))
    else:
        print_table(
            ("kind", "name", "summary", "distribution", "version", "file"),
            [
                (
                    singular(part.kind),
                    part.name,
                    part.part.summary,
                    part.source.distribution,
                    part.source.version,
                    part.source.file,
                )
                for part in parts
            ],
        )
    for error in errors:
        print_error(str(error))
    if errors:
        raise typer.Exit(errors[0].exit_code)
