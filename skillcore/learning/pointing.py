"""The pointing figure: how much of the saliency lies where a simulation says that plug and socket are.

Beside it stands the share of the image that plug and socket cover, which is what saliency that is spread evenly, or at
random, would reach. Frames of one episode are alike, so intervals count episodes, not frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.interfaces import Shown
from skillcore.learning.comparison import t_95
from skillcore.learning.intervals import percent


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over frames with its 95 % interval.

    frames, episodes: how many there were. low, high: NaN where one episode alone says nothing of others; without any
    frame all is NaN.
    """

    value: float
    low: float
    high: float
    frames: int
    episodes: int

    def __str__(self) -> str:
        if not self.frames:
            return "no frame"
        if math.isnan(self.low):
            return f"{percent(self.value)} (one episode: no interval)"
        return f"{percent(self.value)} (95 % interval {percent(self.low)} to {percent(self.high)})"

    def as_json(self) -> dict[str, Any]:
        def plain(value: float) -> float | None:
            return None if math.isnan(value) else value

        return {
            "value": plain(self.value),
            "low": plain(self.low),
            "high": plain(self.high),
            "frames": self.frames,
            "episodes": self.episodes,
        }


def mating_parts(shown: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Which pixels show plug or socket, of an array of `Shown`."""
    return np.asarray((shown == Shown.PLUG) | (shown == Shown.SOCKET))


def pointing(maps: NDArray[np.float32], parts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(frames, outputs) the share of saliency on plug and socket; NaN where there is no saliency.

    maps: (frames, outputs, views, H, W). parts: (frames, views, H, W) which pixels show plug or socket.
    """
    total = maps.sum(axis=(2, 3, 4), dtype=np.float64)
    on_parts = np.einsum("fovhw,fvhw->fo", maps, parts.astype(np.float32)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(total > 0.0, on_parts / total, np.nan))


def area(parts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(frames,) the share of all views' pixels that show plug or socket."""
    return np.asarray(parts.mean(axis=(1, 2, 3)))


def estimate(values: NDArray[np.float64], episode: NDArray[np.int64], *, bounded: bool = True) -> Estimate:
    """The mean of values (frames,), NaN left out. episode: (frames,) which episode each belongs to.

    The interval is that of a ratio of two sums over episodes (linearised), with Student's t for few of them. bounded:
    whether values are shares, so that the interval ends at 0 and 1.
    """
    known = np.isfinite(values)
    values, episode = values[known], episode[known]
    if not len(values):
        return Estimate(math.nan, math.nan, math.nan, 0, 0)
    _, which = np.unique(episode, return_inverse=True)
    mean, count = float(values.mean()), int(which.max()) + 1
    if count < 2:
        return Estimate(mean, math.nan, math.nan, len(values), count)
    off = np.bincount(which, weights=values - mean, minlength=count)
    half = t_95(count - 1) * math.sqrt(count / (count - 1) * float(off @ off)) / len(values)
    low, high = mean - half, mean + half
    if bounded:
        low, high = max(0.0, low), min(1.0, high)
    return Estimate(mean, low, high, len(values), count)
