"""Which episode a person means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from skillcore.episodes.index import EpisodeRow
from skillcore.errors import EpisodeError, suggest

FEWEST = 3
"""Letters that a part of an id has at least."""
SHOWN = 6


def episode_named(rows: Sequence[EpisodeRow], wanted: str, *, where: Path) -> EpisodeRow:
    """The episode of an id, of a number (12 for 000012-9f3a01bc), or of a part of an id that no other has.

    Raises EpisodeError that names the nearest, or those that it may mean. where: the store's folder, for the message.
    """
    for found in (
        [row for row in rows if row.id == wanted],
        [row for row in rows if wanted.isdecimal() and row.sequence == int(wanted)],
        [row for row in rows if len(wanted) >= FEWEST and wanted in row.id],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            told = ", ".join(row.id for row in found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
            raise EpisodeError(f"{where}: {wanted!r} may mean {len(found)} episodes", cure=f"say which of: {told}")
    raise EpisodeError(f"{where}: there is no episode {wanted!r}", cure=suggest(wanted, [row.id for row in rows]))
