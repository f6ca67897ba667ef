"""Two runs side by side, for a terminal: a table of what each reached, and plain sentences on what that says."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from skillcore.learning.comparison import Mean, MeanDifference, RateDifference
from skillcore.learning.evaluate import Rate
from skillcore.learning.intervals import in_percent, percent
from skillcore.learning.run_comparison import RunComparison, Share

CIRCUMSTANCES = {"variant": "connectors", "scenario": "scenarios", "cell": "cell files"}
"""Settings that make a task harder or easier by themselves, and what they are called."""


def comparison_table(found: RunComparison) -> Table:
    """Shares and means side by side, at most 80 columns wide."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("(95 % interval)", "A", "B", "B less A", ""):
        table.add_column(heading, overflow="fold")
    for share in found.shares:
        one = share.difference
        style = _colour(one, share.more_is_better)
        table.add_row(share.title, _rate(one.first), _rate(one.second), _apart(one), Text(_word(one), style=style))
    for measure in found.measures:
        two, digits = measure.difference, 1 if measure.unit == "" else 0
        title = f"{measure.title}, {measure.unit}" if measure.unit else measure.title
        cells = (_mean(two.first, digits), _mean(two.second, digits), _mean_apart(two, digits))
        table.add_row(title, *cells, _word(two))
        if measure.unit:
            greatest = [f"{mean.greatest:.{digits}f}" if mean.count else "-" for mean in (two.first, two.second)]
            table.add_row(f"  greatest, {measure.unit}", *greatest, "", "")
    return table


def trials_of(found: RunComparison, letter: str) -> str:
    """How many trials each test of a side, "A" or "B", has."""
    rates = {
        share.title: share.difference.first if letter == "A" else share.difference.second
        for share in found.shares
        if share.more_is_better
    }
    return "; ".join(f"{title} {rate.trials}" for title, rate in rates.items() if rate.trials) or "none"


def _colour(difference: RateDifference, more_is_better: bool) -> str:
    if not difference.is_difference:
        return ""
    return "green" if (difference.value > 0.0) is more_is_better else "red"


def _word(difference: RateDifference | MeanDifference) -> str:
    if not difference.is_known:
        return "-"
    return "differ" if difference.is_difference else "alike" if difference.value == 0.0 else "chance"


def _rate(rate: Rate) -> str:
    """As 98% (93-99)."""
    if not rate.trials:
        return "none"
    low, high = rate.interval
    return f"{percent(rate.value)} ({in_percent(low)}-{in_percent(high)})"


def _apart(difference: RateDifference) -> str:
    """As +14 (+8 to +22), in points of a hundred."""
    if not difference.is_known:
        return "-"
    low, high = difference.interval
    return f"{_signed(100 * difference.value)} ({_signed(100 * low)} to {_signed(100 * high)})"


def _mean(mean: Mean, digits: int) -> str:
    if not mean.count:
        return "none"
    low, high = mean.interval
    return f"{mean.value:.{digits}f}" + (f" ({low:.{digits}f}-{high:.{digits}f})" if mean.count > 1 else "")


def _mean_apart(difference: MeanDifference, digits: int) -> str:
    if not difference.is_known:
        return "-"
    low, high = difference.interval
    return f"{difference.value:+z.{digits}f} ({low:+z.{digits}f} to {high:+z.{digits}f})"


def _signed(points: float) -> str:
    """Whole points; what is rounded to nothing has no sign."""
    return "0" if round(points) == 0 else f"{points:+.0f}"


def verdict(found: RunComparison) -> Iterator[str]:
    """Plain sentences: is it a difference, and what would tell if it cannot be told."""
    main = found.main
    if main is None:
        yield "These runs have no test in common: neither can be called better."
        return
    yield from _sentences(main)
    for share in found.shares:
        if share is not main and share.of_test and share.difference.is_difference:
            yield from _sentences(share)
    learned = found.first.setting("command") == found.second.setting("command") == "learn"
    if learned and main.title == "acceptance test":
        yield "This compares two trained policies. Whether one way of training is better than"
        yield "another, one run of each cannot say: repeat both with other values of --seed."
    other = [word for name, word in CIRCUMSTANCES.items() if any(one.name == name for one in found.settings)]
    if other:
        yield f"The runs are of different {' and '.join(other)},"
        yield "which alone may make a difference."


def _sentences(share: Share) -> Iterator[str]:
    """Of one share, in lines of at most 80 columns."""
    one, title = share.difference, share.title
    low, high = one.interval
    within = f"95 % interval {_signed(100 * low)} to {_signed(100 * high)}"
    points = abs(100 * one.value)
    if one.is_difference:
        more = "B has more than A" if one.value > 0.0 else "B has less than A"
        yield f"{title}: this is a difference. {more}, by {points:.0f} points"
        yield f"  ({within} points; mid-p {_p(one.p_value)})."
        return
    if one.first.hits * one.second.trials == one.second.hits * one.first.trials:
        yield f"{title}: no difference: both have the same share."
        yield f"  What so few trials would not show: {within} points."
        return
    yield f"{title}: this may be chance. B has {points:.2g} points {'more' if one.value > 0.0 else 'less'} than A"
    yield f"  ({within} points; mid-p {_p(one.p_value)})."
    if low > 0.0 or high < 0.0 or one.p_value < 0.05:
        yield "  Interval and test disagree, so it is on the edge: more trials would tell."
    needed = one.trials_to_tell
    if needed is None:
        yield "  No number of trials that anybody would run could tell them apart."
    else:
        yield f"  To tell {points:.2g} points, each test would need about {_rounded(needed)} trials."


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _rounded(count: int) -> int:
    """Two digits that count; an estimate deserves no more."""
    if count < 100:
        return count
    step = int(10 ** (math.floor(math.log10(count)) - 1))
    return math.ceil(count / step) * step


def differing(found: RunComparison) -> Iterator[str]:
    """The settings that the two were not made alike in, in lines."""
    told = [one for one in found.settings if one.first and one.second]
    if told:
        yield "Settings that differ"
    else:
        yield "Settings: all alike." if not found.settings else "Settings: alike, as far as both runs tell."
    for one in told:
        yield f"  {one.name}"
        yield f"    A  {one.first}"
        yield f"    B  {one.second}"
    # Versions of skillcore note more and more: what a run says nothing of need not have been different.
    for letter, alone in (
        ("A", [one.name for one in found.settings if not one.second]),
        ("B", [one.name for one in found.settings if not one.first]),
    ):
        if alone:
            yield from textwrap.wrap(
                f"Only {letter} tells of: {', '.join(alone)}", 80, initial_indent="  ", subsequent_indent="    "
            )
