"""Taking other tools' data into an episode store: what is sound is kept, what is not is told with its reason."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from skillcore.episodes import EpisodeStore
from skillcore.episodes.labels import said_of
from skillcore.errors import EpisodeError, InputError, SkillcoreError, StorageError
from skillcore.exchange.mapping import Mapping as FieldMapping
from skillcore.exchange.mapping import check_against, load_mapping
from skillcore.exchange.source import Field
from skillcore.exchange.strangers import shown
from skillcore.storage import folder_in_making

Progress = Callable[[int, int], None]

# -P: nothing is imported from the folder that we happen to be in.
READER = ("-P", "-m", "skillcore.exchange.reader")
SILENCE_S = 600.0
"""An episode that takes longer to read is given up."""
MAX_FALLS = 20
"""How often the reading process may end by itself before the rest is given up."""
_KINDS: Mapping[str, type[SkillcoreError]] = {
    "InputError": InputError, "EpisodeError": EpisodeError, "StorageError": StorageError,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Refused:
    """An episode that was not taken, and why."""

    name: str
    what: str
    cure: str = ""


@dataclass(slots=True)
class Summary:
    """What came of an import. judged: of how many of those kept anybody says whether they succeeded. filled: what the
    data did not say, in words."""

    form: str
    episodes: int
    kept: int = 0
    steps: int = 0
    succeeded: int = 0
    judged: int = 0
    refused: list[Refused] = field(default_factory=list)
    filled: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Description:
    """What a dataset says of itself."""

    form: str
    rate_hz: float | None
    names: list[str]
    fields: dict[str, Field]
    has_after: bool
    ours: bool


def describe(source: Path) -> Description:
    """What a dataset holds, of whatever form. Raises EpisodeError, InputError for a package that is missing."""
    with _Reader(source) as reader:
        return reader.description


def bring_in(
    source: Path, out: Path, mapping_file: Path | None, *, progress: Progress = lambda done, total: None
) -> Summary:
    """Reads a dataset into a new episode store, which appears when all was read, with what was sound.

    mapping_file: YAML, see `skillcore.exchange.mapping`; not needed for what `skill data export` wrote. Without a sound
    episode no store is made. Raises InputError if `out` exists, ConfigError for the mapping, EpisodeError if the
    dataset as a whole cannot be read, StorageError if the disk is full or fails.
    """
    mapping, document = (None, None) if mapping_file is None else load_mapping(mapping_file)
    with folder_in_making(out) as building:
        summary = _fill(source, building, mapping, document, progress)
        if not summary.kept:
            shutil.rmtree(building)
    return summary


def _fill(source: Path, store: Path, mapping: FieldMapping | None, document: Any, progress: Progress) -> Summary:
    first, falls = 0, 0
    summary: Summary | None = None
    while True:
        with _Reader(source) as reader:
            found = reader.description
            if summary is None:
                _check(source, found, mapping, document)
                summary = Summary(found.form, len(found.names), filled=[] if mapping is None else _filled(mapping))
            fallen = reader.read_all(mapping, store, first, summary, progress)
        if fallen is None or fallen >= len(found.names):
            _count(store, summary, repair=falls > 0 or fallen is not None)
            return summary
        # What was begun and not told is the episode that the process fell over.
        falls += 1
        summary.refused.append(Refused(found.names[fallen], f"reading it ended the reading process ({reader.end})"))
        first = fallen + 1
        if falls > MAX_FALLS:
            what = f"the reading process ended {falls} times, so that it was not tried"
            summary.refused += [Refused(name, what) for name in found.names[first:]]
            _count(store, summary, repair=True)
            return summary


def _count(folder: Path, summary: Summary, *, repair: bool) -> None:
    """Counts what is kept. repair: first puts right what a process that fell may have left half done."""
    with EpisodeStore(folder) as store:
        if repair:
            store.repair()
        rows = store.rows()
    summary.kept, summary.steps = len(rows), sum(row.steps for row in rows)
    known = [said.success for row in rows if (said := said_of(row)).success is not None]
    summary.succeeded, summary.judged = sum(known), len(known)


def _check(source: Path, found: Description, mapping: FieldMapping | None, document: Any) -> None:
    if mapping is not None:
        check_against(mapping, document, found.fields, rate_hz=found.rate_hz, has_after=found.has_after)
    elif not found.ours:
        raise InputError(
            f"{source}: which of its fields are what has to be said in a mapping",
            cure="write one to begin with, and look through it: add --draft mapping.yaml",
        )


def _filled(mapping: FieldMapping) -> list[str]:
    told = []
    for name, given in (("pose", mapping.pose), ("wrench", mapping.wrench)):
        if given is None:
            told.append(f"{name}: not in the mapping, so that it is 0 throughout")
    if mapping.success is None and not mapping.success_at_end:
        told.append("success: not in the mapping, so that no frame is labelled")
    if mapping.last_frame == "repeat":
        told.append("the observation after the last action: not in the data; the one before stands in for it")
    return told


class _Reader:
    """The reading process, in a `with` block, with what it says of the dataset."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self.end = ""

    def __enter__(self) -> Self:
        # Closed in `_stop`, as the process is ended there.
        self._words = tempfile.TemporaryFile()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, *READER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=os.environ | {"HDF5_PLUGIN_PRELOAD": "::", "OPENCV_LOG_LEVEL": "OFF"},
            start_new_session=True,
        )
        self._rest = b""
        try:
            self._ask(source=str(self._source.absolute()))
            told = self._answer()
            if told is None:
                raise EpisodeError(f"{self._source}: reading it ended the reading process ({self.end})")
            fields = {
                name: Field(one["kind"], tuple(one["shape"]), tuple(one["names"]))
                for name, one in told["fields"].items()
            }
            self.description = Description(
                told["form"], told["rate_hz"], told["names"], fields, told["has_after"], told["ours"]
            )
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                # It may have been gone before it had read all.
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self._words.close()

    def read_all(
        self, mapping: FieldMapping | None, store: Path, first: int, summary: Summary, progress: Progress
    ) -> int | None:
        """Lets all episodes from `first` on be read. Returns the one that the process fell over, or None."""
        names = self.description.names
        wire = None if mapping is None else mapping.model_dump(mode="json", by_alias=True)
        self._ask(mapping=wire, store=str(store.absolute()), origin=str(self._source), first=first)
        current = first
        while True:
            told = self._answer()
            if told is None:
                return current
            if "begun" in told:
                current = told["begun"]
                progress(current, len(names))
            elif "kept" in told:
                current += 1
            elif "refused" in told:
                summary.refused.append(Refused(names[told["refused"]], told["what"], told["cure"]))
                current += 1
            else:
                progress(len(names), len(names))
                return None

    def _ask(self, **words: Any) -> None:
        assert self._process.stdin is not None
        # If it has ended, its silence will tell.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(words).encode() + b"\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any] | None:
        """What it says next; None if it has ended. Raises what it could not do."""
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._rest:
            ready, _, _ = select.select([descriptor], [], [], SILENCE_S)
            part = os.read(descriptor, 1 << 16) if ready else b""
            if not part:
                self.end = self._how_it_ended(late=not ready)
                return None
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        if "failed" in told:
            where = "" if told["kind"] == "StorageError" else f"{self._source}: "
            raise _KINDS.get(told["kind"], EpisodeError)(where + told["failed"], cure=told["cure"])
        return told

    def _how_it_ended(self, *, late: bool) -> str:
        if late:
            return f"no answer in {SILENCE_S:.0f} s"
        code = self._process.wait()
        if code < 0:
            return f"signal {-code}"
        self._words.seek(max(0, self._words.seek(0, os.SEEK_END) - 2000))
        lines = self._words.read().decode(errors="replace").split("\n")
        said = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"exit code {code}: {shown(said)}" if said else f"exit code {code}"
