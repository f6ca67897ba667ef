"""Outlines of plugs, housings and holes, as connector files write them: in mm, told by kind.

Coordinates are those of the plug frame seen from in front, looking at the plug's tip: x to the right, y up. The socket
uses the same coordinates, so that a plug and its hole are the same outline but for the clearance. Polygons that come
out of here are in m, counter-clockwise.

Circles become regular polygons. A plug's lies inside the true circle, a hole's (`around=True`) outside of it, so that a
round plug turns freely in its hole whatever the corners do.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
import shapely
from pydantic import AfterValidator, Field, model_validator
from shapely import Polygon
from shapely.affinity import affine_transform
from shapely.geometry.polygon import orient

from skillcore.config import StrictModel, wrong
from skillcore.solids import Outline

MM = 1e-3
CORNER_SEGMENTS = 3
"""Edges that stand for a rounded corner's quarter turn."""
VERTICES_MAX = 24
"""Vertices a composite is thinned out to where that costs less than SIMPLIFY_MAX_MM."""
SIMPLIFY_MAX_MM = 0.02

Size = Annotated[float, Field(ge=0.1, le=250.0, allow_inf_nan=False)]
"""A length of an outline in mm. The lower bound catches figures given in m."""
Radius = Annotated[float, Field(ge=0.0, le=60.0, allow_inf_nan=False)]
Coordinate = Annotated[float, Field(ge=-250.0, le=250.0, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=-360.0, le=360.0, allow_inf_nan=False)]
PointMm = tuple[Coordinate, Coordinate]


def _some(items: tuple[Any, ...]) -> tuple[Any, ...]:
    if not items:
        raise wrong("is an empty list", "write at least one item")
    return items


SOME = AfterValidator(_some)
"""Marks a list that must not be empty. Pydantic's own check also complains where the only item is a faulty one."""


ModelT = TypeVar("ModelT", bound=StrictModel)


def changed(model: ModelT, **update: object) -> ModelT:
    """The model with some fields changed, validated anew. (`model_copy` would keep what was computed from the old.)"""
    fields = type(model).model_fields
    values = {fields[name].alias or name: update.get(name, getattr(model, name)) for name in fields}
    return type(model).model_validate(values)


class OutlineModel(StrictModel, ABC):
    """What every outline can do."""

    @abstractmethod
    def polygon(self, *, around: bool = False) -> Polygon:
        """The outline in m. around: whether round parts are drawn outside of the true curve, as a hole needs them."""

    @abstractmethod
    def scaled(self, x: float, y: float) -> Self:
        """The same kind of outline, stretched by `x` and `y`; what is round stays round and takes the mean of both."""

    @property
    def is_round(self) -> bool:
        """Whether stretching it unequally would change what it is."""
        return False


class Rectangle(OutlineModel):
    """A rectangle about the origin, its corners rounded by `corner_radius_mm`."""

    kind: Literal["rectangle"] = "rectangle"
    width_mm: Size
    height_mm: Size
    corner_radius_mm: Radius = 0.0

    @model_validator(mode="after")
    def _radius_fits(self) -> Self:
        _check_radius(self.corner_radius_mm, min(self.width_mm, self.height_mm) / 2.0)
        return self

    def polygon(self, *, around: bool = False) -> Polygon:
        x, y = self.width_mm / 2.0, self.height_mm / 2.0
        return _rounded([(-x, -y), (x, -y), (x, y), (-x, y)], self.corner_radius_mm)

    def scaled(self, x: float, y: float) -> Self:
        return changed(
            self,
            width_mm=self.width_mm * x,
            height_mm=self.height_mm * y,
            corner_radius_mm=self.corner_radius_mm * min(x, y),
        )


class Circle(OutlineModel):
    """A circle about the origin."""

    kind: Literal["circle"] = "circle"
    diameter_mm: Size

    def polygon(self, *, around: bool = False) -> Polygon:
        sides = 12 if self.diameter_mm <= 2.0 else 16 if self.diameter_mm <= 5.0 else 24
        return _regular(sides, self.diameter_mm / 2.0, around=around)

    def scaled(self, x: float, y: float) -> Self:
        return changed(self, diameter_mm=self.diameter_mm * math.sqrt(x * y))

    @property
    def is_round(self) -> bool:
        return True


