"""The files of a replay cache: gathering episodes' frames into columns, writing them, and opening them again.

CACHE/
  images.npy               (frames, views, H, W, 3) uint8
  pose.npy, wrench.npy ... (frames, ...) one file for each of `COLUMNS`
  meta.json                version, lengths and infos of the episodes, and what the cache was made from
"""

from __future__ import annotations

import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.episodes.arrays import Arrays, ArrayWriter, open_array
from skillcore.episodes.checks import info_from_json, info_to_json
from skillcore.errors import EpisodeError
from skillcore.storage import flush_folder, require_space, storage_faults, write_durably
from skillcore.types import Episode, EpisodeInfo, Image

CACHE_FORMAT = 1
"""Version of the cache's form. Caches of other versions are made anew."""

COLUMNS: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {
    "pose": (np.dtype(np.float32), (6,)),
    "wrench": (np.dtype(np.float32), (6,)),
    "action": (np.dtype(np.float32), (4,)),
    "executed": (np.dtype(np.float32), (4,)),
    "reward": (np.dtype(np.float32), ()),
    "score": (np.dtype(np.float32), ()),
    "success": (np.dtype(np.int8), ()),
    "truth": (np.dtype(np.int8), ()),
    "seated_from_tcp": (np.dtype(np.float32), (6,)),
}
"""What a cache holds besides images: type, and shape behind the axis of the frames."""

BUILDING = ".building-"
META = "meta.json"

Part = tuple[Arrays, EpisodeInfo, bool | None]
"""One episode: its `images` and `COLUMNS`, all of (steps + 1, ...), its info, and `Episode.corrected`."""


@dataclass(frozen=True, slots=True, eq=False)
class CacheContent:
    """What a cache is made of. columns: as in `COLUMNS`. lengths: the number of frames of each episode. corrected: as
    in `Episode`, of each."""

    images: Image
    columns: Arrays
    lengths: list[int]
    infos: list[EpisodeInfo]
    ids: list[str]
    corrected: list[bool | None]


class JoinedImages:
    """Images of several caches, one after the other, read as the array that they would make together."""

    def __init__(self, parts: Sequence[Image]) -> None:
        self._parts = parts
        self._starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frames: NDArray[np.integer[Any]]) -> Image:
        """(batch, views, H, W, 3), a copy, of the frames (batch,) given."""
        found = np.empty((len(frames), *self.shape[1:]), np.uint8)
        owner = np.searchsorted(self._starts, frames, side="right") - 1
        for number, part in enumerate(self._parts):
            own = owner == number
            found[own] = part[frames[own] - self._starts[number]]
        return found


class ChosenImages:
    """Some frames of other images, read as the array that they would make."""

    def __init__(self, images: Image, frames: NDArray[np.integer[Any]]) -> None:
        self._images, self._frames = images, frames
        self.shape: tuple[int, ...] = (len(frames), *images.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frames: NDArray[np.integer[Any]]) -> Image:
        """(batch, views, H, W, 3), a copy, of the frames (batch,) given."""
        return np.asarray(self._images[self._frames[frames]])


def part_of(episode: Episode, size_px: int | None) -> Part:
    """The part an episode makes, with square images of `size_px`, or as they are without it."""
    arrays: Arrays = {"images": _resized(episode.images, size_px)}
    for name in COLUMNS:
        values = getattr(episode, name)
        if len(values) == episode.steps:
            values = np.concatenate([values, np.zeros((1, *values.shape[1:]), values.dtype)])
        arrays[name] = values
    return arrays, episode.info, episode.corrected


def _resized(images: Image, size_px: int | None) -> Image:
    if size_px is None or images.shape[2:4] == (size_px, size_px):
        return images
    resized = np.empty((*images.shape[:2], size_px, size_px, 3), np.uint8)
    for index in np.ndindex(images.shape[:2]):
        resized[index] = cv2.resize(images[index], (size_px, size_px), interpolation=cv2.INTER_AREA)
    return resized


