"""Shares: their intervals, and how they are written."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from skillcore.types import Array

Z_95 = 1.959964
_DIGITS = 7
_ALIKE = 1e-7
"""In per cent: what is no further from a limit is at it, but for rounding."""


def wilson(hits: ArrayLike, trials: ArrayLike) -> tuple[Array, Array]:
    """The 95 % interval (low, high) of shares (Wilson 1927); (0, 1) without trials."""
    count = np.asarray(trials, np.float64)
    n = np.maximum(count, 1.0)
    share, z2 = np.asarray(hits, np.float64) / n, Z_95**2
    middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n)
    half = Z_95 / (1.0 + z2 / n) * np.sqrt(share * (1.0 - share) / n + z2 / (4.0 * n * n))
    low, high = np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)
    return np.where(count > 0, low, 0.0), np.where(count > 0, high, 1.0)


def percent(share: float, *limits: float) -> str:
    """44%; a dash for what is no number. See `in_percent`."""
    return f"{in_percent(share, *limits)}%" if math.isfinite(share) else "–"


def in_percent(share: float, *limits: float) -> str:
    """A share as 44, with as many more digits as it takes not to say anything else than it is: 0 or 100 are said of
    nothing but that, and what lies below or above one of `limits`, such as a gate, is not written as at or beyond it.
    """
    sides = [(100.0 * limit, _side(100.0 * share, 100.0 * limit)) for limit in (0.0, 1.0, *limits)]
    for digits in range(_DIGITS):
        written = round(100.0 * share, digits)
        if all(_side(written, limit) == side for limit, side in sides):
            break
    return f"{written:.{digits}f}"


def _side(number: float, limit: float) -> int:
    """1 above the limit, -1 below it, 0 at it."""
    return 0 if abs(number - limit) < _ALIKE else 1 if number > limit else -1
