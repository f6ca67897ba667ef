"""A skill framework for industrial cells: robots that learn a new connector on the job.

What this package offers by name is its public surface: `docs/api.md` goes through it with units, shapes and errors, and
it changes only where its list is changed too. A name may also be imported from the module that defines it. The suites
of tests for parts are in `skillcore.testing`. Everything else may change at any time.

Names are imported when they are asked for, so that importing skillcore costs next to nothing, and those who need no
torch never wait for it. With this import `gymnasium.make` knows the environments of the skills that are installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skillcore.registration import register_when_imported

if TYPE_CHECKING:
    from skillcore.cell import Cell, Snapshot, open_cell
    from skillcore.cell_config import CellConfig, Control, LoadedCell, load_cell
    from skillcore.clock import WallClock
    from skillcore.config import (
        ACCELERATION,
        ANGLE,
        FORCE,
        FREQUENCY,
        LENGTH,
        MASS,
        SPEED,
        STIFFNESS,
        TIME,
        TORQUE,
        TURN_SPEED,
        TURN_STIFFNESS,
        Hertz,
        Kilograms,
        Metres,
        MetresPerSecond,
        MetresPerSecondSquared,
        NewtonMetres,
        NewtonMetresPerRadian,
        Newtons,
        NewtonsPerMetre,
        Quantity,
        Radians,
        RadiansPerSecond,
        Seconds,
        StrictModel,
        Triple,
        all_wrong,
        load_yaml,
        wrong,
    )
    from skillcore.environment import SkillEnv
    from skillcore.episodes import EpisodeStore, ReplayCache
    from skillcore.errors import (
        ArmFaultError,
        BundleError,
        CellBusyError,
        ConfigError,
        DeviceError,
        EpisodeError,
        ExportError,
        Fault,
        InputError,
        NotFilledInError,
        PluginError,
        SafetyStopError,
        SkillcoreError,
        StaleFrameError,
        StorageError,
        UnknownNameError,
    )
    from skillcore.hookspecs import hookimpl
    from skillcore.interfaces import (
        Arm,
        ArmLimits,
        Camera,
        Clock,
        Guidable,
        Learner,
        Representation,
        RewardModel,
        Shown,
        Sight,
        Simulation,
    )
    from skillcore.learning.recipe import Recipe, completed
    from skillcore.learning.replay import Batch, Transitions
    from skillcore.learning.training import Progress
    from skillcore.learning.weights import load_module, load_tensors, save_tensors
    from skillcore.parts import Context, Part, ViewShape, not_filled_in
    from skillcore.plugins import Registry
    from skillcore.skill import COLLECTING, Actor, Demonstrator, Reflex, Seat, Skill, Variant, VariantEntry
    from skillcore.solids import Extrusion, Material, Mating, Thread
    from skillcore.task import Judge, Task, Truth
    from skillcore.types import (
        ACTION_NAMES,
        PAST,
        ArmState,
        Episode,
        EpisodeInfo,
        Frame,
        Intrinsics,
        Observation,
        Past,
        Pose,
        Wrench,
    )

    __version__: str

__all__ = [
    "ACCELERATION",
    "ACTION_NAMES",
    "ANGLE",
    "COLLECTING",
    "FORCE",
    "FREQUENCY",
    "LENGTH",
    "MASS",
    "PAST",
    "SPEED",
    "STIFFNESS",
    "TIME",
    "TORQUE",
    "TURN_SPEED",
    "TURN_STIFFNESS",
    "Actor",
    "Arm",
    "ArmFaultError",
    "ArmLimits",
    "ArmState",
    "Batch",
    "BundleError",
    "Camera",
    "Cell",
    "CellBusyError",
    "CellConfig",
    "Clock",
    "ConfigError",
    "Context",
    "Control",
    "Demonstrator",
    "DeviceError",
    "Episode",
    "EpisodeError",
    "EpisodeInfo",
    "EpisodeStore",
    "ExportError",
    "Extrusion",
    "Fault",
    "Frame",
    "Guidable",
    "Hertz",
    "InputError",
    "Intrinsics",
    "Judge",
    "Kilograms",
    "Learner",
    "LoadedCell",
    "Material",
    "Mating",
    "Metres",
    "MetresPerSecond",
    "MetresPerSecondSquared",
    "NewtonMetres",
    "NewtonMetresPerRadian",
    "Newtons",
    "NewtonsPerMetre",
    "NotFilledInError",
    "Observation",
    "Part",
    "Past",
    "PluginError",
    "Pose",
    "Progress",
    "Quantity",
    "Radians",
    "RadiansPerSecond",
    "Recipe",
    "Reflex",
    "Registry",
    "ReplayCache",
    "Representation",
    "RewardModel",
    "SafetyStopError",
    "Seat",
    "Seconds",
    "Shown",
    "Sight",
    "Simulation",
    "Skill",
    "SkillEnv",
    "SkillcoreError",
    "Snapshot",
    "StaleFrameError",
    "StorageError",
    "StrictModel",
    "Task",
    "Thread",
    "Transitions",
    "Triple",
    "Truth",
    "UnknownNameError",
    "Variant",
    "VariantEntry",
    "ViewShape",
    "WallClock",
    "Wrench",
    "all_wrong",
    "completed",
    "hookimpl",
    "load_cell",
    "load_module",
    "load_tensors",
    "load_yaml",
    "not_filled_in",
    "open_cell",
    "save_tensors",
    "wrong",
]

_HOMES = {
    name: module
    for module, names in {
        "cell": "Cell Snapshot open_cell",
        "cell_config": "CellConfig Control LoadedCell load_cell",
        "clock": "WallClock",
        "config": (
            "ACCELERATION ANGLE FORCE FREQUENCY LENGTH MASS SPEED STIFFNESS TIME TORQUE TURN_SPEED TURN_STIFFNESS "
            "Hertz Kilograms Metres MetresPerSecond MetresPerSecondSquared NewtonMetres NewtonMetresPerRadian "
            "Newtons NewtonsPerMetre Quantity Radians RadiansPerSecond Seconds StrictModel Triple all_wrong "
            "load_yaml wrong"
        ),
        "environment": "SkillEnv",
        "episodes": "EpisodeStore ReplayCache",
        "errors": (
            "ArmFaultError BundleError CellBusyError ConfigError DeviceError EpisodeError ExportError Fault "
            "InputError NotFilledInError PluginError SafetyStopError SkillcoreError StaleFrameError StorageError "
            "UnknownNameError"
        ),
        "hookspecs": "hookimpl",
        "interfaces": "Arm ArmLimits Camera Clock Guidable Learner Representation RewardModel Shown Sight Simulation",
        "learning.recipe": "Recipe completed",
        "learning.replay": "Batch Transitions",
        "learning.training": "Progress",
        "learning.weights": "load_module load_tensors save_tensors",
        "parts": "Context Part ViewShape not_filled_in",
        "plugins": "Registry",
        "skill": "COLLECTING Actor Demonstrator Reflex Seat Skill Variant VariantEntry",
        "solids": "Extrusion Material Mating Thread",
        "task": "Judge Task Truth",
        "types": "ACTION_NAMES PAST ArmState Episode EpisodeInfo Frame Intrinsics Observation Past Pose Wrench",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("skillcore")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"skillcore.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


register_when_imported()