def gather(
    parts: Iterable[Part], keep: Callable[[Image], None]
) -> tuple[Arrays, list[int], list[EpisodeInfo], list[bool | None]]:
    """Hands the images of each part to `keep`, and joins the rest: the columns, the lengths, the infos, and what was
    corrected."""
    collected: dict[str, list[NDArray[Any]]] = {name: [] for name in COLUMNS}
    infos: list[EpisodeInfo] = []
    corrected: list[bool | None] = []
    for arrays, info, said in parts:
        keep(arrays["images"])
        for name, blocks in collected.items():
            blocks.append(arrays[name])
        infos.append(info)
        corrected.append(said)
    lengths = [len(block) for block in collected["reward"]]
    return {name: np.concatenate(blocks) for name, blocks in collected.items()}, lengths, infos, corrected


def gather_in_memory(parts: Iterable[Part], shape: tuple[int, ...]) -> CacheContent:
    """The content of a cache that lies on no disk. shape: of all images."""
    images = np.empty(shape, np.uint8)
    end = 0

    def keep(block: Image) -> None:
        nonlocal end
        images[end : end + len(block)] = block
        end += len(block)

    columns, lengths, infos, corrected = gather(parts, keep)
    return CacheContent(images, columns, lengths, infos, [""] * len(infos), corrected)


def write_cache(place: Path, parts: Iterable[Part], shape: tuple[int, ...], about: dict[str, Any]) -> None:
    """Writes a cache beside `place` and renames it when it is complete; a damaged one that lies there goes.

    shape: of all images. about: JSON for `meta.json`; `sources` in it gives id and SHA-256 of each episode.
    Raises StorageError, and leaves nothing behind then.
    """
    building = place.with_name(f"{BUILDING}{place.name}-{secrets.token_hex(4)}")
    require_space(place, math.prod(shape))
    try:
        with storage_faults("make the folder", building):
            building.mkdir()
        with ArrayWriter(building / "images.npy", shape, np.dtype(np.uint8)) as writer:
            columns, lengths, infos, corrected = gather(parts, writer.append)
        for name, values in columns.items():
            with ArrayWriter(building / f"{name}.npy", values.shape, values.dtype) as writer:
                writer.append(values)
        infos_json = [info_to_json(info) for info in infos]
        meta = {"format": CACHE_FORMAT, "shape": shape, "lengths": lengths, "infos": infos_json} | about
        if any(one is not None for one in corrected):
            meta["corrected"] = corrected
        write_durably(building / META, json.dumps(meta).encode())
        if place.exists():
            shutil.rmtree(place, ignore_errors=True)
        with storage_faults("write", place):
            building.replace(place)
        flush_folder(place.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def read_cache(place: Path) -> CacheContent:
    """The content of a cache, mapped into memory. Raises EpisodeError if there is none, or it is damaged."""
    try:
        meta = json.loads((place / META).read_bytes())
        if meta["format"] != CACHE_FORMAT:
            raise EpisodeError(f"{place}: a cache of another version", cure="delete the folder")
        shape = tuple(int(size) for size in meta["shape"])
        lengths = [int(length) for length in meta["lengths"]]
        infos = [info_from_json(info) for info in meta["infos"]]
        ids = [str(name) for name, _ in meta["sources"]]
        corrected = meta.get("corrected", [None] * len(ids))
        if not all(one is None or isinstance(one, bool) for one in corrected):
            raise ValueError("what was corrected is neither yes nor no")
        if not len(lengths) == len(infos) == len(ids) == len(corrected) or min(lengths) < 1 or sum(lengths) != shape[0]:
            raise ValueError("the lengths of the episodes do not add up")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{place}: there is no cache in this folder, or a damaged one: {error}"
        raise EpisodeError(reason, cure="delete the folder, and it is made anew") from error
    images = open_array(place / "images.npy", shape, np.dtype(np.uint8))
    columns = {
        name: open_array(place / f"{name}.npy", (shape[0], *tail), dtype) for name, (dtype, tail) in COLUMNS.items()
    }
    return CacheContent(images, columns, lengths, infos, ids, corrected)
