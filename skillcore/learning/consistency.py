"""Claims that belie each other: while a socket stays where it is, success is always met in the same place.

What a reward model takes for success wrongly may lie anywhere. So claims are believed once several agree on a place,
and those that lie elsewhere never are: nothing is learned from them. Where several places are claimed again and
again, that one is believed where most of the trials that came there were claimed: who is at the goal has succeeded
each time, while what deceives does so now and then. A false place that is believed for a while draws trials there,
which tell that it is false. And nothing goes deeper than success does, so that a claim in that place which is less
deep than another grasp explains is not believed either. Nobody's truth is needed for all that, only where the arm was.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skillcore.learning.intervals import wilson
from skillcore.types import Array, Episode

AGREEMENT_M = 0.0022
"""Two claims farther apart than this are not of one place: a plug is grasped up to 1 mm off, one way or the other."""
SHORTER_M = 0.0019
"""Two grasps differ by up to 2 mm in depth; the deepest that count are not quite the deepest there are."""
LEAST = 3
"""So many claims must agree before any is believed."""
AT_M = 0.0015
"""Who is nearer than this to the middle of some claims has come to their place."""
AT_ONCE = 64
"""Claims that are compared with all frames at once: all of them would need memory that grows with the square."""


def believed(
    claimed: NDArray[np.bool_],
    paths_m: list[Array],
    said: NDArray[np.bool_] | None = None,
    *,
    approach: Array | None = None,
) -> NDArray[np.bool_]:
    """(trials,) Which trials were taken for successes, and lie where success is met.

    claimed: (trials,). paths_m: (steps + 1, 3) for each trial, where the TCP was, in the base's frame. said: (trials,)
    which a person has called a success; such a word needs no second one. approach: (3,) the unit vector along which the
    tool advances, in the base's frame; without it all depths count. No other claim is believed while fewer than `LEAST`
    agree. Of places that are as good the one that was claimed last counts: who practises gets better.
    """
    agreed = _agreeing(claimed, paths_m)
    if approach is not None and agreed.any():
        agreed[agreed] = _deep_enough(np.stack([paths_m[trial][-1] for trial in np.flatnonzero(agreed)]) @ approach)
    return agreed if said is None else agreed | said


def _deep_enough(depths_m: Array) -> NDArray[np.bool_]:
    """Which of the claims in one place are about as deep as the deepest, of which a few must be, too."""
    return np.asarray(depths_m > np.sort(depths_m)[-LEAST] - SHORTER_M)


def _agreeing(claimed: NDArray[np.bool_], paths_m: list[Array]) -> NDArray[np.bool_]:
    """(trials,) The claims that lie in the place that is believed."""
    claims = np.flatnonzero(claimed)
    result = np.zeros_like(claimed)
    if len(claims) < LEAST:
        return result
    places = np.stack([paths_m[trial][-1] for trial in claims])
    near = _within(AGREEMENT_M, places, places)
    counts = near.sum(1)
    if counts.max() < LEAST:
        return result
    middles = (near @ places) / counts[:, np.newaxis]
    starts = np.cumsum([0, *(len(path) for path in paths_m[:-1])])
    frames = np.concatenate(paths_m)
    came = np.concatenate(
        [
            np.logical_or.reduceat(_within(AT_M, some, frames), starts, axis=1)
            for some in np.array_split(middles, -(-len(middles) // AT_ONCE))
        ]
    )
    came[:, claims] |= near
    likely = np.where(counts >= LEAST, wilson(counts, came.sum(1))[0], -1.0)
    best = int(np.flatnonzero(likely == likely.max())[-1])
    result[claims] = near[best]
    return result


def path_of(episode: Episode) -> Array:
    """(steps + 1, 3) where in the base's frame the TCP was."""
    return np.asarray(episode.start_from_base.transform(episode.pose[:, :3].astype(np.float64)))


def approach_of(episode: Episode) -> Array:
    """(3,) The unit vector along which an episode's tool advances, in the base's frame: z of its start."""
    origin, ahead = episode.start_from_base.transform(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    return np.asarray(ahead - origin)


def _within(distance_m: float, some: Array, others: Array) -> NDArray[np.bool_]:
    """(len(some), len(others)) Which points are nearer to each other than that."""
    squared_m2 = np.zeros((len(some), len(others)))
    for axis in range(some.shape[1]):
        squared_m2 += np.square(some[:, axis, np.newaxis] - others[:, axis])
    return np.asarray(squared_m2 < distance_m**2)
