"""Extruded bodies as a stack of layers, in which rays find their first hit by looking up pixels.

Everything a wrist camera sees of a connector is drawn out along one axis. Between two heights at which something begins
or ends, the section is always the same: a layer. A ray is followed from layer to layer, sampled at a few heights within
each, for all pixels at once; what it costs does not depend on how intricate the outlines are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.solids import Extrusion

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

EMPTY = 0
EDGE_M = 1e-5
PORTION = 8
"""So many heights are looked up at a time."""
_SHIFT = 4
"""OpenCV's fixed-point bits: outlines are drawn to a sixteenth of a cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Rays as functions of height in some frame: x = x0 + x1 z, y = y0 + y1 z, each (n,) float32 in m.

    They are followed towards greater z.
    """

    x0: Floats
    x1: Floats
    y0: Floats
    y1: Floats

    @staticmethod
    def through(points_m: Floats, directions: Floats) -> Lines:
        """Lines through points along directions that are not level, each (3, n) or (3, 1)."""
        x1, y1 = directions[:2] / directions[2]
        x0, y0 = points_m[0] - points_m[2] * x1, points_m[1] - points_m[2] * y1
        return Lines(*np.broadcast_arrays(x0, x1, y0, y1))

    def take(self, rows: NDArray[np.intp]) -> Lines:
        """The lines of some rows."""
        return Lines(self.x0.take(rows), self.x1.take(rows), self.y0.take(rows), self.y1.take(rows))

    def __len__(self) -> int:
        return int(self.x0.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Where rays meet a stack: for each, the material (EMPTY where none), the height in m, and which way the surface
    faces: `wall` says it is upright, and then `heading` is its outward normal's angle in units of 2 pi / 256."""

    material: Bytes
    z_m: Floats
    wall: NDArray[np.bool_]
    heading: Bytes

    def take(self, rows: NDArray[np.intp]) -> Hits:
        """The hits of some rows."""
        return Hits(self.material.take(rows), self.z_m.take(rows), self.wall.take(rows), self.heading.take(rows))


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """One section: materials by cell, wall headings by cell, and the heights at which shadows are looked for."""

    z_m: tuple[float, float]
    cells: Bytes
    headings: Bytes
    solid: bool
    shadow_heights: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Sweep:
    """A portion of a layer's sample heights. A ray that has met something is spared the portions that follow.

    exact_rows: the samples at the layer's two ends, which are not dithered: they tell its top from its walls.
    begins: whether the first sample is the layer's top.
    """

    layer: _Layer
    heights: Floats
    marks: Bytes
    exact_rows: tuple[int, ...]
    begins: bool


