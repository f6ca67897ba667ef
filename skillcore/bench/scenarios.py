"""Every method on every variant, scenario and seed: scripted searches, the offline policy, and the practised one.

Each combination is a job with a result file of its own, so that an evaluation that was ended goes on where it was:

    results/searches-I-hdmi_a-0.json       the skill's scripted baselines
    results/learning-I-hdmi_a-0.json       offline and online: the test before practice and the one after it
    conditions.json                        what they have in common
    runs/learning-I-hdmi_a-0/              all episodes of the learning job
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from skillcore.bench.conditions import LEARNED, Conditions
from skillcore.bench.jobs import Job, Report, run_all
from skillcore.cell import open_cell
from skillcore.cell_config import load_cell
from skillcore.learning.bundles import load_bundle
from skillcore.learning.evaluate import Evaluation, evaluate
from skillcore.learning.job import Plan, Unwatched, learn, template_of
from skillcore.learning.seeds import rng_for, seed_for
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.skill import Skill
from skillcore.storage import make_folder_durably


def jobs_of(conditions: Conditions) -> list[Job]:
    """All jobs, seed by seed, so that half an evaluation is one with fewer seeds."""
    kinds = []
    if any(method not in LEARNED for method in conditions.methods):
        kinds.append("searches")
    if any(method in LEARNED for method in conditions.methods):
        kinds.append("learning")
    return [
        Job(kind, (scenario, variant), seed)
        for seed in conditions.seeds
        for kind in kinds
        for variant in conditions.variants
        for scenario in conditions.scenarios
    ]


def run_jobs(conditions: Conditions, bundle: Path, out: Path, *, workers: int, report: Report) -> None:
    """Runs what is not finished, several jobs side by side. `report` is told each job as it ends. Raises what a job
    raised."""
    run_all(jobs_of(conditions), out, _run, (conditions, bundle, out), workers=workers, report=report)


def _run(job: Job, conditions: Conditions, bundle: Path, out: Path) -> dict[str, Any]:
    if job.kind == "searches":
        return _searches(conditions, bundle, job)
    scenario, variant = job.what
    return practised(job, conditions, bundle, out, Plan(scenario=scenario), variant)


def _searches(conditions: Conditions, bundle: Path, job: Job) -> dict[str, Any]:
    """Successes of the scripted searches. An episode ends when the plug is seated, so that none can be missed."""
    registry = Registry.discover()
    skill: Skill = registry.make("skills", conditions.skill, {}, Context(name=conditions.skill))
    loaded = load_cell(conditions.cell, registry)
    variant = skill.variant(job.what[1])
    brain = load_bundle(bundle, registry, device="cpu").brain

    found: dict[str, Any] = {}
    with open_cell(loaded, instance=f"bench-{os.getpid()}") as cell:
        task = skill.task(cell, variant, scenario=job.what[0], seed=seed_for(job.seed, "installation"), judge=None)
        template = template_of(skill, cell, variant, brain, Plan(scenario=job.what[0]), "acceptance")
        for method, make in skill.searches(cell, variant, brain.locate).items():
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


def practised(job: Job, conditions: Conditions, bundle: Path, out: Path, plan: Plan, variant: str) -> dict[str, Any]:
    """The main job with a bundle: successes before and after practice, and in its course.

    plan: its scenario and its way to practise; how many trials there are, `conditions` says.
    """
    registry = Registry.discover()
    skill: Skill = registry.make("skills", conditions.skill, {}, Context(name=conditions.skill))
    plan = replace(plan, zero_shot=conditions.trials, practice=conditions.practice, acceptance=conditions.trials)
    folder = out / "runs" / job.name
    make_folder_durably(folder)
    outcome = learn(
        skill,
        skill.variant(variant),
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
        "judged": {
            "before": _judged(before),
            "practice": _judged(Evaluation(outcome.practised)),
            "after": _judged(after),
        },
        "practice": [bool(trial.success) for trial in outcome.practised],
        "claims": [bool(trial.claimed) for trial in outcome.practised],
    }


def _judged(evaluation: Evaluation) -> dict[str, dict[str, int]]:
    wrong, missed = evaluation.false_positives, evaluation.false_negatives
    return {
        "false_positives": {"hits": wrong.hits, "trials": wrong.trials},
        "false_negatives": {"hits": missed.hits, "trials": missed.trials},
    }
