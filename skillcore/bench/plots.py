"""Plots of an evaluation, as PNG. Needs the extra `plots`."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skillcore.bench.conditions import Conditions, RewardStudy
from skillcore.bench.rewards import results_of, rows_of
from skillcore.bench.tables import curve_of
from skillcore.storage import write_durably

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVERY = 25


def can_plot() -> bool:
    """Whether what draws is installed."""
    return importlib.util.find_spec("matplotlib") is not None


def plot_practice(conditions: Conditions, out: Path, path: Path) -> bool:
    """Success against practice trials, pooled, one line a scenario, with its 95 % interval as far as every run goes.
    False if there is nothing to draw. Raises StorageError."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for scenario in conditions.scenarios:
        curve = curve_of(conditions, out, scenario, every=EVERY, without_noise=True)
        if not curve:
            continue
        middle = [min(EVERY * (number + 0.5), conditions.practice) for number in range(len(curve))]
        low, high = np.array([one.rate.interval for one in curve]).T * 100.0
        line, *_ = axes.plot(middle, [100.0 * one.share for one in curve], marker="o", label=f"scenario {scenario}")
        axes.fill_between(middle, low, high, where=[not one.ended for one in curve], alpha=0.2)
        noisy = curve_of(conditions, out, scenario, every=EVERY)
        axes.plot(
            [min(EVERY * (number + 0.5), conditions.practice) for number in range(len(noisy))],
            [100.0 * one.share for one in noisy],
            color=line.get_color(),
            linestyle=":",
            label=f"scenario {scenario}, with those that explore",
        )
    if not axes.lines:
        return False
    axes.axhline(90.0, color="grey", linewidth=0.8, linestyle="--")
    axes.set(
        xlabel="practice trials; without a band: runs that ended early count on as they ended",
        ylabel=f"success in successive {EVERY} trials, %",
        ylim=(0.0, 102.0),
    )
    axes.set_xlim(0.0, conditions.practice)
    axes.set_title("What practice reaches: its trials without noise, all connectors and seeds")
    axes.legend(loc="lower right")
    _save(figure, path)
    return True


def plot_rewards(study: RewardStudy, out: Path, path: Path) -> bool:
    """Recall against false positives over all thresholds, mean over seeds, one panel a split. False if there is
    nothing to draw. Raises StorageError."""
    from matplotlib.figure import Figure

    found = results_of(study, out)
    figure = Figure(figsize=(5.2 * len(study.splits), 4.4), layout="constrained")
    drawn = False
    for place, split in enumerate(study.splits, start=1):
        axes = figure.add_subplot(1, len(study.splits), place)
        for model in rows_of(study, split):
            curves = [result["curve"] for result in found[split, model]]
            if curves:
                recall, false = np.mean(curves, axis=0).T * 100.0
                axes.plot(np.maximum(false, 0.01), recall, label=model)
                drawn = True
        axes.axvline(100.0 * study.false_positives, color="grey", linewidth=0.8, linestyle="--")
        axes.set(xlabel="false positives, %", ylabel="recall, %", xscale="log", ylim=(0.0, 102.0), title=split)
    if not drawn:
        return False
    figure.axes[0].legend(fontsize="small")
    _save(figure, path)
    return True


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    write_durably(path, buffer.getvalue())
