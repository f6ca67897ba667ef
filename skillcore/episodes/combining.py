"""New stores from old ones: several joined into one, or one taken apart. The old ones stay as they are.

There is all of a new store or nothing, whatever ends the process (`skillcore.storage.folder_in_making`).
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from skillcore.episodes.format import decode, read_bytes
from skillcore.episodes.index import EpisodeRow, Index
from skillcore.episodes.labels import Correction, Corrections, numbered, write_corrections
from skillcore.episodes.layout import Layout, make_id
from skillcore.episodes.store import EpisodeStore
from skillcore.errors import EpisodeError, InputError
from skillcore.storage import flush_folder, folder_in_making, make_folder_durably, write_many_durably

Progress = Callable[[int, int], None]
"""Called with the number of episodes done and the number of all."""

MOST_LETTERS = 200
"""Of a folder's name; a disk takes 255 bytes, and some room is left for what is built beside it."""
TRAIN, VALIDATION = "train", "validation"
_AT_ONCE_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class Copy:
    """One episode on its way into a new store: where it is, its row in that index, its row in the new one, and its
    corrections."""

    source: Path
    row: EpisodeRow
    new: EpisodeRow
    corrections: tuple[Correction, ...]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge made. duplicates: how many episodes were in several of the stores. renumbered: how many were given
    another id, since theirs was taken."""

    episodes: int
    duplicates: int
    renumbered: int


# --- merge ----------------------------------------------------------------------------------------------------------


def merge(sources: Sequence[Path], out: Path, progress: Progress = lambda done, total: None) -> Merged:
    """Joins the stores in `sources` in the new folder `out`, in their order.

    An episode keeps its id unless an earlier one has it or its number; one that several stores hold is kept once, with
    the corrections of all. Raises InputError for stores that do not go together or a folder that is there; EpisodeError
    for one that is damaged; StorageError if the disk is full or fails. Nothing is left behind then.
    """
    resolved = [folder.resolve() for folder in sources]
    twice = [str(folder) for number, folder in enumerate(sources) if resolved[number] in resolved[:number]]
    if twice or len(sources) < 2:
        what = f"{twice[0]}: named twice" if twice else "there is nothing to join it with"
        raise InputError(what, cure="name two stores or more: skill data merge A B --out NEW")
    found = [(folder, *_content(folder)) for folder in sources]
    if not any(rows for _, rows, _ in found):
        raise InputError("none of the stores holds an episode", cure="name stores that do")
    _check_alike([(folder, rows) for folder, rows, _ in found])
    copies, duplicates = _joined(found)
    with folder_in_making(out, size=sum(copy.row.bytes for copy in copies)) as place:
        rates: dict[float, Path] = {}
        _write_store(place, copies, progress, rates)
        _check_rates(rates)
    renumbered = sum(copy.row.id != copy.new.id for copy in copies)
    return Merged(len(copies), duplicates, renumbered)


def _joined(found: Sequence[tuple[Path, list[EpisodeRow], Corrections]]) -> tuple[list[Copy], int]:
    copies: dict[str, Copy] = {}
    duplicates, taken = 0, set[int]()
    for folder, rows, corrections in found:
        fresh = [row for row in rows if row.sha256 not in copies]
        own = {row.sequence for row in fresh}
        # All of a store move on where one must, so that their order stays.
        shift = max(taken) + 1 - min(own) if own & taken else 0
        for row in rows:
            said = corrections.get(row.id, ())
            if row.sha256 in copies:
                duplicates += 1
                before = copies[row.sha256]
                copies[row.sha256] = dataclasses.replace(before, corrections=_both(before.corrections, said))
                continue
            number = row.sequence + shift
            new = dataclasses.replace(row, id=make_id(number, row.sha256), sequence=number)
            copies[row.sha256] = Copy(folder, row, new, said)
        taken |= {number + shift for number in own}
    return list(copies.values()), duplicates


def _both(one: Sequence[Correction], other: Sequence[Correction]) -> tuple[Correction, ...]:
    """The corrections of one episode in two stores, by their time, numbered anew. Those of one store, which may have
    been made in one second, or with a clock that went back, stay in their order."""
    found: dict[tuple[object, ...], tuple[str, int, Correction]] = {}
    for own in (one, other):
        latest, said = "", Counter[tuple[object, ...]]()
        for each in own:
            latest = max(latest, each.when)
            content = (each.when, each.who, each.success, each.why)
            said[content] += 1
            known = found.get((*content, said[content]), ("", 0, each))
            found[(*content, said[content])] = (*max(known[:2], (latest, each.number)), each)
    return numbered([each for *_, each in sorted(found.values(), key=lambda place: place[:2])])


def _check_alike(found: Sequence[tuple[Path, list[EpisodeRow]]]) -> None:
    """Raises InputError with all reasons for which episodes do not belong in one store."""
    reasons = []
    kinds: tuple[tuple[str, Callable[[EpisodeRow], object]], ...] = (
        ("skill", lambda row: row.skill),
        ("number of views", lambda row: row.views),
        ("size of images", lambda row: f"{row.width_px}x{row.height_px} px"),
    )
    for name, of in kinds:
        values = [(folder, sorted({str(of(row)) for row in rows})) for folder, rows in found if rows]
        if len({value for _, own in values for value in own}) > 1:
            told = "; ".join(f"{' and '.join(own)} in {folder}" for folder, own in values)
            reasons.append(f"the {name} differs: {told}")
    if reasons:
        raise InputError(f"the stores do not go together: {'; '.join(reasons)}", cure=_TOGETHER)


def _check_rates(rates: Mapping[float, Path]) -> None:
    if len(rates) > 1:
        told = "; ".join(f"{rate:g} Hz in {folder}" for rate, folder in sorted(rates.items()))
        raise InputError(f"the stores do not go together: the control rate differs: {told}", cure=_TOGETHER)


_TOGETHER = "keep them apart; `skill pretrain` takes several with --data, as far as they can be trained on together"


# --- split ----------------------------------------------------------------------------------------------------------


def split(
    source: Path, out: Path, parts: Mapping[str, Sequence[EpisodeRow]], progress: Progress = lambda done, total: None
) -> None:
    """Copies episodes of a store into the stores `out/NAME`, for each part its own, with their ids and corrections.

    Raises InputError if the folder is there, EpisodeError for a damaged file, StorageError if the disk is full or
    fails. Nothing is left behind then.
    """
    rows, corrections = _content(source)
    recorded = {row.id: row for row in rows}
    gone = [row.id for part in parts.values() for row in part if row.id not in recorded]
    if gone:
        raise EpisodeError(f"{source}: there is no episode {gone[0]!r} any more", cure="run the command again")
    total, done = sum(map(len, parts.values())), 0
    with folder_in_making(out, size=sum(row.bytes for part in parts.values() for row in part)) as place:
        for name, part in parts.items():
            copies = [Copy(source, recorded[row.id], recorded[row.id], corrections.get(row.id, ())) for row in part]
            before = done
            _write_store(place / name, copies, lambda now, _, before=before: progress(before + now, total), {})  # type: ignore[misc]
            done += len(part)


def by_share(rows: Sequence[EpisodeRow], share: float, seed: int) -> dict[str, list[EpisodeRow]]:
    """`share` of the episodes, drawn by `seed`, and the rest. Each variant is divided about alike.

    The same episodes are divided in the same way, in whatever order they were saved. Raises InputError if one of the
    parts would be empty.
    """
    count = round(share * len(rows))
    if not 0 < count < len(rows):
        raise InputError(f"{share:g} of {len(rows)} episodes leaves one part empty", cure="choose another --share")
    rng = np.random.default_rng(seed)
    variants = sorted({row.variant for row in rows})
    shuffled: list[EpisodeRow] = []
    for number in rng.permutation(len(variants)):
        own = sorted((row for row in rows if row.variant == variants[number]), key=lambda row: (row.sha256, row.id))
        shuffled += [own[one] for one in rng.permutation(len(own))]
    # At even distances along the variants, so that each is divided alike; where they begin is drawn too.
    places = (np.arange(len(rows) + 1) * count + int(rng.integers(len(rows)))) // len(rows)
    chosen = {row.id for row, took in zip(shuffled, np.diff(places), strict=True) if took}
    return {
        TRAIN: [row for row in rows if row.id in chosen],
        VALIDATION: [row for row in rows if row.id not in chosen],
    }


def by_variant(rows: Sequence[EpisodeRow]) -> dict[str, list[EpisodeRow]]:
    """The episodes of each variant, by the name of its folder. Raises InputError if there is only one."""
    variants: dict[str, list[EpisodeRow]] = {}
    for row in rows:
        variants.setdefault(row.variant, []).append(row)
    if len(variants) < 2:
        raise InputError("all episodes are of one connector", cure="split them with --share instead")
    return dict(sorted((folder_name(variant), own) for variant, own in variants.items()))


def folder_name(variant: str) -> str:
    """A folder's name for a variant, whatever letters that has; another for each."""
    name = quote(variant, safe=" +,@()")
    if len(name) > MOST_LETTERS:
        name = f"{name[:MOST_LETTERS]}-{hashlib.sha256(variant.encode()).hexdigest()[:12]}"
    return name if name.strip(" .") else f"%{name}" if name else "%unnamed"


