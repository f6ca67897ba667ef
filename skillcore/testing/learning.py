"""What every representation, reward model and learner must do, as tests. They need pytest and torch.

    from skillcore.testing.learning import LearnerContract

    class TestMyLearner(LearnerContract):
        def make_learner(self, feature_dim: int) -> Learner:
            return MyLearner(MyOptions(), feature_dim=feature_dim)

Whether something learns well is not asked here: only that it keeps to what is promised, so that practice can be
interrupted, resumed and shipped.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.errors import BundleError, PluginError
from skillcore.interfaces import Learner, Representation, RewardModel
from skillcore.learning.replay import Transitions
from skillcore.learning.training import silent
from skillcore.testing.promises import promised, promised_error
from skillcore.types import Episode, EpisodeInfo

VIEWS, SIZE_PX, DOMAINS = 2, 16, 3
FEATURES = 6
STEPS = 5
PLAIN = {".safetensors", ".json"}


def made_up_transitions(seed: int, count: int = 64, feature_dim: int = FEATURES) -> Transitions:
    """Steps at random, some of which reach a goal."""
    rng = np.random.default_rng(seed)
    rewards = (rng.random(count) < 0.2).astype(np.float32)
    return Transitions(
        rng.normal(size=(count, feature_dim)).astype(np.float32),
        rng.uniform(-1.0, 1.0, (count, 4)).astype(np.float32),
        rewards,
        rng.normal(size=(count, feature_dim)).astype(np.float32),
        1.0 - rewards,
    )


def made_up_data(seed: int, variants: int = DOMAINS, each: int = 4) -> ReplayCache:
    """Labelled episodes whose images brighten towards success, which comes in the last two frames."""
    rng = np.random.default_rng(seed)
    episodes = []
    frames = STEPS + 1
    success = (np.arange(frames) >= STEPS - 1).astype(np.int8)
    for number in range(variants * each):
        light = 20 + 30 * np.arange(frames)[:, None, None, None, None]
        images = (light + rng.integers(0, 20, (frames, VIEWS, SIZE_PX, SIZE_PX, 3))).astype(np.uint8)
        way = np.zeros((frames, 6), np.float32)
        way[:, 2] = 2e-3 * np.maximum(0, STEPS - 1 - np.arange(frames))
        pose = np.zeros((frames, 6), np.float32)
        pose[:, 2] = way[0, 2] - way[:, 2]
        info = EpisodeInfo(
            skill="made up",
            variant=f"variant_{number % variants}",
            cell="nowhere",
            seed=number,
            source="collect",
            outcome="timeout",
        )
        wrench = rng.normal(0.0, 1.0, (frames, 6)).astype(np.float32)
        flat = np.zeros(frames, np.float32)
        acted = rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32)
        rewards = success[1:].astype(np.float32)
        episodes.append(
            Episode(
                info=info,
                images=images,
                pose=pose,
                wrench=wrench,
                action=acted,
                executed=acted,
                reward=rewards,
                score=flat,
                success=success,
                truth=success,
                seated_from_tcp=way,
            )
        )
    return ReplayCache.from_episodes(episodes)


class PlainRepresentation(Representation):
    """Averages of a few squares and two layers on them: something to look through, where any representation will do."""

    def __init__(self, *, views: int, size_px: int, side: int = 4, code_dim: int = 16) -> None:
        if size_px < side:
            raise ValueError(f"images of {size_px} px have no {side} squares beside each other")
        self.feature_dim = code_dim
        self._module = torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(side), torch.nn.Flatten(), torch.nn.Linear(views * 3 * side**2, code_dim)
        )

    @property
    def module(self) -> torch.nn.Module:
        return self._module

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self._module(images.flatten(1, 2)))

    def encode_with_penalty(
        self, images: torch.Tensor, domains: torch.Tensor, progress: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.encode(images), images.new_zeros(())


class RepresentationContract:
    """Subclass it as `class TestMyRepresentation(RepresentationContract)` and fill in `make_representation`."""

    def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
        """A new one for `views` square images of `size_px` and so many domains; the same weights every time."""
        raise NotImplementedError("fill in make_representation")

    @pytest.fixture
    def representation(self) -> Representation:
        """A new one, in evaluation mode."""
        torch.manual_seed(0)
        made = self.make_representation(views=VIEWS, size_px=SIZE_PX, domains=DOMAINS)
        made.module.eval()
        return made

    @pytest.fixture
    def images(self) -> torch.Tensor:
        """A batch of images."""
        return torch.rand((5, VIEWS, 3, SIZE_PX, SIZE_PX), generator=torch.Generator().manual_seed(0))

    def test_codes_are_vectors_of_the_promised_length(
        self, representation: Representation, images: torch.Tensor
    ) -> None:
        code = representation.encode(images)
        promised(
            tuple(code.shape) == (5, representation.feature_dim),
            "Representation.encode returns (batch, feature_dim)",
            tuple(code.shape),
        )
        promised(bool(torch.isfinite(code).all()), "codes are finite numbers", code)

    def test_encoding_repeats(self, representation: Representation, images: torch.Tensor) -> None:
        first, second = representation.encode(images), representation.encode(images)
        promised(torch.equal(first, second), "Representation.encode is deterministic; stochastic codes give their mean")

    def test_a_sample_does_not_depend_on_its_batch(self, representation: Representation, images: torch.Tensor) -> None:
        alone, together = representation.encode(images[:1]), representation.encode(images)[:1]
        promised(
            torch.allclose(alone, together, atol=1e-4),
            "Representation.encode sees each image by itself: a control step is a batch of one",
            float((alone - together).detach().abs().max()),
        )

    def test_encoding_can_be_exported(self, representation: Representation, images: torch.Tensor) -> None:
        code = representation.encode(images)
        exported = _exported(_Encoding(representation), images[:2], what="Representation.encode")
        promised(
            torch.allclose(exported(images), code, atol=1e-5),
            "Representation.encode, exported, does what it does here, for a batch of any size",
        )

    def test_the_penalty_is_one_number_that_can_be_learned_from(
        self, representation: Representation, images: torch.Tensor
    ) -> None:
        domains = torch.arange(5) % DOMAINS
        for progress in (0.0, 0.5, 1.0):
            code, penalty = representation.encode_with_penalty(images, domains, progress)
            promised(tuple(code.shape) == (5, representation.feature_dim), "training codes are shaped as others")
            promised(penalty.shape == (), "the penalty has no axes", tuple(penalty.shape))
            loss = code.square().mean() + penalty
            promised(bool(torch.isfinite(loss)), "the penalty is a finite number", loss.detach())
        if any(one.requires_grad for one in representation.module.parameters()):
            loss.backward()  # type: ignore[no-untyped-call]
            moved = [one.grad is not None for one in representation.module.parameters()]
            promised(any(moved), "gradients reach Representation.module")

    def test_the_module_holds_all_that_encode_needs(self, representation: Representation, images: torch.Tensor) -> None:
        torch.manual_seed(1)
        other = self.make_representation(views=VIEWS, size_px=SIZE_PX, domains=0)
        other.module.load_state_dict(representation.module.state_dict())
        other.module.eval()
        promised(
            torch.equal(other.encode(images), representation.encode(images)),
            "Representation.module holds everything that encode needs, however many domains there were",
        )

    def test_feature_maps_are_of_one_view_each(self, representation: Representation, images: torch.Tensor) -> None:
        maps = representation.feature_maps
        if not maps:
            pytest.skip("it shows no feature maps: `skill inspect` cannot explain it")
        inside = {id(module) for module in representation.module.modules()}
        promised(
            all(id(module) in inside for module in maps.values()),
            "Representation.feature_maps names parts of Representation.module",
            list(maps),
        )
        before = _outputs(representation, images)
        changed = images.clone()
        changed[2, 1] = 1.0 - changed[2, 1]
        after = _outputs(representation, changed)
        for name, found in before.items():
            promised(len(found) == 1, f"feature map {name!r} is worked out once whenever encode runs", len(found))
            shape = tuple(found[0].shape)
            promised(
                len(shape) == 4 and shape[0] == 5 * VIEWS,
                f"feature map {name!r} is (batch * views, channels, rows, columns)",
                shape,
            )
            differ = (found[0] != after[name][0]).flatten(1).any(1)
            promised(
                torch.nonzero(differ).flatten().tolist() == [2 * VIEWS + 1],
                f"feature map {name!r} has the views of a sample next to each other, each seen by itself",
                torch.nonzero(differ).flatten().tolist(),
            )

    def test_codes_depend_on_their_feature_maps(self, representation: Representation, images: torch.Tensor) -> None:
        kept: dict[str, torch.Tensor] = {}
        hooks = [
            module.register_forward_hook(lambda _module, _inputs, out, name=name: kept.__setitem__(name, out))
            for name, module in representation.feature_maps.items()
        ]
        code = representation.encode(images.clone().requires_grad_(True))
        for hook in hooks:
            hook.remove()
        for name, found in kept.items():
            (gradient,) = torch.autograd.grad(code.square().sum(), found, retain_graph=True, allow_unused=True)
            promised(
                gradient is not None and bool(gradient.any()), f"codes depend on feature map {name!r}, differentiably"
            )


def _outputs(representation: Representation, images: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """What the feature maps put out while images are encoded."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in representation.feature_maps}
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, out, name=name: found[name].append(out.detach().clone()))
        for name, module in representation.feature_maps.items()
    ]
    with torch.no_grad():
        representation.encode(images)
    for hook in hooks:
        hook.remove()
    return found


