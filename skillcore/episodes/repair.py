"""Finding what is wrong with an episode store, and putting it right.

Both work on a store that cannot be opened. A repair deletes no episode: what is damaged moves to
`quarantine/`, the old index along with it. It may be interrupted at any time and run again.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from skillcore.episodes import deletion
from skillcore.episodes.format import decode, is_newer, read_bytes
from skillcore.episodes.index import EpisodeRow, Index, IndexDamageError
from skillcore.episodes.labels import id_of, label_files, read_correction
from skillcore.episodes.layout import SUFFIX, Layout, is_id, make_id
from skillcore.errors import EpisodeError, StorageError
from skillcore.storage import flush_folder, is_temporary, make_folder_durably, storage_faults

FindingKind = Literal[
    "index", "missing", "changed", "unreadable", "newer", "orphan", "row", "temporary", "label", "pending"
]
"""index: damaged or missing. missing: a row without a file. changed: a file that is not what was saved.
unreadable: a file that is no episode. newer: in a form later than this program knows. orphan: a file without
a row. row: says other than its file. temporary: left by an interrupted write. label: a correction that is damaged, or
of no episode here. pending: a deletion that was interrupted."""

Progress = Callable[[int, int], None]
"""Called with the number of files looked at and the number of all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with a store. name: the file's path within the store."""

    kind: FindingKind
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair did. episodes: how many the store holds now.

    adopted: ids of files that had no row. corrected: ids whose row was rewritten. lost: ids whose file is
    gone. quarantined: what moved to `quarantine/`. left: what was left as it is. temporaries: how many were
    removed. settled: whether an interrupted deletion was finished.
    """

    episodes: int
    index_rebuilt: bool
    adopted: tuple[str, ...]
    corrected: tuple[str, ...]
    lost: tuple[str, ...]
    quarantined: tuple[Finding, ...]
    left: tuple[Finding, ...]
    temporaries: int
    settled: bool = False

    @property
    def lines(self) -> list[str]:
        """What was done, a line for each thing; empty if nothing was wrong."""
        lines = ["a deletion that was interrupted: finished"] if self.settled else []
        lines += ["index.sqlite: made anew from the files"] if self.index_rebuilt else []
        lines += [f"{name}: taken up into the index" for name in self.adopted]
        lines += [f"{name}: its row in the index was corrected" for name in self.corrected]
        lines += [f"{name}: its file is gone, so it was taken out of the index" for name in self.lost]
        lines += [f"{finding.name}: moved to quarantine/: {finding.reason}" for finding in self.quarantined]
        lines += [f"{finding.name}: left as it is: {finding.reason}" for finding in self.left]
        if self.temporaries:
            lines.append(f"{self.temporaries} leftovers of interrupted writes: removed")
        return lines


def verify(folder: Path, progress: Progress = lambda done, total: None) -> list[Finding]:
    """Everything wrong with the store in `folder`; empty if it is sound. Reads every file.

    Changes nothing. Raises EpisodeError if there is no store, or it is of a later version.
    """
    layout = _layout_of(folder)
    with layout.locked_if_writable():
        # An append that is under way holds the lock, so nothing seen here is half done.
        state = _look(layout)
    _judge(layout, state, progress)
    return state.findings


def repair(folder: Path, progress: Progress = lambda done, total: None) -> RepairReport:
    """Puts right everything `verify` finds in the store in `folder`.

    Raises EpisodeError if there is no store, or it is of a later version; StorageError if the disk fails,
    also if a file cannot be read because of that.
    """
    layout = _layout_of(folder)
    with layout.locked():
        settled = _settle(layout)
        state = _look(layout)
        _judge(layout, state, progress)
        if state.blocked is not None:
            # Neither the disk's nor the permissions' failure is the file's: such a file must not go to
            # quarantine.
            raise state.blocked
        return dataclasses.replace(_act(layout, state), settled=settled)


def no_store(layout: Layout) -> EpisodeError:
    cure = "give the folder that holds index.sqlite and episodes/"
    if Layout(layout.episodes).exists():
        cure = f"did you mean {layout.episodes}?"
    return EpisodeError(f"{layout.folder}: there is no episode store in this folder", cure=cure)


def _layout_of(folder: Path) -> Layout:
    layout = Layout(Path(folder))
    if not layout.exists():
        raise no_store(layout)
    return layout


@dataclass(slots=True)
class _State:
    """What was seen. rows: None if the index is damaged. sound: the row each sound file should have."""

    rows: dict[str, EpisodeRow] | None
    files: list[Path]
    temporaries: list[Path]
    findings: list[Finding] = field(default_factory=list)
    sound: dict[Path, EpisodeRow] = field(default_factory=dict)
    damaged: list[tuple[Path, Finding]] = field(default_factory=list)
    labels: list[tuple[Path, str | None]] = field(default_factory=list)
    left: list[Finding] = field(default_factory=list)
    blocked: StorageError | None = None


def _look(layout: Layout) -> _State:
    folders = [folder for folder in (layout.folder, layout.episodes, layout.labels) if folder.is_dir()]
    temporaries = sorted(path for folder in folders for path in folder.iterdir() if is_temporary(path))
    state = _State(rows=None, files=layout.files(), temporaries=temporaries)
    try:
        index = Index(layout.index)
        try:
            state.rows = {row.id: row for row in index.rows()}
        finally:
            index.close()
    except IndexDamageError as damage:
        state.findings.append(Finding("index", layout.index.name, f"the index is damaged: {damage}"))
    if layout.pending.exists():
        state.findings.append(Finding("pending", layout.pending.name, "a deletion was interrupted"))
    return state


def _settle(layout: Layout) -> bool:
    """Finishes a deletion that was interrupted, as far as it can be told what became of it."""
    if not layout.pending.exists():
        return False
    try:
        index = Index(layout.index)
        try:
            deletion.settle(layout, index)
        finally:
            index.close()
    except (IndexDamageError, EpisodeError):
        # Without an index, or without names, nobody knows what was to go: what is there stays.
        layout.take_out_of_use(layout.pending)
    return True


def _judge(layout: Layout, state: _State, progress: Progress) -> None:
    for done, path in enumerate(state.files):
        progress(done, len(state.files))
        finding = _judge_file(layout, state, path)
        if finding is not None:
            state.findings.append(finding)
    progress(len(state.files), len(state.files))
    present = {path.name for path in state.files}
    for row in (state.rows or {}).values():
        name = layout.file(row.id).name
        if name not in present:
            state.findings.append(Finding("missing", _name(layout, layout.file(row.id)), "the file is missing"))
    known = {path.name.removesuffix(SUFFIX) for path in state.files}
    for path in label_files(layout):
        finding = _judge_label(layout, path, known)
        state.labels.append((path, finding.reason if finding else None))
        state.findings += [finding] if finding else []
    for path in state.temporaries:
        state.findings.append(Finding("temporary", _name(layout, path), "left by an interrupted write"))


def _judge_label(layout: Layout, path: Path, known: set[str]) -> Finding | None:
    """What is wrong with a file of a correction, if anything is. known: ids of the episodes that have files."""
    name = _name(layout, path)
    if id_of(path) not in known:
        return Finding("label", name, "it corrects the label of an episode that is not here")
    try:
        read_correction(path)
    except EpisodeError as error:
        return Finding("label", name, error.what.removeprefix(f"{path}: "))
    return None


def _judge_file(layout: Layout, state: _State, path: Path) -> Finding | None:
    """Sorts one file into `sound`, `damaged` or `left`, and says what is wrong about it, if anything is."""
    name, episode_id = _name(layout, path), path.name.removesuffix(SUFFIX)
    row = (state.rows or {}).get(episode_id)

    def damaged(kind: FindingKind, reason: str) -> Finding:
        finding = Finding(kind, name, reason)
        state.damaged.append((path, finding))
        return finding

    try:
        data = read_bytes(path)
    except StorageError as error:
        state.blocked = error
        return Finding("unreadable", name, error.what)
    except EpisodeError as error:
        return damaged("unreadable", error.what)
    sha256 = hashlib.sha256(data).hexdigest()
    expected = row.sha256 if row else episode_id.rpartition("-")[2] if is_id(episode_id) else ""
    if not sha256.startswith(expected):
        return damaged("changed", "the file is not what was saved: its SHA-256 has changed")
    try:
        episode = decode(data, name=name)
    except EpisodeError as error:
        reason = error.what.removeprefix(f"{name}: ")
        if is_newer(data):
            state.left.append(Finding("newer", name, reason))
            return state.left[-1]
        return damaged("unreadable", reason)
    sequence = int(episode_id.partition("-")[0]) if is_id(episode_id) else -1
    state.sound[path] = EpisodeRow.of(episode, episode_id, sequence=sequence, sha256=sha256, size=len(data))
    if state.rows is None:
        return None  # The index's own finding covers all of its rows.
    if row is None:
        return Finding("orphan", name, "the file has no row in the index")
    if row != state.sound[path]:
        return Finding("row", name, "the index says other than the file")
    return None


def _act(layout: Layout, state: _State) -> RepairReport:
    for path, _ in state.damaged:
        layout.take_out_of_use(path)
    rows = state.rows or {}
    sound = _named(layout, state)
    adopted = [row for row in sound if row.id not in rows]
    corrected = [row for row in sound if row.id in rows and rows[row.id] != row]
    # A row goes with its file: to quarantine, or away. One whose file is merely newer stays.
    kept = {row.id for row in sound} | {Path(finding.name).name.removesuffix(SUFFIX) for finding in state.left}
    gone = [name for name in rows if name not in kept]
    labels = _quarantine_labels(layout, state, kept)
    quarantined = {path.name for path, _ in state.damaged}
    if state.rows is None:
        for path in layout.index_files:
            layout.take_out_of_use(path)
        Index.create(layout.index, sound)
    elif adopted or corrected or gone:
        index = Index(layout.index)
        try:
            index.change(add=adopted + corrected, remove=gone)
        finally:
            index.close()
    make_folder_durably(layout.episodes)
    for path in state.temporaries:
        with storage_faults("remove", path):
            path.unlink(missing_ok=True)
    return RepairReport(
        episodes=len(rows) + len(adopted) - len(gone),
        index_rebuilt=state.rows is None,
        adopted=tuple(row.id for row in adopted) if state.rows is not None else (),
        corrected=tuple(row.id for row in corrected),
        lost=tuple(name for name in gone if layout.file(name).name not in quarantined),
        quarantined=(*(finding for _, finding in state.damaged), *labels),
        left=tuple(state.left),
        temporaries=len(state.temporaries),
    )


def _quarantine_labels(layout: Layout, state: _State, kept: set[str]) -> list[Finding]:
    """Takes corrections out of use that are damaged, or whose episode is."""
    found = []
    for path, reason in state.labels:
        if reason is None and id_of(path) not in kept:
            reason = "the episode that it is about is out of use"
        if reason is not None:
            layout.take_out_of_use(path)
            found.append(Finding("label", _name(layout, path), reason))
    return found


def _named(layout: Layout, state: _State) -> list[EpisodeRow]:
    """The rows of all sound files, after files with names of another kind were given ids of their own."""
    named = [row for row in state.sound.values() if row.sequence >= 0]
    following = 1 + max((row.sequence for row in [*named, *(state.rows or {}).values()]), default=-1)
    for path, row in state.sound.items():
        if row.sequence < 0:
            new_id = make_id(following, row.sha256)
            with storage_faults("rename", path):
                path.replace(layout.file(new_id))
            named.append(dataclasses.replace(row, id=new_id, sequence=following))
            following += 1
    if following:
        flush_folder(layout.episodes)
    return named


def _name(layout: Layout, path: Path) -> str:
    return path.relative_to(layout.folder).as_posix()
