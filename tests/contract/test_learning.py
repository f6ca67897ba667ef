"""The parts that learn keep their promises; and a part that breaks one is found."""

from __future__ import annotations

import copy
import inspect
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.errors import PluginError
from skillcore.interfaces import Learner, Representation, RewardModel
from skillcore.learning.replay import Transitions
from skillcore.learning.training import Progress, silent
from skillcore.parts import Context, ViewShape
from skillcore.plugins import Registry
from skillcore.testing.learning import (
    LearnerContract,
    PlainRepresentation,
    RepresentationContract,
    RewardModelContract,
)
from skillcore.testing.learning.made_up import made_up_data
from skillcore.types import Observation, Past

SMALL = {"channels": (8, 8), "code_dim": 8}


def representation(name: str, *, views: int, size_px: int, domains: int) -> Representation:
    context = Context(name=name, views=ViewShape(views, size_px, domains))
    made: Representation = Registry.discover().make("representations", name, SMALL, context)
    return made


class TestErm(RepresentationContract):
    name = "erm"

    def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
        return representation(self.name, views=views, size_px=size_px, domains=domains)


class TestDann(TestErm):
    name = "dann"


class TestVib(TestErm):
    name = "vib"


class TestDaib(TestErm):
    name = "daib"


class TestPlainRepresentation(RepresentationContract):
    def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
        return PlainRepresentation(views=views, size_px=size_px)


class TestDaibRewardModel(RewardModelContract):
    touch = True

    def make_reward_model(self, *, views: int, size_px: int, domains: int) -> RewardModel:
        shape = ViewShape(views, size_px, domains)

        def make(name: str, options: object) -> Representation:
            return representation(name, views=views, size_px=size_px, domains=domains)

        options = {
            "representation_options": SMALL, "steps": 30, "batch": 32, "touch": self.touch, "touch_steps": 60,
        }  # fmt: skip
        context = Context(views=shape, make_representation=make)
        made: RewardModel = Registry.discover().make("reward_models", "daib", options, context)
        return made


class TestDaibRewardModelBySightAlone(TestDaibRewardModel):
    touch = False


class TestIql(LearnerContract):
    name = "iql"

    def make_learner(self, feature_dim: int) -> Learner:
        options = {"hidden": 16, "pretrain_steps": 5}
        made: Learner = Registry.discover().make("learners", self.name, options, Context(feature_dim=feature_dim))
        return made


class TestRlpd(TestIql):
    name = "rlpd"


# --- broken parts ---


class Noisy(TestErm):
    """Codes that are another every time."""

    def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
        made = representation("erm", views=views, size_px=size_px, domains=domains)
        encode = made.encode
        made.encode = lambda images: encode(images) + torch.rand(())  # type: ignore[method-assign]
        return made


def test_codes_at_random_are_found() -> None:
    suite, images = Noisy(), torch.zeros((5, 2, 3, 16, 16))
    broken = suite.make_representation(views=2, size_px=16, domains=3)
    with pytest.raises(pytest.fail.Exception, match="deterministic"):
        suite.test_encoding_repeats(broken, images)


class Unbounded(TestIql):
    """Actions of any size."""

    def make_learner(self, feature_dim: int) -> Learner:
        learner = super().make_learner(feature_dim)

        def act(features: NDArray[np.float32], *, explore: object) -> NDArray[np.float32]:
            return np.full(4, 2.0, np.float32)

        learner.act = act  # type: ignore[method-assign,assignment]
        return learner


def test_actions_out_of_bounds_are_found() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"in \[-1, 1\]"):
        Unbounded().test_actions_are_four_numbers_within_bounds()


class Forgetful(TestDaibRewardModel):
    """Loses what it learned on its way to the disk."""

    def make_reward_model(self, *, views: int, size_px: int, domains: int) -> RewardModel:
        model = super().make_reward_model(views=views, size_px=size_px, domains=domains)
        model.load = lambda folder: None  # type: ignore[method-assign]
        return model


