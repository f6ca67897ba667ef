"""The main job: learn one variant on one cell, from preflight to a bundle."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import LoadedCell
from skillcore.episodes import EpisodeStore
from skillcore.errors import BundleError
from skillcore.learning.bundles import Bundle, Card, new_card, next_folder, package_versions, save_bundle
from skillcore.learning.checks import checks_of
from skillcore.learning.evaluate import Evaluation, Rate, TrialResult, evaluate
from skillcore.learning.practice import SOURCE, Practice, TrialReport
from skillcore.learning.recipe import Brain
from skillcore.learning.rewarding import PRACTICE_RULE, RULE, SelfReward
from skillcore.learning.rollout import PolicyActor
from skillcore.learning.runs import RESULTS
from skillcore.learning.seeds import seed_for
from skillcore.skill import MakeReflex, Skill, Variant, no_reflex
from skillcore.storage import write_json_durably
from skillcore.task import Task
from skillcore.types import EpisodeInfo

ENOUGH_CHECKS = 30
"""Practice ends early when the reward model took the last so many trials without noise for successes."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long each part of the job is, where episodes start, and what is asked for at the end.

    gate: the share of acceptance trials that must succeed. adapt: whether practice adapts the estimated way by
    hindsight. explore: whether a scripted search helps practice to its first successes. reflex: whether the skill's
    reflex has the last word on the policy's actions.
    """

    scenario: str = "I"
    zero_shot: int = 50
    practice: int = 200
    acceptance: int = 100
    gate: float = 0.9
    adapt: bool = True
    explore: bool = True
    reflex: bool = True


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the job. practised: results of the trials, in their order."""

    zero_shot: Evaluation
    practised: tuple[TrialResult, ...]
    acceptance: Evaluation
    accepted: bool
    bundle: Path | None


class Watcher(Protocol):
    """Is told what happens."""

    def stage(self, name: str, trials: int, earlier: Sequence[TrialResult], /) -> None:
        """A part of the job begins, of so many trials at most; an earlier run has finished some of them."""

    def trial(self, result: TrialResult, figures: dict[str, float], /) -> None:
        """A trial is finished and saved."""


class Unwatched:
    """A `Watcher` that is told everything and says nothing."""

    def stage(self, name: str, trials: int, earlier: Sequence[TrialResult], /) -> None:
        """Nothing to do."""

    def trial(self, result: TrialResult, figures: dict[str, float], /) -> None:
        """Nothing to do."""


class Together:
    """A `Watcher` that passes on to several what it is told."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = watchers

    def stage(self, name: str, trials: int, earlier: Sequence[TrialResult], /) -> None:
        for watcher in self._watchers:
            watcher.stage(name, trials, earlier)

    def trial(self, result: TrialResult, figures: dict[str, float], /) -> None:
        for watcher in self._watchers:
            watcher.trial(result, figures)


def check_fit(bundle: Bundle, loaded: LoadedCell, skill: Skill) -> None:
    """Raises BundleError that lists what in a cell does not fit what a bundle was trained for."""
    check_card_fits(bundle.folder, bundle.card, loaded, skill)


def check_card_fits(folder: Path, card: Card, loaded: LoadedCell, skill: Skill) -> None:
    """As `check_fit`, of a bundle that need not be loaded."""
    config = loaded.config
    faults = []
    if card.skill != skill.name:
        faults.append(f"it is for the skill {card.skill!r}")
    if card.views != len(config.cameras):
        faults.append(f"it looks through {card.views} cameras, and the cell has {len(config.cameras)}")
    if card.size_px != config.views.size_px:
        faults.append(f"it looks at images of {card.size_px} px, and views.size_px is {config.views.size_px}")
    for name, value in control_of(loaded).items():
        if abs(card.control.get(name, value) - value) > 1e-9:
            faults.append(f"it was trained with control.{name} {card.control[name]:g}, and the cell has {value:g}")
    if faults:
        raise BundleError(
            f"{folder}: does not fit cell {loaded.name} ({loaded.file}): " + "; ".join(faults),
            cure="choose another bundle or cell, or make one for this cell: skill pretrain",
        )


def control_of(loaded: LoadedCell) -> dict[str, float]:
    """What actions mean on a cell."""
    control = loaded.config.control
    return {"rate_hz": control.rate_hz, "step_m": control.step_m, "turn_step_rad": control.turn_step_rad}


def circumstances(skill: Skill, variant: Variant, loaded: LoadedCell) -> dict[str, Any]:
    """What a run notes of what it was done with, for who looks at it when the cell's file may have changed."""
    seat = skill.seat(variant)
    safety, control = loaded.config.safety, loaded.config.control
    return {
        "title": variant.title,
        "cameras": list(loaded.config.cameras),
        "control": {"step_m": control.step_m, "turn_step_rad": control.turn_step_rad},
        "typed": " ".join(["skill", *sys.argv[1:]]),
        "socket": {
            "from_base": loaded.socket_from_base.as_vector().tolist(),
            "depth_m": None if seat is None else seat.depth_m,
        },
        "limits": {"force_n": safety.force_limit_n, "hard_force_n": safety.hard_force_limit_n},
        "packages": package_versions(),
    }


def make_task(skill: Skill, cell: Cell, variant: Variant, brain: Brain, scenario: str, seed: int) -> Task:
    """The task with the reward model as its judge."""
    judge = SelfReward(brain.reward_model)
    return skill.task(cell, variant, scenario=scenario, seed=seed_for(seed, "installation"), judge=judge)


