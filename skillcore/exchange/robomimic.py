"""robomimic's HDF5 files, read as if they came from a stranger. Needs the extra `exchange`.

    data                       attributes: env_args, JSON with the rate, `env_kwargs.control_freq`
    data/demo_0                attributes: num_samples
    data/demo_0/actions        (frames, n)
    data/demo_0/rewards, dones (frames,)
    data/demo_0/obs/NAME       (frames, ...), images (frames, H, W, 3) uint8
    data/demo_0/next_obs/NAME  the same, one step later; many files have none

HDF5 can name other files, run filters that it loads as code, and declare shapes of any size that take no room. None of
it is followed: only hard links are, to plain arrays of numbers that lie in the file itself.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.errors import EpisodeError, InputError
from skillcore.exchange.source import MAX_FRAMES, MAX_WIDTH, Field, RawEpisode, Room, Source, Wanted, checked
from skillcore.exchange.strangers import damaged, shown
from skillcore.exchange.video_write import INSTALL
from skillcore.storage import in_bytes, storage_error

MAX_EPISODES = 1_000_000
MAX_CHUNK_BYTES = 256 * 2**20
MAX_ATTRIBUTE_BYTES = 2**20
FRAMES_AT_ONCE = 32
SAMPLE = 100
"""So many demonstrations say which fields there are."""
AFTER = "next_obs/"
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 4: "szip", 32000: "lzf"}
"""What comes with h5py. Others would be loaded from wherever the machine has them."""
SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DAMAGE = (OSError, RuntimeError, ValueError, TypeError, KeyError, OverflowError, AttributeError, UnicodeDecodeError)


def require_h5py() -> Any:
    """The package h5py, unable to load filters. Raises InputError that says what to install."""
    # HDF5 reads this when it is loaded: no plugins at all.
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"
    try:
        import h5py
    except ImportError as error:
        raise InputError(f"HDF5 files need the package h5py: {error}", cure=INSTALL) from error
    return h5py


class RobomimicSource(Source):
    """The demonstrations in a file. Raises EpisodeError if what speaks of the whole is not sound; StorageError."""

    def __init__(self, path: Path) -> None:
        self._h5py = require_h5py()
        self.form = "robomimic HDF5"
        try:
            with path.open("rb") as file:
                if file.read(8) != SIGNATURE:
                    raise EpisodeError("it is no HDF5 file")
        except OSError as error:
            raise storage_error("read", path, error) from error
        try:
            self._file = self._h5py.File(path, "r")
            self._data = self._linked(self._file, "data")
            if not isinstance(self._data, self._h5py.Group):
                raise EpisodeError("it is not of robomimic: `data` is no group")
            if len(self._data) > MAX_EPISODES:
                raise EpisodeError(f"it lists {len(self._data)} demonstrations, and {MAX_EPISODES} are the limit")
            self._names = sorted(self._data, key=_in_order)
            self.rate_hz = self._rate()
        except EpisodeError:
            raise
        except _DAMAGE as error:
            raise damaged("the file", error) from error
        if not self._names:
            raise EpisodeError("the file has no demonstration")
        self.names = [shown(name) for name in self._names]
        found = self._common_fields()
        self.fields = {name: field for name, field in found.items() if not name.startswith(AFTER)}
        self.has_after = any(name.startswith(AFTER) for name in found)

    def _linked(self, group: Any, name: str) -> Any:
        """What a group holds under a name, if it lies in this file."""
        link = group.get(name, getlink=True)
        if link is None:
            raise EpisodeError(f"{shown(name)} is missing")
        if isinstance(link, self._h5py.ExternalLink):
            raise EpisodeError(f"{shown(name)} is a link to another file, {shown(str(link.filename))!r}")
        if not isinstance(link, self._h5py.HardLink):
            raise EpisodeError(f"{shown(name)} is a soft link")
        return group[name]

    def _attribute(self, thing: Any, name: str) -> Any:
        if name not in thing.attrs:
            return None
        size = thing.attrs.get_id(name).get_storage_size()
        if size > MAX_ATTRIBUTE_BYTES:
            raise EpisodeError(f"the attribute {name} has {in_bytes(size)}")
        return thing.attrs[name]

    def _rate(self) -> float | None:
        text = self._attribute(self._data, "env_args")
        try:
            rate = json.loads(text)["env_kwargs"]["control_freq"]
            if isinstance(rate, int | float) and math.isfinite(rate) and 0.0 < rate <= 10_000.0:
                return float(rate)
        except (ValueError, TypeError, KeyError, RecursionError):
            pass  # The mapping has to say it, then.
        return None

    def _common_fields(self) -> dict[str, Field]:
        """The fields that at least half of the first demonstrations have, of those that can be read; each as most of
        them have it."""
        fault: EpisodeError | None = None
        found: list[tuple[str, Field]] = []
        readable = 0
        for name in self._names[:SAMPLE]:
            try:
                own = self._fields_of(self._linked(self._data, name), "")
            except EpisodeError as error:
                fault = fault or error
            except _DAMAGE as error:
                fault = fault or damaged(name, error)
            else:
                found += own
                readable += bool(own)
        if not found:
            raise fault or EpisodeError("its demonstrations hold nothing")
        # The rarest first, so that the most frequent stays.
        chosen = dict(field for field, _ in reversed(Counter(found).most_common()))
        frequent = Counter(name for name, _ in found)
        return {name: chosen[name] for name in frequent if 2 * frequent[name] >= readable}

    def _fields_of(self, group: Any, prefix: str) -> list[tuple[str, Field]]:
        found: list[tuple[str, Field]] = []
        if not isinstance(group, self._h5py.Group):
            return found
        for name in list(group)[:1000]:
            if not isinstance(group.get(name, getlink=True), self._h5py.HardLink):
                continue
            thing = group[name]
            if isinstance(thing, self._h5py.Group):
                if not prefix:
                    found += self._fields_of(thing, f"{name}/")
            elif thing.shape is not None and thing.dtype.kind in "fiub" and len(thing.shape) >= 1:
                found.append((f"{prefix}{name}", _field(thing)))
        return found

    def read(self, number: int, wanted: Wanted) -> RawEpisode:
        try:
            return self._read(number, wanted)
        except EpisodeError:
            raise
        except MemoryError as error:
            raise EpisodeError("it needs more memory than reading it may take") from error
        except _DAMAGE as error:
            raise damaged("it", error) from error

    def _read(self, number: int, wanted: Wanted) -> RawEpisode:
        demo = self._linked(self._data, self._names[number])
        if not isinstance(demo, self._h5py.Group):
            raise EpisodeError("it is no group")
        keys = [*sorted(wanted.numbers), *wanted.views]
        arrays = {key: self._array(demo, key) for key in keys}
        lengths = {key: array.shape[0] for key, array in arrays.items()}
        frames = lengths[keys[0]]
        told = self._attribute(demo, "num_samples")
        if told is not None and int(told) != frames:
            raise EpisodeError(f"it declares {int(told)} frames and holds {frames}: frames are missing")
        if len(set(lengths.values())) != 1:
            listed = ", ".join(f"{shown(key)} {length}" for key, length in lengths.items())
            raise EpisodeError(f"its fields have not as many frames: {listed}")
        room = Room(wanted, self.fields, frames)
        numbers = {key: checked(key, arrays[key][()], wanted) for key in sorted(wanted.numbers)}
        for view, key in enumerate(wanted.views):
            for start in range(0, frames, FRAMES_AT_ONCE):
                for offset, picture in enumerate(arrays[key][start : start + FRAMES_AT_ONCE]):
                    room.images[start + offset, view] = wanted.fit(np.ascontiguousarray(picture))
        after = self._after(demo, wanted, numbers, frames) if wanted.after else None
        return RawEpisode(self.names[number], number, "", numbers, room.images, after)

    def _after(
        self, demo: Any, wanted: Wanted, numbers: dict[str, NDArray[np.float64]], frames: int
    ) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.uint8]] | None:
        """The observation after the last step, from the last row of `next_obs`; None if not all of it is there."""
        if demo.get("next_obs", getlink=True) is None:
            return None
        group = self._linked(demo, "next_obs")
        following = {key: key.removeprefix("obs/") for key in (*numbers, *wanted.views) if key.startswith("obs/")}
        if not isinstance(group, self._h5py.Group) or any(name not in group for name in following.values()):
            return None
        arrays = {key: self._array(demo, f"{AFTER}{name}", like=key) for key, name in following.items()}
        if any(array.shape[0] != frames for array in arrays.values()) or not arrays.keys() >= set(wanted.views):
            raise EpisodeError("next_obs has not as many frames as obs, or other fields")
        last = {key: checked(f"next_{key}", arrays[key][-1:], wanted)[0] for key in numbers if key in arrays}
        pictures = [wanted.fit(np.ascontiguousarray(arrays[key][-1])) for key in wanted.views]
        return last, np.stack(pictures)

    def _array(self, demo: Any, key: str, like: str = "") -> Any:
        """A field of a demonstration, after all that it declares was found within reason. like: a field it must
        resemble."""
        thing = demo
        for part in key.split("/"):
            if not isinstance(thing, self._h5py.Group):
                raise EpisodeError(f"{shown(key)} is missing")
            thing = self._linked(thing, part)
        if not isinstance(thing, self._h5py.Dataset):
            raise EpisodeError(f"{shown(key)} is no array")
        self._check_storage(key, thing)
        declared = self.fields.get(like or key)
        found = _field(thing)
        if declared is not None and found != declared:
            raise EpisodeError(f"{shown(key)} has {found}, where others have {declared}")
        if not 1 <= thing.shape[0] <= MAX_FRAMES:
            raise EpisodeError(f"{shown(key)} has {thing.shape[0]} frames, outside 1 ... {MAX_FRAMES}")
        if found.kind == "other" or found.width > MAX_WIDTH:
            raise EpisodeError(f"{shown(key)} has the shape {tuple(thing.shape)}: neither numbers nor RGB images")
        return thing

    def _check_storage(self, key: str, array: Any) -> None:
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or array.shape is None or not array.shape:
            raise EpisodeError(f"{shown(key)} holds {shown(str(array.dtype))} {array.shape}, not numbers")
        plan = array.id.get_create_plist()
        if plan.get_external_count():
            raise EpisodeError(f"{shown(key)} keeps its numbers in another file")
        if array.is_virtual:
            raise EpisodeError(f"{shown(key)} is put together from other arrays or files")
        for number in range(plan.get_nfilters()):
            code = plan.get_filter(number)[0]
            if code not in FILTERS:
                raise EpisodeError(
                    f"{shown(key)} is packed with the filter {code}", cure="repack it with gzip: h5repack"
                )
        if array.chunks is not None:
            size = math.prod(array.chunks) * array.dtype.itemsize
            if size > MAX_CHUNK_BYTES:
                raise EpisodeError(
                    f"{shown(key)} has pieces of {in_bytes(size)}, and {in_bytes(MAX_CHUNK_BYTES)} are the limit"
                )
        if math.prod(array.shape) and not array.id.get_storage_size():
            raise EpisodeError(f"{shown(key)} declares {array.shape[0]} frames and stores none")


def _field(array: Any) -> Field:
    """Of one frame of an array."""
    shape = tuple(int(size) for size in array.shape[1:])
    if len(shape) == 3 and shape[2] == 3 and array.dtype == np.uint8:
        return Field("image", shape)
    if len(shape) <= 1:
        return Field("numbers", shape if shape != (1,) else ())
    return Field("other", shape)


def _in_order(name: str) -> list[tuple[int, str]]:
    """demo_2 comes before demo_10."""
    return [(int(part), "") if part.isdecimal() and len(part) < 18 else (-1, part) for part in re.split(r"(\d+)", name)]
