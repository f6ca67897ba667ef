"""`skill cell`: what a cell file may say, and whether its devices do what they promise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skillcore.cell_config import LoadedCell

cell_app = typer.Typer(help="Check a cell; write the schema of cell files.", no_args_is_help=True)


@cell_app.callback()
def cell() -> None:
    """Check a cell; write the schema of cell files."""


@cell_app.command("schema")
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; stdout if there is none.")
    ] = None,
) -> None:
    """Write the JSON Schema of cell files, with the options of all installed drivers, for your editor.

    Put `# yaml-language-server: $schema=cell.schema.json` on the first line of a cell file to use it.
    """
    from skillcore.cell_schema import cell_schema
    from skillcore.errors import StorageError
    from skillcore.plugins import Registry

    text = json.dumps(cell_schema(Registry.discover()), indent=2) + "\n"
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        cure = "choose another file with --output"
        raise StorageError(f"cannot write {output}: {error.strerror or error}", cure=cure) from error
    typer.echo(f"wrote {output}")


@cell_app.command("check")
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A cell file, or the name of a cell.")] = "sim",
) -> None:
    """Open every device of a cell and read it; moves nothing. All that is wrong is told at once.

    Exit code 0: all is well; 2: the cell file or an installation is wrong; 3: a device is at fault.
    """
    from skillcore.cell_check import check_cell
    from skillcore.cell_config import load_cell
    from skillcore.cli.output import print_error, print_note, print_table
    from skillcore.home import cell_lock
    from skillcore.plugins import Registry

    loaded = load_cell(file, Registry.discover())
    with cell_lock(loaded.name):
        reports = check_cell(loaded)
    rows = [(report.device, report.driver.part.name, report.status, report.read) for report in reports]
    styles = {"ok": "green", "fault": "bold red", "not tried": "yellow"}
    print_table(("device", "driver", "status", "what was read"), rows, styles=styles)
    for report in reports:
        for note in report.notes:
            print_note(f"note: {report.device}: {note}")
    _tell_what_was_taught(loaded)
    codes = [0]
    for report in reports:
        for fault in report.faults:
            print_error(f"{report.device}: {fault}")
            codes.append(fault.exit_code)
    if max(codes):
        raise typer.Exit(max(codes))
    typer.echo(f"cell {loaded.name!r} is ready")


def _tell_what_was_taught(loaded: LoadedCell) -> None:
    """A line for each socket that was taught for the cell: for it, the fixture of the file does not count."""
    from skillcore.cli.output import print_note
    from skillcore.taught import entries, faults_of, words

    for entry in entries(loaded.name):
        if entry.taught is None:
            print_note(f"note: {entry.fault}")
            continue
        name = f"{entry.taught.skill} {entry.taught.variant}"
        faults = faults_of(entry.taught, loaded, None)
        if faults:
            print_note(f"note: what was taught of {name} no longer holds: {'; '.join(faults)}")
        else:
            typer.echo(f"socket of {name}: {words(entry.taught, loaded)}")
