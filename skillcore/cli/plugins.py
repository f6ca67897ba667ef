"""`skill plugins`: what is installed and where it comes from, and packages for what is to come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

plugins_app = typer.Typer(
    help="List the parts that are installed; begin a package for a new one.", no_args_is_help=True
)


@plugins_app.callback()
def plugins() -> None:
    """List the parts that are installed; begin a package for a new one."""


@plugins_app.command("new")
def new_plugin(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The package's name, e.g. acme-arm.", show_default=False)],
    kind: Annotated[
        str,
        typer.Option(
            "--kind",
            help="What it is: simulation, arm, camera, representation, reward-model, learner or skill.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="The folder to write; it must not be there yet. Default: ./NAME.", show_default=False
        ),
    ] = None,
) -> None:
    """Write a complete package for a new part: entry point, options, methods to fill in, contract tests, README.

    Exit code 0: it is written; 2: the name, the kind or the folder is wrong, and nothing is written.
    """
    import shlex

    from skillcore.cli.output import print_table
    from skillcore.plugins import singular
    from skillcore.scaffold.kinds import kind_named
    from skillcore.scaffold.names import names_for
    from skillcore.scaffold.write import begin_package

    chosen = kind_named(kind)
    folder = Path(name) if out is None else out
    files = begin_package(names_for(name, chosen), chosen, folder)
    typer.echo(f"{singular(chosen)} {name}, in {folder}:")
    print_table(("file", "what for"), [(path, use) for path, use in files.items() if use])
    place = shlex.quote(str(folder) if folder.is_absolute() else f"./{folder}")
    typer.echo(f'next:   pip install -e "{folder if folder.is_absolute() else f"./{folder}"}[dev]"')
    typer.echo("        skill plugins list")
    typer.echo(f"        pytest {place}    (fails at what is not filled in yet, and says where)")


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
