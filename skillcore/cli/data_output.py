"""What the commands of `skill data` share: the folder, the table of episodes, and a bar."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from skillcore.cli.output import printable

if TYPE_CHECKING:
    from skillcore.episodes import EpisodeRow

# The store brings Arrow and OpenCV along, which is too slow for a `--help`: commands import it when they run.

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an episode store.", show_default=False)]
ANSWER = {1: "yes", 0: "no", -1: "-"}
CORRECTED = "*"
FOOTNOTE = f"{CORRECTED} corrected by a person"


def label_of(row: EpisodeRow) -> str:
    """The label of an episode's end, marked where a person has corrected it."""
    return ANSWER[row.success] + (CORRECTED if row.corrected >= 0 else "")


def episodes_table(rows: Sequence[EpisodeRow]) -> Table:
    """Episodes in a table of at most 80 columns."""
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("id", "variant", "source", "steps", "outcome", "label", "truth", "started"):
        # Only a variant's name may be folded: the rest has a known width.
        table.add_column(
            heading,
            justify="right" if heading == "steps" else "left",
            no_wrap=heading != "variant",
            overflow="fold",
        )
    for row in rows:
        started = row.started_at[:10] or "-"
        cells = (
            *(row.id, row.variant, row.source, str(row.steps), row.outcome),
            *(label_of(row), ANSWER[row.truth], started),
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


@contextlib.contextmanager
def progress_bar(doing: str) -> Iterator[Callable[[int, int], Any]]:
    """A bar on stderr, only where that is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
