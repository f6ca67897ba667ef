"""What a connector file is made of: guides that mate, the body that is held, the face around the mouth, and details.

Lengths are in mm and angles in degrees, in the plug frame or the socket frame of `skillcore.solids`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from shapely import Polygon

from skillcore.config import StrictModel, wrong
from skillcore_insertion.finishes import Finishes
from skillcore_insertion.outlines import AnyOutline, Coordinate, Degrees, PointMm, placed

MIN_CLEARANCE_MM = 0.02
"""No plug is ever drawn tighter in its hole than this, per side: below it nothing would slide."""

Spot = tuple[float, float, float]
"""Where one copy of an outline lies: x and y in mm, and its turn in degrees."""


class Grid(StrictModel):
    """Copies in columns and rows about the middle; every second row is shifted by stagger_mm along x."""

    kind: Literal["grid"] = "grid"
    columns: Annotated[int, Field(ge=1, le=40)] = 1
    rows: Annotated[int, Field(ge=1, le=10)] = 1
    pitch_mm: PointMm = (0.0, 0.0)
    stagger_mm: Coordinate = 0.0

    def spots(self) -> list[Spot]:
        """The copies' places about the middle of the grid."""
        return [
            (
                (column - (self.columns - 1) / 2.0) * self.pitch_mm[0] + (row % 2) * self.stagger_mm,
                (row - (self.rows - 1) / 2.0) * self.pitch_mm[1],
                0.0,
            )
            for row in range(self.rows)
            for column in range(self.columns)
        ]


class Ring(StrictModel):
    """Copies on a circle, from start_deg on, step_deg apart (evenly spread where it is left out)."""

    kind: Literal["ring"] = "ring"
    count: Annotated[int, Field(ge=1, le=40)]
    diameter_mm: Annotated[float, Field(gt=0.0, le=120.0)]
    start_deg: Degrees = 90.0
    step_deg: Degrees | None = None
    facing: bool = False
    """Whether the copies turn with their place on the circle."""

    def spots(self) -> list[Spot]:
        """The copies' places about the middle of the circle."""
        step = 360.0 / self.count if self.step_deg is None else self.step_deg
        spots = []
        for index in range(self.count):
            angle_deg = self.start_deg + index * step
            x, y = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
            radius_mm = self.diameter_mm / 2.0
            spots.append((x * radius_mm, y * radius_mm, angle_deg - 90.0 if self.facing else 0.0))
        return spots


class Placement(StrictModel):
    """An outline with its place: turned by rotate_deg, moved to at_mm, and repeated about there."""

    outline: AnyOutline
    at_mm: PointMm = (0.0, 0.0)
    rotate_deg: Degrees = 0.0
    repeat: Annotated[Grid | Ring, Field(discriminator="kind")] | None = None

    def spots(self) -> list[Spot]:
        """Where each copy lies."""
        if self.repeat is None:
            return [(self.at_mm[0], self.at_mm[1], self.rotate_deg)]
        return [(self.at_mm[0] + x, self.at_mm[1] + y, self.rotate_deg + turn) for x, y, turn in self.repeat.spots()]

    @cached_property
    def inner(self) -> Polygon:
        """The outline in its own coordinates, in m, round parts drawn inside of the true curve: as of a solid."""
        return self.outline.polygon()

    @cached_property
    def outer(self) -> Polygon:
        """The outline in its own coordinates, in m, round parts drawn outside of the true curve: as of a hole."""
        return self.outline.polygon(around=True)

    def place(self, polygon: Polygon) -> list[Polygon]:
        """Copies of a polygon given in the outline's own coordinates (m), each at its place."""
        return [placed(polygon, (x, y), turn) for x, y, turn in self.spots()]

    @cached_property
    def polygons(self) -> tuple[Polygon, ...]:
        """The outline's copies in m, each at its place."""
        return tuple(self.place(self.inner))


