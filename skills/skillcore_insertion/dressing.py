"""Random looks for connectors that never were: finishes, faces, bodies and details around given guides.

Lengths are in mm. Everything is drawn from the generator that is passed in, in a fixed order.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
import shapely

from skillcore_insertion.finishes import PALETTE, Finish
from skillcore_insertion.fits import widest_holes
from skillcore_insertion.outlines import (
    MM,
    AnyOutline,
    Circle,
    PolygonOutline,
    Rectangle,
    RegularPolygon,
    Stadium,
    placed,
)
from skillcore_insertion.pieces import BodyPiece, Detail, Face, Grid, Guide, Rim

METALS = (
    "nickel",
    "steel",
    "tin",
    "zinc",
    "chrome",
    "aluminium",
    "brass",
    "gold",
    "black_oxide",
    "yellow_zinc",
)
PLASTICS = tuple(name for name in PALETTE if name.endswith(("_plastic", "_nylon", "_rubber")))
CONTACTS = ("gold", "tin", "nickel", "brass", "copper")
PRINTS = ("black_print", "white_print", "red_print", "hollow")

Rng = np.random.Generator
Finishes = tuple[Finish, ...]
Bounds = tuple[float, float, float, float]


def pick(rng: Rng, names: Sequence[str]) -> str:
    """One of the names."""
    return names[int(rng.integers(len(names)))]


def between(rng: Rng, low: float, high: float) -> float:
    """A figure between two, to a thousandth."""
    return round(float(rng.uniform(low, high)), 3)


def random_finish(rng: Rng, names: Sequence[str] = PLASTICS, *, custom: float = 0.3) -> Finishes:
    """A finish of the palette, or with the given chance one of any colour, gloss and texture."""
    if rng.random() >= custom:
        return (PALETTE[pick(rng, names)],)
    hue, saturation, value = rng.random(), float(rng.beta(1.2, 1.6)), float(rng.uniform(0.06, 0.97))
    red, green, blue = (round(255 * channel) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
    texture = ("plain", "plain", "brushed", "speckled")[int(rng.integers(4))]
    gloss = round(float(rng.uniform(0.0, 0.9)) ** 1.5, 2)
    return (
        Finish.model_validate({"colors": (f"#{red:02x}{green:02x}{blue:02x}",), "gloss": gloss, "texture": texture}),
    )


def bounds_mm(geometry: shapely.Geometry) -> Bounds:
    """Left, low, right and high of a shape given in m, in mm."""
    left, low, right, high = geometry.bounds
    return left / MM, low / MM, right / MM, high / MM


def random_face(rng: Rng, guides: Sequence[Guide]) -> Face:
    """A housing with room for the guides' holes: a rectangle, a circle, or one with cut corners."""
    lead_in = between(rng, 0.1, 0.8)
    # Walls between holes must outlast the lead-in.
    lead_in = min(lead_in, round(0.3 * _least_wall(guides), 3))
    left, low, right, high = bounds_mm(widest_holes(guides, lead_in))
    width, height = right - left, high - low
    margin_x, margin_y = between(rng, 0.8, 7.0), between(rng, 0.8, 7.0)
    across, up = width + 2.0 * margin_x, height + 2.0 * margin_y
    diagonal = float(np.hypot(width, height)) + 2.0 * min(margin_x, margin_y)
    chance, is_square = rng.random(), max(width, height) < 1.8 * min(width, height)
    outline: AnyOutline
    if chance < 0.2 and is_square:
        outline = Circle(diameter_mm=round(1.01 * diagonal, 3))
    elif chance < 0.3 and is_square:
        outline = RegularPolygon(sides=int(rng.integers(5, 10)), across_flats_mm=round(diagonal, 3))
    elif chance < 0.45:
        cut = between(rng, 0.3, 1.0) * min(margin_x, margin_y)
        outline = _cut_rectangle(across, up, cut)
    else:
        radius = between(rng, 0.0, 1.6) * min(margin_x, margin_y)
        outline = Rectangle(width_mm=round(across, 3), height_mm=round(up, 3), corner_radius_mm=round(radius, 3))
    rim = None
    if rng.random() < 0.5:
        rim = Rim(
            width_mm=between(rng, 0.2, max(0.25, min(margin_x, margin_y))),
            material=random_finish(rng, METALS),
        )
    return Face(
        outline=outline,
        at_mm=(round((left + right) / 2.0, 3), round((low + high) / 2.0, 3)),
        height_mm=between(rng, 1.0, 14.0),
        lead_in_mm=lead_in,
        material=random_finish(rng, (*PLASTICS, *METALS)),
        rim=rim,
    )