def test_a_reward_model_that_forgets_is_found(tmp_path: Path) -> None:
    suite = Forgetful()
    model = suite.make()
    score = model.score

    def shifted(observations: Observation, past: Past) -> NDArray[np.float32]:
        return np.clip(score(observations, past) + np.float32(0.1), 0.0, 1.0)

    model.score = shifted  # type: ignore[method-assign]
    with pytest.raises(pytest.fail.Exception, match="reads what save wrote"):
        suite.test_it_comes_back_from_its_files(model, tmp_path)
    with pytest.raises(pytest.fail.Exception, match="BundleError where its files are missing"):
        suite.test_missing_files_are_told_of(tmp_path)


class Mixed(TestErm):
    """Names a feature map in which the views of a sample are far apart."""

    def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
        class Swapped(torch.nn.Module):
            def forward(self, maps: torch.Tensor) -> torch.Tensor:
                return maps.unflatten(0, (-1, views)).transpose(0, 1).flatten(0, 1)

        class Odd(Representation):
            feature_dim = views * 3
            module = torch.nn.Sequential(Swapped())
            feature_maps: ClassVar[dict[str, torch.nn.Module]] = {"swapped": module[0]}

            def encode(self, images: torch.Tensor) -> torch.Tensor:
                maps = self.module(images.flatten(0, 1))
                return torch.as_tensor(maps.mean((2, 3)).unflatten(0, (views, -1)).transpose(0, 1).flatten(1))

            def encode_with_penalty(
                self, images: torch.Tensor, domains: torch.Tensor, progress: float
            ) -> tuple[torch.Tensor, torch.Tensor]:
                return self.encode(images), images.new_zeros(())

        return Odd()


def test_feature_maps_that_mix_up_views_are_found() -> None:
    suite, images = Mixed(), torch.rand((5, 2, 3, 16, 16))
    broken = suite.make_representation(views=2, size_px=16, domains=3)
    with pytest.raises(pytest.fail.Exception, match="views of a sample next to each other"):
        suite.test_feature_maps_are_of_one_view_each(broken, images)
    suite.test_codes_depend_on_their_feature_maps(broken, images)


class Fickle(TestIql):
    """Draws what it is pretrained on anew every time."""

    def make_learner(self, feature_dim: int) -> Learner:
        learner = super().make_learner(feature_dim)
        pretrain = learner.pretrain

        def fickle(prior: Transitions, *, seed: int, progress: Progress) -> None:
            pretrain(prior, seed=int(np.random.default_rng().integers(2**31)), progress=progress)

        learner.pretrain = fickle  # type: ignore[method-assign]
        return learner


def test_pretraining_at_random_is_found() -> None:
    with pytest.raises(pytest.fail.Exception, match="pretrain does the same for the same seeds"):
        Fickle().test_pretraining_follows_from_its_seed()


class Taught(TestDaibRewardModelBySightAlone):
    """Is fitted in another way."""

    def __init__(self, fault: str) -> None:
        self.broken = fault

    def make_reward_model(self, *, views: int, size_px: int, domains: int) -> RewardModel:
        model = super().make_reward_model(views=views, size_px=size_px, domains=domains)
        fit = model.fit

        def odd(data: ReplayCache, *, seed: int, progress: Progress, start: Representation | None = None) -> None:
            if self.broken == "learns nothing":
                return
            if self.broken == "at random":
                seed = int(np.random.default_rng().integers(2**31))
            if self.broken == "takes the unknown for its contrary":
                data = copy.copy(data)
                data.success = np.where(data.success < 0, 0, 1 - data.success)
            if start is not None and self.broken == "takes any start":
                model.sight.representations[0].module.load_state_dict(start.module.state_dict())  # type: ignore[union-attr]
            fit(data, seed=seed, progress=progress, start=start)

        model.fit = odd  # type: ignore[method-assign]
        return model


