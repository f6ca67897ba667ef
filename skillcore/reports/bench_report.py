"""The report of an evaluation: its tables with published figures beside ours, as one page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from skillcore.bench.ablation import jobs_of as jobs_of_arms
from skillcore.bench.ablation import rates_of
from skillcore.bench.conditions import Ablation, Conditions, RewardStudy
from skillcore.bench.jobs import result_of
from skillcore.bench.judged import COLUMNS as JUDGED_COLUMNS
from skillcore.bench.judged import WORDS as JUDGED_WORDS
from skillcore.bench.judged import Judged, judged_of
from skillcore.bench.reward_tables import COLUMNS, figures_of
from skillcore.bench.rewards import jobs_of as jobs_of_rewards
from skillcore.bench.rewards import results_of, rows_of
from skillcore.bench.scenarios import jobs_of
from skillcore.bench.tables import PAPERS_WAY, Chunk, Score, curve_of, pooled, scores_of, summaries
from skillcore.learning.bundles import package_versions, read_card
from skillcore.learning.comparison import Mean
from skillcore.learning.evaluate import Rate
from skillcore.learning.intervals import in_percent
from skillcore.reports import charts
from skillcore.reports.pages import write_page
from skillcore.reports.report import REPORT

EVERY = 25
GOAL = 0.9
"""Drawn into the plots of practice: what `skill learn` asks for, unless it is told otherwise."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One entry of a table, in per cent. more: an interval or a spread. published: what others report, or "". tests:
    how many tests it takes together, where it does."""

    value: str
    more: str = ""
    published: str = ""
    tests: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table. sum: it takes those above together."""

    name: str
    cells: tuple[Cell, ...]
    sum: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a drawing below it, if there is one, and what that shows."""

    title: str
    words: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    drawing: str = ""
    drawn: str = ""


def write_bench_report(conditions: Conditions, bundle: Path, out: Path, *, command: str) -> Path:
    """Makes `report.html` in the folder of results, of what is finished. Raises BundleError, StorageError."""
    return write_page(out / REPORT, "bench.html.j2", **content_of(conditions, bundle, out, command=command))


def content_of(conditions: Conditions, bundle: Path, out: Path, *, command: str) -> dict[str, Any]:
    """What the page says, by the names that the template uses."""
    scores = scores_of(conditions, out)
    judged = judged_of(conditions, out)
    jobs = [*jobs_of(conditions)]
    jobs += jobs_of_rewards(conditions.reward) if conditions.reward is not None else []
    jobs += jobs_of_arms(conditions.ablation) if conditions.ablation is not None else []
    tables = [table for scenario in conditions.scenarios for table in _scenario(conditions, scores, scenario, out)]
    return {
        "conditions": conditions,
        "finished": sum(result_of(out, job) is not None for job in jobs),
        "jobs": len(jobs),
        "headlines": [one for scenario in conditions.scenarios for one in _headline(conditions, scores, scenario)],
        "judged": judged.get("after practice"),
        "judged_table": _judged(judged),
        "tables": tables,
        "reward_tables": _reward_tables(conditions.reward, out) if conditions.reward is not None else [],
        "ablation": _ablation(conditions.ablation, out) if conditions.ablation is not None else None,
        "settings": _settings(conditions, bundle, out, command),
        "card": read_card(bundle),
        "versions": package_versions(),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


# --- scenarios -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Headline:
    """Success in one scenario, before or after practice, beside what is published (NaN where nothing is), which may be
    of only some of the connectors: of so many."""

    name: str
    rate: Rate
    published: float
    connectors: int
    drawing: str


def _headline(conditions: Conditions, scores: Sequence[Score], scenario: str) -> Iterator[Headline]:
    for method, words in (("offline", "before practice"), ("online", "after practice")):
        rate = pooled([one for one in scores if one.scenario == scenario and one.method == method])
        if not rate.trials:
            continue
        theirs = _published(conditions, scenario, conditions.variants, method)
        drawing = charts.interval(rate.value, *rate.interval, title=f"{rate}", limit=theirs)
        connectors = sum(
            any(str(name) == method for name in conditions.published.get(scenario, {}).get(variant, {}))
            for variant in conditions.variants
        )
        yield Headline(f"Scenario {scenario}, {words}", rate, theirs, connectors, drawing)


def _published(conditions: Conditions, scenario: str, variants: Sequence[str], method: str) -> float:
    """The published share over those variants that it is published of; NaN where it is of none."""
    published = conditions.published.get(scenario, {})
    hits = [count for variant in variants for name, count in published.get(variant, {}).items() if str(name) == method]
    return sum(hits) / (conditions.published_trials * len(hits)) if hits else math.nan


def _scenario(conditions: Conditions, scores: Sequence[Score], scenario: str, out: Path) -> Iterator[Table]:
    own = [one for one in scores if one.scenario == scenario]
    if not own:
        return
    methods = [str(method) for method in conditions.methods if any(one.method == method for one in own)]
    methods += [PAPERS_WAY] if any(one.method == PAPERS_WAY for one in own) else []
    rows = [
        Row(
            variant,
            tuple(
                _share(
                    pooled([one for one in own if one.variant == variant and one.method == method]),
                    _published(conditions, scenario, [variant], method),
                )
                for method in methods
            ),
        )
        for variant in conditions.variants
    ]
    words = ""
    for summary in summaries(conditions, own, scenario, methods):
        cells = (replace(_share(one.rate, one.published, with_interval=True), tests=one.tested) for one in summary.sums)
        rows.append(Row(summary.name, tuple(cells), sum=True))
        words = summary.words
    drawing, drawn = _practice(conditions, scenario, out)
    yield Table(
        f"Scenario {scenario}",
        f"Success in %, over all seeds; in brackets as published. {words}",
        tuple(methods),
        tuple(rows),
        drawing,
        drawn,
    )


def _share(rate: Rate, published: float, *, with_interval: bool = False) -> Cell:
    theirs = "" if math.isnan(published) else f"({in_percent(published)})"
    if not rate.trials:
        return Cell("–", published=theirs)
    low, high = rate.interval
    return Cell(in_percent(rate.value), f"{in_percent(low)}–{in_percent(high)}" if with_interval else "", theirs)


def _practice(conditions: Conditions, scenario: str, out: Path) -> tuple[str, str]:
    """The course of practice, and what is seen there."""
    every = curve_of(conditions, out, scenario, every=EVERY)
    if not every:
        return "", ""
    checks = curve_of(conditions, out, scenario, every=EVERY, without_noise=True)
    places = [str(min(EVERY * number, conditions.practice)) for number in range(1, len(every) + 1)]
    lines = [
        charts.Line("trials without noise", _points(checks), shape="ring"),
        charts.Line("all trials of practice", _points(every)),
    ]
    title = f"Success in successive {EVERY} trials of practice in scenario {scenario}, all connectors and seeds"
    words = f"{title}, with 95% intervals. Trials run: {', '.join(str(one.rate.trials) for one in every)}."
    if any(one.ended for one in every):
        words += (
            " Practice ends early once its last trials without noise all succeeded. Such a run counts on as it ended; "
            "no interval is drawn where there is one."
        )
    limit = charts.Limit("90%", GOAL)
    return charts.curve(places, lines, title=title, axis="practice trials", limit=limit), words


def _points(curve: Sequence[Chunk]) -> list[charts.Point]:
    return [
        charts.Point(place, one.share, *((one.share, one.share) if one.ended else one.rate.interval))
        for place, one in enumerate(curve)
    ]


def _judged(rows: dict[str, Judged]) -> Table | None:
    """The reward model at work; None while nothing is finished."""
    if not rows:
        return None
    told = [
        Row(
            name,
            (
                Cell("–" if math.isnan(judged.balanced_accuracy) else f"{100.0 * judged.balanced_accuracy:.1f}"),
                _wrong(judged.false_positives),
                _wrong(judged.false_negatives),
            ),
        )
        for name, judged in rows.items()
    ]
    return Table("The bundle's reward model, judging trials", f"In %. {JUDGED_WORDS}", JUDGED_COLUMNS, tuple(told))


def _wrong(rate: Rate) -> Cell:
    if not rate.is_known:
        return Cell("–")
    low, high = rate.interval
    more = f"{100.0 * low:.1f}–{100.0 * high:.1f}"
    return Cell(f"{100.0 * rate.value:.1f}", more, tests=f"{rate.hits} of {rate.trials}")


# --- reward models and what is left out ----------------------------------------------------------------------------


def _reward_tables(study: RewardStudy, out: Path) -> list[Table]:
    found = results_of(study, out)
    tables = []
    for split, sizes in study.splits.items():
        if not any(found[split, model] for model in rows_of(study, split)):
            continue
        has_published = split == study.published_split and bool(study.published)
        rows = []
        for model in rows_of(study, split):
            figures = [figures_of(result) for result in found[split, model]]
            cells = [_mean(Mean.of([one[column] for one in figures])) for column in COLUMNS]
            if has_published:
                theirs = study.published.get(model)
                cells.append(Cell("" if theirs is None else f"{theirs:g}"))
            rows.append(Row(model, (*cells, Cell(str(len(figures))))))
        tested = sizes.test if isinstance(sizes.test, int) else "all that are held out"
        words = (
            f"In %. Trained on {sizes.train} connectors, threshold chosen on {sizes.choose} others, tested on "
            f"{tested}; mean over seeds, with its 95% interval."
        )
        columns = (*COLUMNS, *(["published"] if has_published else []), "seeds")
        tables.append(Table(f"Reward models, {split}", words, columns, tuple(rows)))
    return tables


def _mean(mean: Mean) -> Cell:
    """Mean in per cent, and half of its 95 % interval."""
    value = f"{100.0 * mean.value:.1f}" if mean.count else "–"
    return Cell(value, f"±{100.0 * mean.half:.1f}" if mean.is_known else "")


def _ablation(study: Ablation, out: Path) -> Table | None:
    """One row an arm; None while nothing is finished."""
    rows: dict[str, list[Cell]] = {}
    columns: list[str] = []
    finished = 0
    for arm, scenario, method, rate in rates_of(study, out):
        theirs = study.published.get(scenario, {}).get(arm) if method == "online" else None
        published = math.nan if theirs is None else theirs / study.published_trials
        rows.setdefault(arm, []).append(_share(rate, published, with_interval=True))
        column = f"{scenario} {'before' if method == 'offline' else 'after'} practice"
        columns += [column] if column not in columns else []
        finished += rate.trials
    if not finished:
        return None
    words = f"Success in % on {', '.join(study.variants)}, with 95% intervals; in brackets as published. "
    words += "While not all is finished, only what is finished of every row is counted."
    return Table(
        "What is left out", words, tuple(columns), tuple(Row(arm, tuple(cells)) for arm, cells in rows.items())
    )


def _settings(conditions: Conditions, bundle: Path, out: Path, command: str) -> list[tuple[str, str]]:
    return [
        ("Command", command),
        ("Skill", conditions.skill),
        ("Cell", conditions.cell),
        ("Connectors", ", ".join(conditions.variants)),
        ("Seeds", ", ".join(str(seed) for seed in conditions.seeds)),
        ("Trials", f"{conditions.trials} in each test, {conditions.practice} of practice at most"),
        ("Published", conditions.source or "no source is named"),
        ("Bundle", str(bundle)),
        ("Results", str(out)),
    ]
