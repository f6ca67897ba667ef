"""What every learner must do, as tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from skillcore.errors import BundleError, PluginError
from skillcore.interfaces import Learner
from skillcore.learning.replay import Transitions
from skillcore.learning.training import silent
from skillcore.testing.learning.made_up import FEATURES, made_up_transitions
from skillcore.testing.learning.modules import exported, offered, plain_files
from skillcore.testing.promises import promised, promised_error


class LearnerContract:
    """Subclass it as `class TestMyLearner(LearnerContract)` and fill in `make_learner`."""

    def make_learner(self, feature_dim: int) -> Learner:
        """A new one for features of that length."""
        raise NotImplementedError("fill in make_learner")

    def make(self, seed: int = 0) -> Learner:
        """A new one, its weights drawn from the seed, that may practise."""
        torch.manual_seed(seed)
        learner = self.make_learner(FEATURES)
        learner.begin_practice(made_up_transitions(2))
        return learner

    def test_actions_are_four_numbers_within_bounds(self) -> None:
        learner, rng = self.make(), np.random.default_rng(0)
        for explore in (None, rng):
            for features in 10.0 * made_up_transitions(3).features[:10]:
                action = learner.act(features, explore=explore)
                fine = action.shape == (4,) and action.dtype == np.float32 and float(np.abs(action).max()) <= 1.0
                promised(fine, "Learner.act returns (4,) float32 in [-1, 1]", action)

    def test_greedy_actions_repeat(self) -> None:
        learner, features = self.make(), made_up_transitions(3).features[0]
        first, second = learner.act(features, explore=None), learner.act(features, explore=None)
        promised(bool(np.array_equal(first, second)), "Learner.act is deterministic without `explore`")

    def test_the_policy_it_shows_is_the_one_that_acts(self) -> None:
        learner, features = self.make(), made_up_transitions(3).features[:10]
        try:
            policy = learner.policy_module
        except PluginError as error:
            pytest.skip(error.what)
        inputs = torch.from_numpy(features).requires_grad_(True)
        meant = policy(inputs)
        acted = np.stack([learner.act(one, explore=None) for one in features])
        same = meant.shape == (10, 4) and np.allclose(meant.detach().cpu().numpy().clip(-1.0, 1.0), acted, atol=1e-5)
        promised(bool(same), "Learner.policy_module does what Learner.act does without `explore`", meant.detach())
        (gradient,) = torch.autograd.grad(meant.sum(), inputs, allow_unused=True)
        promised(
            gradient is not None and bool(gradient.any()), "Learner.policy_module can be differentiated by its features"
        )

    def test_exploring_follows_from_its_generator(self) -> None:
        learner, features = self.make(), made_up_transitions(3).features[0]
        first, second = (learner.act(features, explore=np.random.default_rng(5)) for _ in range(2))
        promised(bool(np.array_equal(first, second)), "everything random in Learner.act comes from `explore`")

    def test_learning_follows_from_its_seed(self) -> None:
        features = made_up_transitions(3).features[0]
        acted = []
        for _ in range(2):
            learner = self.make()
            torch.manual_seed(7)
            learner.learn(made_up_transitions(1), rng=np.random.default_rng(7), steps=3)
            acted.append(learner.act(features, explore=None))
        promised(bool(np.array_equal(acted[0], acted[1])), "Learner.learn does the same for the same seeds")

    def test_pretraining_follows_from_its_seed(self) -> None:
        features = made_up_transitions(3).features[0]
        acted = []
        for _ in range(2):
            torch.manual_seed(0)
            learner = self.make_learner(FEATURES)
            learner.pretrain(made_up_transitions(1), seed=7, progress=silent)
            acted.append(learner.act(features, explore=None))
        promised(bool(np.array_equal(acted[0], acted[1])), "Learner.pretrain does the same for the same seeds")

    def test_practice_can_begin_with_no_offline_data(self) -> None:
        learner = self.make()
        learner.begin_practice(Transitions.none(FEATURES))
        figures = learner.learn(made_up_transitions(1), rng=np.random.default_rng(0), steps=2)
        finite = all(np.isfinite(value) for value in figures.values())
        promised(finite, "Learner.learn returns finite figures", dict(figures))

    def test_it_goes_on_exactly_after_a_reload(self, tmp_path: Path) -> None:
        first, second = self.make(0), self.make(1)
        first.learn(made_up_transitions(1), rng=np.random.default_rng(0), steps=3)
        first.save(tmp_path)
        plain_files(tmp_path, "Learner.save")
        second.load(tmp_path)
        features = made_up_transitions(3).features[0]
        for learner in (first, second):
            torch.manual_seed(4)
            learner.learn(made_up_transitions(1), rng=np.random.default_rng(4), steps=3)
        acted = [learner.act(features, explore=None) for learner in (first, second)]
        same = bool(np.array_equal(acted[0], acted[1]))
        promised(same, "Learner.save keeps all that exact resume needs, optimisers included")

    def test_what_ships_acts_alike(self, tmp_path: Path) -> None:
        first, second = self.make(0), self.make(1)
        first.learn(made_up_transitions(1), rng=np.random.default_rng(0), steps=3)
        first.save(tmp_path, resumable=False)
        second.load(tmp_path)
        features = made_up_transitions(3).features[0]
        acted = [learner.act(features, explore=None) for learner in (first, second)]
        promised(bool(np.array_equal(acted[0], acted[1])), "Learner.save(resumable=False) keeps what acts")

    def test_its_module_acts_alike(self, tmp_path: Path) -> None:
        """Skipped where none is offered: it is optional."""
        first, second = self.make(0), self.make(1)
        first.learn(made_up_transitions(1), rng=np.random.default_rng(0), steps=3)
        first.save(tmp_path)
        second.load(tmp_path)
        features = 3.0 * made_up_transitions(3).features[:7]
        inputs = torch.from_numpy(features)
        for learner in (first, second):
            module = offered(learner, "policy_module")
            acted = np.stack([learner.act(one, explore=None) for one in features])
            program = exported(module, inputs[:2], what="Learner.policy_module")
            for what, run in (("Learner.policy_module", module), ("Learner.policy_module, exported,", program)):
                with torch.no_grad():
                    found = run(inputs)
                promised(tuple(found.shape) == (7, 4), f"{what} returns (batch, 4)", tuple(found.shape))
                gap = float(np.abs(found.numpy().clip(-1.0, 1.0) - acted).max())
                promised(gap < 1e-5, f"{what} does what the greedy Learner.act does, with the weights of now", gap)

    def test_weights_of_another_shape_are_told_of(self, tmp_path: Path) -> None:
        self.make().save(tmp_path)
        with promised_error(BundleError, "Learner.load raises BundleError for weights that do not fit"):
            self.make_learner(FEATURES + 1).load(tmp_path)