def _least_wall(guides: Sequence[Guide]) -> float:
    """The least distance between two holes in mm; large where there is one hole."""
    holes = shapely.get_parts(widest_holes(guides, 0.0))
    gaps = [one.distance(other) for index, one in enumerate(holes) for other in holes[:index]]
    return float(min(gaps)) / MM if gaps else 10.0


def _cut_rectangle(width: float, height: float, cut: float) -> PolygonOutline:
    x, y = width / 2.0, height / 2.0
    points = [(-x + cut, -y), (x - cut, -y), (x, -y + cut), (x, y - cut)]
    points += [(x - cut, y), (-x + cut, y), (-x, y - cut), (-x, -y + cut)]
    return PolygonOutline(points_mm=tuple((round(px, 3), round(py, 3)) for px, py in points))


def random_body(rng: Rng, guides: Sequence[Guide]) -> tuple[BodyPiece, ...]:
    """A housing with a shoulder around the guides, and most often a narrower sleeve and a cable or wires behind it."""
    left, low, right, high = bounds_mm(shapely.union_all([polygon for guide in guides for polygon in guide.polygons]))
    middle = (round((left + right) / 2.0, 3), round((low + high) / 2.0, 3))
    width, height = right - left + 2.0 * between(rng, 0.8, 4.5), high - low + 2.0 * between(rng, 0.8, 4.5)
    finish = random_finish(rng, (*PLASTICS, *METALS))
    pieces = [
        BodyPiece(
            outline=_block(rng, width, height),
            at_mm=middle,
            length_mm=between(rng, 8.0, 28.0),
            material=finish,
            chamfer_mm=between(rng, 0.0, 0.7),
        )
    ]
    if rng.random() < 0.7:
        share = between(rng, 0.45, 0.9)
        outline = _block(rng, max(2.0, share * width), max(2.0, share * height))
        same = finish if rng.random() < 0.6 else random_finish(rng)
        pieces.append(BodyPiece(outline=outline, at_mm=middle, length_mm=between(rng, 5.0, 15.0), material=same))
    if rng.random() < 0.8:
        thickness = round(min(10.0, between(rng, 0.3, 0.8) * min(width, height)), 3)
        wires = int(rng.integers(1, 5)) if rng.random() < 0.35 else 1
        pitch = round(0.8 * width / wires, 3)
        repeat = Grid(columns=wires, pitch_mm=(pitch, 0.0)) if wires > 1 else None
        diameter = max(1.0, min(thickness, 0.9 * pitch) if wires > 1 else thickness)
        pieces.append(
            BodyPiece(
                outline=Circle(diameter_mm=round(diameter, 3)),
                at_mm=middle,
                repeat=repeat,
                length_mm=between(rng, 8.0, 20.0),
                material=random_finish(rng),
            )
        )
    return tuple(pieces)


def _block(rng: Rng, width: float, height: float) -> AnyOutline:
    width, height = round(width, 3), round(height, 3)
    chance, smaller = rng.random(), min(width, height)
    if chance < 0.15 and max(width, height) < 1.4 * smaller:
        return Circle(diameter_mm=round(1.2 * max(width, height), 3))
    if chance < 0.3:
        return Stadium(width_mm=round(width + 0.4 * smaller, 3), height_mm=height)
    if chance < 0.45:
        return _cut_rectangle(width, height, between(rng, 0.05, 0.25) * smaller)
    return Rectangle(width_mm=width, height_mm=height, corner_radius_mm=round(between(rng, 0.0, 0.4) * smaller, 3))


