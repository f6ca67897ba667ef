"""The hooks through which parts are made known: one a kind of part, each returning a mapping from name to `Part`.

Hooks register; they never run in the control loop. Import vendor SDKs inside the factories, not here.
"""

from collections.abc import Mapping
from typing import Any

import pluggy

from skillcore.interfaces import Arm, Camera, Learner, Representation, RewardModel, Simulation
from skillcore.parts import Part

hookspec = pluggy.HookspecMarker("skillcore")
hookimpl = pluggy.HookimplMarker("skillcore")
"""Marks a function of a plugin's module as one of the hooks, by its name: `@hookimpl def skillcore_arms()`."""


@hookspec
def skillcore_simulations() -> Mapping[str, Part[Any, Simulation]]:  # type: ignore[empty-body]
    """Simulated worlds, for the `simulation` of a cell file."""


@hookspec
def skillcore_arms() -> Mapping[str, Part[Any, Arm]]:  # type: ignore[empty-body]
    """Robot arms, for the `arm` of a cell file."""


@hookspec
def skillcore_cameras() -> Mapping[str, Part[Any, Camera]]:  # type: ignore[empty-body]
    """Cameras, for the `cameras` of a cell file."""


@hookspec
def skillcore_representations() -> Mapping[str, Part[Any, Representation]]:  # type: ignore[empty-body]
    """Image encoders, chosen by name by reward models and learners."""


@hookspec
def skillcore_reward_models() -> Mapping[str, Part[Any, RewardModel]]:  # type: ignore[empty-body]
    """Success classifiers, chosen by name in a pretraining recipe."""


@hookspec
def skillcore_learners() -> Mapping[str, Part[Any, Learner]]:  # type: ignore[empty-body]
    """Policies and how they learn, chosen by name in a pretraining recipe."""


@hookspec
def skillcore_skills() -> Mapping[str, Part[Any, Any]]:  # type: ignore[empty-body]
    """Things a cell can learn to do, named on the command line."""