def template_of(skill: Skill, cell: Cell, variant: Variant, brain: Brain, plan: Plan, source: str) -> EpisodeInfo:
    """What the episodes of a part of the job have in common."""
    return EpisodeInfo(
        skill=skill.name,
        variant=variant.name,
        cell=cell.name,
        seed=0,
        source=source,
        outcome="timeout",
        reward_model=f"threshold {brain.reward_model.threshold:.4f}, {PRACTICE_RULE if source == SOURCE else RULE}",
        scenario=plan.scenario,
    )


def learn(
    skill: Skill,
    variant: Variant,
    loaded: LoadedCell,
    bundle: Bundle,
    plan: Plan,
    *,
    folder: Path,
    bundles: Path,
    seed: int,
    command: str,
    watcher: Watcher,
    instance: str = "",
) -> Outcome:
    """Zero-shot test, practice, acceptance test, bundle; or what of them is left to do in `folder`.

    Every episode is saved in `folder` before it counts, so that a run that was ended goes on where it was. The bundle
    is written to `bundles`. instance: as in `open_cell`. Raises BundleError if the bundle does not fit the cell, and
    what cell and disk raise.
    """
    check_fit(bundle, loaded, skill)
    brain = bundle.brain
    with open_cell(loaded, instance=instance) as cell, EpisodeStore(folder / "episodes") as store:
        task = make_task(skill, cell, variant, brain, plan.scenario, seed)
        reflex = partial(skill.reflex, cell) if plan.reflex else no_reflex

        def template(source: str) -> EpisodeInfo:
            return template_of(skill, cell, variant, brain, plan, source)

        def test(source: str, trials: int) -> Evaluation:
            return measure_policy(
                task, brain, template(source), trials=trials, seed=seed, store=store, watcher=watcher, reflex=reflex
            )

        zero_shot = test("zero-shot", plan.zero_shot)
        practice = Practice(
            task,
            brain,
            bundle.prior,
            template(SOURCE),
            folder=folder,
            seed=seed,
            adapt=plan.adapt,
            explorer=partial(skill.explorer, cell, variant) if plan.explore else None,
            reflex=reflex,
        )
        watcher.stage("practice", plan.practice, practice.results)

        def told(report: TrialReport) -> None:
            watcher.trial(report.result, dict(report.figures))

        judge, task.judge = task.judge, SelfReward(brain.reward_model, PRACTICE_RULE)
        practice.run(plan.practice, report=told, enough=enough)
        task.judge = judge
        acceptance = test("acceptance", plan.acceptance)

    accepted = acceptance.success.value >= plan.gate
    practised = tuple(practice.results)
    outcome = Outcome(zero_shot, practised, acceptance, accepted, None)
    place = next_folder(bundles, skill.name, variant.name)
    figures = figures_of(outcome, plan)
    save_bundle(place, _card(bundle, loaded, variant, figures, seed, command), brain, bundle.prior, resumable=True)
    write_json_durably(folder / RESULTS, {**figures, "accepted": accepted, "bundle": str(place)})
    return replace(outcome, bundle=place)


def measure_policy(
    task: Task,
    brain: Brain,
    template: EpisodeInfo,
    *,
    trials: int,
    seed: int,
    store: EpisodeStore,
    watcher: Watcher,
    reflex: MakeReflex,
) -> Evaluation:
    """Greedy trials; those of the same source that the store holds already count as done."""
    done = saved_results(store, template.source)[:trials]
    watcher.stage(template.source, trials, done)
    return evaluate(
        task,
        lambda: PolicyActor(brain, reflex=reflex()),
        template,
        trials=trials,
        seed=seed,
        store=store,
        done=done,
        report=lambda result: watcher.trial(result, {}),
    )


def saved_results(store: EpisodeStore, source: str) -> list[TrialResult]:
    """Results of the trials of a source, from the first to the last that has all before it."""
    by_trial = {row.trial: row.id for row in store.rows(source=source)}
    results: list[TrialResult] = []
    while len(results) in by_trial:
        results.append(TrialResult.of(store.read(by_trial[len(results)]), len(results)))
    return results


def enough(results: Sequence[TrialResult]) -> bool:
    """Whether more practice would teach little: the last trials without noise were all taken for successes."""
    last = checks_of(results).trials[-ENOUGH_CHECKS:]
    return len(last) == ENOUGH_CHECKS and all(result.claimed for result in last)


def figures_of(outcome: Outcome, plan: Plan) -> dict[str, Any]:
    """All figures of a run, with intervals."""
    practised = Evaluation(outcome.practised)
    curve = [
        Rate(sum(one.success for one in chunk), len(chunk)).as_json()
        for start in range(0, len(outcome.practised), 25)
        for chunk in (outcome.practised[start : start + 25],)
    ]
    return {
        "scenario": plan.scenario,
        "gate": plan.gate,
        "zero_shot": outcome.zero_shot.as_json(),
        "practice": {
            "trials": len(outcome.practised),
            **practised.as_json(),
            "success_by_25_trials": curve,
            "without_noise": checks_of(outcome.practised).as_json(),
        },
        "acceptance": outcome.acceptance.as_json(),
    }


def _card(
    bundle: Bundle, loaded: LoadedCell, variant: Variant, figures: dict[str, Any], seed: int, command: str
) -> Card:
    card = bundle.card
    return new_card(
        skill=card.skill,
        variant=variant.name,
        recipe=card.recipe,
        views=card.views,
        size_px=card.size_px,
        control=control_of(loaded),
        reward=card.reward,
        data=card.data,
        figures=figures,
        seed=seed,
        parent=str(bundle.folder.name) + " of " + (card.variant or "pretraining"),
        command=command,
    )
