"""Registers the arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillcore.errors import InputError
from skillcore.hookspecs import hookimpl
from skillcore.interfaces import Arm
from skillcore.parts import Context, Part

from acme_robots.options import SixOptions


def _make(options: SixOptions, context: Context) -> Arm:
    from skillcore.plugins import Registry

    from acme_robots.arm import Six
    from acme_robots.controller import Controller

    if context.simulation is None:
        raise InputError(
            "an Acme six of this example stands in simulated cells only",
            cure="add a section `simulation: {driver: mujoco}` to the cell file",
        )
    moved = Registry.discover().make("arms", "mujoco", {"gripper": options.gripper}, context)
    return Six(options, Controller(moved))


@hookimpl
def skillcore_arms() -> Mapping[str, Part[Any, Any]]:
    return {"acme-six": Part(SixOptions, _make, "Acme six, in millimetres")}
