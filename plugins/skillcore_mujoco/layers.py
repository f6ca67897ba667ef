"""Extruded bodies as a stack of layers, in which rays find their first hit by looking up pixels.

Everything a wrist camera sees of a connector is drawn out along one axis. Between two heights at which something begins
or ends, the section is always the same: a layer. A ray is followed from layer to layer, sampled at a few heights within
each, for all pixels at once; what it costs does not depend on how intricate the outlines are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.solids import Extrusion

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

EMPTY = 0
EDGE_M = 1e-5
SNAP_M = 0.0005
"""Heights are rounded to this, so that details of nearly the same height share a layer."""
PORTION = 12
"""So many heights are looked up at a time; a ray that has met something is spared the portions that follow."""
REMAP_COLUMNS = 1 << 14
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
class _Samples:
    """Heights at which rays are looked up, in the order in which they are passed, each a column (k, 1).

    heights: in m. offsets: where the height's layer begins in the atlas, in rows. dither: how far the sample may be
    shifted, in m; 0 at a layer's two ends, which tell its top from its walls. tops: (k,) whether a layer begins here.
    """

    heights: Floats
    offsets: Floats
    dither: Floats
    tops: NDArray[np.bool_]
    marks: Bytes

    @staticmethod
    def of(heights: list[float], layers: list[int], dither: list[float], tops: list[bool], rows: int) -> _Samples:
        column = (np.array(values, np.float32)[:, None] for values in (heights, layers, dither))
        z, layer, shift = column
        marks = np.arange(len(heights), 0, -1).astype(np.uint8)[:, None]
        return _Samples(z, layer * np.float32(rows), shift, np.array(tops), marks)

    def portions(self) -> list[_Samples]:
        """The samples in groups of at most PORTION."""
        groups = []
        for start in range(0, len(self.heights), PORTION):
            rows = slice(start, start + PORTION)
            group = (self.heights[rows], self.offsets[rows], self.dither[rows], self.tops[rows])
            groups.append(_Samples(*group, self.marks[-len(group[0]) :]))
        return groups


class LayerStack:
    """A body or a landscape made of layers, in its own frame.

    half_width_m: the layers' grid covers x and y in [-half_width_m, half_width_m]. cell_m: the grid's resolution.
    sample_m: how densely rays are sampled in height within thin parts; thick ones need half of that. from_z_m: what
    lies below this height is left out.
    """

    def __init__(
        self,
        extrusions: Sequence[Extrusion],
        materials: Sequence[int],
        *,
        half_width_m: float,
        cell_m: float,
        sample_m: float,
        from_z_m: float = -np.inf,
    ) -> None:
        self._half_width_m = half_width_m
        self._cell_m = cell_m
        self._size = round(2.0 * half_width_m / cell_m)
        spans = [tuple(max(from_z_m, _snapped(z)) for z in extrusion.z_m) for extrusion in extrusions]
        sections: list[tuple[float, float, Bytes]] = []
        for low, high in itertools.pairwise(sorted({z for span in spans for z in span})):
            cells = np.zeros((self._size, self._size), np.uint8)
            for extrusion, material, span in zip(extrusions, materials, spans, strict=True):
                if span[0] <= low and span[1] >= high:
                    rings = [self._to_cells(ring) for ring in (extrusion.outline, *extrusion.holes)]
                    cv2.fillPoly(cells, rings, material, shift=_SHIFT)
            if cells.any():
                sections.append((low, high, cells))
        self.z_range_m = (sections[0][0], sections[-1][1]) if sections else (0.0, 0.0)
        self._cells = np.concatenate([cells for *_, cells in sections]) if sections else np.zeros((1, 1), np.uint8)
        # A layer without gaps has no walls.
        headings = [cells if cells.all() else _headings(cells, cell_m) for *_, cells in sections]
        self._headings = np.concatenate(headings) if headings else self._cells
        self._samples, self._shadow_samples = self._place_samples(sections, sample_m)
        self._portions = self._samples.portions()

    def _to_cells(self, ring: NDArray[np.float64]) -> NDArray[np.int32]:
        scaled = (ring + self._half_width_m) / self._cell_m - 0.5
        return np.round(scaled * (1 << _SHIFT)).astype(np.int32)

    def _place_samples(self, sections: list[tuple[float, float, Bytes]], sample_m: float) -> tuple[_Samples, _Samples]:
        """Heights for surfaces and for shadows: no finer than a part is thick, and coarser for shadows."""
        seen: tuple[list[float], list[int], list[float], list[bool]] = ([], [], [], [])
        shading: tuple[list[float], list[int], list[float], list[bool]] = ([], [], [], [])
        for number, (low, high, cells) in enumerate(sections):
            thickness = 8.0 * self._cell_m * float(cv2.distanceTransform(cells[::4, ::4].copy(), cv2.DIST_L2, 3).max())
            fine = min(2.0 * sample_m, max(sample_m, 0.12 * thickness))
            coarse = min(0.008, max(sample_m, 0.4 * thickness))
            for target, step in ((seen, fine), (shading, coarse)):
                count = max(2, 1 + round((high - low) / step))
                heights = np.linspace(low + EDGE_M, high - EDGE_M, count)
                spacing = float(heights[1] - heights[0])
                if cells.all():
                    heights, count = heights[:1], 1
                target[0].extend(heights.tolist())
                target[1].extend([number] * count)
                target[2].extend(0.0 if place in (0, count - 1) else spacing for place in range(count))
                target[3].extend(place == 0 for place in range(count))
        return _Samples.of(*seen, self._size), _Samples.of(*shading, self._size)

    def first_hit(self, lines: Lines) -> Hits:
        """The first surface along each line, going towards greater z."""
        count = len(lines)
        material = np.zeros(count, np.uint8)
        z_hit = np.zeros(count, np.float32)
        wall = np.zeros(count, np.bool_)
        heading = np.zeros(count, np.uint8)
        rows = np.arange(count)
        lines = self._in_cells(lines)
        dither = _DITHER[:count] if count <= len(_DITHER) else np.resize(_DITHER, count)
        for samples in self._portions:
            if len(rows) == 0:
                break
            x, y = self._along(lines, samples, dither)
            found = _look_up(self._cells, x, y)
            # The first sample that is not empty: the greatest mark, where marks fall along the ray.
            best = ((found != EMPTY).view(np.uint8) * samples.marks).max(axis=0)
            which = np.flatnonzero(best)
            if len(which):
                first = len(samples.heights) - best.take(which).astype(np.intp)
                at = rows.take(which)
                material[at] = found[first, which]
                z_hit[at] = samples.heights[:, 0].take(first)
                upright = np.flatnonzero(~samples.tops.take(first))
                at, first, which = at.take(upright), first.take(upright), which.take(upright)
                wall[at] = True
                heading[at] = _look_up(self._headings, x[None, first, which], y[None, first, which])[0]
                keep = np.flatnonzero(best == 0)
                rows, lines, dither = rows.take(keep), lines.take(keep), dither.take(keep)
        return Hits(material, z_hit, wall, heading)

    def blocks(self, lines: Lines, from_z_m: Floats) -> NDArray[np.bool_]:
        """Whether something of the stack lies on each line at heights less than `from_z_m` (n,): a shadow test."""
        samples = self._shadow_samples
        found = _look_up(self._cells, *self._along(self._in_cells(lines), samples, None))
        return np.asarray(((found != EMPTY) & (samples.heights < from_z_m)).any(axis=0))

    def may_touch(self, lines: Lines) -> NDArray[np.bool_]:
        """Whether each line comes near the stack at all, going by its bounding box: cheap, and never wrongly False."""
        low, high = self.z_range_m
        inside = np.ones(len(lines), np.bool_)
        for base, slope in ((lines.x0, lines.x1), (lines.y0, lines.y1)):
            middle, swing = base + slope * (0.5 * (low + high)), np.abs(slope) * (0.5 * (high - low))
            inside &= np.abs(middle) <= self._half_width_m + swing
        return inside

    def _in_cells(self, lines: Lines) -> Lines:
        """The lines with x and y in cells of a layer's grid."""
        scale = np.float32(1.0 / self._cell_m)
        offset = np.float32(self._half_width_m / self._cell_m - 0.5)
        return Lines(lines.x0 * scale + offset, lines.x1 * scale, lines.y0 * scale + offset, lines.y1 * scale)

    def _along(self, lines: Lines, samples: _Samples, dither: Floats | None) -> tuple[Floats, Floats]:
        """x and y (k, n) in the atlas of the lines at the samples' heights.

        With `dither` (n,), inner samples lie a little higher on some lines than on others: what regular samples miss of
        a thin edge would show as a staircase.
        """
        z = samples.heights if dither is None else samples.heights + samples.dither * dither
        x = z * lines.x1
        x += lines.x0
        y = z * lines.y1
        y += lines.y0
        # The outermost cells are empty, or all alike; a line that has left the grid must not enter the next layer.
        np.clip(y, -0.4, self._size - 0.6, out=y)
        y += samples.offsets
        return x, y


