"""Connectors that never were, for training: variations of the training connectors, and wholly invented ones.

No held-out connector is ever a base, so that what is held out stays unseen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from skillcore_insertion.connector import Connector
from skillcore_insertion.dressing import (
    METALS,
    PLASTICS,
    Rng,
    between,
    bounds_mm,
    random_body,
    random_details,
    random_face,
    random_finish,
)
from skillcore_insertion.fits import symmetry_order, widest_holes
from skillcore_insertion.invention import DEPTH_MM, invented_guides, keyed
from skillcore_insertion.library import ConnectorLibrary
from skillcore_insertion.outlines import AnyOutline, Composite, DShape, Rectangle, Stadium, changed
from skillcore_insertion.pieces import MIN_CLEARANCE_MM, BodyPiece, Detail, Face, Grid, Guide, ThreadSpec

SHARE_VARIED = 0.6
SCALE = (0.7, 1.4)
DEPTH_FACTOR = (0.6, 1.6)
THREAD_DEPTH_MM = (1.2, 4.0)
ATTEMPTS = 12
"""A draw whose parts do not go together is drawn anew, each time a little closer to the original."""


def vary(connector: Connector, rng: Rng, *, index: int | None = None) -> Connector:
    """A new connector of the same kind: other sizes, proportions, keys, pins, fits, depth, housings and looks.

    index numbers the result (`usb_a~0042`) and is drawn where it is left out. Raises ValueError for a connector that
    is held out.
    """
    if connector.split != "train":
        raise ValueError(f"{connector.name} is held out: nothing may be derived from it for training")
    number = int(rng.integers(10_000)) if index is None else index
    names = _names(connector.name.partition("~")[0], connector.title, connector.family, number)
    for attempt in range(ATTEMPTS):
        try:
            return _varied(connector, rng, names, strength=1.0 - attempt / ATTEMPTS)
        except ValueError:
            continue
    return changed(connector, **names)


def invent(rng: Rng, *, index: int | None = None) -> Connector:
    """A connector that is like no other: its section, pins, keys, fit, housings and looks are all drawn.

    index numbers the result (`invented~0007`) and is drawn where it is left out.
    """
    number = int(rng.integers(10_000)) if index is None else index
    names = _names("invented", "Invented connector", "invented", number)
    while True:
        try:
            guides, depth_mm = invented_guides(rng)
            return _assembled(rng, names, guides, depth_mm)
        except ValueError:
            continue


def procedural(index: int, seed: int, library: ConnectorLibrary, without: Collection[str] = ()) -> Connector:
    """Connector number `index` of the endless series of a seed: about 60 % variations of training connectors and 40 %
    inventions. Nothing is derived from the connectors named in `without`."""
    rng = np.random.default_rng([seed, index])
    if rng.random() < SHARE_VARIED:
        bases = [name for name in library.by_split("train") if name not in without]
        return vary(library.get(bases[int(rng.integers(len(bases)))]), rng, index=index)
    return invent(rng, index=index)


def procedural_set(n: int, seed: int, library: ConnectorLibrary) -> list[Connector]:
    """The first `n` connectors of a seed's series."""
    return [procedural(index, seed, library) for index in range(n)]


def _names(base: str, title: str, family: str, number: int) -> dict[str, object]:
    return {
        "name": f"{base}~{number:04d}",
        "title": f"{title}, number {number:04d}",
        "aliases": (),
        "family": family,
        "split": "train",
        "source": f"Procedural: derived from {base}." if base != "invented" else "Procedural: drawn at random.",
        "note": "This connector does not exist.",
    }


def _varied(connector: Connector, rng: Rng, names: dict[str, object], strength: float) -> Connector:
    scale = _scales(connector, rng, strength)
    low, high = THREAD_DEPTH_MM if connector.thread else DEPTH_MM
    factor = float(rng.uniform(*DEPTH_FACTOR)) ** strength
    depth_mm = round(min(max(connector.depth_mm * factor, low), high), 3)
    factor = depth_mm / connector.depth_mm
    guides = [_scaled_guide(guide, scale, factor, rng) for guide in connector.guides]
    is_same_kind = True
    if connector.thread is None:
        others = _restructured(guides, rng, strength)
        is_same_kind, guides = others is guides, others
    if not is_same_kind or (connector.thread is None and rng.random() < 0.3):
        return _assembled(rng, names, guides, depth_mm, like=connector)

    face = _scaled_face(connector.face, scale, guides, rng) if rng.random() < 0.6 else random_face(rng, guides)
    body = tuple(_scaled_piece(piece, scale, rng) for piece in connector.body)
    if rng.random() < 0.5 and connector.thread is None:
        body = random_body(rng, guides)
    kept = [detail for detail in connector.details if rng.random() < 0.8]
    details = [_scaled_detail(detail, connector.depth_mm, depth_mm, scale) for detail in kept]
    if rng.random() < 0.4:
        details += random_details(rng, guides, face, depth_mm)
    return _assembled(rng, names, guides, depth_mm, like=connector, face=face, body=body, details=details)


