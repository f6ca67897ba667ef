"""What an evaluation found, as text and as CSV, with published figures beside it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillcore.bench.ablation import jobs_of as jobs_of_arms
from skillcore.bench.conditions import Ablation, Conditions
from skillcore.bench.jobs import result_of
from skillcore.bench.scenarios import jobs_of
from skillcore.learning.checks import is_check
from skillcore.learning.evaluate import Rate
from skillcore.learning.intervals import in_percent, percent
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


def pooled(scores: Iterable[Score]) -> Rate:
    """All trials together."""
    every = list(scores)
    return Rate(sum(score.rate.hits for score in every), sum(score.rate.trials for score in every))


def table_of(conditions: Conditions, scores: list[Score], scenario: str) -> Table:
    """Success in per cent by variant and method, published figures in brackets; then `summaries` of it."""
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
    for summary in summaries(conditions, scores, scenario, methods):
        row = []
        for one in summary.sums:
            low, high = one.rate.interval
            text = _cell(one.rate, one.published_hits, one.published_trials)
            row.append(f"{text}\n{in_percent(low)} to {in_percent(high)}\n{one.tested}" if one.tests else text)
        table.add_row(summary.name, *row)
        table.caption = summary.words
    table.caption_justify = "left"
    return table


@dataclass(frozen=True, slots=True)
class Sum:
    """Several tests of one method taken together, a test being one variant with one seed. published_hits: of
    `published_trials` on the same variants; None where nothing is published of one of them."""

    rate: Rate
    tests: int
    published_hits: int | None = None
    published_trials: int = 0

    @property
    def tested(self) -> str:
        """As 12 tests."""
        return f"{self.tests} test{'' if self.tests == 1 else 's'}"

    @property
    def published(self) -> float:
        """NaN where nothing is."""
        return math.nan if self.published_hits is None else self.published_hits / self.published_trials


@dataclass(frozen=True, slots=True)
class Summary:
    """A row that takes tests together, one entry a method. words: what it and all rows above it mean."""

    name: str
    sums: tuple[Sum, ...]
    words: str


WORDS = (
    "A test is one connector with one seed. The 95 % intervals take the trials of one trained policy as independent, "
    "and say nothing of what another training would reach."
)


def summaries(
    conditions: Conditions, scores: Iterable[Score], scenario: str, methods: Sequence[str]
) -> Iterator[Summary]:
    """All tests of each method; and, where methods or what is published are of other tests than that, those alone
    that are common to all, so that like stands beside like."""
    own = [one for one in scores if one.scenario == scenario]
    published = conditions.published.get(scenario, {})
    tests = {method: {(one.variant, one.seed) for one in own if one.method == method} for method in methods}
    tried = [found for found in tests.values() if found]
    if not tried:
        return
    common = set.intersection(*tried)
    for method in methods:
        named = {variant for variant in conditions.variants if _hits(published.get(variant, {}), method) is not None}
        common = {(variant, seed) for variant, seed in common if not named or variant in named}

    def summed(method: str, which: set[tuple[str, int]]) -> Sum:
        chosen = tests[method] & which
        rate = pooled(one for one in own if one.method == method and (one.variant, one.seed) in chosen)
        hits = [_hits(published.get(variant, {}), method) for variant in {variant for variant, _ in which}]
        known = [one for one in hits if one is not None]
        if which != common or not known:
            return Sum(rate, len(chosen))
        return Sum(rate, len(chosen), sum(known), conditions.published_trials * len(known))

    every = set.union(*tried)
    yield Summary("all", tuple(summed(method, every) for method in methods), WORDS)
    if common and common != every:
        connectors = ", ".join(one for one in conditions.variants if one in {variant for variant, _ in common})
        seeds = ", ".join(str(seed) for seed in sorted({seed for _, seed in common}))
        beside = " and the published figures" if published else ""
        words = f"{WORDS} In common: only the tests that all columns{beside} have, of {connectors}; seeds: {seeds}."
        yield Summary("in common", tuple(summed(method, common) for method in methods), words)


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


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some successive trials of practice, over all variants and seeds.

    rate: of the trials that were run. share: with those of runs that had ended before, which count as their last trials
    went. ended: how many such runs there are; where there is one, nothing has an interval.
    """

    rate: Rate
    share: float
    ended: int


def curve_of(
    conditions: Conditions, out: Path, scenario: str, *, every: int = 25, without_noise: bool = False
) -> list[Chunk]:
    """Success in successive `every` trials of practice, over all variants and seeds, as long as any run goes on.

    without_noise: only of the trials that did not explore. Practice ends early once all its last checks succeed: left
    out, such a run would make what is left look worse and worse.
    """
    results = [result_of(out, job) for job in jobs_of(conditions) if job.what[0] == scenario]
    runs = [result["practice"] for result in results if result is not None and result.get("practice")]
    chunks = []
    for start in range(0, conditions.practice, every):
        run: list[bool] = []
        carried: list[bool] = []
        ended = 0
        for practised in runs:
            trials = [(number, hit) for number, hit in enumerate(practised) if is_check(number) or not without_noise]
            part = [hit for number, hit in trials if start <= number < start + every]
            run += part
            if not part:
                ended += 1
                carried += [hit for number, hit in trials if number >= len(practised) - every]
        if not run:
            break
        share = (sum(run) + sum(carried)) / (len(run) + len(carried))
        chunks.append(Chunk(Rate(sum(run), len(run)), share, ended))
    return chunks


def curve_in_words(curve: Sequence[Chunk]) -> str:
    """As 45%, 90%*, with how many trials were run, and what the mark means."""
    said = ", ".join(percent(one.share) + ("*" if one.ended else "") for one in curve)
    said += f"; trials run: {', '.join(str(one.rate.trials) for one in curve)}"
    if any(one.ended for one in curve):
        said += "; * with runs that had ended before, which count on as they ended"
    return said
