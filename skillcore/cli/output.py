"""How commands print: results on stdout, all else on stderr; nothing is wrapped or coloured in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from skillcore.learning.training import Progress

SAY_EVERY_S = 15.0
"""How often long work tells how far it is."""
_WIDE = 400
"""Columns of what is no terminal, so that lines stay whole."""


def console(*, stderr: bool = False) -> Console:
    """A console that prints texts as they are."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


def print_error(message: str) -> None:
    """Tells of an error on stderr."""
    from rich.text import Text

    console(stderr=True).print(Text.assemble(("error:", "bold red"), " ", message))


def print_note(message: str) -> None:
    """Says something on stderr that is worth knowing."""
    from rich.text import Text

    console(stderr=True).print(Text(message, style="yellow"))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, styles: dict[str, str] | None = None) -> None:
    """A table on stdout. styles: a cell's text -> its colour."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(text, style=(styles or {}).get(text, ""), overflow="fold") for text in row))
    console().print(table, soft_wrap=False)


def collecting(what: str) -> Callable[[int, int, int], None]:
    """Tells how collecting goes: a line now and then."""
    typer.echo(f"collecting: {what}")
    began, last = time.monotonic(), [0.0]

    def report(episodes: int, total: int, steps: int) -> None:
        now = time.monotonic()
        if episodes < total and now - last[0] < SAY_EVERY_S:
            return
        last[0] = now
        rate = steps / max(1e-9, now - began)
        typer.echo(f"  {episodes} of {total} episodes, {steps} steps, {rate:.0f} steps/s")

    return report


def training(stage: str) -> Progress:
    """Tells how a stage of training goes: a line now and then."""
    began, last = time.monotonic(), [time.monotonic()]
    typer.echo(f"training: {stage}")

    def report(done: int, total: int, figures: dict[str, float], /) -> None:
        now = time.monotonic()
        if done < total and now - last[0] < SAY_EVERY_S:
            return
        last[0] = now
        told = "".join(f", {name} {value:.4f}" for name, value in figures.items())
        left = (now - began) / done * (total - done)
        typer.echo(f"  {done} of {total}{told}, {left:.0f} s left")

    return report


def counted(number: int, what: str) -> str:
    """A number of things in words: one episode, or episodes."""
    return f"{number} {what}" + ("" if number == 1 else "s")


def printable(text: str) -> str:
    """Text from a file that anybody may have written, without what would steer the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
