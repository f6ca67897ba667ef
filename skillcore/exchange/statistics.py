"""What is known of each feature over a dataset's frames: extremes, mean, standard deviation and quantiles.

They are exact, over all frames: numbers are few enough to be kept, and of an image's 8 bit channels 256 counts say all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.types import Image

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Figures = dict[str, Any]
"""min, max, mean, std, and `QUANTILES`, each a list as wide as the feature; count, a list of one number."""


class Statistics:
    """Gathers a dataset's frames, episode by episode."""

    def __init__(self) -> None:
        self._numbers: dict[str, list[NDArray[np.float64]]] = {}
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._frames: dict[str, int] = {}

    def add(self, numbers: Mapping[str, NDArray[Any]], images: Mapping[str, Image]) -> dict[str, Figures]:
        """Takes in an episode, and returns its own figures by feature.

        numbers: (frames,) or (frames, width), NaN where nothing is known. images: (frames, H, W, 3).
        """
        figures = {}
        for name, values in numbers.items():
            wide = np.asarray(values, np.float64).reshape(len(values), -1)
            self._numbers.setdefault(name, []).append(wide)
            figures[name] = _of_numbers(wide)
        for name, frames in images.items():
            counts = np.stack([np.bincount(frames[..., channel].ravel(), minlength=256) for channel in range(3)])
            self._counts[name] = self._counts.get(name, np.zeros((3, 256), np.int64)) + counts
            self._frames[name] = self._frames.get(name, 0) + len(frames)
            figures[name] = _of_counts(counts, len(frames))
        return figures

    def of_all(self) -> dict[str, Figures]:
        """The figures of all that was taken in."""
        numbers = {name: _of_numbers(np.concatenate(parts)) for name, parts in self._numbers.items()}
        return numbers | {name: _of_counts(counts, self._frames[name]) for name, counts in self._counts.items()}


def _of_numbers(values: NDArray[np.float64]) -> Figures:
    """values: (frames, width). Of what is not known, all figures are 0 and the count too."""
    known = values[np.isfinite(values).all(axis=1)]
    count = len(known)
    if not count:
        known = np.zeros((1, values.shape[1]))
    figures = {
        "min": known.min(axis=0),
        "max": known.max(axis=0),
        "mean": known.mean(axis=0),
        "std": known.std(axis=0),
        **{name: np.quantile(known, share, axis=0) for name, share in QUANTILES.items()},
    }
    return {name: value.tolist() for name, value in figures.items()} | {"count": [count]}


def _of_counts(counts: NDArray[np.int64], frames: int) -> Figures:
    """counts: (3, 256), how many pixels of each channel have each value. Figures have shape (3, 1, 1), in [0, 1]."""
    levels = np.arange(256) / 255.0
    pixels = counts.sum(axis=1)
    mean = counts @ levels / pixels
    spread = np.sqrt(np.maximum(counts @ levels**2 / pixels - mean**2, 0.0))
    reached = np.cumsum(counts, axis=1) / pixels[:, np.newaxis]

    def quantile(share: float) -> NDArray[np.float64]:
        return np.asarray(levels[np.argmax(reached >= share - 1e-12, axis=1)])

    present = counts > 0
    figures = {
        "min": levels[np.argmax(present, axis=1)],
        "max": levels[255 - np.argmax(present[:, ::-1], axis=1)],
        "mean": mean,
        "std": spread,
        **{name: quantile(share) for name, share in QUANTILES.items()},
    }
    return {name: value.reshape(3, 1, 1).tolist() for name, value in figures.items()} | {"count": [frames]}
