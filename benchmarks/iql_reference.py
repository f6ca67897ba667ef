"""Sets this IQL beside d3rlpy's: the same data, network, batch and settings, on the same machine, in one run.

    python benchmarks/iql_reference.py [--connector audio_3_5] [--steps 8000] [--seeds 3] [--trials 100]

Data: the offline steps in features that the bundle brings along. Both are trained on them, and both policies then do
the task in the simulated cell, with the same starts: success, and the mean of the discounted returns. Speed is that of
whole updates, drawing the batch included, and that of updates of a batch that is at hand. Needs d3rlpy (2.8), which is
needed nowhere else and asks for another gymnasium than ours; `pip` says so and both work. Exit code 1 below twice its
speed.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from skillcore.cell import open_cell
from skillcore.cell_config import load_cell
from skillcore.learning.bundles import load_bundle
from skillcore.learning.evaluate import Rate
from skillcore.learning.recipe import Brain
from skillcore.learning.replay import Batch, Transitions, mixed_batch
from skillcore.learning.rollout import PolicyActor, run_episode
from skillcore.learning.seeds import seed_for
from skillcore.learning.training import silent
from skillcore.plugins import Registry
from skillcore.types import EpisodeInfo
from skillcore_insertion.skill import InsertionSkill
from skillcore_iql.iql import Iql
from skillcore_iql.options import IqlOptions

TARGET_RATIO = 2.0
ROUNDS, UPDATES = 5, 200


class Theirs:
    """d3rlpy's IQL, as far as acting and training go."""

    def __init__(self, options: IqlOptions, prior: Transitions) -> None:
        import d3rlpy
        from d3rlpy.models.encoders import VectorEncoderFactory

        network = VectorEncoderFactory([options.hidden, options.hidden])
        config = d3rlpy.algos.IQLConfig(
            actor_learning_rate=options.learning_rate,
            critic_learning_rate=options.learning_rate,
            actor_encoder_factory=network,
            critic_encoder_factory=network,
            value_encoder_factory=network,
            batch_size=options.batch,
            gamma=options.discount,
            tau=options.target_rate,
            n_critics=2,
            expectile=options.expectile,
            weight_temp=options.temperature,
            max_weight=100.0,
        )
        self.algorithm = config.create(device="cpu:0")
        self.buffer = d3rlpy.dataset.create_infinite_replay_buffer(_episodes(prior))
        self.algorithm.build_with_dataset(self.buffer)
        self._batch = options.batch

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.algorithm.update(self.buffer.sample_transition_batch(self._batch))

    def act(self, features: NDArray[np.float32], *, explore: np.random.Generator | None) -> NDArray[np.float32]:
        action = self.algorithm.predict(features[None])[0]
        return np.asarray(np.clip(action, -1.0, 1.0), np.float32)


def _episodes(prior: Transitions) -> list[object]:
    """Every step as an episode of its own: it ends in success, or is cut off in a second one, which holds the state
    that it led to and is never drawn."""
    import d3rlpy

    found: list[object] = []
    for index in range(len(prior)):
        done = bool(prior.continues[index] == 0.0)
        states = prior.features[index : index + 1]
        if not done:
            states = np.concatenate([states, prior.next_features[index : index + 1]])
        found.append(
            d3rlpy.dataset.Episode(
                observations=states,
                actions=np.repeat(prior.actions[index : index + 1], len(states), axis=0),
                rewards=np.full((len(states), 1), prior.rewards[index], np.float32),
                terminated=done,
            )
        )
    return found


class Measured:
    """Success, and returns discounted by step, of all seeds of one policy."""

    def __init__(self) -> None:
        self.hits, self.returns = 0, list[float]()

    def __str__(self) -> str:
        rate = Rate(self.hits, len(self.returns))
        low, high = rate.interval
        spread = 1.96 * float(np.std(self.returns)) / math.sqrt(len(self.returns))
        mean = float(np.mean(self.returns))
        return f"success {rate.value:.0%} (95 % interval {low:.0%} to {high:.0%}), return {mean:.3f} +- {spread:.3f}"