# --- building -------------------------------------------------------------------------------------------------------


def _content(folder: Path) -> tuple[list[EpisodeRow], Corrections]:
    with EpisodeStore(folder, create=False) as store:
        return sorted(store.recorded_rows(), key=lambda row: (row.sequence, row.id)), store.corrections()


def _write_store(place: Path, copies: Sequence[Copy], progress: Progress, rates: dict[float, Path]) -> None:
    """A store of these episodes in the folder `place`; `rates` is told the control rates that were met."""
    layout = Layout(place)
    make_folder_durably(layout.episodes)
    waiting: dict[Path, bytes] = {}

    def write() -> None:
        if waiting:
            write_many_durably(waiting)
            waiting.clear()

    for done, copy in enumerate(copies):
        progress(done, len(copies))
        path = Layout(copy.source).file(copy.row.id)
        data = read_bytes(path)
        if hashlib.sha256(data).hexdigest() != copy.row.sha256:
            raise EpisodeError(
                f"{path}: the file is not what was saved: its SHA-256 has changed",
                cure=Layout(copy.source).repair_command,
            )
        rates.setdefault(decode(data, name=str(path), images=False).info.control_hz, copy.source)
        waiting[layout.file(copy.new.id)] = data
        if sum(map(len, waiting.values())) > _AT_ONCE_BYTES:
            write()
    write()
    progress(len(copies), len(copies))
    write_corrections(layout, {copy.new.id: copy.corrections for copy in copies})
    Index.create(layout.index, [copy.new for copy in copies])
    for folder in (layout.episodes, place):
        flush_folder(folder)