class _Encoding(torch.nn.Module):
    """`Representation.encode` as a module."""

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.module = representation.module
        self._representation = representation

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._representation.encode(images)


class RewardModelContract:
    """Subclass it as `class TestMyRewardModel(RewardModelContract)` and fill in `make_reward_model`."""

    def make_reward_model(self, *, views: int, size_px: int, domains: int) -> RewardModel:
        """A new one for `views` square images of `size_px` and so many domains."""
        raise NotImplementedError("fill in make_reward_model")

    def make(self) -> RewardModel:
        """A new one for the made-up data."""
        torch.manual_seed(0)
        return self.make_reward_model(views=VIEWS, size_px=SIZE_PX, domains=DOMAINS)

    @pytest.fixture
    def trained(self) -> RewardModel:
        """One that was trained."""
        model = self.make()
        model.fit(made_up_data(0), seed=0, progress=silent)
        return model

    def test_scores_are_probabilities(self, trained: RewardModel) -> None:
        scores = _scores(trained, made_up_data(1))
        promised(scores.dtype == np.float32 and scores.ndim == 1, "scores are (batch,) float32", scores.shape)
        within = bool(((scores >= 0.0) & (scores <= 1.0)).all())
        promised(within, "scores are probabilities", (scores.min(), scores.max()))

    def test_scoring_repeats_and_each_frame_stands_for_itself(self, trained: RewardModel) -> None:
        data = made_up_data(1)
        together = _scores(trained, data)
        frames = np.arange(3)
        alone = np.concatenate(
            [trained.score(data.observations(frames[i : i + 1]), data.past(frames[i : i + 1])) for i in range(3)]
        )
        promised(bool(np.array_equal(together, _scores(trained, data))), "scoring the same frames gives the same")
        promised(bool(np.allclose(alone, together[:3], atol=1e-4)), "a frame's score does not depend on its batch")

    def test_it_learns_what_is_plain_to_see(self, trained: RewardModel) -> None:
        data = made_up_data(1)
        scores = _scores(trained, data)
        gap = float(scores[data.success == 1].mean() - scores[data.success == 0].mean())
        promised(gap > 0.0, "after training, successes score higher than failures", gap)

    def test_it_comes_back_from_its_files(self, trained: RewardModel, tmp_path: Path) -> None:
        trained.save(tmp_path)
        _plain_files(tmp_path, "RewardModel.save")
        other = self.make()
        other.load(tmp_path)
        data = made_up_data(1)
        same = np.array_equal(_scores(trained, data), _scores(other, data))
        promised(bool(same), "RewardModel.load reads what save wrote")

    def test_its_module_scores_alike(self, trained: RewardModel) -> None:
        """Skipped where none is offered: it is optional."""
        module = _offered(trained, "scoring_module")
        data, frames = made_up_data(1), np.arange(7)
        now, past = data.observations(frames), data.past(frames)
        arrays = (now["images"], now["pose"], now["wrench"], past["pose"], past["wrench"])
        inputs = tuple(torch.from_numpy(np.array(one)) for one in arrays)
        scores = trained.score(now, past)
        for what, run in (
            ("RewardModel.scoring_module", module),
            (
                "RewardModel.scoring_module, exported,",
                _exported(module, *(one[:2] for one in inputs), what="RewardModel.scoring_module"),
            ),
        ):
            with torch.no_grad():
                found = run(*inputs)
            promised(tuple(found.shape) == (7,), f"{what} returns (batch,)", tuple(found.shape))
            gap = float(np.abs(found.numpy() - scores).max())
            promised(gap < 1e-5, f"{what} scores as RewardModel.score does", gap)

    def test_missing_files_are_told_of(self, tmp_path: Path) -> None:
        with promised_error(BundleError, "RewardModel.load raises BundleError where its files are missing"):
            self.make().load(tmp_path)

    def test_sight_is_differentiable(self, trained: RewardModel) -> None:
        sight = trained.sight
        if sight is None:
            pytest.skip("it shows no sight: `skill inspect` cannot explain it")
        promised(len(sight.representations) > 0, "Sight.representations names what it looks through")
        images = torch.rand((5, VIEWS, 3, SIZE_PX, SIZE_PX), generator=torch.Generator().manual_seed(0))
        logit = sight.logit(images.requires_grad_(True))
        promised(tuple(logit.shape) == (5,), "Sight.logit returns (batch,)", tuple(logit.shape))
        promised(bool(torch.isfinite(logit).all()), "Sight.logit returns finite log-odds", logit.detach())
        (gradient,) = torch.autograd.grad(logit.sum(), images, allow_unused=True)
        promised(gradient is not None and bool(gradient.any()), "Sight.logit can be differentiated by the images")


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
        _plain_files(tmp_path, "Learner.save")
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
            module = _offered(learner, "policy_module")
            acted = np.stack([learner.act(one, explore=None) for one in features])
            exported = _exported(module, inputs[:2], what="Learner.policy_module")
            for what, run in (("Learner.policy_module", module), ("Learner.policy_module, exported,", exported)):
                with torch.no_grad():
                    found = run(inputs)
                promised(tuple(found.shape) == (7, 4), f"{what} returns (batch, 4)", tuple(found.shape))
                gap = float(np.abs(found.numpy().clip(-1.0, 1.0) - acted).max())
                promised(gap < 1e-5, f"{what} does what the greedy Learner.act does, with the weights of now", gap)

    def test_weights_of_another_shape_are_told_of(self, tmp_path: Path) -> None:
        self.make().save(tmp_path)
        with promised_error(BundleError, "Learner.load raises BundleError for weights that do not fit"):
            self.make_learner(FEATURES + 1).load(tmp_path)


