"""Guides drawn at random: sections of plugs that no standard knows, alone or several side by side."""

from __future__ import annotations

import math

import numpy as np
import shapely
from pydantic import ValidationError

from skillcore_insertion.dressing import METALS, PLASTICS, Rng, between, bounds_mm, random_finish
from skillcore_insertion.outlines import (
    MM,
    AnyOutline,
    Circle,
    Composite,
    DShape,
    Placed,
    PolygonOutline,
    Rectangle,
    RegularPolygon,
    Stadium,
    Trapezoid,
    changed,
)
from skillcore_insertion.pieces import Grid, Guide, Ring

DEPTH_MM = (3.0, 25.0)
KEY_MIN_MM = 0.9
"""The narrowest key or notch that is made, between its walls when plug and hole are together."""


def invented_guides(rng: Rng) -> tuple[list[Guide], float]:
    """Guides of one plug, and its insertion depth in mm."""
    chance = rng.random()
    if chance < 0.62:
        guides = [_guide(rng, _section(rng, _size(rng)))]
    elif chance < 0.82:
        guides = _pins(rng)
    else:
        guides = _unlike(rng)
    left, low, right, high = bounds_mm(shapely.union_all([polygon for guide in guides for polygon in guide.polygons]))
    reach = float(rng.uniform(0.3, 1.1)) * max(right - left, high - low, 4.0)
    depth_mm = round(min(max(reach, DEPTH_MM[0]), DEPTH_MM[1]), 3)
    if len(guides) > 1 and rng.random() < 0.5:
        # Some pins shorter than the first, as where one contact must lead.
        shorter = round(depth_mm * float(rng.uniform(0.65, 0.95)), 3)
        guides[1:] = [changed(guide, length_mm=shorter) for guide in guides[1:]]
    return guides, depth_mm


def keyed(outline: AnyOutline, rng: Rng, clearance_mm: float) -> AnyOutline:
    """The outline with a rib on it or a notch in it; as it was where there is no room for one."""
    polygon = outline.polygon()
    left, low, right, high = bounds_mm(polygon)
    smaller = min(right - left, high - low)
    width = max(between(rng, 0.1, 0.3) * smaller, KEY_MIN_MM + 2.0 * clearance_mm)
    depth = max(between(rng, 0.08, 0.2) * smaller, 0.5)
    if width > 0.6 * smaller or depth > 0.3 * smaller:
        return outline
    ring = polygon.exterior
    along = float(rng.uniform(0.0, 1.0)) * ring.length
    here, ahead = ring.interpolate(along), ring.interpolate(along + 0.05 * MM)
    turn = math.degrees(math.atan2(ahead.y - here.y, ahead.x - here.x))
    block = Rectangle(width_mm=round(width, 3), height_mm=round(2.0 * depth, 3))
    key = Placed(outline=block, at_mm=(round(here.x / MM, 3), round(here.y / MM, 3)), rotate_deg=round(turn, 2))
    is_rib = rng.random() < 0.5
    try:
        base = (Placed(outline=outline),)
        return Composite(plus=(*base, key)) if is_rib else Composite(plus=base, minus=(key,))
    except ValidationError:
        return outline


def _size(rng: Rng) -> tuple[float, float]:
    """Width and height in mm, small ones as likely as large ones."""
    width = float(np.exp(rng.uniform(np.log(3.5), np.log(34.0))))
    height = min(width * float(rng.uniform(0.25, 1.0)), 24.0)
    if rng.random() < 0.2:
        width, height = height, width
    return round(max(width, 1.5), 3), round(max(height, 1.5), 3)


def _section(rng: Rng, size: tuple[float, float]) -> AnyOutline:
    """A section of about the given size: of a simple form, of an odd one, and often with a key."""
    width, height = size
    smaller = min(width, height)
    kinds = ("rectangle", "stadium", "d", "trapezoid", "regular", "circle", "convex", "cut", "letter")
    weights = np.array([3.0, 2.0, 2.0, 1.5, 1.5, 1.5, 3.0, 2.0, 2.5])
    kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    outline: AnyOutline
    if kind == "stadium":
        outline = Stadium(width_mm=width, height_mm=height)
    elif kind == "d" and width > height:
        angle = between(rng, 3.0, 18.0)
        radius = min(between(rng, 0.0, 0.4) * height, 0.3 * (width - 2.0 * height * math.tan(math.radians(angle))))
        outline = DShape(
            width_mm=width,
            height_mm=height,
            side_angle_deg=angle,
            corner_radius_mm=round(max(radius, 0.0), 3),
        )
    elif kind == "trapezoid":
        outline = Trapezoid(
            top_width_mm=width, bottom_width_mm=round(width * between(rng, 0.45, 0.9), 3), height_mm=height
        )
    elif kind == "regular":
        outline = RegularPolygon(sides=int(rng.integers(3, 9)), across_flats_mm=smaller)
    elif kind == "circle":
        outline = Circle(diameter_mm=smaller)
    elif kind == "convex":
        outline = _convex(rng, width, height)
    elif kind == "cut":
        outline = _cut_corners(rng, width, height)
    elif kind == "letter" and smaller > 4.0:
        outline = _letter(rng, width, height)
    else:
        outline = Rectangle(
            width_mm=width, height_mm=height, corner_radius_mm=round(between(rng, 0.0, 0.45) * smaller, 3)
        )
    for _ in range(int(rng.integers(0, 4)) if rng.random() < 0.55 else 0):
        outline = keyed(outline, rng, 0.3)
    return outline