class RegularPolygon(OutlineModel):
    """A regular polygon about the origin with a flat side below.

    across_flats_mm: twice the distance from the middle to a side, which is the width across flats where the number of
    sides is even.
    """

    kind: Literal["regular_polygon"] = "regular_polygon"
    sides: Annotated[int, Field(ge=3, le=12)]
    across_flats_mm: Size

    def polygon(self, *, around: bool = False) -> Polygon:
        return _regular(self.sides, self.across_flats_mm / 2.0, around=True)

    def scaled(self, x: float, y: float) -> Self:
        return changed(self, across_flats_mm=self.across_flats_mm * math.sqrt(x * y))

    @property
    def is_round(self) -> bool:
        return True


class Stadium(OutlineModel):
    """A rectangle whose shorter sides are half circles (an obround)."""

    kind: Literal["stadium"] = "stadium"
    width_mm: Size
    height_mm: Size

    def polygon(self, *, around: bool = False) -> Polygon:
        x, y = self.width_mm / 2.0, self.height_mm / 2.0
        return _rounded([(-x, -y), (x, -y), (x, y), (-x, y)], min(x, y), segments=5)

    def scaled(self, x: float, y: float) -> Self:
        return changed(self, width_mm=self.width_mm * x, height_mm=self.height_mm * y)


class DShape(OutlineModel):
    """The D of D-subminiature shells: widest at the top, its sides leaning inwards by `side_angle_deg`, rounded.

    width_mm is the greatest width there is, roundings and all.
    """

    kind: Literal["d_shape"] = "d_shape"
    width_mm: Size
    height_mm: Size
    side_angle_deg: Annotated[float, Field(ge=0.0, le=40.0)] = 10.0
    corner_radius_mm: Radius = 0.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        lower = self.width_mm - 2.0 * self.height_mm * math.tan(math.radians(self.side_angle_deg))
        if lower <= 0.0:
            raise wrong("its sides meet above the lower edge", "make side_angle_deg or height_mm smaller")
        _check_radius(self.corner_radius_mm, min(lower, self.height_mm) / 2.5)
        return self

    def polygon(self, *, around: bool = False) -> Polygon:
        # Rounding the sharp upper corners takes off some width, as much as they are then moved out.
        rounded = self._rounded(self.width_mm / 2.0)
        return self._rounded(self.width_mm - rounded.bounds[2] / MM)

    def _rounded(self, top_mm: float) -> Polygon:
        y_mm = self.height_mm / 2.0
        bottom_mm = top_mm - self.height_mm * math.tan(math.radians(self.side_angle_deg))
        corners = [(-bottom_mm, -y_mm), (bottom_mm, -y_mm), (top_mm, y_mm), (-top_mm, y_mm)]
        return _rounded(corners, self.corner_radius_mm)

    def scaled(self, x: float, y: float) -> Self:
        lean = math.degrees(math.atan(math.tan(math.radians(self.side_angle_deg)) * x / y))
        return changed(
            self,
            width_mm=self.width_mm * x,
            height_mm=self.height_mm * y,
            side_angle_deg=lean,
            corner_radius_mm=self.corner_radius_mm * min(x, y),
        )


class Trapezoid(OutlineModel):
    """A trapezoid about the origin, symmetric to the y axis."""

    kind: Literal["trapezoid"] = "trapezoid"
    top_width_mm: Size
    bottom_width_mm: Size
    height_mm: Size

    def polygon(self, *, around: bool = False) -> Polygon:
        top, bottom, y = self.top_width_mm / 2.0, self.bottom_width_mm / 2.0, self.height_mm / 2.0
        return _rounded([(-bottom, -y), (bottom, -y), (top, y), (-top, y)], 0.0)

    def scaled(self, x: float, y: float) -> Self:
        return changed(
            self,
            top_width_mm=self.top_width_mm * x,
            bottom_width_mm=self.bottom_width_mm * x,
            height_mm=self.height_mm * y,
        )


