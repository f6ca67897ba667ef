"""Registers the UR arm."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore_ur.options import ArmOptions

if TYPE_CHECKING:
    from skillcore.interfaces import Arm


def _make_arm(options: ArmOptions, context: Context) -> Arm:
    # Said now, and not when the robot is connected: a missing library is a matter of the installation. It is loaded in
    # the process that serves the robot only.
    for name in ("rtde_control", "rtde_receive"):
        if importlib.util.find_spec(name) is None:
            raise ImportError(f"No module named {name!r}", name=name)
    from skillcore_ur.remote_arm import RemoteUrArm

    return RemoteUrArm(options)


@hookimpl
def skillcore_arms() -> Mapping[str, Part[Any, Any]]:
    requires = "pip install 'skillcore[ur]'"
    return {"ur": Part(ArmOptions, _make_arm, "Universal Robots e-Series, through ur_rtde", requires=requires)}