@pytest.mark.parametrize(
    ("fault", "test", "promise"),
    [
        ("learns nothing", "test_it_learns_what_is_plain_to_see", "successes score higher"),
        ("at random", "test_training_follows_from_its_seed", "RewardModel.fit does the same for the same seeds"),
        ("takes the unknown for its contrary", "test_frames_of_which_nobody_knows_are_no_failures", "unknown"),
    ],
)
def test_a_reward_model_that_is_fitted_wrongly_is_found(fault: str, test: str, promise: str) -> None:
    suite = Taught(fault)
    model = suite.make()
    model.fit(made_up_data(0), seed=0, progress=silent)
    with pytest.raises(pytest.fail.Exception, match=promise):
        getattr(suite, test)(*[model] if "trained" in inspect.signature(getattr(suite, test)).parameters else [])


def test_a_reward_model_that_takes_one_start_only_is_found() -> None:
    with pytest.raises(RuntimeError, match="state_dict"):
        Taught("takes any start").test_it_may_begin_from_any_representation()


class TwoFaced(TestIql):
    """Shows another policy than the one that acts."""

    def make_learner(self, feature_dim: int) -> Learner:
        learner = super().make_learner(feature_dim)
        torch.nn.init.ones_(next(learner.policy_module.parameters()))
        act = super().make_learner(feature_dim).act
        learner.act = act  # type: ignore[method-assign]
        return learner


def test_a_policy_that_is_not_the_one_that_acts_is_found() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"does what Learner\.act does"):
        TwoFaced().test_the_policy_it_shows_is_the_one_that_acts()


class Stale(TestIql):
    """Offers a module that keeps the weights of before."""

    def make_learner(self, feature_dim: int) -> Learner:
        learner = super().make_learner(feature_dim)
        before = copy.deepcopy(learner.policy_module)
        stale = type("Stale", (type(learner),), {"policy_module": property(lambda self: before)})
        learner.__class__ = stale
        return learner


def test_a_module_that_acts_otherwise_is_found(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"what the greedy Learner.act does, with the weights of now"):
        Stale().test_its_module_acts_alike(tmp_path)


class Unfollowed(TestErm):
    """Encodes in numpy."""

    def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
        made = representation("erm", views=views, size_px=size_px, domains=domains)
        encode = made.encode
        made.encode = lambda images: torch.from_numpy(encode(images).detach().numpy())  # type: ignore[method-assign]
        return made


def test_an_encoder_that_cannot_be_exported_is_found() -> None:
    suite, images = Unfollowed(), torch.zeros((5, 2, 3, 16, 16))
    broken = suite.make_representation(views=2, size_px=16, domains=3)
    with pytest.raises(pytest.fail.Exception, match=r"plain torch operations"):
        suite.test_encoding_can_be_exported(broken, images)


def test_a_module_that_scores_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = TestDaibRewardModelBySightAlone()
    model = suite.make()
    right = model.scoring_module

    class Shifted(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.right = right

        def forward(
            self,
            images: torch.Tensor,
            pose: torch.Tensor,
            wrench: torch.Tensor,
            past_pose: torch.Tensor,
            past_wrench: torch.Tensor,
        ) -> torch.Tensor:
            return torch.as_tensor(self.right(images, pose, wrench, past_pose, past_wrench)) + 0.1

    monkeypatch.setattr(type(model), "scoring_module", property(lambda self: Shifted()))
    with pytest.raises(pytest.fail.Exception, match=r"scores as RewardModel.score does"):
        suite.test_its_module_scores_alike(model)


def test_modules_are_optional_and_their_lack_is_told_by_name() -> None:
    class Bare(Learner):
        """Offers no module."""

        pretrain = begin_practice = act = learn = save = load = None  # type: ignore[assignment]

    class BareModel(RewardModel):
        """Offers no module."""

        fit = score = save = load = None  # type: ignore[assignment]

    for part, name in ((Bare(), "policy_module"), (BareModel(), "scoring_module")):
        with pytest.raises(PluginError, match=rf"{type(part).__qualname__} offers no {name}") as caught:
            getattr(part, name)
        assert name in caught.value.cure


def test_all_parts_that_come_along_offer_their_modules() -> None:
    # The suites skip what is not offered.
    for learner in (TestIql(), TestRlpd()):
        assert isinstance(learner.make().policy_module, torch.nn.Module)
    for model in (TestDaibRewardModel(), TestDaibRewardModelBySightAlone()):
        assert isinstance(model.make().scoring_module, torch.nn.Module)
