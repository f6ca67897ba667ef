"""Every method on every variant, scenario and seed: scripted searches, the offline policy, and the practised one.

Each combination is a job with a result file of its own, so that an evaluation that was ended goes on where it was:

    results/I-hdmi_a-0-searches.json       the skill's scripted baselines
    results/I-hdmi_a-0-learning.json       offline and online: the test before practice and the one after it
    conditions.json                        what they have in common
    runs/I-hdmi_a-0/                       all episodes of the learning job
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skillcore.bench.conditions import LEARNED, Conditions
from skillcore.cell import open_cell
from skillcore.cell_config import load_cell
from skillcore.errors import InputError
from skillcore.learning.bundles import load_bundle, read_card
from skillcore.learning.evaluate import evaluate
from skillcore.learning.job import Plan, Unwatched, learn, template_of
from skillcore.learning.perception import decoded_way
from skillcore.learning.rewarding import batch_of_one
from skillcore.learning.seeds import rng_for, seed_for
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.skill import Skill
from skillcore.storage import make_folder_durably, write_json_durably
from skillcore.types import Array, Observation

CONDITIONS = "conditions.json"


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to run. kind: "searches" or "learning"."""

    scenario: str
    variant: str
    seed: int
    kind: str

    @property
    def name(self) -> str:
        return f"{self.scenario}-{self.variant}-{self.seed}-{self.kind}"


def jobs_of(conditions: Conditions) -> list[Job]:
    """All jobs, seed by seed, so that half an evaluation is one with fewer seeds."""
    kinds = []
    if any(method not in LEARNED for method in conditions.methods):
        kinds.append("searches")
    if any(method in LEARNED for method in conditions.methods):
        kinds.append("learning")
    return [
        Job(scenario, variant, seed, kind)
        for seed in conditions.seeds
        for kind in kinds
        for variant in conditions.variants
        for scenario in conditions.scenarios
    ]


def result_of(out: Path, job: Job) -> dict[str, Any] | None:
    """What a job found; None while it is not finished."""
    try:
        found: dict[str, Any] = json.loads((out / "results" / f"{job.name}.json").read_bytes())
    except FileNotFoundError:
        return None
    return found


def run_jobs(
    conditions: Conditions,
    bundle: Path,
    out: Path,
    *,
    workers: int = 0,
    report: Callable[[Job, int, int], None] = lambda job, done, total: None,
) -> None:
    """Runs what is not finished, several jobs side by side. `report` is told each job as it ends.

    Raises InputError if the folder holds results under other conditions, and what a job raised; the others that run are
    finished first.
    """
    _check_same(conditions, bundle, out)
    jobs = jobs_of(conditions)
    waiting = [job for job in jobs if result_of(out, job) is None]
    make_folder_durably(out / "results")
    done = len(jobs) - len(waiting)
    count = min(workers or os.cpu_count() or 1, max(1, len(waiting)))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        futures = {pool.submit(_run, conditions, bundle, out, job): job for job in waiting}
        try:
            for future in as_completed(futures):
                future.result()
                done += 1
                report(futures[future], done, len(jobs))
        finally:
            # After a failure or a Ctrl-C nothing new is begun.
            pool.shutdown(wait=True, cancel_futures=True)


def _check_same(conditions: Conditions, bundle: Path, out: Path) -> None:
    """Results of other conditions must not be taken for these; more variants, scenarios and seeds may be added."""
    path = out / CONDITIONS
    told = conditions.model_dump(mode="json", by_alias=True, include={"skill", "cell", "methods", "trials", "practice"})
    told["bundle"] = read_card(bundle).files
    if not path.exists():
        make_folder_durably(out)
        write_json_durably(path, told)
        return
    before = json.loads(path.read_bytes())
    other = sorted(name for name in told if before.get(name) != told[name])
    if other:
        raise InputError(
            f"{out}: holds results under other conditions: {', '.join(other)} differ", cure="give another folder: --out"
        )


def _run(conditions: Conditions, bundle: Path, out: Path, job: Job) -> None:
    torch.set_num_threads(1)
    found = (_searches if job.kind == "searches" else _learning)(conditions, bundle, out, job)
    write_json_durably(out / "results" / f"{job.name}.json", found)


def _searches(conditions: Conditions, bundle: Path, out: Path, job: Job) -> dict[str, Any]:
    """Successes of the scripted searches. An episode ends when the plug is seated, so that none can be missed."""
    registry = Registry.discover()
    skill: Skill = registry.make("skills", conditions.skill, {}, Context(name=conditions.skill))
    loaded = load_cell(conditions.cell, registry)
    variant = skill.variant(job.variant)
    brain = load_bundle(bundle, registry, device="cpu").brain

    def locate(observation: Observation) -> Array:
        features = brain.perception.features(batch_of_one(observation))
        x, y, _, yaw = decoded_way(features[:, brain.perception.way_columns])[0]
        return np.array([x, y, yaw], np.float64)

    found: dict[str, Any] = {}
    with open_cell(loaded, instance=f"bench-{os.getpid()}") as cell:
        task = skill.task(cell, variant, scenario=job.scenario, seed=seed_for(job.seed, "installation"), judge=None)
        template = template_of(skill, cell, variant, brain, Plan(scenario=job.scenario), "acceptance")
        for method, make in skill.searches(cell, variant, locate).items():
            if method not in conditions.methods:
                continue
            actors = (make(rng_for(job.seed, method, number)) for number in range(conditions.trials))
            evaluation = evaluate(
                task,
                actors.__next__,
                template,
                trials=conditions.trials,
                seed=job.seed,
            )
            found[method] = {"hits": evaluation.success.hits, "trials": evaluation.success.trials}
    return found


def _learning(conditions: Conditions, bundle: Path, out: Path, job: Job) -> dict[str, Any]:
    registry = Registry.discover()
    skill: Skill = registry.make("skills", conditions.skill, {}, Context(name=conditions.skill))
    plan = Plan(
        scenario=job.scenario,
        zero_shot=conditions.trials,
        practice=conditions.practice,
        acceptance=conditions.trials,
    )
    folder = out / "runs" / f"{job.scenario}-{job.variant}-{job.seed}"
    make_folder_durably(folder)
    outcome = learn(
        skill,
        skill.variant(job.variant),
        load_cell(conditions.cell, registry),
        load_bundle(bundle, registry, device="cpu"),
        plan,
        folder=folder,
        bundles=folder / "bundles",
        seed=job.seed,
        command="skill bench paper",
        watcher=Unwatched(),
        instance=f"bench-{os.getpid()}",
    )
    before, after = outcome.zero_shot, outcome.acceptance
    return {
        "offline": {"hits": before.success.hits, "trials": before.success.trials},
        "online": {"hits": after.success.hits, "trials": after.success.trials},
        "false_positives": {"hits": after.false_positives.hits, "trials": after.false_positives.trials},
        "false_negatives": {"hits": after.false_negatives.hits, "trials": after.false_negatives.trials},
        "practice": [bool(trial.success) for trial in outcome.practised],
        "claims": [bool(trial.claimed) for trial in outcome.practised],
    }
