"""Drawings of a connector, for a terminal and as an image: the front view, the side view, and the figures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from skillcore.errors import StorageError
from skillcore_insertion.connector import Connector
from skillcore_insertion.outlines import MM, grown
from skillcore_insertion.views import Block, Front, Side, extent_mm, front_view, side_view

SUBPIXEL_BITS = 4
Points = NDArray[np.float64]

# Dots of a braille cell: row and column of the dot -> its bit.
_BRAILLE = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


# --- for the terminal --------------------------------------------------------------------------------------------


def draw_text(connector: Connector, width: int = 80) -> str:
    """The connector in braille dots, at most `width` columns wide: front view, side view and figures.

    The gap between plug and hole is drawn wide enough to be seen; its real size stands below.
    """
    width = max(40, width)
    front, side = front_view(connector), side_view(connector)
    words = [f"{connector.title}   ({connector.name})", ""]
    words += _front_text(front, width)
    words += ["", *_side_text(side, connector.depth_mm, width), ""]
    words += [f"{label:<17}{value}" for label, value in [*figures(connector), *guide_figures(connector)]]
    return "\n".join(line.rstrip() for line in words)


def figures(connector: Connector) -> list[tuple[str, str]]:
    """The figures of a connector, each with its label."""
    rows = [
        ("insertion depth", f"{connector.depth_mm:.2f} mm"),
        ("insertion force", f"{connector.insertion_force_n:.0f} N, friction {connector.friction:.2f}"),
        ("symmetry", _symmetry(connector.symmetry)),
    ]
    if connector.thread is not None:
        rows.append(("thread", f"{connector.thread.pitch_mm:g} mm pitch, {connector.thread.turn_deg:g} deg to turn"))
    return rows


def guide_figures(connector: Connector) -> list[tuple[str, str]]:
    """Size and fit of every kind of guide, two rows a kind, each with its label."""
    counts: dict[tuple[tuple[str, str], ...], int] = {}
    for guide in connector.guides:
        left, low, right, high = extent_mm([guide.outer])
        length = connector.depth_mm if guide.length_mm is None else guide.length_mm
        size = f"{guide.outline.kind} {right - left:.2f} x {high - low:.2f} mm, {length:.2f} mm long"
        plug, hole = guide.plug_tolerance_mm, guide.hole_tolerance_mm
        fit = f"{guide.clearance_mm:.3f} mm a side; plug +-{plug:.3f}, hole +-{hole:.3f} mm"
        kind = (("guide", size.replace("_", " ")), ("gap", fit))
        counts[kind] = counts.get(kind, 0) + len(guide.spots())
    rows = []
    for ((label, size), gap), count in counts.items():
        rows += [(label, f"{count} x {size}" if count > 1 else size), gap]
    return rows


def _symmetry(order: int) -> str:
    return {0: "any angle", 1: "one way only", 2: "two ways"}.get(order, f"{order} ways")


def _front_text(front: Front, width: int) -> list[str]:
    left, low, right, high = extent_mm([*front.holes, front.face])
    dots = _Dots(min(width - 2, 60), right - left, high - low, rows_max=22)
    dots.look_at((left + right) / 2.0, (low + high) / 2.0)
    dots.line(_ring_mm(front.face))
    for hole in front.holes:
        # At this size the true gap would vanish between the dots.
        dots.line(_ring_mm(grown(hole, 1.6 * MM / dots.per_mm)))
    for plug in front.plugs:
        dots.fill(_ring_mm(plug))
    holes = extent_mm(front.holes)
    hole = f"{holes[2] - holes[0]:.2f} x {holes[3] - holes[1]:.2f} mm"
    caption = f"front: face {right - left:.1f} x {high - low:.1f} mm, hole {hole}"
    return [*dots.lines(), caption]


def _side_text(side: Side, depth_mm: float, width: int) -> list[str]:
    gap = 3.0
    blocks = [*side.guides, *side.body, *side.walls]
    low, high = min(block.x_mm[0] for block in blocks), max(block.x_mm[1] for block in blocks)
    start = min(block.z_mm[0] for block in side.body) - gap
    dots = _Dots(width - 2, side.bottom_mm - start, high - low, rows_max=16)
    dots.look_at((start + side.bottom_mm) / 2.0, (low + high) / 2.0)
    for block in side.walls:
        dots.fill(_corners(block), every=3)
    for block in side.body:
        dots.line(_corners(block, shift=-gap))
    for block in side.guides:
        dots.fill(_corners(block, shift=-gap))
    caption = f"side, cut at {side.cut}: plug (left), socket (right), depth {depth_mm:.2f} mm"
    return [*dots.lines(), caption]


class _Dots:
    """A raster of braille dots, two across and four down a character, that shows an extent of so many mm."""

    def __init__(self, columns: int, width_mm: float, height_mm: float, *, rows_max: int) -> None:
        self.per_mm = min((2 * columns - 3) / width_mm, (4 * rows_max - 3) / height_mm)
        rows = int(np.ceil((height_mm * self.per_mm + 3) / 4))
        columns = int(np.ceil((width_mm * self.per_mm + 3) / 2))
        self._raster = np.zeros((4 * rows, 2 * columns), np.uint8)
        self._middle_mm = (0.0, 0.0)

    def look_at(self, x_mm: float, y_mm: float) -> None:
        """Puts a point into the middle of the raster."""
        self._middle_mm = (x_mm, y_mm)

    def line(self, ring_mm: Points) -> None:
        cv2.polylines(self._raster, [self._pixels(ring_mm)], True, 1, 1, cv2.LINE_8, SUBPIXEL_BITS)

    def fill(self, ring_mm: Points, *, every: int = 2) -> None:
        """Fills with every second dot, or fewer, and draws the edge."""
        mask = np.zeros_like(self._raster)
        cv2.fillPoly(mask, [self._pixels(ring_mm)], 1, cv2.LINE_8, SUBPIXEL_BITS)
        row, column = np.indices(mask.shape)
        self._raster |= mask * ((row + column) % every == 0).astype(np.uint8)
        self.line(ring_mm)

    def lines(self) -> list[str]:
        """The raster as text."""
        rows, columns = self._raster.shape[0] // 4, self._raster.shape[1] // 2
        cells = np.zeros((rows, columns), int)
        for row, bits in enumerate(_BRAILLE):
            for column, bit in enumerate(bits):
                cells += bit * self._raster[row::4, column::2]
        return ["".join(chr(0x2800 + cell) if cell else " " for cell in line) for line in cells]

    def _pixels(self, ring_mm: Points) -> NDArray[np.int32]:
        height, width = self._raster.shape
        x = (ring_mm[:, 0] - self._middle_mm[0]) * self.per_mm + (width - 1) / 2.0
        y = (height - 1) / 2.0 - (ring_mm[:, 1] - self._middle_mm[1]) * self.per_mm
        return _fixed(np.column_stack([x, y]))


# --- as an image -------------------------------------------------------------------------------------------------

INK, DIM, FAINT = (40, 40, 40), (150, 90, 20), (170, 170, 170)
FACE, HOLE, PLUG, MARK, BODY = (
    (226, 222, 216),
    (255, 255, 255),
    (205, 165, 110),
    (150, 110, 70),
    (238, 236, 232),
)
"""Colours in the order blue, green, red, as OpenCV writes them."""
SIZE_PX = (1400, 780)
MARGIN_PX = 90
ROWS_SHOWN = 4


def draw_png(connector: Connector, path: Path) -> Path:
    """Writes a drawing with dimensions in mm to `path` and returns it. Raises StorageError where that fails."""
    sheet = _Sheet(*SIZE_PX)
    sheet.text(f"{connector.title}   ({connector.name})", (30, 46), 0.95, INK, 2)
    about = f"family {connector.family}, {connector.split.replace('_', ' ')}, {_symmetry(connector.symmetry)}"
    sheet.text(about, (30, 78), 0.55, DIM)
    half = int(SIZE_PX[0] * 0.46)
    _front_png(sheet, front_view(connector), (0, 100, half, 560))
    _side_png(sheet, side_view(connector), connector, (half, 100, SIZE_PX[0] - half, 560))
    sheet.table(figures(connector), (30, 700))
    sheet.table(guide_figures(connector)[:ROWS_SHOWN], (half, 700))
    encoded = cv2.imencode(".png", sheet.pixels)[1]
    try:
        path.write_bytes(encoded.tobytes())
    except OSError as error:
        raise StorageError(
            f"{path}: the drawing cannot be written: {error.strerror}", cure="name another place"
        ) from error
    return path


def _front_png(sheet: _Sheet, front: Front, frame: tuple[int, int, int, int]) -> None:
    bounds = extent_mm([front.face, front.body])
    view = sheet.view(bounds, frame)
    view.polygon(front.face, FACE)
    view.polygon(front.body, None, FAINT)
    for hole in front.holes:
        view.polygon(hole, HOLE)
    for plug in front.plugs:
        view.polygon(plug, PLUG)
    for mark in front.marks:
        view.polygon(mark, MARK, INK)
    plug, hole, face = front.plug_mm, extent_mm(front.holes), extent_mm([front.face])
    view.across(plug[0], plug[2], bounds[3], 1, "plug {:.2f}")
    view.across(hole[0], hole[2], bounds[3], 2, "hole {:.2f}")
    view.across(face[0], face[2], bounds[1], -1, "face {:.1f}")
    view.upright(plug[1], plug[3], bounds[2], 1, "plug {:.2f}")
    view.upright(hole[1], hole[3], bounds[2], 2, "hole {:.2f}")
    view.upright(face[1], face[3], bounds[0], -1, "face {:.1f}")
    view.caption(f"front, looking at the plug's tip; gap {front.gap_mm:.3f} mm a side; grey line: body")


def _side_png(sheet: _Sheet, side: Side, connector: Connector, frame: tuple[int, int, int, int]) -> None:
    gap = max(2.0, 0.2 * connector.depth_mm)
    blocks = [*side.guides, *side.body, *side.walls]
    low, high = min(block.x_mm[0] for block in blocks), max(block.x_mm[1] for block in blocks)
    start = min(block.z_mm[0] for block in side.body) - gap
    view = sheet.view((start, low, side.bottom_mm, high), frame)
    for block in side.walls:
        view.ring(_corners(block), FACE)
    for block in side.body:
        view.ring(_corners(block, shift=-gap), BODY)
    for block in side.guides:
        view.ring(_corners(block, shift=-gap), PLUG)
    shoulder = -connector.depth_mm - gap
    view.across(shoulder, -gap, low, -1, "plug {:.2f} long")
    floor = max(block.z_mm[0] for block in side.walls)
    view.across(0.0, floor, high, 1, "hole {:.2f} deep")
    view.upright(min(b.x_mm[0] for b in side.guides), max(b.x_mm[1] for b in side.guides), start, -1, "{:.2f}")
    view.caption(f"side, cut at {side.cut}; the body is broken off at its left")


class _Sheet:
    """A white image to draw on."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self.pixels = np.full((height_px, width_px, 3), 255, np.uint8)

    def text(self, words: str, at: tuple[int, int], size: float, color: tuple[int, int, int], weight: int = 1) -> None:
        cv2.putText(self.pixels, words, at, cv2.FONT_HERSHEY_SIMPLEX, size, color, weight, cv2.LINE_AA)

    def table(self, rows: list[tuple[str, str]], at: tuple[int, int]) -> None:
        """Labels and values in two columns, from a place downwards."""
        for index, (label, value) in enumerate(rows):
            y = at[1] + 18 * index
            self.text(label, (at[0], y), 0.42, DIM)
            self.text(value, (at[0] + 120, y), 0.42, INK)

    def view(self, bounds_mm: tuple[float, float, float, float], frame: tuple[int, int, int, int]) -> _View:
        """A part of the sheet (left, top, width, height in px) that shows bounds in mm, with room for dimensions."""
        return _View(self, bounds_mm, frame)


