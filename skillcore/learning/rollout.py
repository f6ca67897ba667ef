"""One episode: an actor and a task, step by step, written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.learning.recipe import Brain
from skillcore.learning.rewarding import batch_of_one
from skillcore.learning.threads import on_one_thread
from skillcore.skill import Actor, Demonstrator, Reflex
from skillcore.task import Task
from skillcore.types import Episode, EpisodeInfo, Observation

UNKNOWN = np.full(6, np.nan, np.float32)


class DemonstratorActor:
    """Acts by the truth."""

    def __init__(self, demonstrator: Demonstrator) -> None:
        self._demonstrator = demonstrator

    def __call__(self, observation: Observation, info: dict[str, Any], /, *, last: bool) -> NDArray[np.float32]:
        return self._demonstrator.act(info["truth"])


@dataclass(slots=True, eq=False)
class PolicyActor:
    """Acts by a learner's policy, and keeps the features it acted on.

    explore: random numbers for exploration; without them the policy is greedy. reflex: has the last word on every
    action. features: as they were before the way was adapted.
    """

    brain: Brain
    explore: np.random.Generator | None = None
    reflex: Reflex | None = None
    features: list[NDArray[np.float32]] = field(default_factory=list)

    def __call__(self, observation: Observation, info: dict[str, Any], /, *, last: bool) -> NDArray[np.float32]:
        batch = batch_of_one(observation)
        features = self.brain.perception.features(batch)
        self.features.append(features[0])
        if last:
            return np.zeros(4, np.float32)
        action = self.brain.learner.act(self.brain.adapted(features, batch["images"])[0], explore=self.explore)
        return action if self.reflex is None else self.reflex(observation, action)


def run_episode(
    task: Task,
    actor: Actor,
    info: EpisodeInfo,
    *,
    labelled: bool = False,
    ready: Callable[[], None] = lambda: None,
) -> Episode:
    """Runs one episode, from a reset with `info.seed` to its end, and fills `info` in.

    labelled: the truth becomes the label to train on, as in offline data. ready: called between the reset and the first
    step, and waited for. Raises as `Task.reset` does.
    """
    info.started_at = datetime.now(UTC).isoformat(timespec="seconds")
    observation, told = task.reset(seed=info.seed)
    ready()
    x, y, z, turn_x, turn_y, turn_z = task.cell.start_from_base.as_vector().tolist()
    info.start_from_base = (x, y, z, turn_x, turn_y, turn_z)
    observations, tolds = [observation], [told]
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    terminated = truncated = False
    with on_one_thread():
        task.cell.restart_clock()
        while not (terminated or truncated):
            action = actor(observation, told, last=False)
            observation, reward, terminated, truncated, told = task.step(action)
            observations.append(observation)
            tolds.append(told)
            actions.append(np.asarray(action, np.float32))
            rewards.append(reward)
        actor(observation, told, last=True)
    cell = task.cell
    info.outcome = "success" if terminated else "aborted" if told["aborted"] else "timeout"
    info.control_hz = cell.config.control.rate_hz
    info.overruns = cell.overruns
    info.clamps = cell.guard.clamps
    info.peak_force_n = cell.guard.peak_force_n
    info.note = told["aborted"]
    truth = np.array([-1 if one["is_success"] is None else int(one["is_success"]) for one in tolds], np.int8)
    seated = [UNKNOWN if one["truth"] is None else one["truth"].seated_from_tcp.as_vector() for one in tolds]
    return Episode(
        info=info,
        images=np.stack([one["images"] for one in observations]),
        pose=np.stack([one["pose"] for one in observations]),
        wrench=np.stack([one["wrench"] for one in observations]),
        action=np.stack(actions),
        executed=np.stack([one["executed"] for one in tolds[1:]]),
        reward=np.array(rewards, np.float32),
        score=np.array([one["score"] for one in tolds], np.float32),
        success=truth.copy() if labelled else np.full(len(tolds), -1, np.int8),
        truth=truth,
        # What only a simulation knows is kept out of what practice could learn from.
        seated_from_tcp=np.stack(seated).astype(np.float32) if labelled else np.tile(UNKNOWN, (len(tolds), 1)),
    )