def returns_of(brain: Brain, connector: str, seed: int, trials: int, discount: float, found: Measured) -> None:
    """Greedy trials in the simulated cell, judged by the truth: nothing is learned from them."""
    skill, registry = InsertionSkill(), Registry.discover()
    with open_cell(load_cell("sim", registry), instance=f"iql-{seed}") as cell:
        task = skill.task(cell, skill.variant(connector), scenario="I", seed=seed, judge=None)
        for number in range(trials):
            info = EpisodeInfo(
                skill=skill.name,
                variant=connector,
                cell="sim",
                seed=seed_for(seed, "reference", number),
                source="benchmark",
                outcome="timeout",
            )
            reached = np.flatnonzero(run_episode(task, PolicyActor(brain), info).truth == 1)
            found.hits += bool(len(reached))
            found.returns.append(float(discount ** (reached[0] - 1)) if len(reached) else 0.0)


def per_second(update: Callable[[], object]) -> float:
    """Updates a second, the best of several rounds."""
    best = math.inf
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(UPDATES):
            update()
        best = min(best, time.perf_counter() - began)
    return UPDATES / best


def main() -> int:
    parser = argparse.ArgumentParser(description="this IQL beside d3rlpy's: returns and speed")
    parser.add_argument("--connector", default="audio_3_5", help="tried on; a validation connector")
    parser.add_argument("--steps", type=int, default=8000, help="gradient steps of each")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=100, help="of each policy and seed")
    parser.add_argument("--bundle", default="", help="the one that ships if none is given")
    arguments = parser.parse_args()
    place = Path(arguments.bundle) if arguments.bundle else InsertionSkill().pretrained
    assert place is not None
    bundle = load_bundle(place, Registry.discover(), device="cpu")
    prior, options = bundle.prior, IqlOptions(pretrain_steps=arguments.steps)
    print(f"{len(prior)} steps of {prior.feature_dim} features; {options.batch} a batch, hidden {options.hidden} twice")

    ours, theirs = Measured(), Measured()
    for seed in range(arguments.seeds):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002  # d3rlpy draws its batches from numpy's global generator
        mine = Iql(options, feature_dim=prior.feature_dim)
        mine.pretrain(prior, seed=seed, progress=silent)
        other = Theirs(options, prior)
        other.train(arguments.steps)
        for policy, found in ((mine, ours), (other, theirs)):
            brain = replace(bundle.brain, learner=policy)
            returns_of(brain, arguments.connector, seed, arguments.trials, options.discount, found)
        print(f"seed {seed} done", flush=True)
    print(f"this IQL  {ours}")
    print(f"d3rlpy    {theirs}")

    none, rng = Transitions.none(prior.feature_dim), np.random.default_rng(0)
    held, drawn = mixed(prior, none, options, rng), other.buffer.sample_transition_batch(options.batch)
    met = True
    for what, my_update, their_update in (
        ("batch at hand", lambda: mine.update(held, rng, 0), lambda: other.algorithm.update(drawn)),
        ("batch drawn", lambda: mine.update(mixed(prior, none, options, rng), rng, 0), lambda: other.train(1)),
    ):
        mine_s, their_s = per_second(my_update), per_second(their_update)
        met = met and mine_s >= TARGET_RATIO * their_s
        print(f"{what:14s} {mine_s:6.0f} updates/s, d3rlpy {their_s:6.0f}: {mine_s / their_s:.1f} times as fast")
    return 0 if met else 1


def mixed(prior: Transitions, none: Transitions, options: IqlOptions, rng: np.random.Generator) -> Batch:
    """A batch as this IQL draws it offline."""
    return mixed_batch(none, prior, size=options.batch, online_share=0.0, rng=rng, device="cpu")


if __name__ == "__main__":
    sys.exit(main())
