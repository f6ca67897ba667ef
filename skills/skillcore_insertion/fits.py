"""How plugs fit their holes: the sizes of both, drawn within their tolerances, and the holes at every depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import shapely
from shapely import Polygon
from shapely.affinity import rotate
from shapely.geometry.polygon import orient

from skillcore_insertion.outlines import MM, Circle, grown
from skillcore_insertion.pieces import MIN_CLEARANCE_MM, Guide

SLACK_M = 1e-6
"""Rounding that comparisons of depths forgive."""
LARGEST_ORDER = 12


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """One copy of a guide and its hole, in m, in the coordinates that plug and socket share."""

    guide: Guide
    plug: Polygon
    hole: Polygon
    length_m: float


@dataclass(frozen=True, slots=True, eq=False)
class HoleLayer:
    """The holes between two depths below the mouth, in m. is_open: whether they begin at a surface that can be seen."""

    z_m: tuple[float, float]
    holes: tuple[Polygon, ...]
    is_open: bool


def fitted(guides: Sequence[Guide], depth_mm: float, rng: np.random.Generator | None = None) -> list[Fit]:
    """All guides with their holes: nominal, or with sizes drawn within the tolerances where `rng` is given."""
    fits = []
    for guide in guides:
        plug_by_mm, hole_by_mm = 0.0, guide.clearance_mm
        if rng is not None:
            plug_by_mm += float(rng.uniform(-0.5, 0.5)) * guide.plug_tolerance_mm
            hole_by_mm += float(rng.uniform(-0.5, 0.5)) * guide.hole_tolerance_mm
            # A hair more than the least clearance, so that rounding does not go below it.
            hole_by_mm = max(hole_by_mm, plug_by_mm + MIN_CLEARANCE_MM + 1e-4)
        plug = grown(guide.inner, plug_by_mm * MM)
        hole = grown(guide.outer, hole_by_mm * MM)
        length_m = (depth_mm if guide.length_mm is None else guide.length_mm) * MM
        fits += [
            Fit(guide, one, other, length_m) for one, other in zip(guide.place(plug), guide.place(hole), strict=True)
        ]
    return fits


def widest_holes(guides: Sequence[Guide], lead_in_mm: float) -> shapely.Geometry:
    """What all holes together take up at the mouth, in m, at the largest sizes the tolerances allow."""
    polygons: list[Polygon] = []
    for guide in guides:
        by_mm = guide.clearance_mm + (guide.plug_tolerance_mm + guide.hole_tolerance_mm) / 2.0 + lead_in_mm
        polygons += guide.place(grown(guide.outer, by_mm * MM))
    return shapely.union_all(polygons)


def hole_layers(fits: Sequence[Fit], below_m: float) -> list[HoleLayer]:
    """The holes from the mouth downwards, each `below_m` deeper than its plug reaches.

    A layer is open where all of its holes begin on the floor of wider holes above, as pins in a recess do.
    """
    layers: list[HoleLayer] = []
    start_m = 0.0
    for depth_m in sorted({round(fit.length_m + below_m, 7) for fit in fits}):
        holes = pieces(shapely.union_all([fit.hole for fit in fits if fit.length_m + below_m > depth_m - SLACK_M]))
        is_open = not layers or all(
            any(above.buffer(-50 * SLACK_M).covers(hole) for above in layers[-1].holes) for hole in holes
        )
        layers.append(HoleLayer((start_m, depth_m), holes, is_open))
        start_m = depth_m
    return layers


def pieces(geometry: shapely.Geometry) -> tuple[Polygon, ...]:
    """The polygons a union consists of, counter-clockwise."""
    return tuple(orient(part) for part in shapely.get_parts(geometry) if isinstance(part, Polygon) and part.area > 0.0)


@lru_cache(maxsize=256)
def symmetry_order(guides: tuple[Guide, ...], depth_mm: float) -> int:
    """Into how many equal turns the plug fits its hole: 1 where only as it is, 0 where turned by any angle."""
    if all(isinstance(guide.outline, Circle) and guide.spots() == [(0.0, 0.0, 0.0)] for guide in guides):
        return 0
    fits = fitted(guides, depth_mm)
    lengths = {fit.length_m for fit in fits}
    holes = {
        length: shapely.union_all([fit.hole for fit in fits if fit.length_m > length - SLACK_M]) for length in lengths
    }
    # Guides far from the middle rule most turns out at once.
    fits.sort(key=lambda fit: -fit.plug.hausdorff_distance(shapely.Point(0.0, 0.0)))
    for order in range(LARGEST_ORDER, 1, -1):
        if all(
            rotate(fit.plug, 360.0 / order, origin=(0.0, 0.0)).difference(holes[fit.length_m]).area < 1e-12
            for fit in fits
        ):
            return order
    return 1
