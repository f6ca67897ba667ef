"""Charts over the steps of an episode, drawn into a picture: lines with their names beside them, axes, a limit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.reports.strokes import Colour, box, dashed, text_width, write
from skillcore.types import Image

INK: Colour = (30, 33, 38)
FAINT: Colour = (105, 112, 122)
GRID: Colour = (222, 225, 230)
WELL: Colour = (247, 248, 250)
RED: Colour = (196, 48, 43)
GREEN: Colour = (32, 128, 70)
BLUE: Colour = (33, 99, 200)
ORANGE: Colour = (214, 120, 10)
GREY: Colour = (176, 182, 190)

SMALL = 0.42
TICKS = 4
Place = Callable[[float], int]
"""Where a value lies, in pixels."""
_AXIS_PX, _NAMES_PX, _HEAD_PX, _FOOT_PX = 46, 62, 24, 20


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A line. places, values: (n,) along the steps, NaN where there is a gap. stairs: each value holds until the next
    place, as an action does."""

    name: str
    places: NDArray[np.float64]
    values: NDArray[np.float64]
    colour: Colour
    thick: int = 2
    stairs: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """A strip below a chart with a colour for each frame. colours: (frames,)."""

    name: str
    colours: Sequence[Colour]


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A chart. steps: how long its axis is. low, high: of the vertical axis at least. limit: a dashed line, with its
    name. bands: below the chart."""

    title: str
    traces: Sequence[Trace]
    steps: int
    low: float = 0.0
    high: float = 1.0
    limit: float | None = None
    limit_name: str = ""
    bands: Sequence[Band] = ()

    def draw(self, picture: Image, left: int, top: int, width: int, height: int) -> None:
        """Draws it into the rectangle."""
        write(picture, self.title, (left, top + 14), 0.48, INK, width=width)
        inner_left, inner_right = left + _AXIS_PX, left + width - _NAMES_PX
        inner_top = top + _HEAD_PX
        inner_bottom = top + height - _FOOT_PX - 14 * len(self.bands)
        box(picture, (inner_left, inner_top), (inner_right, inner_bottom), WELL)
        low, high, step = _axis(self._shown(), self.low, self.high)

        def x(place: float) -> int:
            return inner_left + round(place / max(1, self.steps) * (inner_right - inner_left - 1))

        def y(value: float) -> int:
            share = (value - low) / (high - low)
            return inner_bottom - 1 - round(min(max(share, 0.0), 1.0) * (inner_bottom - inner_top - 1))

        for number in range(round((high - low) / step) + 1):
            value = low + number * step
            cv2.line(picture, (inner_left, y(value)), (inner_right - 1, y(value)), GRID, 1)
            said = f"{value + 0.0:.6g}" if abs(value) > 1e-9 else "0"
            write(picture, said, (inner_left - 6 - text_width(said, SMALL), y(value) + 4), SMALL, FAINT)
        for number in step_ticks(self.steps):
            at = x(number)
            cv2.line(picture, (at, inner_bottom), (at, inner_bottom + 3), FAINT, 1)
            said = str(number) if number else "step 0"
            foot = inner_bottom + 14 + 14 * len(self.bands)
            write(picture, said, (at - text_width(said, SMALL) // 2, foot), SMALL, FAINT)
        if self.limit is not None and low <= self.limit <= high:
            dashed(picture, inner_left, inner_right, y(self.limit), ORANGE)
            write(picture, self.limit_name, (inner_left + 6, y(self.limit) - 4), SMALL, ORANGE)
        for trace in self.traces:
            self._draw_trace(picture, trace, x, y)
        self._draw_names(picture, inner_right + 5, y, inner_top, inner_bottom)
        for number, band in enumerate(self.bands):
            self._draw_band(picture, band, x, inner_bottom + 4 + 14 * number, inner_right)

    def _shown(self) -> list[float]:
        found = [float(value) for trace in self.traces for value in trace.values if math.isfinite(value)]
        return [*found, *([self.limit] if self.limit is not None else [])]

    @staticmethod
    def _draw_trace(picture: Image, trace: Trace, x: Place, y: Place) -> None:
        stretch: list[tuple[int, int]] = []
        for number, value in enumerate(trace.values):
            if not math.isfinite(value):
                _line(picture, stretch, trace)
                stretch = []
                continue
            stretch.append((x(trace.places[number]), y(value)))
            if trace.stairs:
                stretch.append((x(trace.places[number] + 1.0), y(value)))
        _line(picture, stretch, trace)

    def _draw_names(self, picture: Image, left: int, y: Place, top: int, bottom: int) -> None:
        """Beside the end of each line, moved apart where they would lie over each other."""
        ends = []
        for trace in self.traces:
            known = trace.values[np.isfinite(trace.values)]
            if len(known):
                ends.append((y(float(known[-1])) + 4, trace))
        ends.sort(key=lambda one: one[0])
        room, last = 13, top - 20
        places = []
        for place, _ in ends:
            last = max(place, last + room)
            places.append(last)
        over = max(0, (places[-1] if places else 0) - bottom)
        for (_, trace), place in zip(ends, places, strict=True):
            write(picture, trace.name, (left, place - over), SMALL, trace.colour, width=_NAMES_PX - 6)

    def _draw_band(self, picture: Image, band: Band, x: Place, top: int, right: int) -> None:
        frames = len(band.colours)
        for number, colour in enumerate(band.colours):
            begin = x(max(0.0, number - 0.5))
            end = x(min(float(self.steps), number + 0.5)) if frames > 1 else right
            box(picture, (begin, top), (max(end, begin + 1), top + 9), colour)
        write(picture, band.name, (right + 5, top + 9), SMALL, FAINT, width=_NAMES_PX - 6)


def step_ticks(steps: int) -> list[int]:
    """Numbers along an axis of steps: about six, and the last."""
    every = next(size * power for power in (10**n for n in range(7)) for size in (1, 2, 5) if size * power * 7 >= steps)
    ticks = list(range(0, steps + 1, every))
    if ticks[-1] != steps:
        ticks = [tick for tick in ticks if steps - tick > 0.6 * every] + [steps]
    return ticks


def _line(picture: Image, points: Sequence[tuple[int, int]], trace: Trace) -> None:
    if len(points) == 1:
        cv2.circle(picture, points[0], 3, trace.colour, -1, cv2.LINE_AA)
    elif points:
        cv2.polylines(picture, [np.array(points, np.int32)], False, trace.colour, trace.thick, cv2.LINE_AA)


def _axis(values: Sequence[float], low: float, high: float) -> tuple[float, float, float]:
    """Lower end, upper end and step of an axis that holds the values: the ends are whole steps."""
    low, high = min([low, *values]), max([high, *values])
    if not high > low:
        high = low + 1.0
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1.0, 2.0, 2.5, 5.0, 10.0) if size * power >= rough * 0.999)
    return math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step