def _snapped(z_m: float) -> float:
    return round(z_m / SNAP_M) * SNAP_M


_DITHER = (np.arange(1 << 15) * 0.618034 % 1.0).astype(np.float32) - np.float32(0.5)


def _look_up(image: Bytes, x: Floats, y: Floats) -> Bytes:
    """The image's values at pixels x, y, EMPTY beyond its edges."""
    if x.size == 0:
        return np.zeros(x.shape, np.uint8)
    return np.asarray(nearest(image, x, y, cv2.BORDER_CONSTANT), dtype=np.uint8)


def nearest(image: NDArray[Any], x: Floats, y: Floats, border: int) -> NDArray[Any]:
    """The image's values at the pixels nearest to x, y (k, n). OpenCV takes fewer than 2**15 columns at a time."""
    parts = [
        cv2.remap(
            image,
            x[:, start : start + REMAP_COLUMNS],
            y[:, start : start + REMAP_COLUMNS],
            cv2.INTER_NEAREST,
            borderMode=border,
            borderValue=(EMPTY,),
        )
        for start in range(0, x.shape[1], REMAP_COLUMNS)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _headings(cells: Bytes, cell_m: float) -> Bytes:
    """Which way the nearest wall faces, for every cell: the way in which the material thins out."""
    _, solid = cv2.threshold(cells, 0, 255, cv2.THRESH_BINARY)
    reach = max(3, 2 * round(0.0012 / cell_m) + 1)
    smooth = cv2.blur(cv2.blur(solid, (reach, reach)), (reach, reach))
    slope_x = cv2.Sobel(smooth, cv2.CV_16S, 1, 0).astype(np.float32)
    slope_y = cv2.Sobel(smooth, cv2.CV_16S, 0, 1).astype(np.float32)
    angle = cv2.phase(-slope_x, -slope_y)  # in [0, 2 pi)
    return np.asarray(cv2.convertScaleAbs(angle, alpha=128.0 / np.pi), dtype=np.uint8)