def random_details(rng: Rng, guides: Sequence[Guide], face: Face, depth_mm: float) -> tuple[Detail, ...]:
    """Recesses and contacts at the tips, tongues and pins in the holes, bands on the guides, marks on the face."""
    details: list[Detail] = []
    for guide in guides[:6]:
        length = depth_mm if guide.length_mm is None else guide.length_mm
        tip = -(depth_mm - length)
        left, low, right, high = bounds_mm(guide.inner)
        width, height = right - left, high - low
        if min(width, height) < 2.0:
            continue
        spot = {"at_mm": guide.at_mm, "rotate_deg": guide.rotate_deg, "repeat": guide.repeat}
        if rng.random() < 0.6:
            recess = guide.outline.scaled(between(rng, 0.5, 0.88), between(rng, 0.4, 0.88))
            colors = ("hollow",) if rng.random() < 0.6 else PLASTICS
            details.append(_detail("plug", recess, (tip - 0.3, tip), random_finish(rng, colors, custom=0.0), spot))
        if rng.random() < 0.5:
            tongue = guide.outline.scaled(between(rng, 0.3, 0.8), between(rng, 0.25, 0.6))
            deep = between(rng, 0.5, 0.95) * length
            details.append(_detail("socket", tongue, (between(rng, 0.2, 0.2 * length), deep), random_finish(rng), spot))
        if rng.random() < 0.3:
            band = guide.outline.scaled(1.0 + 0.05 / width, 1.0 + 0.05 / height)
            start = between(rng, 0.15, 0.7) * length
            z_mm = (tip - start - between(rng, 0.1, 0.25) * length, tip - start)
            details.append(_detail("plug", band, z_mm, random_finish(rng, (*PLASTICS, *METALS)), spot))
        if rng.random() < 0.5 and guide.repeat is None:
            details += _contacts(rng, guide, (width, height), tip, length)
    for _ in range(int(rng.integers(0, 4))):
        details += _face_mark(rng, guides, face)
    return tuple(details)


def _contacts(rng: Rng, guide: Guide, size: tuple[float, float], tip: float, length: float) -> list[Detail]:
    """Rows of contacts, seen as openings or strips at the tip and as pins in the hole."""
    columns, rows = int(rng.integers(1, 9)), int(rng.integers(1, 3))
    pitch = (round(0.75 * size[0] / columns, 3), round(0.6 * size[1] / rows, 3))
    side = max(0.12, round(0.5 * min(pitch), 3))
    outline: AnyOutline = Circle(diameter_mm=side) if rng.random() < 0.5 else Rectangle(width_mm=side, height_mm=side)
    spot = {
        "at_mm": guide.at_mm,
        "rotate_deg": 0.0,
        "repeat": Grid(columns=columns, rows=rows, pitch_mm=pitch),
    }
    opening = random_finish(rng, ("hollow", "gold", "tin"), custom=0.0)
    pin = random_finish(rng, CONTACTS, custom=0.0)
    start = between(rng, 0.1, 0.4) * length
    return [
        _detail("plug", outline, (tip - 0.2, tip), opening, spot),
        _detail("socket", outline, (start, length), pin, spot),
    ]


def _face_mark(rng: Rng, guides: Sequence[Guide], face: Face) -> list[Detail]:
    """A print or a screw on the face, once or mirrored, where there is room beside the holes."""
    room = face.polygons[0].buffer(-0.2 * MM).difference(widest_holes(guides, face.lead_in_mm + 0.2))
    left, low, right, high = bounds_mm(face.polygons[0])
    x, y = between(rng, left, right), between(rng, low, high)
    outline: AnyOutline
    if rng.random() < 0.5:
        outline = Circle(diameter_mm=between(rng, 0.6, 4.0))
    else:
        outline = Rectangle(width_mm=between(rng, 0.5, 6.0), height_mm=between(rng, 0.4, 2.5))
    finish = random_finish(rng, (*PRINTS, *METALS), custom=0.2)
    polygon = outline.polygon()
    mirrored = (round(left + right - x, 3), y)
    spots = [(x, y), mirrored] if rng.random() < 0.5 else [(x, y)]
    fitting = [spot for spot in spots if room.covers(placed(polygon, spot))]
    return [_detail("socket", outline, (0.0, 0.15), finish, {"at_mm": spot}) for spot in fitting]


def _detail(
    part: str, outline: AnyOutline, z_mm: tuple[float, float], finish: Finishes, spot: dict[str, object]
) -> Detail:
    z_mm = (round(z_mm[0], 3), round(max(z_mm[1], z_mm[0] + 0.05), 3))
    if part == "plug" and z_mm[1] > 0.0:
        z_mm = (z_mm[0], 0.0)
    return Detail.model_validate({"part": part, "outline": outline, "z_mm": z_mm, "material": finish, **spot})
