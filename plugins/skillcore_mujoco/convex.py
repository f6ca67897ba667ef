"""Extrusions as convex pieces, the only solids that MuJoCo's contact solver takes."""

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon
from shapely.geometry.polygon import orient

from skillcore.solids import Extrusion, Outline

COARSE_TURN_RAD = np.radians(46.0)
"""Between two edges that a hole keeps lies no more than this, if it can be helped."""
COARSE_LENGTH_M = 0.0015
"""Longer edges are always kept."""
AREA_MIN_M2 = 1e-10
"""Pieces thinner than this (0.01 mm by 10 mm) carry no contact and are left out."""


def convex_pieces(extrusion: Extrusion) -> list[NDArray[np.float64]]:
    """The corners (n, 3) in m of convex solids that together fill the extrusion, bevels included.

    A bevel shrinks each piece at the end where parts meet first. A piece of a body with holes stays convex by this,
    because only its edges along a hole move.
    """
    holes = tuple(coarsened(hole) for hole in extrusion.holes)
    section = Polygon(extrusion.outline, holes)
    low, high = extrusion.z_m
    bevel = min(extrusion.chamfer_m, 0.9 * (high - low))
    pieces = []
    for outline in convex_partition(section):
        if bevel <= 0.0:
            pieces.append(_prism(outline, low, high))
        elif holes:
            wall = Polygon(outline)
            mouth = wall.difference(_grown(holes, bevel)).convex_hull
            pieces.append(
                np.concatenate([_prism(outline, low + bevel, high), _level(mouth, low)])
                if mouth.area > AREA_MIN_M2
                else _prism(outline, low + bevel, high)
            )
        else:
            body = Polygon(outline)
            tip = body.intersection(section.buffer(-bevel, join_style="mitre"))
            pieces.append(
                np.concatenate([_prism(outline, low, high - bevel), _level(tip.convex_hull, high)])
                if tip.area > AREA_MIN_M2
                else _prism(outline, low, high - bevel)
            )
    return pieces


def coarsened(hole: Outline) -> Outline:
    """A convex hole with fewer edges; any other as it is.

    Edges that turn little are left out, and those that stay are drawn out until they meet, so the hole only gains
    corners. What fits a round hole has hardly more play in the corners of an octagon around it than between them, and
    each edge saved is one solid less to look for contacts with.
    """
    if not _is_convex(hole):
        return hole
    edges = np.roll(hole, -1, axis=0) - hole
    angles = np.arctan2(edges[:, 1], edges[:, 0])
    lengths = np.linalg.norm(edges, axis=1)
    first = int(np.argmax(lengths))
    kept = [first]
    for step in range(1, len(hole)):
        place, following = (first + step) % len(hole), (first + step + 1) % len(hole)
        turn = (angles[following] - angles[kept[-1]]) % (2 * np.pi)
        if turn > COARSE_TURN_RAD or lengths[place] > COARSE_LENGTH_M:
            kept.append(place)
    if len(kept) < 3:
        return hole
    corners = [_meeting(hole[a], edges[a], hole[b], edges[b]) for a, b in zip(kept, kept[1:] + kept[:1], strict=True)]
    return np.array(corners)


def _meeting(start: Outline, along: Outline, other: Outline, other_along: Outline) -> Outline:
    """Where two lines meet, each given by a point and a direction (2,)."""
    cross = along[0] * other_along[1] - along[1] * other_along[0]
    offset = other - start
    return np.asarray(start + along * ((offset[0] * other_along[1] - offset[1] * other_along[0]) / cross))


def convex_partition(section: Polygon) -> list[Outline]:
    """Splits a polygon with holes into convex polygons (n, 2), counter-clockwise.

    Triangles of a constrained Delaunay triangulation are merged across shared edges while the union stays convex
    (Hertel and Mehlhorn 1983), the longest edges first, which keeps slivers from surviving.
    """
    if not section.interiors and _is_convex(np.asarray(orient(section).exterior.coords[:-1])):
        return [np.asarray(orient(section).exterior.coords[:-1])]
    corners: list[tuple[float, float]] = []
    index: dict[tuple[float, float], int] = {}
    faces: dict[int, list[int]] = {}
    for number, triangle in enumerate(shapely.constrained_delaunay_triangles(section).geoms):
        if triangle.area < AREA_MIN_M2:
            continue
        face = []
        for x, y in orient(triangle).exterior.coords[:-1]:
            key = (round(x, 9), round(y, 9))
            if key not in index:
                index[key] = len(corners)
                corners.append((x, y))
            face.append(index[key])
        faces[number] = face
    points = np.array(corners)

    owner: dict[tuple[int, int], int] = {}
    for number, face in faces.items():
        for first, second in zip(face, face[1:] + face[:1], strict=True):
            owner[first, second] = number
    inner = [edge for edge in owner if edge[0] < edge[1] and edge[::-1] in owner]
    inner.sort(key=lambda edge: -float(np.linalg.norm(points[edge[0]] - points[edge[1]])))
    for first, second in inner:
        left, right = owner[first, second], owner[second, first]
        if left == right:
            continue
        face, other = faces[left], faces[right]
        start, meet = face.index(second), other.index(first)
        ring = face[start:] + face[:start]
        joined = ring + (other[meet:] + other[:meet])[1:-1]
        if len(set(joined)) == len(joined) and _is_convex(points[joined]):
            faces[left] = joined
            del faces[right]
            for a, b in zip(joined, joined[1:] + joined[:1], strict=True):
                owner[a, b] = left
    return [points[face] for face in faces.values()]


def _is_convex(ring: Outline) -> bool:
    """Whether a counter-clockwise ring never turns right (by more than rounding)."""
    edge = np.roll(ring, -1, axis=0) - ring
    following = np.roll(edge, -1, axis=0)
    cross = edge[:, 0] * following[:, 1] - edge[:, 1] * following[:, 0]
    scale = np.linalg.norm(edge, axis=1) * np.linalg.norm(following, axis=1)
    return bool(np.all(cross >= -1e-6 * scale))


def _grown(holes: tuple[Outline, ...], by_m: float) -> shapely.Geometry:
    return shapely.union_all([Polygon(hole).buffer(by_m, join_style="mitre") for hole in holes])


def _level(polygon: shapely.Geometry, z_m: float) -> NDArray[np.float64]:
    ring = np.asarray(polygon.exterior.coords[:-1])
    return np.column_stack([ring, np.full(len(ring), z_m)])


def _prism(outline: Outline, low_m: float, high_m: float) -> NDArray[np.float64]:
    ends = (np.column_stack([outline, np.full(len(outline), z)]) for z in (low_m, high_m))
    return np.concatenate(list(ends))
