"""A recipe: which parts learn, with what options; and the parts it names, made and joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from skillcore.config import StrictModel, validate_options
from skillcore.interfaces import Learner, Representation, RewardModel
from skillcore.learning.adaptation import WayAdapter
from skillcore.learning.perception import Perception, decoded_way
from skillcore.learning.rewarding import batch_of_one
from skillcore.learning.training import Schedule
from skillcore.parts import Context, ViewShape
from skillcore.plugins import Kind, Registry
from skillcore.types import Array, Image, Observation

Count = Annotated[int, Field(ge=1)]


class PartChoice(StrictModel):
    """A part by name, with its own options."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Training(StrictModel):
    """Of the representation: gradient steps, frames a batch, greatest learning rate."""

    steps: Count = 20000
    batch: Count = 128
    learning_rate: Annotated[float, Field(gt=0.0, le=0.1)] = 2e-3

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.steps, self.batch, self.learning_rate)


class Recipe(StrictModel):
    """How a skill is pretrained.

    representation, learner: of the policy. reward_model: it has a representation of its own. training: of the policy's
    representation. false_positives, wrong_claims: what the reward threshold allows at most, on variants that were not
    trained on: the share of frames that look like success and are none, and of trials that would end in a wrong claim.
    prior_frames: how much offline data a bundle brings along for practice. warm_reward_model: whether the reward
    model's representation begins from the policy's weights, as far as the two are alike; each goes its own way then.
    """

    warm_reward_model: bool = True
    representation: PartChoice = PartChoice(name="erm")
    learner: PartChoice = PartChoice(name="rlpd")
    reward_model: PartChoice = PartChoice(name="daib")
    training: Training = Training()
    false_positives: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.01
    wrong_claims: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    prior_frames: Annotated[int, Field(ge=0)] = 15000


@dataclass(slots=True, eq=False)
class Brain:
    """What a trained skill consists of. adapter: of the estimated way, once there was practice."""

    perception: Perception
    learner: Learner
    reward_model: RewardModel
    adapter: WayAdapter | None = None

    def adapted(self, features: NDArray[np.float32], images: Image) -> NDArray[np.float32]:
        """Features (n, feature_dim) of images (n, views, H, W, 3) as the learner is to see them."""
        return features if self.adapter is None else self.adapter.corrected(features, images)

    def locate(self, observation: Observation) -> Array:
        """x, y in m and yaw in rad of where success is thought to lie, seen from the TCP, as scripted searches ask."""
        batch = batch_of_one(observation)
        features = self.adapted(self.perception.features(batch), batch["images"])
        return np.asarray(decoded_way(features[:, self.perception.way_columns])[0, [0, 1, 3]], np.float64)


def make_brain(recipe: Recipe, registry: Registry, *, views: ViewShape, device: str) -> Brain:
    """The parts a recipe names, untrained. Raises UnknownNameError, ConfigError or PluginError."""

    def representation(name: str, options: dict[str, Any]) -> Representation:
        context = Context(name=name, device=device, views=views)
        made: Representation = registry.make("representations", name, options, context)
        return made

    chosen = recipe.representation
    perception = Perception(representation(chosen.name, chosen.options), device=device)
    context = Context(
        device=device, views=views, make_representation=representation, feature_dim=perception.feature_dim
    )
    return Brain(
        perception,
        registry.make("learners", recipe.learner.name, recipe.learner.options, context),
        registry.make("reward_models", recipe.reward_model.name, recipe.reward_model.options, context),
    )


def completed(recipe: Recipe, registry: Registry) -> Recipe:
    """The recipe with every option spelled out, so that a bundle stays what it is when defaults change.

    Raises UnknownNameError, ConfigError.
    """

    def spelled_out(kind: Kind, choice: PartChoice) -> PartChoice:
        part = registry.get(kind, choice.name).part
        valid = validate_options(choice.options, part.config, where=f"options of {choice.name!r}")
        options = valid.model_dump(mode="json")
        if "representation" in options and "representation_options" in options:
            inner = PartChoice(name=options["representation"], options=options["representation_options"])
            options["representation_options"] = spelled_out("representations", inner).options
        return PartChoice(name=choice.name, options=options)

    return recipe.model_copy(
        update={
            "representation": spelled_out("representations", recipe.representation),
            "learner": spelled_out("learners", recipe.learner),
            "reward_model": spelled_out("reward_models", recipe.reward_model),
        }
    )


def choose_device(wanted: str) -> str:
    """`auto` is a GPU if torch can use one, else the CPU. Raises InputError for a device that is not there."""
    import torch

    from skillcore.errors import InputError

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=wanted)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device {wanted}: {reason}", cure="use cpu, or auto to take what there is") from error
    return wanted
