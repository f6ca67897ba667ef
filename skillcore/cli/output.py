"""How commands print: results on stdout, all else on stderr; nothing is wrapped or coloured in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

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
