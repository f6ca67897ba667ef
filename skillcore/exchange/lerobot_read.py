"""LeRobot datasets of versions 2.1 and 3.0, read as if they came from a stranger; see `lerobot_form`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.errors import EpisodeError
from skillcore.exchange import lerobot_form as form
from skillcore.exchange.parquet import MAX_FILE_BYTES, StrangersParquet
from skillcore.exchange.pictures import decode_picture
from skillcore.exchange.source import (
    MAX_FIELDS,
    MAX_FRAMES,
    MAX_WIDTH,
    Field,
    RawEpisode,
    Room,
    Source,
    Wanted,
    checked,
)
from skillcore.exchange.strangers import StrangersFolder, expand, shown
from skillcore.exchange.video_read import read_video

MAX_EPISODES = 1_000_000
_NUMBERS = ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool")


@dataclass(frozen=True, slots=True)
class _Entry:
    """What the dataset says of one episode.

    number: below 0 where it says none. places, video_places: what paths are made of. starts: in s, of each camera's
    video. fault: why it cannot be read.
    """

    number: int
    length: int
    tasks: tuple[str, ...]
    places: Mapping[str, int] = field(default_factory=dict)
    video_places: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    starts: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    label: str = ""

    @property
    def name(self) -> str:
        if self.label:
            return self.label
        return f"episode {self.number}" if self.number >= 0 else f"entry {-1 - self.number} of meta/episodes"


class LeRobotSource(Source):
    """A dataset in a folder. Raises EpisodeError if what speaks of the whole is not sound; StorageError."""

    def __init__(self, folder: Path) -> None:
        self._folder = StrangersFolder(folder)
        info = self._folder.json(form.INFO)
        version = str(info.get("codebase_version"))
        if version not in (form.VERSION, form.OLDER_VERSION):
            raise EpisodeError(
                f"{form.INFO}: the dataset is of LeRobot {shown(version)}, and {form.OLDER_VERSION} and {form.VERSION} "
                "can be read",
                cure="convert it with the scripts that come with lerobot",
            )
        self._older = version == form.OLDER_VERSION
        self.form = f"LeRobot {version}"
        self.rate_hz = _rate(info)
        self.fields = _fields(info)
        data_path = info.get("data_path")
        if not isinstance(data_path, str):
            raise EpisodeError(f"{form.INFO}: data_path is missing")
        self._data_path, self._video_path = data_path, info.get("video_path")
        self._chunks_size = _whole(info.get("chunks_size", form.FILES_A_CHUNK), f"{form.INFO}: chunks_size", low=1)
        self._entries = self._older_entries() if self._older else self._newer_entries()
        total = info.get("total_episodes")
        if self._entries and type(total) is int and total > len(self._entries):
            told = f"{form.INFO} speaks of {total} episodes, and meta/episodes lists {len(self._entries)}"
            self._entries.append(_Entry(-1, 0, (), fault=told, label="the rest"))
        if not self._entries:
            raise EpisodeError("the dataset has no episode")
        self.names = [entry.name for entry in self._entries]
        self._rows_of: tuple[str, NDArray[np.float64]] = ("", np.zeros(0))
        if self._folder.has(form.OURS):
            self.ours = self._folder.json(form.OURS)

    # --- what speaks of the whole -------------------------------------------------------------------------------

    def _older_entries(self) -> list[_Entry]:
        entries = []
        for row, line in enumerate(self._folder.json_lines(form.OLDER_EPISODES)):
            try:
                if isinstance(line, EpisodeError):
                    raise line
                number = _whole(line.get("episode_index"), f"{form.OLDER_EPISODES}: episode_index")
            except EpisodeError as error:
                entries.append(_Entry(-1 - row, 0, (), fault=error.what))
                continue
            places = {"episode_index": number, "episode_chunk": number // self._chunks_size}
            videos = {name: places for name, one in self.fields.items() if one.kind == "video"}
            entries.append(self._entry(number, line.get("length"), line.get("tasks"), places, videos, {}))
        return _each_once(entries)

    def _newer_entries(self) -> list[_Entry]:
        return _each_once([self._newer_entry(number, row) for number, row in enumerate(self._episode_rows())])

    def _episode_rows(self) -> Iterator[dict[str, Any]]:
        """The rows of all files that list episodes, without their statistics."""
        total = 0
        for number in range(MAX_EPISODES):
            chunk, file = divmod(number, self._chunks_size)
            name = expand(form.EPISODES, {"chunk_index": chunk, "file_index": file})
            if number and not self._folder.has(name):
                return
            with StrangersParquet(self._folder.file(name, limit=MAX_FILE_BYTES), name) as table:
                total += table.rows
                if total > MAX_EPISODES:
                    raise EpisodeError(f"{name} lists more than {MAX_EPISODES} episodes")
                columns = [one for one in table.columns if not one.startswith("stats/")]
                for batch in table.batches(columns, at_once=1000):
                    yield from batch.to_pylist()

    def _newer_entry(self, line: int, row: Mapping[str, Any]) -> _Entry:
        number = -1 - line
        try:
            number = _whole(row.get("episode_index"), "episode_index")
            places = {
                f"{kind}_index": _whole(row.get(f"data/{kind}_index"), f"data/{kind}_index")
                for kind in ("chunk", "file")
            }
            videos: dict[str, dict[str, int]] = {}
            starts: dict[str, float] = {}
            for name, one in self.fields.items():
                if one.kind == "video":
                    videos[name] = {
                        f"{kind}_index": _whole(
                            row.get(f"videos/{name}/{kind}_index"), f"videos/{shown(name)}/{kind}_index"
                        )
                        for kind in ("chunk", "file")
                    }
                    start = row.get(f"videos/{name}/from_timestamp")
                    if not isinstance(start, float | int) or not math.isfinite(start):
                        raise EpisodeError(f"videos/{shown(name)}/from_timestamp is {shown(str(start))}")
                    starts[name] = float(start)
        except EpisodeError as error:
            return _Entry(number, 0, (), fault=f"its row in meta/episodes: {error.what}")
        return self._entry(number, row.get("length"), row.get("tasks"), places, videos, starts)

    def _entry(
        self,
        number: int,
        length: Any,
        tasks: Any,
        places: Mapping[str, int],
        videos: Mapping[str, Mapping[str, int]],
        starts: Mapping[str, float],
    ) -> _Entry:
        if type(length) is not int or not 1 <= length <= MAX_FRAMES:
            return _Entry(number, 0, (), fault=f"it declares {shown(str(length))} frames, outside 1 ... {MAX_FRAMES}")
        texts = tuple(str(task)[:1000] for task in tasks) if isinstance(tasks, list) else ()
        return _Entry(number, length, texts, places, videos, starts)

    # --- one episode ----------------------------------------------------------------------------------------------

    def read(self, number: int, wanted: Wanted) -> RawEpisode:
        entry = self._entries[number]
        if entry.fault:
            raise EpisodeError(entry.fault)
        assert self.rate_hz is not None
        name = expand(self._data_path, entry.places)
        path = self._folder.file(name, limit=MAX_FILE_BYTES)
        room = Room(wanted, self.fields, entry.length)
        with StrangersParquet(path, name) as table:
            start, stop = self._rows(table, name, entry)
            numbers = self._numbers(table, wanted, entry, start, stop)
            self._pictures(table, wanted, room, start, stop)
        for view, key in enumerate(wanted.views):
            if self.fields[key].kind == "video":
                self._film(entry, key, view, room)
        return RawEpisode(
            name=self.names[number],
            index=entry.number,
            task=entry.tasks[0] if entry.tasks else "",
            numbers={key: numbers[key] for key in wanted.numbers},
            images=room.images,
        )

    def _rows(self, table: StrangersParquet, name: str, entry: _Entry) -> tuple[int, int]:
        """Which rows of a file are this episode's."""
        if self._rows_of[0] != name:
            self._rows_of = (name, table.numbers(form.EPISODE_INDEX).reshape(-1))
        rows = np.flatnonzero(self._rows_of[1] == entry.number)
        if len(rows) != entry.length:
            raise EpisodeError(f"it declares {entry.length} frames, and {table.name} holds {len(rows)} of them")
        if rows[-1] - rows[0] + 1 != len(rows):
            raise EpisodeError(f"its frames in {table.name} are mixed with those of others")
        return int(rows[0]), int(rows[-1]) + 1

    def _numbers(
        self, table: StrangersParquet, wanted: Wanted, entry: _Entry, start: int, stop: int
    ) -> dict[str, NDArray[np.float64]]:
        found = {}
        for key in sorted(wanted.numbers | {form.FRAME_INDEX, form.TIMESTAMP}):
            values = checked(key, table.numbers(key, start, stop), wanted)
            if key in self.fields and values.shape[1] != self.fields[key].width:
                raise EpisodeError(
                    f"{shown(key)} has {values.shape[1]} numbers, not {self.fields[key].width} as declared"
                )
            found[key] = values
        order = found[form.FRAME_INDEX].reshape(-1)
        wrong = np.flatnonzero(order != np.arange(len(order)))
        if len(wrong):
            raise EpisodeError(
                f"frames are missing or out of order: frame {wrong[0]} has the number {order[wrong[0]]:g}"
            )
        assert self.rate_hz is not None
        gaps = np.abs(np.diff(found[form.TIMESTAMP].reshape(-1)) * self.rate_hz - 1.0)
        if len(gaps) and gaps.max() > 0.5:
            place = int(np.argmax(gaps))
            raise EpisodeError(
                f"frames are missing: between frames {place} and {place + 1} lie "
                f"{np.diff(found[form.TIMESTAMP].reshape(-1))[place]:.3g} s, not {1 / self.rate_hz:.3g} s"
            )
        return found

    def _pictures(self, table: StrangersParquet, wanted: Wanted, room: Room, start: int, stop: int) -> None:
        keys = [key for key in wanted.views if self.fields[key].kind == "image"]
        if not keys:
            return
        row = 0
        for batch in table.batches(keys, start, stop):
            for key in dict.fromkeys(keys):
                height, width = self.fields[key].shape[:2]
                for offset, value in enumerate(batch.column(batch.schema.get_field_index(key))):
                    data = _embedded(key, value.as_py())
                    try:
                        picture = wanted.fit(decode_picture(data, height, width))
                    except ValueError as error:
                        raise EpisodeError(f"{shown(key)}, frame {row + offset}: the image {error}") from error
                    for view in _views(wanted.views, key):
                        room.images[row + offset, view] = picture
            row += batch.num_rows

    def _film(self, entry: _Entry, key: str, view: int, room: Room) -> None:
        if not isinstance(self._video_path, str):
            raise EpisodeError(f"{form.INFO}: video_path is missing")
        assert self.rate_hz is not None
        name = expand(self._video_path, {**entry.video_places[key], "video_key": key})
        height, width = self.fields[key].shape[:2]

        def keep(frame: int, picture: NDArray[np.uint8]) -> None:
            room.images[frame, view] = room.wanted.fit(picture)

        read_video(
            self._folder.file(name, limit=MAX_FILE_BYTES),
            name,
            start_s=entry.starts.get(key, 0.0),
            frames=entry.length,
            rate_hz=self.rate_hz,
            size_px=(height, width),
            keep=keep,
        )