def _scores(model: RewardModel, data: ReplayCache) -> NDArray[np.float32]:
    frames = np.arange(data.frames)
    return model.score(data.observations(frames), data.past(frames))


def _offered(part: Learner | RewardModel, name: str) -> torch.nn.Module:
    """A module that a part may offer; skips the test where it does not."""
    try:
        module = getattr(part, name)
    except PluginError as error:
        pytest.skip(error.what)
    promised(isinstance(module, torch.nn.Module), f"{name} is a torch.nn.Module", type(module))
    found: torch.nn.Module = module
    return found


def _exported(module: torch.nn.Module, *inputs: torch.Tensor, what: str) -> Callable[..., torch.Tensor]:
    """What `torch.export` makes of a module, for batches of any size."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    was_training = module.training
    try:
        with warnings.catch_warnings():
            # Torch warns of what it does itself.
            warnings.simplefilter("ignore")
            program = torch.export.export(module.eval(), inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    except Exception as error:
        promised(False, f"{what} is made of plain torch operations that torch.export can follow", error)
        raise
    finally:
        module.train(was_training)
    run: Callable[..., torch.Tensor] = program.module()
    return run


def _plain_files(folder: Path, method: str) -> None:
    odd = sorted(path.name for path in folder.iterdir() if path.suffix not in PLAIN)
    promised(not odd, f"{method} writes safetensors and JSON, and nothing else", odd)
