"""What the comparison of reward models found, as text and as CSV."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillcore.bench.conditions import RewardStudy
from skillcore.bench.rewards import results_of, rows_of
from skillcore.learning.comparison import Mean
from skillcore.storage import write_durably

if TYPE_CHECKING:
    from rich.table import Table

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


def _told(mean: Mean) -> str:
    """Mean of seeds in per cent, and half of its 95 % interval."""
    text = f"{100.0 * mean.value:.1f}" if mean.count else "-"
    return f"{text} +-{100.0 * mean.half:.1f}" if mean.is_known else text


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
    for model in rows_of(study, split):
        figures = [figures_of(result) for result in found[split, model]]
        theirs = study.published.get(model) if split == study.published_split else None
        table.add_row(
            model,
            *(_told(Mean.of([one[column] for one in figures])) for column in COLUMNS),
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