class PolygonOutline(OutlineModel):
    """Any polygon that does not cross itself; the points may run either way round."""

    kind: Literal["polygon"] = "polygon"
    points_mm: Annotated[tuple[PointMm, ...], Field(max_length=60)]

    @model_validator(mode="after")
    def _is_simple(self) -> Self:
        if len(self.points_mm) < 3:
            raise wrong(f"holds {len(self.points_mm)} points", "write at least three", field="points_mm")
        polygon = Polygon(self.points_mm)
        if not polygon.is_valid or polygon.area < 1e-3:
            raise wrong(
                "does not go round an area without crossing its own way",
                "list the corners in order",
                field="points_mm",
            )
        return self

    def polygon(self, *, around: bool = False) -> Polygon:
        return orient(Polygon(np.asarray(self.points_mm) * MM))

    def scaled(self, x: float, y: float) -> Self:
        return changed(self, points_mm=tuple((px * x, py * y) for px, py in self.points_mm))


class Placed(StrictModel):
    """An outline, turned by rotate_deg (counter-clockwise) and then moved to at_mm."""

    outline: AnyOutline
    at_mm: PointMm = (0.0, 0.0)
    rotate_deg: Degrees = 0.0

    def polygon(self, *, around: bool = False) -> Polygon:
        """The placed outline in m."""
        return placed(self.outline.polygon(around=around), self.at_mm, self.rotate_deg)

    def scaled(self, x: float, y: float) -> Self:
        """Stretched along the axes of what it is part of."""
        turned = round(self.rotate_deg / 90.0) % 2 == 1
        outline = self.outline.scaled(y, x) if turned else self.outline.scaled(x, y)
        return changed(self, outline=outline, at_mm=(self.at_mm[0] * x, self.at_mm[1] * y))


class Composite(OutlineModel):
    """The union of some placed outlines, less others."""

    kind: Literal["composite"] = "composite"
    plus: Annotated[tuple[Placed, ...], SOME, Field(max_length=40)]
    minus: Annotated[tuple[Placed, ...], Field(max_length=40)] = ()

    @model_validator(mode="after")
    def _is_one_piece(self) -> Self:
        for merged in (self.inside, self.outside):
            if merged.is_empty:
                raise wrong("takes away all of plus", "leave some of it", field="minus")
            if not isinstance(merged, Polygon):
                cure = "let the parts of plus overlap, and minus not cut through"
                raise wrong("falls into pieces that do not touch", cure)
        return self

    def polygon(self, *, around: bool = False) -> Polygon:
        return self.outside if around else self.inside

    @cached_property
    def inside(self) -> Polygon:
        """The outline in m, round parts drawn inside of the true curve. (Several or none before validation.)"""
        return self._merged(around=False)

    @cached_property
    def outside(self) -> Polygon:
        """The outline in m, round parts drawn outside of the true curve. (Several or none before validation.)"""
        return self._merged(around=True)

    def _merged(self, *, around: bool) -> shapely.Geometry:
        total = shapely.union_all([part.polygon(around=around) for part in self.plus])
        if self.minus:
            # What is cut away bounds the solid from the other side, so its roundings are drawn the other way.
            total = total.difference(shapely.union_all([part.polygon(around=not around) for part in self.minus]))
        return orient(thinned(total)) if isinstance(total, Polygon) and not total.is_empty else total

    def scaled(self, x: float, y: float) -> Self:
        return changed(
            self,
            plus=tuple(part.scaled(x, y) for part in self.plus),
            minus=tuple(part.scaled(x, y) for part in self.minus),
        )

    @property
    def is_round(self) -> bool:
        return any(part.outline.is_round for part in (*self.plus, *self.minus))


AnyOutline = Annotated[
    Rectangle | Circle | RegularPolygon | Stadium | DShape | Trapezoid | PolygonOutline | Composite,
    Field(discriminator="kind"),
]
"""Any outline a connector file can write; its `kind` says which."""

Placed.model_rebuild()
Composite.model_rebuild()


def placed(polygon: Polygon, at_mm: tuple[float, float], rotate_deg: float = 0.0) -> Polygon:
    """A polygon in m, turned by rotate_deg about the origin and then moved to at_mm."""
    if rotate_deg == 0.0 and at_mm == (0.0, 0.0):
        return polygon
    cosine, sine = math.cos(math.radians(rotate_deg)), math.sin(math.radians(rotate_deg))
    return affine_transform(polygon, [cosine, -sine, sine, cosine, at_mm[0] * MM, at_mm[1] * MM])


