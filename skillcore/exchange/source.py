"""What is read from other tools' data, whatever their form, before a mapping makes it into episodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skillcore.errors import EpisodeError
from skillcore.exchange.pictures import MAX_SIDE_PX, Fit
from skillcore.exchange.strangers import shown
from skillcore.storage import in_bytes
from skillcore.types import Image

MAX_FRAMES = 100_000
MAX_WIDTH = 4096
MAX_FIELDS = 1000
MAX_BYTES = 2**30
"""Of an episode's images after they were made to fit. Its numbers are limited by `MAX_FRAMES` and `MAX_WIDTH`, and by
the memory of the process that reads them."""

Kind = Literal["numbers", "image", "video", "other"]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a dataset. shape: of one frame, () for a single number. names: what each number is, if it says."""

    kind: Kind
    shape: tuple[int, ...]
    names: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers a frame has."""
        return self.shape[0] if self.shape else 1

    def __str__(self) -> str:
        if self.kind in ("image", "video"):
            return f"{self.kind} {self.shape[1]}x{self.shape[0]}"
        return "1 number" if self.width == 1 else f"{self.width} numbers"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which fields to read. views: those of images, in this order. may_be_nan: fields whose NaN says "not known".
    after: also what was observed after the last step."""

    numbers: frozenset[str]
    views: tuple[str, ...]
    fit: Fit
    may_be_nan: frozenset[str] = frozenset()
    after: bool = False


@dataclass(slots=True, eq=False)
class RawEpisode:
    """One episode as it was found.

    index: its number as the dataset counts. numbers: by field, (frames, width) float64, all finite. images: (frames,
    views, H, W, 3) uint8 RGB. after: the observation after the last step, numbers (width,) and images (views, H, W, 3),
    where it was wanted, and the data has it.
    """

    name: str
    index: int
    task: str
    numbers: dict[str, NDArray[np.float64]]
    images: Image
    after: tuple[dict[str, NDArray[np.float64]], Image] | None = None


class Source(ABC):
    """A dataset that is open for reading. What it raises of one episode leaves the others readable."""

    form: str
    """Name and version of its form."""
    rate_hz: float | None
    """Frames a second, where the data say it."""
    names: Sequence[str]
    """Of its episodes, in their order."""
    fields: Mapping[str, Field]
    has_after: bool = False
    """Whether it holds the observation after the last step."""
    ours: Mapping[str, Any] | None = None
    """What `skill data export` noted, where it wrote the dataset."""

    @abstractmethod
    def read(self, number: int, wanted: Wanted) -> RawEpisode:
        """Reads one episode. Raises EpisodeError with the reason where it is not sound."""


@dataclass(slots=True, eq=False)
class Room:
    """Where an episode's images are put, as they come."""

    wanted: Wanted
    fields: Mapping[str, Field]
    frames: int
    images: Image = field(init=False)

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= MAX_FRAMES:
            raise EpisodeError(f"it has {self.frames} frames, outside 1 ... {MAX_FRAMES}")
        shapes = set()
        for name in self.wanted.views:
            height, width = self.fields[name].shape[:2]
            if not (1 <= height <= MAX_SIDE_PX and 1 <= width <= MAX_SIDE_PX):
                raise EpisodeError(f"{shown(name)}: images of {width}x{height} are outside 1 ... {MAX_SIDE_PX} pixels")
            shapes.add(self.wanted.fit.shape(height, width))
        if len(shapes) != 1:
            told = " and ".join(f"{width}x{height}" for height, width in sorted(shapes))
            raise EpisodeError(f"its views would be of {told} pixels", cure="give images.size_px in the mapping")
        shape = (self.frames, len(self.wanted.views), *shapes.pop(), 3)
        size = int(np.prod(shape, dtype=np.float64))
        if size > MAX_BYTES:
            raise EpisodeError(
                f"its images would take {in_bytes(size)}, and {in_bytes(MAX_BYTES)} are the limit",
                cure="give a smaller images.size_px in the mapping",
            )
        self.images = np.empty(shape, np.uint8)


def checked(name: str, values: NDArray[Any], wanted: Wanted) -> NDArray[np.float64]:
    """(frames,) or (frames, width) of any type of numbers -> (frames, width). Raises EpisodeError at NaN, infinity."""
    wide = np.asarray(values, np.float64).reshape(len(values), -1)
    bad = np.flatnonzero(~np.isfinite(wide).all(axis=1))
    if name in wanted.may_be_nan:
        bad = np.flatnonzero(np.isinf(wide).any(axis=1))
    if len(bad):
        raise EpisodeError(f"{shown(name)} holds NaN or infinity in frame {bad[0]} ({len(bad)} frames in all)")
    return wide
