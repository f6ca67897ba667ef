"""Claims that belie each other: while a socket stays where it is, success is always met in the same place.

What a reward model takes for success wrongly may lie anywhere. Once several claims agree on a place, those that lie
elsewhere are taken back, and nothing is learned from them. Nobody's truth is needed for that, only where the arm was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skillcore.types import Array, Episode

AGREEMENT_M = 0.0022
"""Two claims farther apart than this are not of one place: a plug is grasped up to 1 mm off, one way or the other."""
LEAST = 3
"""So many claims must agree before others are taken back."""


def agreeing(places_m: Array) -> NDArray[np.bool_]:
    """Which claims, made with the TCP at `places_m` (n, 3) in the order in which they were made, lie where most do.

    Of equally large groups the latest counts: who practises gets better. All of them, while fewer than `LEAST` agree.
    """
    apart = np.linalg.norm(places_m[:, np.newaxis] - places_m[np.newaxis], axis=2)
    near = apart < AGREEMENT_M
    counts = near.sum(1)
    if not len(counts) or counts.max() < LEAST:
        return np.ones(len(places_m), np.bool_)
    middle = int(np.flatnonzero(counts == counts.max())[-1])
    return np.asarray(near[middle], np.bool_)


def believed(claimed: NDArray[np.bool_], ends_m: Array) -> NDArray[np.bool_]:
    """(trials,) Which trials were taken for successes, and lie where others do.

    claimed: (trials,). ends_m: (trials, 3) where the TCP ended, in the base's frame.
    """
    result = claimed.copy()
    result[claimed] = agreeing(ends_m[claimed])
    return result


def end_of(episode: Episode) -> Array:
    """(3,) Where in the base's frame the TCP was in an episode's last frame."""
    return np.asarray(episode.start_from_base.transform(episode.pose[-1:, :3].astype(np.float64))[0])
