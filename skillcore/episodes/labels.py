"""What people said afterwards of how an episode ended: kept beside its file, which never changes.

Each correction is a small file of its own, so that one more never touches those before it:

    labels/000042-9f3a01bc.0001.json
        {"format": 1, "number": 1, "success": false, "was": true, "was_by": "outcome",
         "who": "ada", "when": "2026-01-02T03:04:05+00:00", "why": "the latch did not catch"}

The one with the greatest number counts.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skillcore.episodes.index import EpisodeRow
from skillcore.episodes.layout import Layout
from skillcore.errors import EpisodeError, InputError
from skillcore.storage import make_folder_durably, storage_error, write_many_durably
from skillcore.types import Episode

MAX_BYTES = 64_000
MAX_WHO, MAX_WHY = 100, 2000
SAME_PLACE_M = 0.002
"""A frame nearer than this to where a success ended may show success as well, so it gets no label."""

_NAME = re.compile(r"(?P<id>[0-9]{6,18}-[0-9a-f]{8})\.(?P<number>[0-9]{4,9})\.json")

Origin = Literal["correction", "label", "outcome", "nobody"]
"""Who says how an episode ended: a person afterwards, the label of its last frame, or how it ended by its reward. Of an
imported one nobody may."""


class Correction(BaseModel):
    """One correction. number: counts those of an episode, from 1. success: what the person said. was: what held before,
    None where nobody knew, and was_by who said so. who: a person's name. when: ISO 8601, with the zone. why: in the
    person's words."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal[1] = 1
    number: Annotated[int, Field(ge=1)]
    success: bool
    was: bool | None
    was_by: Origin
    who: Annotated[str, Field(min_length=1, max_length=MAX_WHO)]
    when: Annotated[str, Field(max_length=40)]
    why: Annotated[str, Field(max_length=MAX_WHY)] = ""


Corrections = Mapping[str, tuple[Correction, ...]]
"""The corrections of each episode that has any, by its id, the newest last."""


@dataclass(frozen=True, slots=True)
class Said:
    """How an episode ended, as far as anybody says; None where nobody does."""

    success: bool | None
    by: Origin


def said_of(row: EpisodeRow) -> Said:
    """How an episode ended: by a person if one said so, else by its label, else by its outcome; that of an imported
    one says nothing."""
    if row.corrected >= 0:
        return Said(row.corrected == 1, "correction")
    if row.success >= 0:
        return Said(row.success == 1, "label")
    if row.source == "import":
        return Said(None, "nobody")
    return Said(row.outcome == "success", "outcome")


# --- what a correction changes --------------------------------------------------------------------------------------


def corrected_row(row: EpisodeRow, success: bool) -> EpisodeRow:
    """The row of an episode of which somebody said how it ended."""
    return dataclasses.replace(row, success=int(success), corrected=int(success))


def corrected_episode(episode: Episode, success: bool) -> Episode:
    """The episode as training is to see it after somebody said how it ended. Its arrays are new where they change."""
    reward = np.minimum(episode.reward, 0.0)
    if success:
        reward = episode.reward.copy()
        reward[-1:] = np.maximum(reward[-1:], 1.0)
    return dataclasses.replace(
        episode,
        success=corrected_labels(episode.success, episode.pose, success=success),
        reward=reward.astype(np.float32),
        corrected=success,
    )


def corrected_labels(labels: NDArray[np.int8], pose: NDArray[np.float32], *, success: bool) -> NDArray[np.int8]:
    """(frames,) the labels of an episode of which it is said how it ended.

    labels: (frames,) those it has, -1 where there is none. pose: (frames, 6). After a failure no frame shows success.
    After a success the last one does; of the others, those that were labelled so still do, those within `SAME_PLACE_M`
    of the end may and get no label, and the rest do not.
    """
    if not success:
        return np.zeros(len(labels), np.int8)
    if labels[-1] == 1:
        return labels.copy()
    found = np.where(labels == 1, 1, 0).astype(np.int8)
    near = np.linalg.norm(pose[:, :3] - pose[-1, :3], axis=1) < SAME_PLACE_M
    found[near & (found != 1)] = -1
    found[-1] = 1
    return found