def _assembled(
    rng: Rng,
    names: dict[str, object],
    guides: Sequence[Guide],
    depth_mm: float,
    *,
    like: Connector | None = None,
    face: Face | None = None,
    body: tuple[BodyPiece, ...] | None = None,
    details: Sequence[Detail] | None = None,
) -> Connector:
    """Puts a connector together and draws what is not given. Raises ValidationError where the parts do not fit."""
    face = random_face(rng, guides) if face is None else face
    body = random_body(rng, guides) if body is None else body
    details = random_details(rng, guides, face, depth_mm) if details is None else details
    force_n = between(rng, 2.0, 30.0) if like is None else min(30.0, like.insertion_force_n * between(rng, 0.6, 1.5))
    thread = None
    if like is not None and like.thread is not None:
        thread = ThreadSpec(pitch_mm=round(like.thread.pitch_mm * between(rng, 0.8, 1.3), 3))
    fields = {
        **names,
        "schema": 1,
        "depth_mm": depth_mm,
        "insertion_force_n": round(force_n, 2),
        "friction": between(rng, 0.12, 0.38),
        "symmetry": symmetry_order(tuple(guides), depth_mm),
        "thread": thread,
        "guides": tuple(guides),
        "body": body,
        "face": face,
        "details": tuple(details)[:40],
    }
    return Connector.model_validate(fields)


def _scales(connector: Connector, rng: Rng, strength: float) -> tuple[float, float]:
    """How much wider and higher the section becomes; equal where unequal ones would spoil what is round."""
    low, high = np.log(SCALE)
    x, y = np.exp(rng.uniform(low, high, 2) * strength)
    if any(isinstance(guide.outline, Composite) and guide.outline.is_round for guide in connector.guides):
        y = x
    return float(x), float(y)


def _scaled_guide(guide: Guide, scale: tuple[float, float], depth_factor: float, rng: Rng) -> Guide:
    x, y = scale
    outline = _reshaped(guide.outline.scaled(x, y), rng)
    clearance = guide.clearance_mm * float(rng.uniform(0.6, 1.7))
    return changed(
        guide,
        outline=outline,
        at_mm=(round(guide.at_mm[0] * x, 4), round(guide.at_mm[1] * y, 4)),
        repeat=_scaled_repeat(guide, x, y),
        length_mm=None if guide.length_mm is None else round(guide.length_mm * depth_factor, 3),
        clearance_mm=round(min(max(clearance, 1.5 * MIN_CLEARANCE_MM), 0.6), 4),
        plug_tolerance_mm=round(guide.plug_tolerance_mm * float(rng.uniform(0.5, 1.4)), 4),
        hole_tolerance_mm=round(guide.hole_tolerance_mm * float(rng.uniform(0.5, 1.4)), 4),
        plug_chamfer_mm=_chamfer(outline, rng),
        material=guide.material if rng.random() < 0.4 else random_finish(rng, (*METALS, *PLASTICS)),
    )


def _scaled_repeat(guide: Guide, x: float, y: float) -> Grid | None:
    """The same grid at another pitch. Training connectors repeat their guides in grids only."""
    if guide.repeat is None:
        return None
    if not isinstance(guide.repeat, Grid):
        raise ValueError("guides on a ring cannot be stretched")
    pitch = (round(guide.repeat.pitch_mm[0] * x, 4), round(guide.repeat.pitch_mm[1] * y, 4))
    return changed(guide.repeat, pitch_mm=pitch)


def _chamfer(outline: AnyOutline, rng: Rng) -> float:
    left, low, right, high = bounds_mm(outline.polygon())
    return round(min(float(rng.uniform(0.1, 0.9)), 0.12 * min(right - left, high - low)), 3)


def _reshaped(outline: AnyOutline, rng: Rng) -> AnyOutline:
    """Another corner radius, and at times another form of the same size."""
    if not isinstance(outline, Rectangle | Stadium | DShape):
        return outline
    chance, width, height = rng.random(), outline.width_mm, outline.height_mm
    if chance < 0.12:
        return Stadium(width_mm=width, height_mm=height)
    radius = round(float(rng.uniform(0.0, 0.45)) * min(width, height), 3)
    if isinstance(outline, DShape) or (chance < 0.25 and width > 1.2 * height):
        angle = float(rng.uniform(4.0, 16.0))
        lower = width - 2.0 * height * float(np.tan(np.deg2rad(angle)))
        if lower > 0.3 * width:
            fitting = min(radius, 0.35 * min(lower, height))
            return DShape(width_mm=width, height_mm=height, side_angle_deg=angle, corner_radius_mm=fitting)
    if isinstance(outline, Rectangle):
        return Rectangle(width_mm=width, height_mm=height, corner_radius_mm=radius)
    return outline


