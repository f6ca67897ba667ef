"""What an evaluation found, as text and as CSV, with published figures beside it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillcore.bench.ablation import jobs_of as jobs_of_arms
from skillcore.bench.conditions import Ablation, Conditions
from skillcore.bench.jobs import result_of
from skillcore.bench.scenarios import jobs_of
from skillcore.learning.evaluate import Rate
from skillcore.learning.intervals import in_percent
from skillcore.learning.practice import is_check
from skillcore.storage import write_durably

if TYPE_CHECKING:
    from rich.table import Table


PAPERS_WAY = "paper's way"
"""The column of the arm of the ablation that practises as the paper does, after practice."""


@dataclass(frozen=True, slots=True)
class Score:
    """Successes of one method on one variant in one scenario with one seed."""

    scenario: str
    variant: str
    seed: int
    method: str
    rate: Rate


def scores_of(conditions: Conditions, out: Path) -> list[Score]:
    """All that is finished."""
    found = []
    for job in jobs_of(conditions):
        result = result_of(out, job) or {}
        scenario, variant = job.what
        for method in conditions.methods:
            if method in result:
                rate = Rate(result[method]["hits"], result[method]["trials"])
                found.append(Score(scenario, variant, job.seed, method, rate))
    if conditions.ablation is not None:
        found += _papers_way(conditions.ablation, out)
    return found


def _papers_way(study: Ablation, out: Path) -> Iterator[Score]:
    for job in jobs_of_arms(study):
        arm, scenario, variant = job.what
        result = result_of(out, job) if arm == study.papers_way else None
        if result is not None:
            rate = Rate(result["online"]["hits"], result["online"]["trials"])
            yield Score(scenario, variant, job.seed, PAPERS_WAY, rate)


def pooled(scores: Iterator[Score] | list[Score]) -> Rate:
    """All trials together."""
    every = list(scores)
    return Rate(sum(score.rate.hits for score in every), sum(score.rate.trials for score in every))


def table_of(conditions: Conditions, scores: list[Score], scenario: str) -> Table:
    """Success in per cent by variant and method, published figures in brackets; pooled with the 95 % interval."""
    from rich.table import Table

    methods: list[str] = [*conditions.methods]
    if any(score.method == PAPERS_WAY for score in scores):
        methods.append(PAPERS_WAY)
    table = Table(title=f"Scenario {scenario}: success in %, in brackets as published", title_justify="left")
    table.add_column("")
    for method in methods:
        table.add_column(method, justify="right")
    own = [score for score in scores if score.scenario == scenario]
    published = conditions.published.get(scenario, {})
    for variant in conditions.variants:
        row = []
        for method in methods:
            rate = pooled(one for one in own if one.variant == variant and one.method == method)
            row.append(_cell(rate, _hits(published.get(variant, {}), method), conditions.published_trials))
        table.add_row(variant, *row)
    table.add_section()
    row = []
    for method in methods:
        rate = pooled(one for one in own if one.method == method)
        hits = [hits for one in published.values() if (hits := _hits(one, method)) is not None]
        trials = conditions.published_trials * len(hits)
        text = _cell(rate, sum(hits) if hits else None, trials)
        low, high = rate.interval
        row.append(text + (f"\n{in_percent(low)} to {in_percent(high)}" if rate.trials else ""))
    table.add_row("all", *row)
    return table


def _hits(published: Mapping[Any, int], method: str) -> int | None:
    """Successes as published; None where nothing is, as of a column that is no `Method`."""
    return published.get(method)


def _cell(rate: Rate, published: int | None, trials: int) -> str:
    text = in_percent(rate.value) if rate.trials else "-"
    return text if published is None else f"{text} ({in_percent(published / trials)})"


def write_csv(conditions: Conditions, scores: list[Score], path: Path) -> None:
    """One line for each scenario, variant, method and seed. Raises StorageError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scenario", "variant", "method", "seed", "hits", "trials", "published_hits", "published_trials"])
    for score in scores:
        hits = _hits(conditions.published.get(score.scenario, {}).get(score.variant, {}), score.method)
        theirs = ["", ""] if hits is None else [hits, conditions.published_trials]
        rate = score.rate
        writer.writerow([score.scenario, score.variant, score.method, score.seed, rate.hits, rate.trials, *theirs])
    write_durably(path, text.getvalue().encode())


def curve_of(
    conditions: Conditions, out: Path, scenario: str, *, every: int = 25, without_noise: bool = False
) -> list[Rate]:
    """Success in successive `every` trials of practice, over all variants and seeds.

    without_noise: only of the trials that did not explore. Practice that ended early, since all its last checks
    succeeded, counts on as its last trials did.
    """
    counts: list[list[int]] = []
    for job in jobs_of(conditions):
        practised = (result_of(out, job) or {}).get("practice") if job.what[0] == scenario else None
        if not practised:
            continue
        trials = [(number, hit) for number, hit in enumerate(practised) if is_check(number) or not without_noise]
        last = [hit for number, hit in trials if number >= len(practised) - every]
        for index, start in enumerate(range(0, conditions.practice, every)):
            part = [hit for number, hit in trials if start <= number < start + every] or last
            counts.extend([0, 0] for _ in range(index + 1 - len(counts)))
            counts[index][0] += sum(part)
            counts[index][1] += len(part)
    return [Rate(hits, trials) for hits, trials in counts]