# --- on disk --------------------------------------------------------------------------------------------------------


def id_of(path: Path) -> str | None:
    """The id of the episode that a file of a correction is about; None for any other file."""
    found = _NAME.fullmatch(path.name)
    return found["id"] if found else None


def label_files(layout: Layout, episode_id: str = "") -> list[Path]:
    """The files of all corrections, or of those of one episode, in the order in which they were made."""
    try:
        names = [path.name for path in layout.labels.iterdir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise storage_error("read", layout.labels, error) from error
    found = [(match["id"], int(match["number"]), name) for name in names if (match := _NAME.fullmatch(name))]
    return [layout.labels / name for of, _, name in sorted(found) if not episode_id or of == episode_id]


def read_correction(path: Path) -> Correction:
    """One correction. Raises EpisodeError that names the file if it is damaged, StorageError if the disk fails."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise EpisodeError(f"{path}: far too large for a correction of a label")
        correction = Correction.model_validate_json(data)
    except FileNotFoundError as error:
        raise EpisodeError(f"{path}: the file is missing") from error
    except OSError as error:
        raise storage_error("read", path, error) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise EpisodeError(f"{path}: damaged: {f'{where}: ' if where else ''}{first['msg']}") from error
    named = _NAME.fullmatch(path.name)
    if named is None or int(named["number"]) != correction.number:
        raise EpisodeError(f"{path}: damaged: it holds correction number {correction.number}")
    return correction


def read_corrections(layout: Layout, episode_id: str = "") -> Corrections:
    """All corrections of a store, or of one episode. Raises EpisodeError, StorageError."""
    found: dict[str, list[Correction]] = {}
    for path in label_files(layout, episode_id):
        try:
            correction = read_correction(path)
        except EpisodeError as error:
            raise EpisodeError(error.what, cure=f"{layout.repair_command} takes it out of use") from error
        found.setdefault(id_of(path) or "", []).append(correction)
    return {name: tuple(corrections) for name, corrections in found.items()}


def label_file(layout: Layout, episode_id: str, number: int) -> Path:
    """Where the correction of a number lies."""
    return layout.labels / f"{episode_id}.{number:04d}.json"


def encode_correction(correction: Correction) -> bytes:
    """The content of its file."""
    return (json.dumps(correction.model_dump(), indent=2) + "\n").encode()


def numbered(corrections: Sequence[Correction]) -> tuple[Correction, ...]:
    """The same, numbered anew in their order."""
    return tuple(one.model_copy(update={"number": number}) for number, one in enumerate(corrections, 1))


def write_corrections(layout: Layout, corrections: Mapping[str, Sequence[Correction]]) -> None:
    """Writes corrections of episodes, by their ids; the caller holds the store's lock. Raises StorageError, and leaves
    none of them then."""
    files = {
        label_file(layout, episode_id, one.number): encode_correction(one)
        for episode_id, own in corrections.items()
        for one in own
    }
    if files:
        make_folder_durably(layout.labels)
        write_many_durably(files)


def next_correction(layout: Layout, row: EpisodeRow, success: bool, *, who: str, why: str) -> Correction:
    """One more correction, not yet written; the caller holds the store's lock. row: as it is with those before it.

    Raises InputError for a name or a reason that is too long or empty, EpisodeError if the one before is damaged.
    """
    before = label_files(layout, row.id)
    number = 1 + max((read_correction(path).number for path in before[-1:]), default=0)
    said = said_of(row)
    try:
        return Correction(
            number=number,
            success=success,
            was=said.success,
            was_by=said.by,
            who=who.strip(),
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            why=why.strip(),
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"--{first['loc'][0]}: {first['msg']}", cure=f"a name of 1 to {MAX_WHO} letters, a reason of {MAX_WHY}"
        ) from error
