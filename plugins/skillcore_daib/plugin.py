"""Registers the four representations and the reward model that is built on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part

if TYPE_CHECKING:
    from skillcore.interfaces import Representation, RewardModel

from skillcore_daib.options import (
    AdversarialOptions,
    BottleneckOptions,
    DaibOptions,
    EncoderOptions,
    RewardModelOptions,
)


def _representation(
    options: EncoderOptions, context: Context, adversary_weight: float | None, beta: float | None
) -> Representation:
    from skillcore_daib.representation import DomainBottleneck

    shape = context.views
    return DomainBottleneck(
        options,
        views=shape.views,
        size_px=shape.size_px,
        domains=shape.domains,
        adversary_weight=adversary_weight,
        beta=beta,
    )


def _erm(options: EncoderOptions, context: Context) -> Representation:
    return _representation(options, context, None, None)


def _dann(options: AdversarialOptions, context: Context) -> Representation:
    return _representation(options, context, options.adversary_weight, None)


def _vib(options: BottleneckOptions, context: Context) -> Representation:
    return _representation(options, context, None, options.beta)


def _daib(options: DaibOptions, context: Context) -> Representation:
    return _representation(options, context, options.adversary_weight, options.beta)


def _reward_model(options: RewardModelOptions, context: Context) -> RewardModel:
    from skillcore_daib.reward_model import DaibRewardModel

    representations = [
        context.make_representation(options.representation, options.representation_options)
        for _ in range(options.members)
    ]
    return DaibRewardModel(options, representations, device=context.device)


@hookimpl
def skillcore_representations() -> Mapping[str, Part[Any, Any]]:
    return {
        "erm": Part(EncoderOptions, _erm, "a plain code"),
        "dann": Part(AdversarialOptions, _dann, "a code that does not tell connectors apart"),
        "vib": Part(BottleneckOptions, _vib, "a code behind an information bottleneck"),
        "daib": Part(DaibOptions, _daib, "domain-adversarial information bottleneck: both, side by side"),
    }


@hookimpl
def skillcore_reward_models() -> Mapping[str, Part[Any, Any]]:
    return {"daib": Part(RewardModelOptions, _reward_model, "success classifier on any representation")}
