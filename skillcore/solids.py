"""The shape of things that mate, told in a way every simulation can use: extruded outlines with a material.

Both parts of a mating are given in frames whose z axis is the direction of insertion:

- the **plug frame** has its origin at the centre of the plug's tip, z pointing forward, so the plug fills z <= 0;
- the **socket frame** has its origin at the centre of the socket's mouth, z pointing into the socket, so the socket
  fills z >= 0.

Seated means `plug_from_socket` is a displacement of `depth_m` along z.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Outline = NDArray[np.float64]
"""A closed polygon (n, 2) in m, counter-clockwise, without repetition of the first point."""


@dataclass(frozen=True, slots=True)
class Material:
    """How a surface looks. color: RGB in [0, 1]. gloss: 0 is matt, 1 is polished metal. texture: plain, brushed or
    speckled."""

    color: tuple[float, float, float]
    gloss: float = 0.1
    texture: Literal["plain", "brushed", "speckled"] = "plain"


@dataclass(frozen=True, slots=True, eq=False)
class Extrusion:
    """An outline (n, 2) in m, less its holes, drawn out along z from `z_m[0]` to `z_m[1]`, of a material.

    chamfer_m bevels by 45 degrees where parts meet first: the outline's edge at the far end (`z_m[1]`) of a body
    without holes, and the holes' edges at the near end (`z_m[0]`) of a body with holes. `collides` is False for what
    is only seen.
    """

    outline: Outline
    z_m: tuple[float, float]
    material: Material
    holes: tuple[Outline, ...] = ()
    chamfer_m: float = 0.0
    collides: bool = True


@dataclass(frozen=True, slots=True)
class Thread:
    """A screw thread that takes hold once the plug is seated: it is inserted when it has been turned by `turn_rad`, and
    goes `pitch_m` deeper with each whole turn."""

    pitch_m: float
    turn_rad: float


@dataclass(frozen=True, slots=True, eq=False)
class Mating:
    """A plug and its socket, by `name`; with a thread, where it is screwed in.

    plug and socket: extrusions in the plug frame and in the socket frame; what comes later covers what comes before.
    depth_m: how far the tip lies beyond the mouth when seated. resistance_n: friction of the contacts' springs against
    the motion while the plug is inside. friction: sliding friction coefficient of the surfaces.
    """

    name: str
    plug: tuple[Extrusion, ...]
    socket: tuple[Extrusion, ...]
    depth_m: float
    friction: float
    resistance_n: float
    thread: Thread | None = None