def _views(views: Sequence[str], key: str) -> list[int]:
    return [view for view, name in enumerate(views) if name == key]


def _embedded(key: str, value: Any) -> bytes:
    data = value.get("bytes") if isinstance(value, dict) else value
    if isinstance(data, bytes):
        return data
    if isinstance(value, dict) and value.get("path"):
        raise EpisodeError(f"{shown(key)}: an image lies in the file {shown(str(value['path']))!r}, not in the dataset")
    raise EpisodeError(f"{shown(key)}: an image is missing")


def _rate(info: Mapping[str, Any]) -> float:
    rate = info.get("fps")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.0 < rate <= 10_000.0:
        raise EpisodeError(f"{form.INFO}: fps is {shown(str(rate))}, not a rate in Hz")
    return float(rate)


def _fields(info: Mapping[str, Any]) -> dict[str, Field]:
    features = info.get("features")
    if not isinstance(features, dict) or not 1 <= len(features) <= MAX_FIELDS:
        raise EpisodeError(f"{form.INFO}: features is missing, or no section of 1 ... {MAX_FIELDS} fields")
    return {str(name): _field(str(name), feature) for name, feature in features.items()}


def _field(name: str, feature: Any) -> Field:
    where = f"{form.INFO}: features: {shown(name)}"
    if not isinstance(feature, dict):
        raise EpisodeError(f"{where} is no section")
    dtype, sizes, names = feature.get("dtype"), feature.get("shape"), feature.get("names")
    if not isinstance(sizes, list) or len(sizes) > 5:
        raise EpisodeError(f"{where}: shape is {shown(str(sizes))}")
    shape = tuple(_whole(size, f"{where}: shape") for size in sizes)
    if isinstance(names, dict) and len(names) == 1:
        names = next(iter(names.values()))  # As `{"motors": [...]}`, which older datasets have.
    labels = tuple(shown(str(label)) for label in names[:MAX_WIDTH]) if isinstance(names, list) else ()
    if dtype in ("image", "video") and len(shape) == 3:
        if shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4):
            shape = (shape[1], shape[2], shape[0])
        return Field(dtype, shape, ())
    if dtype in _NUMBERS and len(shape) <= 1:
        return Field("numbers", shape if shape != (1,) else (), labels)
    return Field("other", shape)


def _whole(value: Any, where: str, *, low: int = 0) -> int:
    if type(value) is not int or not low <= value < 2**31:
        raise EpisodeError(f"{where} is {shown(str(value))}, not a whole number from {low} on")
    return value


def _each_once(entries: Sequence[_Entry]) -> list[_Entry]:
    """Sorted by number. An episode that is listed twice is not sound, whichever is meant."""
    seen: dict[int, _Entry] = {}
    for entry in sorted(entries, key=lambda entry: entry.number):
        again = entry.number in seen
        seen[entry.number] = _Entry(entry.number, 0, (), fault="it is listed more than once") if again else entry
    return list(seen.values())
