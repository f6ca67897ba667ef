"""What the comparison of reward models found, as text and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from skillcore.bench.conditions import RewardStudy
from skillcore.bench.rewards import results_of
from skillcore.storage import write_durably

if TYPE_CHECKING:
    from rich.table import Table

STUDENT_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""By the number of seeds: how many standard errors of a mean the 95 % interval reaches to either side."""
COLUMNS = ("balanced accuracy", "false positives", "false negatives", "balanced at 0.5", "area under ROC")


def figures_of(result: dict[str, Any]) -> dict[str, float]:
    """The columns of one trained model, each between 0 and 1."""
    at, half = result["at threshold"], result["at 0.5"]
    values = (
        at["balanced_accuracy"],
        at["false_positives"],
        1.0 - at["recall"],
        half["balanced_accuracy"],
        result["area_under_roc"],
    )
    return dict(zip(COLUMNS, values, strict=True))


def with_interval(values: Sequence[float]) -> str:
    """Mean of seeds in per cent, and half of its 95 % interval (Student's t)."""
    if not values:
        return "-"
    text = f"{100.0 * mean(values):.1f}"
    if len(values) < 2:
        return text
    return text + f" +-{100.0 * STUDENT_95.get(len(values), 1.96) * stdev(values) / len(values) ** 0.5:.1f}"


def reward_table(study: RewardStudy, out: Path, split: str) -> Table:
    """One line a model; mean and 95 % interval over seeds, in per cent."""
    from rich.table import Table

    sizes = study.splits[split]
    told = f"trained on {sizes.train} variants, threshold from {sizes.choose} others, tested on {sizes.test}"
    table = Table(title=f"Reward models, {split}: in % ({told})", title_justify="left")
    table.add_column("")
    for column in COLUMNS:
        table.add_column(column, justify="right")
    table.add_column("published", justify="right")
    table.add_column("seeds", justify="right")
    found = results_of(study, out)
    for model in study.models:
        figures = [figures_of(result) for result in found[split, model]]
        theirs = study.published.get(model) if split == study.published_split else None
        table.add_row(
            model,
            *(with_interval([one[column] for one in figures]) for column in COLUMNS),
            "" if theirs is None else f"{theirs:g}",
            str(len(figures)),
        )
    return table


def write_reward_csv(study: RewardStudy, out: Path, path: Path) -> None:
    """One line for each split, model and seed. Raises StorageError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "model", "number", "threshold", *COLUMNS])
    for (split, model), results in results_of(study, out).items():
        for number, result in enumerate(results):
            figures = figures_of(result)
            writer.writerow([split, model, number, result["threshold"], *(f"{figures[one]:.5f}" for one in COLUMNS)])
    write_durably(path, text.getvalue().encode())
