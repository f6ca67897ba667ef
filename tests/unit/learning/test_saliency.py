"""Grad-CAM: toy networks whose answer is known, the paper's formula written out, and what cannot be explained."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.errors import InputError, PluginError, UnknownNameError
from skillcore.interfaces import Learner, Representation, RewardModel, Sight
from skillcore.learning.adaptation import WayAdapter
from skillcore.learning.images import as_input
from skillcore.learning.perception import ESTIMATE_DIM, Perception, proprioception
from skillcore.learning.recipe import Brain
from skillcore.learning.saliency import can_explain, policy_saliency, require_captum, reward_saliency
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.types import ACTION_NAMES, Episode, Observation
from skillcore_daib.options import EncoderOptions
from skillcore_daib.representation import DomainBottleneck

SIZE, VIEWS = 16, 2
RED, GREEN, BLUE = 0, 1, 2


class Averages(Representation):
    """The code is the mean of each colour in each view, (views * 3), of a map of patches of 4 pixels."""

    feature_dim = VIEWS * 3

    def __init__(self) -> None:
        self._pool = nn.AvgPool2d(4)
        self._network = nn.Sequential(self._pool)

    @property
    def module(self) -> nn.Module:
        return self._network

    @property
    def feature_maps(self) -> Mapping[str, nn.Module]:
        return {"patches": self._pool}

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        maps = self._network(images.flatten(0, 1))
        return torch.as_tensor(maps.mean((2, 3)).reshape(len(images), -1))

    def encode_with_penalty(
        self, images: torch.Tensor, domains: torch.Tensor, progress: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.encode(images), images.new_zeros(())


class Linear(Learner):
    """Acts by a matrix (4, feature_dim)."""

    def __init__(self, matrix: NDArray[np.float32], *, shows: bool = True) -> None:
        self._policy = nn.Linear(matrix.shape[1], 4, bias=False)
        self._policy.weight.data[:] = torch.from_numpy(matrix)
        self._shows = shows

    @property
    def policy_module(self) -> nn.Module:
        return self._policy if self._shows else super().policy_module

    def pretrain(self, *arguments: Any, **more: Any) -> None: ...
    def begin_practice(self, *arguments: Any) -> None: ...
    def act(self, *arguments: Any, **more: Any) -> Any: ...
    def learn(self, *arguments: Any, **more: Any) -> Any: ...
    def save(self, *arguments: Any, **more: Any) -> None: ...
    def load(self, *arguments: Any) -> None: ...


class Blind(RewardModel):
    """Has no sight."""

    def fit(self, *arguments: Any, **more: Any) -> None: ...
    def score(self, *arguments: Any) -> Any: ...
    def save(self, *arguments: Any) -> None: ...
    def load(self, *arguments: Any) -> None: ...


class Reddish(Blind):
    """Takes red in the first view for success, and green against it."""

    def __init__(self) -> None:
        self._representation = Averages()

    @property
    def sight(self) -> Sight:
        def logit(images: torch.Tensor) -> torch.Tensor:
            code = self._representation.encode(images)
            return 4.0 * code[:, RED] - 4.0 * code[:, GREEN] - 0.5

        return Sight(logit, [self._representation])


def observations(images: NDArray[np.uint8]) -> Observation:
    rng = np.random.default_rng(0)
    felt = rng.normal(size=(2, len(images), 6)).astype(np.float32)
    return Observation(images=images, pose=0.01 * felt[0], wrench=felt[1])


def dots() -> NDArray[np.uint8]:
    """One frame: a red square in the first view, a green one elsewhere in both, a blue one in the second."""
    images = np.zeros((1, VIEWS, SIZE, SIZE, 3), np.uint8)
    images[0, 0, 0:4, 0:4, RED] = 200
    images[0, 0, 12:16, 0:4, GREEN] = 200
    images[0, 1, 12:16, 12:16, GREEN] = 200
    images[0, 1, 0:4, 12:16, BLUE] = 200
    return images


def linear_brain(weights: Mapping[int, Mapping[int, float]], *, shows: bool = True) -> Brain:
    """A policy whose output number `n` weighs columns of the code as told."""
    perception = Perception(Averages())
    matrix = np.zeros((4, perception.feature_dim), np.float32)
    for output, columns in weights.items():
        for column, weight in columns.items():
            matrix[output, column] = weight
    return Brain(perception, Linear(matrix, shows=shows), Blind())


def hottest(maps: NDArray[np.float32]) -> tuple[int, int, int]:
    """View, row and column, of one frame and output."""
    view, row, column = np.unravel_index(int(maps.argmax()), maps.shape)
    return int(view), int(row), int(column)


def test_each_output_points_at_what_it_weighs() -> None:
    second = 3
    brain = linear_brain({0: {RED: 2.0}, 1: {second + GREEN: -2.0}})
    found = policy_saliency(brain, observations(dots()))
    assert found.outputs == ACTION_NAMES
    assert found.layer == "patches"
    assert found.maps.shape == (1, 4, VIEWS, SIZE, SIZE)
    view, row, column = hottest(found.maps[0, 0])
    assert (view, row < 4, column < 4) == (0, True, True)
    # Negative, and yet what speaks for the motion: green makes it go that way.
    assert found.values[0, 1] < 0.0
    view, row, column = hottest(found.maps[0, 1])
    assert (view, row >= 12, column >= 12) == (1, True, True)
    np.testing.assert_allclose(found.maps.sum((2, 3, 4))[0, :2], 1.0, rtol=1e-5)


def test_only_what_speaks_for_the_chosen_way_is_shown() -> None:
    brain = linear_brain({0: {RED: 3.0, 3 + BLUE: -1.0}})
    maps = policy_saliency(brain, observations(dots())).maps[0, 0]
    assert maps[0].sum() == pytest.approx(1.0, abs=1e-5)
    assert maps[1].sum() == 0.0


def test_an_output_that_no_image_matters_for_has_no_saliency() -> None:
    brain = linear_brain({3: {VIEWS * 3 + ESTIMATE_DIM: 1.0}})
    found = policy_saliency(brain, observations(dots()))
    assert found.values[0, 3] != 0.0
    assert (found.maps[0, 3] == 0.0).all()


def test_a_number_at_its_bound_still_has_a_reason() -> None:
    brain = linear_brain({0: {RED: 1e4}})
    found = policy_saliency(brain, observations(dots()))
    assert found.values[0, 0] == 1.0
    assert hottest(found.maps[0, 0])[0] == 0


def test_a_reward_models_sight_is_explained() -> None:
    found = reward_saliency(Reddish(), dots())
    assert found.outputs == ("success",)
    view, row, column = hottest(found.maps[0, 0])
    assert (view, row < 4, column < 4) == (0, True, True)
    # What speaks against success is not shown.
    assert found.maps[0, 0, 0, 10:, :6].sum() == 0.0
    expected = 4.0 * (200 / 255 - 200 / 255) / 16 - 0.5
    assert found.values[0, 0] == pytest.approx(expected, abs=1e-5)


# --- the formula, written out ------------------------------------------------------------------------------------


def small_perception() -> Perception:
    torch.manual_seed(0)
    options = EncoderOptions(channels=(8, 8), code_dim=8)
    made = DomainBottleneck(options, views=VIEWS, size_px=SIZE, domains=0, adversary_weight=None, beta=None)
    return Perception(made)


def small_brain() -> Brain:
    perception = small_perception()
    torch.manual_seed(1)
    context = Context(feature_dim=perception.feature_dim)
    learner = Registry.discover().make("learners", "rlpd", {"hidden": 16, "critics": 2}, context)
    return Brain(perception, learner, Blind())


def practised_brain(make_episode: Any) -> Brain:
    """Its estimate of the way comes from a copy that has learned."""
    brain = small_brain()
    adapter = WayAdapter(brain.perception)
    episode: Episode = make_episode(0, outcome="success")
    adapter.add(episode)
    torch.manual_seed(2)
    adapter.learn(np.random.default_rng(0), np.array([True]), steps=20)
    assert adapter.active
    brain.adapter = adapter
    return brain


def written_out(brain: Brain, seen: Observation, output: int) -> NDArray[np.float64]:
    """(frames, views, H, W): ReLU(sum_k alpha_k A_k) alpha_k the mean of dy / dA_k; enlarged, each sum 1."""
    adapter = brain.adapter
    encoders = [brain.perception.representation]
    if adapter is not None and adapter.active:
        encoders.append(adapter.representation)
    kept: list[torch.Tensor] = []
    hooks = [
        list(one.feature_maps.values())[-1].register_forward_hook(lambda _module, _inputs, out: kept.append(out))
        for one in encoders
    ]
    inputs = as_input(seen["images"]).requires_grad_(True)
    found = brain.perception.seen(inputs)
    if adapter is not None:
        found = adapter.corrected_seen(found, inputs)
    actions = brain.learner.policy_module(torch.cat([found, torch.from_numpy(proprioception(seen))], dim=1))
    for hook in hooks:
        hook.remove()
    gradients = torch.autograd.grad(actions[:, output].abs().sum(), kept)
    coarse = sum(
        (gradient.mean((2, 3), keepdim=True) * maps).sum(1) for gradient, maps in zip(gradients, kept, strict=True)
    )
    assert isinstance(coarse, torch.Tensor)
    positive = coarse.detach().clamp_min(0.0).unflatten(0, (-1, VIEWS)).double()
    large = functional.interpolate(positive, (SIZE, SIZE), mode="bilinear").numpy()
    total = large.sum((1, 2, 3), keepdims=True)
    return np.asarray(large / np.where(total > 0.0, total, 1.0))


@pytest.mark.parametrize("practised", [False, True])
def test_it_is_the_papers_formula_through_code_and_way(practised: bool, make_labelled_episode: Any) -> None:
    brain = practised_brain(make_labelled_episode) if practised else small_brain()
    episode: Episode = make_labelled_episode(7)
    seen = observations(episode.images)
    found = policy_saliency(brain, seen)
    for output in range(4):
        expected = written_out(brain, seen, output)
        assert expected.any()
        np.testing.assert_allclose(found.maps[:, output], expected, atol=1e-6)
    acted = [
        brain.learner.act(one, explore=None) for one in brain.adapted(brain.perception.features(seen), seen["images"])
    ]
    np.testing.assert_allclose(found.values, acted, atol=1e-5)


def test_after_practice_the_adapted_estimate_is_explained_too(make_labelled_episode: Any) -> None:
    brain = practised_brain(make_labelled_episode)
    perception = brain.perception
    # Acts by the estimated x alone, which a copy of the encoder makes.
    matrix = np.zeros((4, perception.feature_dim), np.float32)
    matrix[0, perception.way_columns.start] = 1.0
    brain.learner = Linear(matrix)
    seen = observations(make_labelled_episode(7).images)
    before = policy_saliency(Brain(perception, brain.learner, Blind()), seen)
    after = policy_saliency(brain, seen)
    assert (after.maps[:, 0].sum((1, 2, 3)) > 0.0).any()
    assert not np.allclose(before.maps[:, 0], after.maps[:, 0])
    assert brain.adapter is not None
    estimate = brain.adapter.corrected(perception.features(seen), seen["images"])[:, perception.way_columns.start]
    np.testing.assert_allclose(after.values[:, 0], np.clip(estimate, -1.0, 1.0), atol=1e-5)


def test_frames_do_not_depend_on_their_batch(make_labelled_episode: Any) -> None:
    brain = practised_brain(make_labelled_episode)
    images = np.concatenate([make_labelled_episode(seed).images for seed in range(12)])
    seen = observations(images)
    together = policy_saliency(brain, seen)
    assert len(images) > 64
    alone = policy_saliency(
        brain, Observation(images=images[70:72], pose=seen["pose"][70:72], wrench=seen["wrench"][70:72])
    )
    np.testing.assert_allclose(together.maps[70:72], alone.maps, atol=1e-5)


def test_an_earlier_layer_can_be_chosen(make_labelled_episode: Any) -> None:
    brain = small_brain()
    seen = observations(make_labelled_episode(3).images)
    first, last = policy_saliency(brain, seen, layer="conv1"), policy_saliency(brain, seen)
    assert (first.layer, last.layer) == ("conv1", "conv2")
    assert not np.allclose(first.maps, last.maps)
    with pytest.raises(UnknownNameError, match="there is no layer named 'conv9'"):
        policy_saliency(brain, seen, layer="conv9")


# --- what cannot be explained ------------------------------------------------------------------------------------


class Flat(Averages):
    feature_maps: ClassVar[dict[str, nn.Module]] = {}  # type: ignore[assignment]


class PerSample(Averages):
    """Names what returns one map for each sample, not for each view."""

    def __init__(self) -> None:
        super().__init__()
        self._joined = nn.AvgPool2d(2)

    @property
    def feature_maps(self) -> Mapping[str, nn.Module]:
        return {"joined": self._joined}

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self._joined(images.flatten(1, 2)).mean((2, 3)))


def test_parts_that_show_nothing_are_named_with_a_cure() -> None:
    brain = linear_brain({}, shows=False)
    with pytest.raises(PluginError, match="the learner Linear offers no policy_module") as caught:
        policy_saliency(brain, observations(dots()))
    assert "policy_module" in caught.value.cure
    with pytest.raises(PluginError, match="the reward model Blind shows no sight") as caught:
        reward_saliency(Blind(), dots())
    assert "RewardModel" in caught.value.cure
    brain = linear_brain({})
    brain.perception.representation = Flat()
    with pytest.raises(PluginError, match="the representation Flat shows no feature maps") as caught:
        policy_saliency(brain, observations(dots()))
    assert "Representation" in caught.value.cure


def test_maps_that_are_not_of_single_views_are_refused() -> None:
    brain = linear_brain({0: {RED: 1.0}})
    brain.perception.representation = PerSample()
    with pytest.raises(PluginError, match="feature maps of 1 samples with 2 views came as"):
        policy_saliency(brain, observations(dots()))


def test_without_captum_the_command_that_cures_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_explain()
    monkeypatch.setitem(sys.modules, "captum", None)
    with pytest.raises(InputError, match="needs captum") as caught:
        require_captum()
    assert caught.value.cure == "pip install 'skillcore[saliency]'"
