"""Intervals of shares."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skillcore.types import Array

Z_95 = 1.959964


def wilson(hits: ArrayLike, trials: ArrayLike) -> tuple[Array, Array]:
    """The 95 % interval (low, high) of shares (Wilson 1927); (0, 1) without trials."""
    count = np.asarray(trials, np.float64)
    n = np.maximum(count, 1.0)
    share, z2 = np.asarray(hits, np.float64) / n, Z_95**2
    middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = Z_95 / (1.0 + z2 / n) * np.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n * n))
    low, high = np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)
    return np.where(count > 0, low, 0.0), np.where(count > 0, high, 1.0)
