"""A connector as its YAML file describes it, and the solids that a simulation mates."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

import numpy as np
import shapely
from pydantic import Field, model_validator
from shapely import Polygon

from skillcore.config import StrictModel, wrong
from skillcore.solids import Extrusion, Material, Mating, Thread
from skillcore_insertion.finishes import FinishDraw
from skillcore_insertion.fits import Fit, fitted, hole_layers, pieces, symmetry_order, widest_holes
from skillcore_insertion.outlines import MM, SOME, grown, hole_arrays, ring_array
from skillcore_insertion.pieces import BodyPiece, Detail, Face, Guide, ThreadSpec

FACE_MARGIN_MM = 0.15
"""The least wall of the face that stays around the widest holes."""
FLOOR_BELOW_TIP_MM = 0.5
"""How much deeper than the tips the holes are, so that the shoulder and not the tip ends the motion."""
FLOOR_THICKNESS_MM = 1.5
SHOULDER_AREA_MIN_MM2 = 1.0
"""How much of the body must rest on the face before it counts as a shoulder."""

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_~]*$", max_length=60)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]


class Connector(StrictModel):
    """A plug and its socket, with the tolerances and looks that single specimens are drawn from.

    depth_mm: how far the tip lies beyond the mouth plane when seated. insertion_force_n: what pushing it in takes.
    friction: sliding friction coefficient of the two materials. symmetry: in how many turned positions about the axis
    of insertion the plug mates; 1 is only as it is, 2 also upside down, 0 at any angle. source: where the figures come
    from. note: what is estimated or simplified.
    """

    schema_version: Literal[1] = Field(alias="schema")
    name: Name
    title: Text
    aliases: tuple[Name, ...] = ()
    family: Name
    split: Literal["train", "held_out"]
    source: Text
    note: str = ""
    depth_mm: Annotated[float, Field(ge=0.8, le=60.0)]
    insertion_force_n: Annotated[float, Field(ge=0.0, le=30.0)]
    friction: Annotated[float, Field(ge=0.1, le=0.4)]
    symmetry: Annotated[int, Field(ge=0, le=12)]
    thread: ThreadSpec | None = None
    guides: Annotated[tuple[Guide, ...], SOME, Field(max_length=16)]
    body: Annotated[tuple[BodyPiece, ...], SOME, Field(max_length=8)]
    face: Face
    details: Annotated[tuple[Detail, ...], Field(max_length=40)] = ()

    @model_validator(mode="after")
    def _guides_reach_the_depth(self) -> Self:
        lengths = [self.depth_mm if guide.length_mm is None else guide.length_mm for guide in self.guides]
        if abs(max(lengths) - self.depth_mm) > 1e-6:
            raise wrong(
                f"is {self.depth_mm:g}, but the longest guide is {max(lengths):g} mm long",
                "the plug is seated when its longest guide is in to its end: make them equal",
                field="depth_mm",
            )
        return self

    @model_validator(mode="after")
    def _tolerances_leave_a_plug(self) -> Self:
        for index, guide in enumerate(self.guides):
            try:
                # A little beyond the tolerance, for what rounding takes.
                grown(guide.inner, (-0.5 * guide.plug_tolerance_mm - 0.001) * MM)
            except ValueError:
                raise wrong(
                    f"the thinnest part of guide {index} would not be there at its smallest",
                    "tighten the tolerance, or make the part thicker",
                    field=f"guides.{index}.plug_tolerance_mm",
                ) from None
        return self

    @model_validator(mode="after")
    def _face_holds_the_holes(self) -> Self:
        mouth = widest_holes(self.guides, self.face.lead_in_mm)
        if not self.face_polygon.buffer(-FACE_MARGIN_MM * MM, join_style="mitre").covers(mouth):
            width, height = _extent_mm(mouth)
            raise wrong(
                f"leaves no wall around the holes, which reach over {width:.2f} x {height:.2f} mm with clearance, "
                "tolerances and lead-in",
                f"leave at least {FACE_MARGIN_MM} mm around them",
                field="face.outline",
            )
        walls = len(pieces(widest_holes(self.guides, 0.0))) - len(pieces(mouth))
        if walls:
            raise wrong("breaks the wall between two holes", "make it smaller", field="face.lead_in_mm")
        if any(hole.interiors for hole in pieces(mouth)):
            raise wrong("their holes enclose an island", "let them join, or keep them apart", field="guides")
        return self

    @model_validator(mode="after")
    def _symmetry_is_true(self) -> Self:
        # What is not modelled (a tongue inside a shell, a latch) may rule out turns that the guides allow, so fewer
        # may be claimed than found, and never more.
        found = symmetry_order(self.guides, self.depth_mm)
        if found != 0 and (self.symmetry == 0 or found % self.symmetry != 0):
            ways = "in one way only" if found == 1 else f"in {found} ways"
            raise wrong(
                f"is {self.symmetry}, but the guides fit their holes {ways}",
                f"write {found}, or 1 if something inside allows one way only",
                field="symmetry",
            )
        if self.thread is not None and self.symmetry != 0:
            raise wrong("only what fits at any angle can be screwed in", "leave it out", field="thread")
        return self

    @cached_property
    def face_polygon(self) -> Polygon:
        """The face's outline in m, at its place."""
        return self.face.polygons[0]

    @cached_property
    def has_shoulder(self) -> bool:
        """Whether the body is wider than the holes and stops on the face; else the holes' floor stops the tip."""
        mouth = widest_holes(self.guides, self.face.lead_in_mm)
        seat = shapely.union_all(self.body[0].polygons).intersection(self.face_polygon).difference(mouth)
        return bool(seat.area > SHOULDER_AREA_MIN_MM2 * MM * MM)

    def fits(self, rng: np.random.Generator | None = None) -> list[Fit]:
        """Every guide in its hole, in m: nominal, or drawn within the tolerances."""
        return fitted(self.guides, self.depth_mm, rng)

    def mating(self, rng: np.random.Generator | None = None) -> Mating:
        """The solids of plug and socket: nominal, or a specimen with sizes and looks drawn by `rng`."""
        fits = self.fits(rng)
        return Mating(
            name=self.name,
            plug=tuple(self._plug(fits, FinishDraw(rng))),
            socket=tuple(self._socket(fits, FinishDraw(rng))),
            depth_m=self.depth_mm * MM,
            friction=self.friction,
            resistance_n=self.insertion_force_n,
            thread=None
            if self.thread is None
            else Thread(self.thread.pitch_mm * MM, float(np.deg2rad(self.thread.turn_deg))),
        )

    def _plug(self, fits: list[Fit], draw: FinishDraw) -> list[Extrusion]:
        shoulder_m = -self.depth_mm * MM
        solids = [
            extrusion(
                fit.plug,
                (shoulder_m, shoulder_m + fit.length_m),
                draw(fit.guide.material),
                chamfer_m=fit.guide.plug_chamfer_mm * MM,
            )
            for fit in fits
        ]
        front_m = shoulder_m
        for piece in self.body:
            back_m = front_m - piece.length_mm * MM
            solids += [
                extrusion(polygon, (back_m, front_m), draw(piece.material), chamfer_m=piece.chamfer_mm * MM)
                for polygon in piece.polygons
            ]
            front_m = back_m
        return solids + self._details("plug", draw)

    def _socket(self, fits: list[Fit], draw: FinishDraw) -> list[Extrusion]:
        face, material = self.face_polygon, draw(self.face.material)
        # A thread holds the screw at its depth and draws it in a little farther, so it needs the room as well.
        has_room = self.has_shoulder or self.thread is not None
        layers = hole_layers(fits, FLOOR_BELOW_TIP_MM * MM if has_room else 0.0)
        lead_in_m = self.face.lead_in_mm * MM
        solids = [
            extrusion(face, layer.z_m, material, holes=layer.holes, chamfer_m=lead_in_m if layer.is_open else 0.0)
            for layer in layers
        ]
        floor_m = layers[-1].z_m[1]
        solids.append(extrusion(face, (floor_m, floor_m + FLOOR_THICKNESS_MM * MM), material))
        if self.face.rim is not None:
            lining, top = draw(self.face.rim.material), layers[0]
            solids += [
                extrusion(
                    grown(hole, self.face.rim.width_mm * MM + lead_in_m).intersection(face),
                    top.z_m,
                    lining,
                    holes=(hole,),
                    chamfer_m=lead_in_m,
                    collides=False,
                )
                for hole in top.holes
            ]
        return solids + self._details("socket", draw)

    def _details(self, part: Literal["plug", "socket"], draw: FinishDraw) -> list[Extrusion]:
        return [
            extrusion(
                polygon,
                (detail.z_mm[0] * MM, detail.z_mm[1] * MM),
                draw(detail.material),
                chamfer_m=detail.chamfer_mm * MM,
                collides=detail.collides,
            )
            for detail in self.details
            if detail.part == part
            for polygon in detail.polygons
        ]


def extrusion(
    polygon: Polygon,
    z_m: tuple[float, float],
    material: Material,
    *,
    holes: tuple[Polygon, ...] = (),
    chamfer_m: float = 0.0,
    collides: bool = True,
) -> Extrusion:
    """An extrusion of a polygon in m, less its own inner rings and less `holes`."""
    rings = hole_arrays(polygon) + tuple(ring_array(hole) for hole in holes)
    return Extrusion(ring_array(polygon), z_m, material, rings, chamfer_m, collides)


def _extent_mm(geometry: shapely.Geometry) -> tuple[float, float]:
    left, low, right, high = geometry.bounds
    return (right - left) / MM, (high - low) / MM