def _convex(rng: Rng, width: float, height: float) -> AnyOutline:
    """A convex polygon with corners on an ellipse, none of them sharp."""
    corners = int(rng.integers(4, 9))
    # Even steps, each corner off its place by less than a third of one.
    angle = (np.arange(corners) + rng.uniform(-0.3, 0.3, corners)) * (2.0 * np.pi / corners) + rng.uniform(0, 6.3)
    points = np.column_stack([np.cos(angle) * width / 2.0, np.sin(angle) * height / 2.0])
    return PolygonOutline(points_mm=tuple((round(float(x), 3), round(float(y), 3)) for x, y in points))


def _cut_corners(rng: Rng, width: float, height: float) -> AnyOutline:
    """A rectangle, each of its corners whole or cut off by a different length."""
    points: list[tuple[float, float]] = []
    for sign_x, sign_y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        cut = between(rng, 0.12, 0.42) * min(width, height) if rng.random() < 0.5 else 0.0
        x, y = sign_x * width / 2.0, sign_y * height / 2.0
        ends = [(x, y - sign_y * cut), (x - sign_x * cut, y)] if cut else [(x, y)]
        # Counter-clockwise, the end on the upright side comes first at the lower left and the upper right corner.
        points += ends if sign_x == sign_y else ends[::-1]
    return PolygonOutline(points_mm=tuple((round(x, 3), round(y, 3)) for x, y in points))


def _letter(rng: Rng, width: float, height: float) -> AnyOutline:
    """An L, a T, upright or lying, or a plus, of two bars."""
    thick_x, thick_y = between(rng, 0.25, 0.5) * width, between(rng, 0.3, 0.55) * height
    thick_x, thick_y = max(thick_x, 1.6), max(thick_y, 1.6)
    lying = Rectangle(width_mm=width, height_mm=round(thick_y, 3))
    standing = Rectangle(width_mm=round(thick_x, 3), height_mm=height)
    side, top = (width - thick_x) / 2.0, (height - thick_y) / 2.0
    places = {
        "l": ((lying, 0.0, -top), (standing, -side, 0.0)),
        "t": ((lying, 0.0, top), (standing, 0.0, 0.0)),
        "plus": ((lying, 0.0, 0.0), (standing, 0.0, 0.0)),
        "side": ((lying, 0.0, 0.0), (standing, -side, 0.0)),
    }
    chosen = places[("l", "t", "plus", "side")[int(rng.integers(4))]]
    return Composite(plus=tuple(Placed(outline=bar, at_mm=(round(x, 3), round(y, 3))) for bar, x, y in chosen))


def _pins(rng: Rng) -> list[Guide]:
    """Equal pins in a grid or on a ring."""
    diameter = between(rng, 1.6, 6.0)
    outline: AnyOutline = Circle(diameter_mm=diameter)
    width = height = diameter
    if rng.random() < 0.5:
        width, height = diameter, between(rng, 0.35, 1.0) * diameter
        height = max(1.2, height)
        if rng.random() < 0.4:
            width, height = height, width
        radius = round(between(rng, 0.0, 0.4) * min(width, height), 3)
        outline = Rectangle(width_mm=round(width, 3), height_mm=round(height, 3), corner_radius_mm=radius)
    guide = _guide(rng, outline)
    wall = 2.0 * guide.clearance_mm + between(rng, 1.5, 9.0)
    repeat: Grid | Ring
    if rng.random() < 0.65:
        columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 3))
        columns = 2 if columns * rows < 2 else columns
        pitch = (round(width + wall, 3), round(height + wall, 3))
        stagger = round(pitch[0] / 2.0, 3) if rows > 1 and rng.random() < 0.3 else 0.0
        repeat = Grid(columns=columns, rows=rows, pitch_mm=pitch, stagger_mm=stagger)
    else:
        count = int(rng.integers(3, 7))
        ring = (max(width, height) + wall) / math.sin(math.pi / count)
        repeat = Ring(count=count, diameter_mm=round(ring, 3), start_deg=90.0)
        if rng.random() < 0.4 and count > 3:
            # One place of the ring stays empty, which keys the plug.
            repeat = Ring(count=count - 1, diameter_mm=round(ring, 3), start_deg=90.0, step_deg=round(360.0 / count, 6))
    return [changed(guide, repeat=repeat)]


def _unlike(rng: Rng) -> list[Guide]:
    """Two or three different guides in a row, the first one the longest."""
    count = int(rng.integers(2, 4))
    edge, guides = 0.0, []
    for _ in range(count):
        width, height = _size(rng)
        shrink = min(1.0, 14.0 / max(width, height))
        guide = _guide(rng, _section(rng, (max(1.5, width * shrink), max(1.5, height * shrink))))
        left, low, right, high = bounds_mm(guide.inner)
        at_mm = (round(edge - left, 3), round(between(rng, -2.0, 2.0) - (low + high) / 2.0, 3))
        guides.append(changed(guide, at_mm=at_mm))
        edge += right - left + 2.5 + between(rng, 0.5, 6.0)
    shift = edge / 2.0 - 1.5
    return [changed(g, at_mm=(round(g.at_mm[0] - shift, 3), g.at_mm[1])) for g in guides]


def _guide(rng: Rng, outline: AnyOutline) -> Guide:
    """A guide of that outline with a fit, a bevel and a finish."""
    left, low, right, high = bounds_mm(outline.polygon())
    smaller = min(right - left, high - low)
    clearance = float(np.exp(rng.uniform(np.log(0.035), np.log(0.45))))
    tolerance = clearance * float(rng.uniform(0.2, 0.9))
    return Guide(
        outline=outline,
        clearance_mm=round(clearance, 4),
        plug_tolerance_mm=round(tolerance, 4),
        hole_tolerance_mm=round(tolerance * float(rng.uniform(0.5, 1.2)), 4),
        plug_chamfer_mm=round(min(float(rng.uniform(0.05, 1.0)), 0.12 * smaller), 3),
        material=random_finish(rng, (*METALS, *PLASTICS)),
    )
