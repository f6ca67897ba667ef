"""The reward model as a judge of whole trials, by the rule that it judges by at work: what it took for success wrongly,
and what it did not see."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillcore.bench.conditions import Conditions
from skillcore.bench.jobs import result_of
from skillcore.bench.scenarios import jobs_of
from skillcore.learning.evaluate import Rate
from skillcore.storage import write_durably

if TYPE_CHECKING:
    from rich.table import Table

COLUMNS = ("balanced accuracy", "false positives", "false negatives")
WORDS = (
    "Whole trials of all connectors, scenarios and seeds. False positives: failures that were taken for successes. "
    "False negatives: successes that were not seen. Practice, which explores, is judged by a bolder rule and not in "
    "the tests' sum."
)
TESTS = {"before practice": "before", "after practice": "after"}
"""Rows, and what they are called in a result."""


@dataclass(frozen=True, slots=True)
class Judged:
    """false_positives: of the trials that failed. false_negatives: of those that succeeded."""

    false_positives: Rate
    false_negatives: Rate

    @classmethod
    def pooled(cls, results: Sequence[dict[str, Any]]) -> Judged:
        """Of results as `skillcore.bench.scenarios` writes them."""
        sums = [
            Rate(sum(result[name]["hits"] for result in results), sum(result[name]["trials"] for result in results))
            for name in ("false_positives", "false_negatives")
        ]
        return cls(*sums)

    @property
    def balanced_accuracy(self) -> float:
        """The mean of the shares of failures and of successes that were told as such; NaN without any of either."""
        if not (self.false_positives.is_known and self.false_negatives.is_known):
            return math.nan
        return 1.0 - 0.5 * (self.false_positives.value + self.false_negatives.value)


def judged_of(conditions: Conditions, out: Path) -> dict[str, Judged]:
    """All that is finished, by row; empty where nothing is."""
    results = [result_of(out, job) for job in jobs_of(conditions) if job.kind == "learning"]
    found = [result["judged"] for result in results if result is not None and "judged" in result]
    if not found:
        return {}
    rows = {row: [one[name] for one in found] for row, name in TESTS.items()}
    rows["both tests"] = [one for row in TESTS for one in rows[row]]
    rows["in practice"] = [one["practice"] for one in found]
    return {row: Judged.pooled(told) for row, told in rows.items()}


def judged_table(rows: dict[str, Judged]) -> Table:
    """One line a row, in per cent with 95 % intervals."""
    from rich.table import Table

    table = Table(title="The bundle's reward model, judging trials: in %", title_justify="left", caption=WORDS)
    table.caption_justify = "left"
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    for row, judged in rows.items():
        balanced = judged.balanced_accuracy
        table.add_row(
            row,
            "-" if math.isnan(balanced) else f"{100.0 * balanced:.1f}",
            _told(judged.false_positives),
            _told(judged.false_negatives),
        )
    return table


def _told(rate: Rate) -> str:
    if not rate.is_known:
        return "-"
    low, high = rate.interval
    interval = f"{100.0 * low:.1f} to {100.0 * high:.1f}"
    return f"{100.0 * rate.value:.1f}, {interval}\n{rate.hits} of {rate.trials}"


def write_judged_csv(rows: dict[str, Judged], path: Path) -> None:
    """One line a row. Raises StorageError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trials", "false_positives", "failures", "false_negatives", "successes"])
    for row, judged in rows.items():
        wrong, missed = judged.false_positives, judged.false_negatives
        writer.writerow([row, wrong.hits, wrong.trials, missed.hits, missed.trials])
    write_durably(path, text.getvalue().encode())
