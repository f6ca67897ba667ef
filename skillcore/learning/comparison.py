"""Is it a difference? Two shares, or two means, with 95 % intervals and a plain answer. No file is read here.

Shares: the interval of the difference is Newcombe's hybrid of two Wilson intervals (Newcombe 1998, "Interval estimation
for the difference between independent proportions: comparison of eleven methods", Statistics in Medicine 17, method
10), which keeps near 95 % also with few trials and at shares of 0 and 1. Beside it stands the mid-p value of Fisher's
exact test (Lancaster 1961; Lydersen, Fagerland and Laake 2009, "Recommended tests for association in 2x2 tables").
Where the two disagree, which they do on the edge only, nothing is claimed.

Means: Welch's interval with Student's t.

Trials count as independent. Two runs of one seed begin their trials alike, which makes the intervals a little wider
than they need be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from skillcore.learning.evaluate import Rate
from skillcore.learning.intervals import Z_95

LEVEL = 0.05
Z_POWER = 0.8416212
"""Of the standard normal: 80 % lie below it."""
ENOUGH_TRIALS = 1_000_000
"""Differences that would take more trials than this are none that anybody asks for."""


class Estimate(Protocol):
    """A figure with its interval: a share, or a mean."""

    @property
    def value(self) -> float: ...

    @property
    def is_known(self) -> bool: ...


Side = TypeVar("Side", bound=Estimate)


@dataclass(frozen=True)
class Difference(Generic[Side]):
    """Of two independent estimates: the second less the first."""

    first: Side
    second: Side

    @property
    def is_known(self) -> bool:
        """Whether both are."""
        return self.first.is_known and self.second.is_known

    @property
    def value(self) -> float:
        """NaN where one has no value."""
        return self.second.value - self.first.value


class RateDifference(Difference[Rate]):
    """Of two shares; in [-1, 1]."""

    @property
    def interval(self) -> tuple[float, float]:
        """Newcombe's; (-1, 1) where one was not tried."""
        if not self.is_known:
            return (-1.0, 1.0)
        (low_1, high_1), (low_2, high_2) = self.first.interval, self.second.interval
        p_1, p_2 = self.first.value, self.second.value
        below = math.hypot(p_2 - low_2, high_1 - p_1)
        above = math.hypot(high_2 - p_2, p_1 - low_1)
        return (max(-1.0, self.value - below), min(1.0, self.value + above))

    @cached_property
    def p_value(self) -> float:
        """How probable counts as far apart as these, or further, were if both shares were the same; 1 where one was not
        tried."""
        return mid_p(self.first, self.second) if self.is_known else 1.0

    @property
    def is_difference(self) -> bool:
        """Whether interval and test both say so."""
        low, high = self.interval
        return (low > 0.0 or high < 0.0) and self.p_value < LEVEL

    @property
    def trials_to_tell(self) -> int | None:
        """How many trials each side would need to tell this very difference, with a chance of 80 %.

        None where there is nothing to tell: the shares are equal, or nearly, or one was not tried.
        """
        return trials_to_tell(self.first.value, self.second.value) if self.is_known else None

    def as_json(self) -> dict[str, Any]:
        """Everything above by name."""
        low, high = self.interval
        return {
            "value": self.value if self.is_known else None,
            "low": low,
            "high": high,
            "p_value": self.p_value,
            "is_difference": self.is_difference,
            "trials_to_tell": self.trials_to_tell,
        }


