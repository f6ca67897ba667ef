"""Offline data: a demonstrator that knows the truth, or a policy, on many variants, several processes at once.

A demonstrator shows how it is done. What a policy runs into is seen only when it acts: places beside the goal that its
eyes take for the goal, and pressing on where it has arrived. A reward model must know both.
"""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.episodes import EpisodeStore
from skillcore.errors import DeviceError, SkillcoreError
from skillcore.learning.bundles import load_bundle
from skillcore.learning.processes import parent_lives, process_context
from skillcore.learning.recipe import Brain
from skillcore.learning.rollout import DemonstratorActor, PolicyActor, run_episode
from skillcore.learning.seeds import rng_for, seed_for
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.skill import COLLECTING, Actor, Skill, Variant
from skillcore.task import Task
from skillcore.types import Episode, EpisodeInfo

MAX_STEPS = 26
STEPS_AFTER_SUCCESS = 4
"""What success looks like, and nearly success: the demonstrator draws back a little and seats the plug again."""
POLICY_STEPS_AFTER_SUCCESS = 10
"""A policy knows of no success and goes on."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What is to be collected: `episodes` of each variant, on one of the cells in turn.

    variants: how many, from which number on, with what seed they are drawn, and which are left out; or `names` of
    single ones. policy: folder of a bundle that acts: its policy, its policy with noise, and the skill's search
    around where it locates success, in turn; "" for the demonstrator. one_bench: whether a variant looks the same in
    all its episodes, as where each is filmed in one go, instead of anew in each.
    """

    skill: str
    cells: tuple[str, ...]
    episodes: int
    seed: int
    count: int = 0
    first: int = 0
    policy: str = ""
    without: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    one_bench: bool = False

    @property
    def variants(self) -> int:
        """How many variants."""
        return len(self.names) or self.count

    def variant(self, skill: Skill, index: int) -> Variant:
        """One of them. Raises UnknownNameError for a name that is none."""
        if self.names:
            return skill.variant(self.names[index])
        return skill.training_variant(self.first + index, seed=self.seed, without=self.without)


class Stopping:
    """Ends an episode some steps after its first success."""

    def __init__(self, task: Task, steps: int) -> None:
        self._task = task
        self._steps = steps
        self._after = 0

    def start(self) -> None:
        self._after = 0

    def judge(self, observation: Any) -> tuple[float, bool]:
        truth = self._task.truth()
        if truth is not None and (truth.success or self._after):
            self._after += 1
        return float("nan"), self._after > self._steps


def collect_variant(
    skill: Skill,
    task: Task,
    variant: Variant,
    *,
    cell_name: str,
    episodes: int,
    seed: int,
    policy: Brain | None = None,
    one_bench: bool = False,
) -> list[Episode]:
    """Episodes of one variant, each with a look of its own, or all with `one_bench`. Those that end in a fault of the
    arm are left out.

    policy: who acts; without it the skill's demonstrator.
    """
    found = []
    for number in range(episodes):
        task.change_look(seed_for(seed, f"look of {variant.name}", 0 if one_bench else number))
        info = EpisodeInfo(
            skill=skill.name,
            variant=variant.name,
            cell=cell_name,
            seed=seed_for(seed, f"collect {variant.name}", number),
            source="collect" if policy is None else "rollout",
            outcome="timeout",
            trial=number,
            scenario=COLLECTING,
        )
        rng = rng_for(seed, f"demonstrate {variant.name}", number)
        actor: Actor
        if policy is None:
            actor = DemonstratorActor(skill.demonstrator(task.cell, variant, rng))
        else:
            actor = _rollout_actor(skill, task, variant, policy, number, rng)
        try:
            episode = run_episode(task, actor, info, labelled=True)
        except DeviceError:
            # A plug that is torn at may trip the arm; a demonstrator's mishap is no news.
            task.cell.recover()
            continue
        # An episode goes on after success, so that how it ended is no reward: the labels are.
        episode.reward[:] = episode.success[1:] == 1
        found.append(episode)
    return found


def _rollout_actor(
    skill: Skill, task: Task, variant: Variant, policy: Brain, number: int, rng: np.random.Generator
) -> Actor:
    """Who acts in a policy's episode: the policy, the policy with noise, or the search that practice explores with."""
    search = skill.explorer(task.cell, variant, policy.locate) if number % 3 == 2 else None
    if search is not None:
        return search(rng)
    return PolicyActor(policy, rng if number % 3 else None, skill.reflex(task.cell))


