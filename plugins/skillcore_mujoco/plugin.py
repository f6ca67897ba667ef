"""Registers the simulated world, its arm and its cameras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillcore.errors import InputError
from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore_mujoco.options import ArmOptions, CameraOptions, WorldOptions

if TYPE_CHECKING:
    from skillcore.interfaces import Arm, Camera, Simulation
    from skillcore_mujoco.world import World


def _make_world(options: WorldOptions, context: Context) -> Simulation:
    from skillcore_mujoco.world import World

    return World(options, context.fixture)


def _make_arm(options: ArmOptions, context: Context) -> Arm:
    from skillcore_mujoco.arm import SimulatedArm

    return SimulatedArm(options, _world_of(context))


def _make_camera(options: CameraOptions, context: Context) -> Camera:
    from skillcore_mujoco.camera import SimulatedCamera

    return SimulatedCamera(options, _world_of(context))


def _world_of(context: Context) -> World:
    from skillcore_mujoco.world import World

    if not isinstance(context.simulation, World):
        raise InputError(
            f"{context.name}: a part with `driver: mujoco` needs the simulated world it lives in",
            cure="add a section `simulation: {driver: mujoco}` to the cell file",
        )
    return context.simulation


@hookimpl
def skillcore_simulations() -> Mapping[str, Part[Any, Any]]:
    return {"mujoco": Part(WorldOptions, _make_world, "contact physics by MuJoCo, ray-cast images, no GL needed")}


@hookimpl
def skillcore_arms() -> Mapping[str, Part[Any, Any]]:
    return {"mujoco": Part(ArmOptions, _make_arm, "compliant arm in the simulated world")}


@hookimpl
def skillcore_cameras() -> Mapping[str, Part[Any, Any]]:
    return {"mujoco": Part(CameraOptions, _make_camera, "wrist camera in the simulated world")}