def mid_p(first: Rate, second: Rate) -> float:
    """Two-sided mid-p value of Fisher's exact test: tables less probable than this one count in full, those that are
    just as probable by half."""
    hits, trials = first.hits + second.hits, first.trials + second.trials
    least, most = max(0, hits - second.trials), min(first.trials, hits)

    def log_weight(of_first: int) -> float:
        return _log_choose(first.trials, of_first) + _log_choose(second.trials, hits - of_first)

    whole = _log_choose(trials, hits)
    observed = math.exp(log_weight(first.hits) - whole)
    # Tables mirrored to each other are just as probable, and differ by rounding.
    alike = observed * 1e-7
    total = 0.0
    for of_first in range(least, most + 1):
        weight = math.exp(log_weight(of_first) - whole)
        if abs(weight - observed) <= alike:
            total += 0.5 * weight
        elif weight < observed:
            total += weight
    return min(1.0, total)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def trials_to_tell(first: float, second: float) -> int | None:
    """Trials on each side after which two shares that far apart are told from each other four times of five.

    Fleiss, Levin and Paik 2003, "Statistical Methods for Rates and Proportions", chapter 4, without the correction for
    continuity. None where it would be more than `ENOUGH_TRIALS`.
    """
    apart = second - first
    if abs(apart) < 1e-6:
        return None
    middle = 0.5 * (first + second)
    noise = Z_95 * math.sqrt(2.0 * middle * (1.0 - middle))
    noise += Z_POWER * math.sqrt(first * (1.0 - first) + second * (1.0 - second))
    trials = math.ceil((noise / apart) ** 2)
    return trials if trials <= ENOUGH_TRIALS else None


# --- means -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `count` numbers. deviation: their standard deviation, 0 with fewer than two."""

    count: int
    value: float
    deviation: float
    greatest: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Mean:
        """NaN where there are none."""
        count = len(numbers)
        if not count:
            return cls(0, math.nan, 0.0, math.nan)
        value = math.fsum(numbers) / count
        spread = math.fsum((one - value) ** 2 for one in numbers)
        return cls(count, value, math.sqrt(spread / (count - 1)) if count > 1 else 0.0, max(numbers))

    @property
    def is_known(self) -> bool:
        """Whether there are enough numbers for an interval."""
        return self.count > 1

    @property
    def interval(self) -> tuple[float, float]:
        """Student's; without bounds with fewer than two numbers."""
        if self.count < 2:
            return (-math.inf, math.inf)
        return (self.value - self.half, self.value + self.half)

    @property
    def half(self) -> float:
        """How far the interval reaches to either side; infinite with fewer than two numbers."""
        if self.count < 2:
            return math.inf
        return t_95(self.count - 1) * self.deviation / math.sqrt(self.count)

    def as_json(self) -> dict[str, Any]:
        """None stands for what is not known."""
        low, high = self.interval
        return {
            "count": self.count,
            "mean": self.value if self.count else None,
            "low": low if self.count > 1 else None,
            "high": high if self.count > 1 else None,
            "greatest": self.greatest if self.count else None,
        }


class MeanDifference(Difference[Mean]):
    """Of two means."""

    @property
    def interval(self) -> tuple[float, float]:
        """Welch's (1947); without bounds where one mean has none."""
        if not self.is_known:
            return (-math.inf, math.inf)
        parts = [one.deviation**2 / one.count for one in (self.first, self.second)]
        error = math.sqrt(sum(parts))
        if error == 0.0:
            return (self.value, self.value)
        shares = [part / sum(parts) for part in parts]
        weighed = sum(share**2 / (one.count - 1) for share, one in zip(shares, (self.first, self.second), strict=True))
        half = t_95(max(1, math.floor(1.0 / weighed + 1e-9))) * error
        return (self.value - half, self.value + half)

    @property
    def is_difference(self) -> bool:
        """Whether the interval says so."""
        low, high = self.interval
        return low > 0.0 or high < 0.0

    def as_json(self) -> dict[str, Any]:
        """None stands for what is not known."""
        low, high = self.interval if self.is_known else (None, None)
        value = self.value if self.is_known else None
        return {"value": value, "low": low, "high": high, "is_difference": self.is_difference}


def t_95(freedom: int) -> float:
    """What 95 % of Student's t lie within, on both sides. freedom: degrees of it, at least 1."""
    return _solved(lambda t: _within(t, freedom), 1.0 - LEVEL, 1.9, 13.0)


def _within(t: float, freedom: int) -> float:
    """Probability that Student's t lies in [-t, t] (Abramowitz and Stegun 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for power in range(2 + odd, freedom - 1, 2):
        term *= (power - 1) / power * cosine**2
        total += term
    return 2.0 / math.pi * (angle + sine * total) if odd else sine * total


def _solved(function: Callable[[float], float], wanted: float, low: float, high: float) -> float:
    """Where a growing function has the value `wanted`, by bisection between two places."""
    for _ in range(60):
        middle = 0.5 * (low + high)
        if function(middle) < wanted:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