class LayerStack:
    """A body or a landscape made of layers, in its own frame.

    half_width_m: the layers' grid covers x and y in [-half_width_m, half_width_m]. cell_m: the grid's resolution.
    sample_m: rays are sampled at least this densely in height.
    """

    def __init__(
        self,
        extrusions: Sequence[Extrusion],
        materials: Sequence[int],
        *,
        half_width_m: float,
        cell_m: float,
        sample_m: float,
    ) -> None:
        self._half_width_m = half_width_m
        self._cell_m = cell_m
        self._size = round(2.0 * half_width_m / cell_m)
        self._sample_m = sample_m
        heights = sorted({round(z, 6) for extrusion in extrusions for z in extrusion.z_m})
        self._layers = []
        for low, high in zip(heights, heights[1:], strict=False):
            if high - low < 1e-5:
                continue
            cells = np.zeros((self._size, self._size), np.uint8)
            for extrusion, material in zip(extrusions, materials, strict=True):
                if extrusion.z_m[0] < low + 1e-6 and extrusion.z_m[1] > high - 1e-6:
                    rings = [self._to_cells(ring) for ring in (extrusion.outline, *extrusion.holes)]
                    cv2.fillPoly(cells, rings, material, shift=_SHIFT)
            if cells.any():
                # Shadows need no finer steps than what casts them is thick.
                thickness = 2.0 * cell_m * float(cv2.distanceTransform(cells, cv2.DIST_L2, 3).max())
                step = min(0.008, max(sample_m, 0.4 * thickness))
                shadow_heights = _spread(low, high, max(2, 1 + round((high - low) / step)))
                headings = _headings(cells, cell_m)
                self._layers.append(_Layer((low, high), cells, headings, bool(cells.all()), shadow_heights))
        self._sweeps = [sweep for layer in self._layers for sweep in self._sweeps_through(layer)]
        self.z_range_m = (heights[0], heights[-1]) if heights else (0.0, 0.0)

    def _to_cells(self, ring: NDArray[np.float64]) -> NDArray[np.int32]:
        scaled = (ring + self._half_width_m) / self._cell_m - 0.5
        return np.round(scaled * (1 << _SHIFT)).astype(np.int32)

    def first_hit(self, lines: Lines) -> Hits:
        """The first surface along each line, going towards greater z."""
        count = len(lines)
        material = np.zeros(count, np.uint8)
        z_hit = np.zeros(count, np.float32)
        wall = np.zeros(count, np.bool_)
        heading = np.zeros(count, np.uint8)
        rows = np.arange(count)
        ends = self._in_cells(lines)
        # Inner samples lie a little higher on some lines than on others: what regular samples miss of a thin edge
        # would show as a staircase.
        shift = _DITHER[:count] * np.float32(self._sample_m)
        inner = Lines(ends.x0 + ends.x1 * shift, ends.x1, ends.y0 + ends.y1 * shift, ends.y1)
        for sweep in self._sweeps:
            if len(rows) == 0:
                break
            x, y = _along(inner, sweep.heights)
            for row in sweep.exact_rows:
                x[row], y[row] = (x[0] for x in _along(ends, sweep.heights[row, None]))
            found = _look_up(sweep.layer.cells, x, y)
            # The first sample that is not empty: the greatest mark, where marks fall along the ray.
            best = ((found != EMPTY).view(np.uint8) * sweep.marks).max(axis=0)
            which = np.flatnonzero(best)
            if len(which):
                first = len(sweep.heights) - best.take(which).astype(np.intp)
                at = rows.take(which)
                material[at] = found[first, which]
                z_hit[at] = sweep.heights.take(first)
                upright = np.flatnonzero(first) if sweep.begins else np.arange(len(first))
                at, first, which = at.take(upright), first.take(upright), which.take(upright)
                wall[at] = True
                heading[at] = _look_up(sweep.layer.headings, x[None, first, which], y[None, first, which])[0]
                keep = np.flatnonzero(best == 0)
                rows, ends, inner = rows.take(keep), ends.take(keep), inner.take(keep)
        return Hits(material, z_hit, wall, heading)

    def blocks(self, lines: Lines, from_z_m: Floats) -> NDArray[np.bool_]:
        """Whether something of the stack lies on each line at heights less than `from_z_m` (n,): a shadow test."""
        lines = self._in_cells(lines)
        blocked = np.zeros(len(lines), np.bool_)
        for layer in self._layers:
            found = _look_up(layer.cells, *_along(lines, layer.shadow_heights))
            blocked |= ((found != EMPTY) & (layer.shadow_heights[:, None] < from_z_m)).any(axis=0)
        return blocked

    def may_touch(self, lines: Lines) -> NDArray[np.bool_]:
        """Whether each line comes near the stack at all, going by its bounding box: cheap, and never wrongly False."""
        low, high = self.z_range_m
        inside = np.ones(len(lines), np.bool_)
        for base, slope in ((lines.x0, lines.x1), (lines.y0, lines.y1)):
            middle, swing = base + slope * (0.5 * (low + high)), np.abs(slope) * (0.5 * (high - low))
            inside &= np.abs(middle) <= self._half_width_m + swing
        return inside

    def _in_cells(self, lines: Lines) -> Lines:
        """The lines with x and y in cells of the grid."""
        scale = np.float32(1.0 / self._cell_m)
        offset = np.float32(self._half_width_m / self._cell_m - 0.5)
        return Lines(lines.x0 * scale + offset, lines.x1 * scale, lines.y0 * scale + offset, lines.y1 * scale)

    def _sweeps_through(self, layer: _Layer) -> Iterator[_Sweep]:
        low, high = layer.z_m
        count = max(2, 1 + round((high - low) / self._sample_m))
        heights = _spread(low, high, count)
        for start in range(0, 1 if layer.solid else count, PORTION):
            portion = heights[start : start + PORTION]
            exact = [row for row in range(len(portion)) if start + row in (0, count - 1)]
            marks = np.arange(len(portion), 0, -1, dtype=np.uint8)[:, None]
            yield _Sweep(layer, portion, marks, tuple(exact), start == 0)


def _along(lines: Lines, heights: Floats) -> tuple[Floats, Floats]:
    """x and y (heights, n) of the lines at the heights."""
    x = heights[:, None] * lines.x1
    x += lines.x0
    y = heights[:, None] * lines.y1
    y += lines.y0
    return x, y


def _spread(low_m: float, high_m: float, count: int) -> Floats:
    """Heights from just above `low_m` to just below `high_m`."""
    return np.linspace(low_m + EDGE_M, high_m - EDGE_M, count).astype(np.float32)


_DITHER = (np.arange(1 << 15) * 0.618034 % 1.0).astype(np.float32) - np.float32(0.5)


def _look_up(image: Bytes, x: Floats, y: Floats) -> Bytes:
    """The image's values at pixels x, y, EMPTY beyond its edges."""
    if x.size == 0:
        return np.zeros(x.shape, np.uint8)
    found = cv2.remap(image, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=(EMPTY,))
    return np.asarray(found, dtype=np.uint8)


def _headings(cells: Bytes, cell_m: float) -> Bytes:
    """Which way the nearest wall faces, for every cell: the way in which the material thins out."""
    solid = (cells != EMPTY).astype(np.float32)
    reach = max(1.0, 0.0007 / cell_m)
    smooth = cv2.GaussianBlur(solid, (0, 0), reach)
    angle = np.arctan2(-cv2.Sobel(smooth, cv2.CV_32F, 0, 1), -cv2.Sobel(smooth, cv2.CV_32F, 1, 0))
    return np.asarray(np.round(angle * (128.0 / np.pi)).astype(np.int32) & 255, dtype=np.uint8)