def _restructured(guides: list[Guide], rng: Rng, strength: float) -> list[Guide]:
    """At times fewer pins, several side by side, or one more key; the same list where nothing changed."""
    if len(guides) >= 4 and rng.random() < 0.4 * strength:
        kept = sorted(rng.choice(len(guides), size=int(rng.integers(2, len(guides))), replace=False))
        deepest = max(guides, key=lambda guide: 1e9 if guide.length_mm is None else guide.length_mm)
        return [deepest] + [guides[index] for index in kept if guides[index] is not deepest]
    if len(guides) > 1:
        return guides
    guide = guides[0]
    if rng.random() < 0.15 * strength and guide.repeat is None:
        left, low, right, high = bounds_mm(guide.inner)
        columns, rows = ((2, 1), (3, 1), (1, 2), (2, 2))[int(rng.integers(4))]
        if columns * (right - left) < 45.0 and rows * (high - low) < 45.0:
            wall = 2.0 * guide.clearance_mm + between(rng, 1.2, 5.0)
            pitch = (round(right - left + wall, 3), round(high - low + wall, 3))
            grid = Grid(columns=columns, rows=rows, pitch_mm=pitch)
            return [changed(guide, repeat=grid)]
    if rng.random() < 0.35 * strength:
        return [changed(guide, outline=keyed(guide.outline, rng, guide.clearance_mm))]
    return guides


def _scaled_face(face: Face, scale: tuple[float, float], guides: Sequence[Guide], rng: Rng) -> Face:
    """The face, stretched with the guides and as much more as the holes need, in new colours."""
    x, y = scale
    grow = float(rng.uniform(1.0, 1.25))
    mouth = bounds_mm(widest_holes(guides, face.lead_in_mm))
    walls = bounds_mm(face.outline.scaled(x, y).polygon())
    need_x = (mouth[2] - mouth[0] + 0.8) / (walls[2] - walls[0])
    need_y = (mouth[3] - mouth[1] + 0.8) / (walls[3] - walls[1])
    update: dict[str, object] = {
        "outline": face.outline.scaled(x * max(grow, need_x), y * max(grow, need_y)),
        "at_mm": (face.at_mm[0] * x, face.at_mm[1] * y),
        "height_mm": round(face.height_mm * float(rng.uniform(0.6, 1.4)), 3),
        "lead_in_mm": round(face.lead_in_mm * float(rng.uniform(0.5, 1.3)), 3),
    }
    if rng.random() < 0.6:
        update["material"] = random_finish(rng, (*PLASTICS, *METALS))
    if face.rim is not None and rng.random() < 0.5:
        update["rim"] = changed(face.rim, material=random_finish(rng, METALS))
    return changed(face, **update)


def _scaled_piece(piece: BodyPiece, scale: tuple[float, float], rng: Rng) -> BodyPiece:
    x, y = scale
    repeat = piece.repeat
    if isinstance(repeat, Grid):
        repeat = changed(repeat, pitch_mm=(repeat.pitch_mm[0] * x, repeat.pitch_mm[1] * y))
    return changed(
        piece,
        outline=piece.outline.scaled(x, y),
        at_mm=(piece.at_mm[0] * x, piece.at_mm[1] * y),
        repeat=repeat,
        length_mm=round(piece.length_mm * float(rng.uniform(0.7, 1.4)), 3),
        material=piece.material if rng.random() < 0.4 else random_finish(rng, (*PLASTICS, *METALS)),
    )


def _scaled_detail(detail: Detail, old_mm: float, new_mm: float, scale: tuple[float, float]) -> Detail:
    """A detail at its place in the new section and the new depth; what lies behind the shoulder keeps its distance."""
    x, y = scale

    def moved(z_mm: float) -> float:
        if detail.part == "plug" and z_mm < -old_mm:
            return round(z_mm + old_mm - new_mm, 3)
        return round(z_mm * new_mm / old_mm, 3)

    update: dict[str, object] = {
        "outline": detail.outline.scaled(x, y),
        "at_mm": (detail.at_mm[0] * x, detail.at_mm[1] * y),
        "z_mm": (moved(detail.z_mm[0]), moved(detail.z_mm[1])),
    }
    if isinstance(detail.repeat, Grid):
        pitch = detail.repeat.pitch_mm
        update["repeat"] = changed(detail.repeat, pitch_mm=(pitch[0] * x, pitch[1] * y))
    elif detail.repeat is not None:
        update["repeat"] = changed(detail.repeat, diameter_mm=detail.repeat.diameter_mm * min(x, y))
    return changed(detail, **update)
