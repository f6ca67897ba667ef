"""Learners find the known optimum of a small problem, offline and in practice, and go on exactly after a reload."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skillcore.errors import BundleError
from skillcore.interfaces import Learner
from skillcore.learning.replay import Transitions
from skillcore.learning.training import silent
from skillcore_iql.iql import Iql
from skillcore_iql.options import IqlOptions
from skillcore_rlpd.options import RlpdOptions
from skillcore_rlpd.rlpd import Rlpd

Make = Callable[..., Learner]


def make_iql(feature_dim: int, **options: Any) -> Learner:
    chosen = {"hidden": 64, "pretrain_steps": 900, "learning_rate": 1e-3, **options}
    return Iql(IqlOptions(**chosen), feature_dim=feature_dim)


def make_rlpd(feature_dim: int, **options: Any) -> Learner:
    chosen = {"hidden": 64, "critics": 3, "batch": 128, "pretrain_steps": 500, "learning_rate": 1e-3, **options}
    return Rlpd(RlpdOptions(**chosen), feature_dim=feature_dim)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Networks begin with the same weights in every run."""
    torch.manual_seed(0)


every_learner = pytest.mark.parametrize("make", [make_iql, make_rlpd])


def success(learner: Learner, world: Any, *, steps: int = 8, trials: int = 60) -> float:
    """The share of trials in which the greedy policy reaches the goal; the best policy needs at most 6 steps."""
    reached = 0
    for _ in range(trials):
        state = world.start()
        for _ in range(steps):
            state, done = world.step(state, learner.act(state, explore=None))
            if done:
                reached += 1
                break
    return reached / trials


@every_learner
def test_it_finds_the_optimum_offline(make: Make, world: Any) -> None:
    learner = make(world.feature_dim)
    assert success(learner, world) < 0.6
    learner.pretrain(world.transitions(3000, expert=0.3), seed=0, progress=silent)
    assert success(learner, world) > 0.9
    action = learner.act(np.array([0.8, -0.8, 0.0, 0.0], np.float32), explore=None)
    assert action[0] < -0.4
    assert action[1] > 0.4


def test_rlpd_learns_from_practice_alone(world: Any) -> None:
    learner = make_rlpd(world.feature_dim, practice_batch=64, online_share=1.0, noise=0.5)
    learner.begin_practice(Transitions.none(world.feature_dim))
    rng = np.random.default_rng(0)
    parts = [world.transitions(200, expert=0.0)]
    for _ in range(40):
        state, rows = world.start(), []
        for _ in range(8):
            action = learner.act(state, explore=rng)
            after, reached = world.step(state, action)
            rows.append((state, action, float(reached), after, 1.0 - reached))
            state = after
            if reached:
                break
        parts.append(Transitions(*(np.array(column, np.float32) for column in zip(*rows, strict=True))))
        learner.learn(Transitions.joined(parts), rng=rng, steps=len(rows))
    assert success(learner, world) > 0.8


@every_learner
def test_it_goes_on_exactly_after_a_reload(make: Make, world: Any, tmp_path: Path) -> None:
    online, prior = world.transitions(200, expert=0.2), world.transitions(200, expert=0.5)
    first, second = make(world.feature_dim), make(world.feature_dim)
    for learner in (first, second):
        learner.begin_practice(prior)
    first.learn(online, rng=np.random.default_rng(1), steps=5)
    first.save(tmp_path)
    second.load(tmp_path)
    for learner in (first, second):
        learner.learn(online, rng=np.random.default_rng(2), steps=5)
    state = world.start()
    np.testing.assert_array_equal(first.act(state, explore=None), second.act(state, explore=None))


@every_learner
def test_what_ships_is_small_and_acts_alike(make: Make, world: Any, tmp_path: Path) -> None:
    first, second = make(world.feature_dim), make(world.feature_dim)
    first.learn(world.transitions(300, expert=0.5), rng=np.random.default_rng(1), steps=3)
    first.save(tmp_path, resumable=False)
    assert not (tmp_path / "optimizers.safetensors").exists()
    second.load(tmp_path)
    state = world.start()
    np.testing.assert_array_equal(first.act(state, explore=None), second.act(state, explore=None))


@every_learner
def test_weights_of_another_shape_are_refused(make: Make, world: Any, tmp_path: Path) -> None:
    make(world.feature_dim).save(tmp_path)
    with pytest.raises(BundleError, match=r"learner\.safetensors.*made for another network"):
        make(world.feature_dim + 1).load(tmp_path)


@every_learner
def test_greedy_actions_repeat_and_exploration_varies(make: Make, world: Any) -> None:
    learner, state = make(world.feature_dim), world.start()
    greedy = learner.act(state, explore=None)
    assert greedy.shape == (4,)
    assert greedy.dtype == np.float32
    np.testing.assert_array_equal(greedy, learner.act(state, explore=None))
    rng = np.random.default_rng(0)
    tried = np.stack([learner.act(state, explore=rng) for _ in range(20)])
    assert tried.std(0).min() > 0.05
    assert np.abs(tried).max() <= 1.0