def collect(
    assignment: Assignment,
    folder: Path,
    *,
    workers: int = 0,
    report: Callable[[int, int, int], None] = lambda episodes, total, steps: None,
) -> None:
    """Collects into the episode store in `folder`, on `workers` processes (one per core by default).

    Variants that the store holds already are skipped, so an interrupted collection goes on where it was. `report` is
    told the episodes done, of how many, and the steps in them. Only simulated cells can be opened by several processes,
    so a real one is collected on by one. Raises what a worker raised.
    """
    with EpisodeStore(folder) as store:
        have = frozenset(row.variant for row in store.rows())
    registry = Registry.discover()
    skill: Skill = registry.make("skills", assignment.skill, {}, Context(name=assignment.skill))
    for index in range(len(assignment.names)):
        assignment.variant(skill, index)
    cells = [load_cell(cell, registry) for cell in assignment.cells]
    simulated = all(cell.simulation is not None for cell in cells)
    count = min(workers or os.cpu_count() or 1, assignment.variants) if simulated else 1
    total, done, steps = assignment.episodes * assignment.variants, 0, 0
    report(done, total, steps)
    context = process_context()
    news: Any = context.Queue()
    stop = context.Event()
    processes = [
        context.Process(target=_work, args=(assignment, folder, have, rank, count if simulated else 0, news, stop))
        for rank in range(count)
    ]
    for process in processes:
        process.start()
    failure: SkillcoreError | None = None
    try:
        while any(process.is_alive() for process in processes) or not news.empty():
            try:
                item = news.get(timeout=0.5)
            except queue.Empty:
                continue
            if isinstance(item, SkillcoreError):
                failure = failure or item
                stop.set()
                continue
            done, steps = done + item[0], steps + item[1]
            report(done, total, steps)
    finally:
        stop.set()
        for process in processes:
            process.join()
    if failure is not None:
        raise failure
    broken = [process.exitcode for process in processes if process.exitcode]
    if broken:
        raise DeviceError(
            f"a collecting process ended with code {broken[0]}", cure="run the command again: what is saved is kept"
        )


def _work(
    assignment: Assignment, folder: Path, have: frozenset[str], rank: int, workers: int, news: Any, stop: Any
) -> None:
    """One process's share. A Ctrl-C reaches all processes; this one leaves it to its parent to say `stop`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        registry = Registry.discover()
        skill: Skill = registry.make("skills", assignment.skill, {}, Context(name=assignment.skill))
        cells = [load_cell(cell, registry) for cell in assignment.cells]
        policy = None
        if assignment.policy:
            torch.set_num_threads(1)
            policy = load_bundle(Path(assignment.policy), registry, device="cpu").brain
        instance = f"collecting-{rank}" if workers else ""
        own = range(rank, assignment.variants, max(1, workers))
        with EpisodeStore(folder) as store:
            for turn, loaded in enumerate(cells):
                # Every variant meets one of the cells, in turn, the same with however many processes; each cell is
                # opened once.
                mine = [index for index in own if index % len(cells) == turn]
                if not mine:
                    continue
                with open_cell(loaded, instance=instance) as cell:
                    for index in mine:
                        if stop.is_set() or not parent_lives():
                            return
                        variant = assignment.variant(skill, index)
                        episodes = [] if variant.name in have else _episodes(assignment, skill, cell, variant, policy)
                        if episodes:
                            store.append_many(episodes)
                        news.put((assignment.episodes, sum(episode.steps for episode in episodes)))
    except SkillcoreError as error:
        news.put(error)


def _episodes(
    assignment: Assignment, skill: Skill, cell: Cell, variant: Variant, policy: Brain | None
) -> list[Episode]:
    seed = seed_for(assignment.seed, f"specimen of {variant.name}")
    steps = MAX_STEPS if policy is None else skill.max_steps
    task = skill.task(cell, variant, scenario=COLLECTING, seed=seed, judge=None, max_steps=steps)
    task.judge = Stopping(task, STEPS_AFTER_SUCCESS if policy is None else POLICY_STEPS_AFTER_SUCCESS)
    return collect_variant(
        skill,
        task,
        variant,
        cell_name=cell.name,
        episodes=assignment.episodes,
        seed=assignment.seed,
        policy=policy,
        one_bench=assignment.one_bench,
    )
