"""Trials of practice that are acted without noise: they show how good the policy has become, which trials that explore
do not."""

from __future__ import annotations

from collections.abc import Sequence

from skillcore.learning.evaluate import Evaluation, TrialResult

CHECK_EVERY = 4
"""Of so many trials one is acted without noise."""


def is_check(trial: int) -> bool:
    """Whether the trial of this number is acted without noise. It is learned from like any other."""
    return trial % CHECK_EVERY == CHECK_EVERY // 2


def checks_of(results: Sequence[TrialResult]) -> Evaluation:
    """The trials of practice that were acted without noise."""
    return Evaluation(tuple(result for result in results if is_check(result.number)))