class _View:
    """Maps mm to the pixels of a frame, y up."""

    def __init__(
        self, sheet: _Sheet, bounds_mm: tuple[float, float, float, float], frame: tuple[int, int, int, int]
    ) -> None:
        left, low, right, high = bounds_mm
        self._sheet, self._frame = sheet, frame
        self.per_mm = min((frame[2] - 2 * MARGIN_PX) / (right - left), (frame[3] - 2 * MARGIN_PX) / (high - low))
        self._middle_mm = ((left + right) / 2.0, (low + high) / 2.0)
        self._middle_px = (frame[0] + frame[2] / 2.0, frame[1] + frame[3] / 2.0)

    def pixels(self, points_mm: Points) -> Points:
        x = (points_mm[:, 0] - self._middle_mm[0]) * self.per_mm + self._middle_px[0]
        y = self._middle_px[1] - (points_mm[:, 1] - self._middle_mm[1]) * self.per_mm
        return np.column_stack([x, y])

    def polygon(
        self, polygon: Polygon, fill: tuple[int, int, int] | None, edge: tuple[int, int, int] | None = INK
    ) -> None:
        self.ring(_ring_mm(polygon), fill, edge)

    def ring(self, ring_mm: Points, fill: tuple[int, int, int] | None, edge: tuple[int, int, int] | None = INK) -> None:
        points = _fixed(self.pixels(ring_mm))
        if fill is not None:
            cv2.fillPoly(self._sheet.pixels, [points], fill, cv2.LINE_AA, SUBPIXEL_BITS)
        if edge is not None:
            cv2.polylines(self._sheet.pixels, [points], True, edge, 1, cv2.LINE_AA, SUBPIXEL_BITS)

    def across(self, from_mm: float, to_mm: float, beside_mm: float, row: int, words: str) -> None:
        """A horizontal dimension, in the given row above (row > 0) or below (row < 0) a height."""
        ends = self.pixels(np.array([[from_mm, beside_mm], [to_mm, beside_mm]]))
        y = round(ends[0, 1] - 26 * row)
        self._dimension((round(ends[0, 0]), y), (round(ends[1, 0]), y), words.format(to_mm - from_mm), False)

    def upright(self, from_mm: float, to_mm: float, beside_mm: float, row: int, words: str) -> None:
        """A vertical dimension, in the given row to the right (row > 0) or to the left (row < 0) of a place."""
        ends = self.pixels(np.array([[beside_mm, from_mm], [beside_mm, to_mm]]))
        x = round(ends[0, 0] + 26 * row)
        self._dimension((x, round(ends[0, 1])), (x, round(ends[1, 1])), words.format(to_mm - from_mm), True)

    def caption(self, words: str) -> None:
        left, top, width, height = self._frame
        (wide, _), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
        self._sheet.text(words, (left + (width - wide) // 2, top + height - 6), 0.45, DIM)

    def _dimension(self, start: tuple[int, int], end: tuple[int, int], words: str, is_upright: bool) -> None:
        image = self._sheet.pixels
        cv2.line(image, start, end, DIM, 1, cv2.LINE_AA)
        for x, y in (start, end):
            tick = ((x - 5, y), (x + 5, y)) if is_upright else ((x, y - 5), (x, y + 5))
            cv2.line(image, *tick, DIM, 1, cv2.LINE_AA)
        (wide, high), _ = cv2.getTextSize(words, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)
        middle = [(start[0] + end[0]) // 2, (start[1] + end[1]) // 2]
        along = 1 if is_upright else 0
        if abs(end[along] - start[along]) < wide + 20:
            # No room between the ends: the words stand beyond the upper or the right one.
            middle[along] = end[along] + (wide // 2 + 10) * (-1 if is_upright else 1)
        label = np.full((high + 8, wide + 6, 3), 255, np.uint8)
        cv2.putText(label, words, (3, high + 3), cv2.FONT_HERSHEY_SIMPLEX, 0.42, DIM, 1, cv2.LINE_AA)
        label = np.rot90(label) if is_upright else label
        top, left = middle[1] - label.shape[0] // 2, middle[0] - label.shape[1] // 2
        top = min(max(top, 0), image.shape[0] - label.shape[0])
        left = min(max(left, 0), image.shape[1] - label.shape[1])
        image[top : top + label.shape[0], left : left + label.shape[1]] = label


def _corners(block: Block, shift: float = 0.0) -> Points:
    """The outline of a side view's block in mm, bevelled at its far end, moved along z."""
    (back, front), (low, high) = block.z_mm, block.x_mm
    bevel = min(block.chamfer_mm, 0.45 * (high - low), 0.9 * (front - back))
    points = [(back, low), (front - bevel, low), (front, low + bevel)]
    points += [(front, high - bevel), (front - bevel, high), (back, high)]
    return np.array([(z + shift, x) for z, x in points])


def _ring_mm(polygon: Polygon) -> Points:
    return np.array(shapely.get_coordinates(polygon.exterior)[:-1]) / MM


def _fixed(points_px: Points) -> NDArray[np.int32]:
    """Pixels as OpenCV takes them with SUBPIXEL_BITS of fraction."""
    return np.asarray(np.round(points_px * (1 << SUBPIXEL_BITS)), np.int32)
