"""Which episode a person means."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from skillcore.episodes.index import EpisodeRow
from skillcore.episodes.layout import sequence_of
from skillcore.errors import EpisodeError, suggest

FEWEST = 3
"""Letters that a part of an id has at least."""
SHOWN = 6


def id_named(ids: Sequence[str], wanted: str, *, where: Path) -> str:
    """The id that is meant by itself, by its number (12 for 000012-9f3a01bc), or by a part of it that no other has.

    Raises EpisodeError that names the nearest, or those that it may mean. where: the store's folder, for the message.
    """
    for found in (
        [one for one in ids if one == wanted],
        [one for one in ids if wanted.isdecimal() and sequence_of(one) == int(wanted)],
        [one for one in ids if len(wanted) >= FEWEST and wanted in one],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            told = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
            raise EpisodeError(f"{where}: {wanted!r} may mean {len(found)} episodes", cure=f"say which of: {told}")
    raise EpisodeError(f"{where}: there is no episode {wanted!r}", cure=suggest(wanted, ids))


def episode_named(rows: Sequence[EpisodeRow], wanted: str, *, where: Path) -> EpisodeRow:
    """The episode that is meant, as in `id_named`. Raises EpisodeError."""
    known = {row.id: row for row in rows}
    return known[id_named(list(known), wanted, where=where)]