class Guide(Placement):
    """A part of the plug that enters a hole, and the hole it enters. Its back end is the plug's shoulder.

    length_mm: from the shoulder to its tip; the connector's depth where it is left out. clearance_mm: between plug and
    hole on each side, from the nominal sizes of both; the tighter one where width and height differ.
    plug_tolerance_mm and hole_tolerance_mm: what the standard allows the two sizes (full widths, not per side) to be
    off by, plus or minus. plug_chamfer_mm: the bevel around the tip.
    """

    length_mm: Annotated[float, Field(ge=0.5, le=80.0)] | None = None
    clearance_mm: Annotated[float, Field(ge=MIN_CLEARANCE_MM, le=2.0)]
    plug_tolerance_mm: Annotated[float, Field(ge=0.0, le=1.0)]
    hole_tolerance_mm: Annotated[float, Field(ge=0.0, le=1.0)]
    plug_chamfer_mm: Annotated[float, Field(ge=0.0, le=3.0)]
    material: Finishes

    @model_validator(mode="after")
    def _is_solid(self) -> Self:
        if self.inner.interiors:
            raise wrong("has a hole, and a guide must be solid", field="outline")
        tip = self.inner.buffer(-(self.plug_chamfer_mm + self.plug_tolerance_mm / 2.0) * 1e-3, join_style="mitre")
        if not isinstance(tip, Polygon) or tip.is_empty:
            raise wrong(
                "leaves nothing of the outline at the tip",
                "make it smaller than half of the narrowest part",
                field="plug_chamfer_mm",
            )
        return self


class BodyPiece(Placement):
    """A piece of the plug behind its shoulder, which the gripper holds; pieces are stacked from the shoulder backwards.

    chamfer_mm: the bevel around its front edge.
    """

    length_mm: Annotated[float, Field(ge=0.3, le=120.0)]
    material: Finishes
    chamfer_mm: Annotated[float, Field(ge=0.0, le=5.0)] = 0.0


class Rim(StrictModel):
    """A visible lining of the holes that are open at the mouth, width_mm wide around them."""

    width_mm: Annotated[float, Field(ge=0.1, le=10.0)]
    material: Finishes


class Face(Placement):
    """The socket's housing around the mouth. Its front is the mouth plane; it stands height_mm proud of the panel.

    lead_in_mm: the 45 degree bevel around the holes' edges.
    """

    height_mm: Annotated[float, Field(ge=0.0, le=60.0)]
    lead_in_mm: Annotated[float, Field(ge=0.0, le=3.0)]
    material: Finishes
    rim: Rim | None = None

    @model_validator(mode="after")
    def _stands_alone(self) -> Self:
        if self.repeat is not None:
            raise wrong("there is one face only", "leave it out", field="repeat")
        return self


class Detail(Placement):
    """Something seen on plug or socket: a contact, a tongue, a latch, a printed mark.

    z_mm: from where to where it reaches, in the frame of the part it is on: for the plug 0 is the tip and all else lies
    below 0, for the socket 0 is the mouth and all else lies above 0. It is only seen unless `collides`.
    """

    part: Literal["plug", "socket"]
    z_mm: tuple[Coordinate, Coordinate]
    material: Finishes
    collides: bool = False
    chamfer_mm: Annotated[float, Field(ge=0.0, le=3.0)] = 0.0

    @model_validator(mode="after")
    def _lies_on_its_part(self) -> Self:
        low, high = self.z_mm
        if low >= high:
            raise wrong("runs backwards", "write the smaller figure first", field="z_mm")
        if self.part == "plug" and high > 0.0:
            raise wrong("reaches beyond 0, the plug's tip", "all of a plug lies at or below 0", field="z_mm")
        if self.part == "socket" and low < 0.0:
            raise wrong("reaches below 0, the mouth", "all of a socket lies at or above 0", field="z_mm")
        return self


class ThreadSpec(StrictModel):
    """The thread of a screw: its pitch, and how far it is turned before it counts as inserted."""

    pitch_mm: Annotated[float, Field(gt=0.1, le=4.0)]
    turn_deg: Annotated[float, Field(gt=0.0, le=360.0)] = 60.0
