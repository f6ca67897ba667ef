"""The options of representations and reward model; small, so that listing plugins imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from skillcore.config import StrictModel


class EncoderOptions(StrictModel):
    """channels: of the convolutions; the first divides the image's sides by 4, each other one halves them.

    code_dim: length of the code.
    """

    channels: tuple[int, ...] = (48, 64, 96)
    code_dim: Annotated[int, Field(ge=2, le=1024)] = 128


class AdversarialOptions(EncoderOptions):
    """adversary_weight: w_adv, how strongly the code is trained against the domain classifier."""

    adversary_weight: Annotated[float, Field(ge=0.0, le=100.0)] = 0.1


class BottleneckOptions(EncoderOptions):
    """beta: weight of the bottleneck's KL divergence (nats, summed over the code)."""

    beta: Annotated[float, Field(ge=0.0, le=10.0)] = 1e-3


class DaibOptions(AdversarialOptions, BottleneckOptions):
    """Both. code_dim is halved between z_I and z_S."""


class RewardModelOptions(StrictModel):
    """representation: its name, with `representation_options`. steps, batch, learning_rate: of the training.

    touch: whether force, torque and motion are judged beside the images, by two layers of `touch_hidden`, trained for
    `touch_steps` with dropout of `touch_dropout`. members: how many
    classifiers of images must agree. successes, near_misses: shares of a batch; the rest are other failures.
    """

    representation: str = "erm"
    representation_options: dict[str, Any] = Field(default_factory=dict)
    steps: Annotated[int, Field(ge=1)] = 2500
    batch: Annotated[int, Field(ge=2, le=4096)] = 128
    learning_rate: Annotated[float, Field(gt=0.0, le=0.1)] = 2e-3
    touch: bool = True
    touch_steps: Annotated[int, Field(ge=1)] = 6000
    touch_hidden: Annotated[int, Field(ge=8, le=1024)] = 256
    touch_dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.3
    members: Annotated[int, Field(ge=1, le=10)] = 1
    successes: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    near_misses: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.35

    @model_validator(mode="after")
    def _is_a_batch(self) -> Self:
        if self.successes + self.near_misses > 1.0:
            raise ValueError("successes and near_misses are shares of one batch, and add up to more than 1")
        return self
