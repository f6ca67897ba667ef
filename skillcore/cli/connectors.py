"""`skill connectors`: what a skill can be learned on, as a list, as text, and drawn."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillcore.cli.options import load_skill

if TYPE_CHECKING:
    from skillcore.skill import VariantEntry

SkillName = Annotated[str, typer.Option("--skill", metavar="SKILL", help="Variants of another skill than insertion.")]

_PIPE_WIDTH = 80

connectors_app = typer.Typer(help="List the connectors; show and draw one.", no_args_is_help=True)


@connectors_app.callback()
def connectors() -> None:
    """List the connectors; show and draw one."""


@connectors_app.command("list")
def list_connectors(
    split: Annotated[
        str | None,
        typer.Option(metavar="train|held-out", help="Only those to train on, or those held out for tests."),
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="FAMILY", help="Only this family.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
    skill: SkillName = "insertion",
) -> None:
    """List the connectors that come with skillcore."""
    from skillcore.cli.output import print_table

    made = load_skill(skill)[0]
    every = made.variants()
    wanted = {"split": split and split.replace("_", "-"), "family": family}
    for field, value in wanted.items():
        _check_known(field, value, every)
    entries = [one for one in every if all(value in (None, _shown(one, field)) for field, value in wanted.items())]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(entry) for entry in entries], indent=2))
        return
    if not entries:
        typer.echo(f"no {made.variant_word} is of that split and that family")
        return
    rows = [(entry.name, entry.title, entry.family, _shown(entry, "split")) for entry in entries]
    print_table(("name", "title", "family", "split"), rows)
    splits = Counter(_shown(entry, "split") for entry in entries)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(splits.items(), reverse=True))
    families = len({entry.family for entry in entries})
    typer.echo(f"{_counted(len(entries), made.variant_word)} ({counts}) of {_counted(families, 'family', 'families')}")


@connectors_app.command("show")
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A connector's name or alias, or a YAML file.")],
    png: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it with dimensions into this PNG.")] = None,
    skill: SkillName = "insertion",
) -> None:
    """Show a connector: front view, side view, and the figures that decide how it mates."""
    made = load_skill(skill)[0]
    variant = made.variant(name)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_WIDTH
    typer.echo(made.describe(variant, width))
    if png is not None:
        typer.echo(f"wrote {made.draw(variant, png)}")


def _shown(entry: VariantEntry, field: str) -> str:
    """A field as the list shows it: `held_out` is written `held-out` on the command line."""
    text: str = getattr(entry, field)
    return text.replace("_", "-") if field == "split" else text


def _check_known(field: str, value: str | None, entries: Sequence[VariantEntry]) -> None:
    """Raises UnknownNameError for a value that no connector at all has."""
    from skillcore.errors import UnknownNameError

    known = {_shown(entry, field) for entry in entries}
    if value is not None and value not in known:
        raise UnknownNameError(field, value, known)


def _counted(count: int, noun: str, nouns: str = "") -> str:
    return f"{count} {noun if count == 1 else nouns or noun + 's'}"
