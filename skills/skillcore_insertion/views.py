"""What a drawing of a connector shows: the front view and the side view, as plain shapes in mm."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import shapely
from shapely import LineString, Polygon
from shapely.affinity import affine_transform

from skillcore_insertion.connector import Connector
from skillcore_insertion.fits import Fit
from skillcore_insertion.outlines import MM

BODY_SHOWN_MM = 26.0
"""How much of the body behind the shoulder a side view shows; the rest is broken off."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of a side view in mm: along the axis of insertion (z) and across it (x)."""

    z_mm: tuple[float, float]
    x_mm: tuple[float, float]
    chamfer_mm: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """Seen along the axis, looking at the plug's tip: polygons in m.

    plug_mm: what the guides reach over (left, low, right, high), as true circles. gap_mm: the least clearance.
    """

    face: Polygon
    body: Polygon
    holes: tuple[Polygon, ...]
    plugs: tuple[Polygon, ...]
    marks: tuple[Polygon, ...]
    plug_mm: tuple[float, float, float, float]
    gap_mm: float


@dataclass(frozen=True, slots=True)
class Side:
    """Cut along the axis, the plug's tip at z = 0 and the socket's mouth at z = 0 of its own.

    cut: where, in words. guides and body belong to the plug, walls to the socket. bottom_mm: how deep the socket is.
    """

    cut: str
    guides: tuple[Block, ...]
    body: tuple[Block, ...]
    walls: tuple[Block, ...]
    bottom_mm: float


def front_view(connector: Connector) -> Front:
    """The nominal sections of plug and hole, and the outlines of face and body around them."""
    fits, mating = connector.fits(), connector.mating()
    tip = shapely.union_all([fit.plug for fit in fits]).buffer(0.1 * MM)
    marks = [
        polygon
        for detail in connector.details
        if detail.part == "plug" and detail.z_mm[1] > -1.0
        for polygon in detail.polygons
        if tip.covers(polygon)
    ]
    return Front(
        face=connector.face_polygon,
        body=max((piece.polygons[0] for piece in connector.body), key=lambda polygon: polygon.area),
        holes=tuple(Polygon(hole) for hole in mating.socket[0].holes),
        plugs=tuple(fit.plug for fit in fits),
        marks=tuple(marks),
        plug_mm=extent_mm(polygon for guide in connector.guides for polygon in guide.place(guide.outer)),
        gap_mm=min(guide.clearance_mm for guide in connector.guides),
    )


def side_view(connector: Connector) -> Side:
    """The nominal plug and socket, cut where the most guides are met, across the longer side of the section."""
    fits, mating = connector.fits(), connector.mating()
    plugs = [(fit.plug, fit) for fit in sorted(fits, key=lambda fit: fit.length_m)]
    turned_plugs = [(_turned(plug), fit) for plug, fit in plugs]
    left, low, right, high = extent_mm(plug for plug, _ in plugs)
    y_m, met = _best_cut(plugs)
    turned_y_m, turned_met = _best_cut(turned_plugs)
    is_tall = (turned_met, high - low) > (met, 1.2 * (right - left))
    if is_tall:
        plugs, y_m = turned_plugs, turned_y_m

    def turned(polygon: Polygon) -> Polygon:
        return _turned(polygon) if is_tall else polygon

    shoulder_mm = -connector.depth_mm
    guides = [
        Block((shoulder_mm, shoulder_mm + fit.length_m / MM), across, fit.guide.plug_chamfer_mm)
        for plug, fit in plugs
        for across in _cuts(plug, y_m)
    ]
    body, front_mm = [], shoulder_mm
    for piece in connector.body:
        back_mm = max(front_mm - piece.length_mm, shoulder_mm - BODY_SHOWN_MM)
        if back_mm >= front_mm:
            break
        body += [Block((back_mm, front_mm), _span(turned(one)), piece.chamfer_mm) for one in piece.polygons]
        front_mm = back_mm
    walls, bottom_mm = [], 0.0
    for solid in (solid for solid in mating.socket if solid.collides):
        section = turned(Polygon(solid.outline, solid.holes))
        low_mm, high_mm = solid.z_m[0] / MM, solid.z_m[1] / MM
        walls += [Block((low_mm, high_mm), across) for across in _cuts(section, y_m)]
        bottom_mm = max(bottom_mm, high_mm)
    cut = f"{'x' if is_tall else 'y'} = {round(y_m / MM, 1) + 0.0:.1f} mm"
    return Side(cut, tuple(guides), tuple(body), tuple(walls), bottom_mm)


def extent_mm(polygons: Iterable[Polygon]) -> tuple[float, float, float, float]:
    """The bounds (left, low, right, high) in mm of all polygons (m)."""
    left, low, right, high = shapely.union_all(list(polygons)).bounds
    return left / MM, low / MM, right / MM, high / MM


def _best_cut(plugs: list[tuple[Polygon, Fit]]) -> tuple[float, int]:
    """The height (m) at which a horizontal cut meets most guides, the deepest among them, and how many it meets."""
    heights = {plug.centroid.y: fit.length_m for plug, fit in plugs}
    counts = {y: sum(bool(_cuts(plug, y)) for plug, _ in plugs) for y in heights}
    best = max(heights, key=lambda y: (counts[y], heights[y]))
    return best, counts[best]


def _turned(polygon: Polygon) -> Polygon:
    """The polygon with x and y exchanged."""
    return affine_transform(polygon, [0.0, 1.0, 1.0, 0.0, 0.0, 0.0])


def _cuts(polygon: Polygon, y_m: float) -> list[tuple[float, float]]:
    """Where a horizontal line runs inside a polygon (m): pieces from x to x, in mm."""
    left, _, right, _ = polygon.bounds
    inside = polygon.intersection(LineString([(left - 1.0, y_m), (right + 1.0, y_m)]))
    spans = [_span(part) for part in shapely.get_parts(inside) if part.length > 0.0]
    return sorted(spans)


def _span(shape: shapely.Geometry) -> tuple[float, float]:
    left, _, right, _ = shape.bounds
    return left / MM, right / MM