def grown(polygon: Polygon, by_m: float) -> Polygon:
    """A polygon whose sides all lie `by_m` further out (further in where negative), its corners kept sharp.

    Raises ValueError when nothing, or more than one piece, is left.
    """
    if by_m == 0.0:
        return polygon
    result = polygon.buffer(by_m, join_style="mitre", mitre_limit=4.0)
    if not isinstance(result, Polygon) or result.is_empty:
        raise ValueError(f"moving the sides of an outline by {by_m / MM:.3g} mm leaves no single piece of it")
    return orient(result)


def thinned(polygon: Polygon) -> Polygon:
    """The polygon without needless vertices: VERTICES_MAX at most, where that moves no side by SIMPLIFY_MAX_MM."""
    result = polygon
    for tolerance_mm in (1e-4, 5e-3, 1e-2, SIMPLIFY_MAX_MM):
        simpler = polygon.simplify(tolerance_mm * MM)
        if isinstance(simpler, Polygon) and not simpler.is_empty and simpler.is_valid:
            result = simpler
        if len(result.exterior.coords) - 1 <= VERTICES_MAX:
            break
    return result


def ring_array(polygon: Polygon) -> Outline:
    """The outer ring of a polygon as `skillcore.solids` wants it: (n, 2) float64 in m, counter-clockwise, open."""
    return _open_ccw(polygon.exterior)


def hole_arrays(polygon: Polygon) -> tuple[Outline, ...]:
    """The inner rings of a polygon, each (n, 2) float64 in m, counter-clockwise, open."""
    return tuple(_open_ccw(ring) for ring in polygon.interiors)


def _open_ccw(ring: shapely.LinearRing) -> Outline:
    points = np.array(shapely.get_coordinates(ring)[:-1], dtype=np.float64)
    return points if shapely.is_ccw(ring) else np.ascontiguousarray(points[::-1])


def _check_radius(radius_mm: float, largest_mm: float) -> None:
    if radius_mm > largest_mm + 1e-9:
        raise wrong(f"{radius_mm:g} is more than fits", f"at most {largest_mm:.3g} does", field="corner_radius_mm")


def _regular(sides: int, radius_mm: float, *, around: bool) -> Polygon:
    """A regular polygon with a flat side below, inside or around a circle."""
    corner_mm = radius_mm / math.cos(math.pi / sides) if around else radius_mm
    angle = -math.pi / 2.0 + math.pi / sides * (2.0 * np.arange(sides) + 1.0)
    return Polygon(np.column_stack([np.cos(angle), np.sin(angle)]) * (corner_mm * MM))


def _rounded(corners_mm: list[PointMm], radius_mm: float, *, segments: int = CORNER_SEGMENTS) -> Polygon:
    """A convex polygon, given counter-clockwise in mm, its corners rounded by arcs of `segments` edges."""
    if radius_mm < 0.02:
        return Polygon([(x * MM, y * MM) for x, y in corners_mm])
    points: list[PointMm] = []
    for index, (x, y) in enumerate(corners_mm):
        last, following = corners_mm[index - 1], corners_mm[(index + 1) % len(corners_mm)]
        into, out = math.atan2(y - last[1], x - last[0]), math.atan2(following[1] - y, following[0] - x)
        turn = (out - into) % math.tau
        # The arc's middle lies to the left of both edges, at the radius from each.
        along = radius_mm * math.tan(turn / 2.0)
        centre_x = x - along * math.cos(into) - radius_mm * math.sin(into)
        centre_y = y - along * math.sin(into) + radius_mm * math.cos(into)
        for step in range(segments + 1):
            angle = into - math.pi / 2.0 + turn * step / segments
            point = (centre_x + radius_mm * math.cos(angle), centre_y + radius_mm * math.sin(angle))
            # Two arcs may meet in one point, where half circles make up a whole end.
            if not points or math.dist(point, points[-1]) > 1e-6:
                points.append(point)
    if math.dist(points[0], points[-1]) <= 1e-6:
        points.pop()
    return Polygon([(x * MM, y * MM) for x, y in points])
