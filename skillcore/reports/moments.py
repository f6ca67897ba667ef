"""Which moments of an episode stand for all of it."""

from __future__ import annotations

import math

import numpy as np

FRAMES = 8


def frames_of(steps: int) -> list[int]:
    """Which frames of an episode are shown: the first, the last, and more of its end, where it failed."""
    if steps < FRAMES:
        return list(range(steps + 1))
    # Evenly over the square root of what is left: the steps between frames shrink toward the end.
    left = np.linspace(math.sqrt(steps), 0.0, FRAMES) ** 2
    indices = sorted({steps - round(float(one)) for one in left})
    missing = [index for index in range(steps, -1, -1) if index not in indices]
    return sorted([*indices, *missing[: FRAMES - len(indices)]])
