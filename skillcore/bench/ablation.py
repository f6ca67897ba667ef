"""What is left out, and what that costs: several recipes, each pretrained and practised under the same conditions."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillcore.bench.conditions import Ablation, Conditions
from skillcore.bench.jobs import Job, Report, result_of, run_all, unfinished
from skillcore.bench.scenarios import practised
from skillcore.cell_config import LoadedCell
from skillcore.learning.bundles import CARD, load_bundle
from skillcore.learning.datasets import Collection
from skillcore.learning.evaluate import Rate
from skillcore.learning.intervals import in_percent
from skillcore.learning.job import Plan
from skillcore.learning.pretrain import Report as Training
from skillcore.learning.pretrain_job import Amounts, pretrain
from skillcore.learning.recipe import completed
from skillcore.plugins import Registry
from skillcore.skill import Skill

if TYPE_CHECKING:
    from rich.table import Table

REWARD_PARTS = ("reward_model", "warm_reward_model", "false_positives", "wrong_claims")
"""What of a recipe the policy does not depend on."""


def jobs_of(ablation: Ablation) -> list[Job]:
    """All jobs, seed by seed."""
    return [
        Job("ablation", (arm, scenario, variant), seed)
        for seed in ablation.seeds
        for scenario in ablation.scenarios
        for variant in ablation.variants
        for arm in ablation.arms
    ]


def policy_from(ablation: Ablation, name: str) -> str | None:
    """The first arm that differs from this one in nothing but the reward model, if it comes before: their policies are
    trained alike and once, so that what they show apart is the reward model's."""
    recipe = ablation.arms[name].recipe
    for other, arm in ablation.arms.items():
        if other == name:
            return None
        if arm.recipe.model_copy(update={part: getattr(recipe, part) for part in REWARD_PARTS}) == recipe:
            return other
    return None


def run_ablation(
    conditions: Conditions,
    ablation: Ablation,
    skill: Skill,
    registry: Registry,
    cells: Sequence[LoadedCell],
    collection: Collection,
    out: Path,
    *,
    workers: int,
    device: str,
    announce: Callable[[str], None],
    training: Training,
    report: Report,
) -> None:
    """Makes the bundles that are missing in `out`, and runs the jobs that are not finished.

    Raises UnknownNameError and ConfigError for a recipe, and what pretraining and jobs raise.
    """
    for arm in ablation.arms.values():
        completed(arm.recipe, registry)
    jobs = jobs_of(ablation)
    if not unfinished(jobs, out):
        return
    amounts = Amounts(ablation.connectors, ablation.episodes, ablation.rollouts, ablation.validation_episodes)
    for name, arm in ablation.arms.items():
        place = _bundle(out, name)
        if (place / CARD).exists():
            continue
        announce(name)
        # It gets its name only when it is whole, so that one that was interrupted is made anew.
        making = place.with_name(f"{place.name}.making")
        shutil.rmtree(making, ignore_errors=True)
        alike = policy_from(ablation, name)
        pretrain(
            making,
            skill,
            registry,
            arm.recipe,
            cells,
            collection,
            amounts,
            kept=None if alike is None else load_bundle(_bundle(out, alike), registry, device=device),
            seed=0,
            device=device,
            report=training,
            command="skill bench paper",
        )
        making.rename(place)
    run_all(jobs, out, _run, (conditions, ablation, out), workers=workers, report=report)


def _run(job: Job, conditions: Conditions, ablation: Ablation, out: Path) -> dict[str, Any]:
    name, scenario, variant = job.what
    arm = ablation.arms[name]
    plan = Plan(scenario=scenario, adapt=arm.adapt, explore=arm.explore, reflex=arm.reflex)
    return practised(job, conditions, _bundle(out, name), out, plan, variant)


def _bundle(out: Path, arm: str) -> Path:
    return out / "arms" / re.sub(r"[^\w.-]+", "_", arm)


def rates_of(ablation: Ablation, out: Path) -> Iterator[tuple[str, str, str, Rate]]:
    """Arm, scenario, "offline" or "online", and those variants and seeds together that all arms begun have finished."""
    for scenario in ablation.scenarios:
        found: dict[str, dict[tuple[str, int], Any]] = {arm: {} for arm in ablation.arms}
        for job in jobs_of(ablation):
            result = result_of(out, job) if job.what[1] == scenario else None
            if result is not None:
                found[job.what[0]][job.what[2], job.seed] = result
        begun = [results.keys() for results in found.values() if results]
        common = set[tuple[str, int]]().union(*begun).intersection(*begun)
        for arm, results in found.items():
            chosen = [result for which, result in results.items() if which in common]
            for method in ("offline", "online"):
                hits = sum(result[method]["hits"] for result in chosen)
                yield arm, scenario, method, Rate(hits, sum(result[method]["trials"] for result in chosen))


def ablation_table(ablation: Ablation, out: Path) -> Table:
    """One line an arm: success in per cent with the 95 % interval, published figures in brackets."""
    from rich.table import Table

    table = Table(
        title=f"Ablation: success in % on {', '.join(ablation.variants)}; in brackets as published",
        title_justify="left",
    )
    table.add_column("")
    for scenario in ablation.scenarios:
        for method in ("offline", "online"):
            table.add_column(f"{scenario} {method}", justify="right")
    rows: dict[str, list[str]] = {}
    for arm, scenario, method, rate in rates_of(ablation, out):
        low, high = rate.interval
        text = f"{in_percent(rate.value)}, {in_percent(low)} to {in_percent(high)}" if rate.trials else "-"
        theirs = ablation.published.get(scenario, {}).get(arm) if method == "online" else None
        if theirs is not None:
            text += f" ({in_percent(theirs / ablation.published_trials)})"
        rows.setdefault(arm, []).append(text)
    for arm, cells in rows.items():
        table.add_row(arm, *cells)
    return table
