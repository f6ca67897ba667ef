"""Registers the UR arm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore_ur.options import ArmOptions

if TYPE_CHECKING:
    from skillcore.interfaces import Arm


def _make_arm(options: ArmOptions, context: Context) -> Arm:
    # Said now, and not when the robot is connected: a missing library is a matter of the installation.
    import rtde_control  # noqa: F401
    import rtde_receive  # noqa: F401

    from skillcore_ur.arm import UrArm

    return UrArm(options, context.clock)


@hookimpl
def skillcore_arms() -> Mapping[str, Part[Any, Any]]:
    requires = "pip install 'skillcore[ur]'"
    return {"ur": Part(ArmOptions, _make_arm, "Universal Robots e-Series, through ur_rtde", requires=requires)}
