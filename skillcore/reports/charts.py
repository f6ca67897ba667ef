"""Charts as SVG text, to be set into a page: no script, no plotting library, and all colours from the page's style.

A chart is drawn 400 units wide and scaled to its column, so that its letters stay readable on a phone. What differs in
colour differs in shape too, for who sees no colours and for who prints without. Classes, which the page's style gives
a colour: `grid`, `label`, `limit` and `limit-name`, and `s0`, `s1`, `s2` for series.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 400.0, 236.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 38.0, 8.0, 10.0, 40.0
_LETTER = 6.3
"""Width of a letter at the size of labels, about."""


@dataclass(frozen=True, slots=True)
class Point:
    """A share in [0, 1] with its interval, at a place along the axis of `curve`. NaN is left out."""

    place: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """Points that belong together. shape: how they are marked, "dot", "ring" or "square". joined: by a line."""

    name: str
    points: Sequence[Point]
    shape: str = "dot"
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across a chart with a name, such as what is asked for."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Bars:
    """How often each bin of a histogram was met. outlined: drawn as an outline in front of others."""

    name: str
    values: Sequence[float]
    outlined: bool = False


def curve(places: Sequence[str], lines: Sequence[Line], *, title: str, axis: str, limit: Limit | None = None) -> str:
    """Shares in per cent over named places, each with its interval as a bar.

    places: names along the axis; of many only some are written. title: what a screen reader says. axis: name of the
    horizontal axis.
    """
    count = max(1, len(places))
    width = (WIDTH - _LEFT - _RIGHT) / count

    def x(place: float) -> float:
        return _LEFT + width * (place + 0.5)

    parts = _frame(100.0, 25.0, "%", 100.0) + _names(places, width, axis)
    if limit is not None and math.isfinite(limit.value):
        y = _y(100.0 * limit.value, 0.0, 100.0)
        parts.append(f'<path class="limit" d="M{_LEFT:.1f} {y:.1f}H{WIDTH - _RIGHT:.1f}"/>')
        parts.append(_text(_LEFT + 4, y + 13, limit.name, "limit-name"))
    drawn = [line for line in lines if any(math.isfinite(point.value) for point in line.points)]
    for number, line in enumerate(drawn):
        shift = (number - (len(drawn) - 1) / 2) * min(8.0, width / 3)
        seen = [
            (x(one.place) + shift, *(_y(100.0 * share, 0.0, 100.0) for share in (one.value, one.low, one.high)))
            for one in line.points
            if all(math.isfinite(share) for share in (one.value, one.low, one.high))
        ]
        style = f"s{number % 3}"
        parts += [f'<path class="spread {style}" d="M{at:.1f} {low:.1f}V{high:.1f}"/>' for at, _, low, high in seen]
        if line.joined and len(seen) > 1:
            way = "L".join(f"{at:.1f} {y:.1f}" for at, y, _, _ in seen)
            parts.append(f'<path class="line {style}" d="M{way}"/>')
        parts += [_mark(at, y, line.shape, style) for at, y, _, _ in seen]
    legend = [(_mark(6.0, 6.0, line.shape, f"s{number % 3}"), line.name) for number, line in enumerate(drawn)]
    return _chart(title, parts, legend if len(drawn) > 1 else [])


def histogram(
    edges: Sequence[float], series: Sequence[Bars], *, title: str, axis: str, limits: Sequence[Limit] = ()
) -> str:
    """How many trials lie in each bin between successive `edges`, with named limits across.

    Limits beyond the last edge are left out. Values that are no finite numbers count as 0.
    """
    if len(edges) < 2 or not edges[-1] > edges[0]:
        edges, series = [0.0, 1.0], []
    first, last = edges[0], edges[-1]

    def x(value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (value - first) / (last - first)

    heights = [[value if math.isfinite(value) and value > 0 else 0.0 for value in one.values] for one in series]
    shown = [one for one in limits if first <= one.value <= last]
    greatest = max((value for one in heights for value in one), default=0.0)
    step = _nice_step(greatest)
    most = step * max(1, math.ceil(greatest / step))
    # Names of limits stand above the bars.
    top = most * (1.0 + 0.12 * len(shown))
    parts = _frame(most, step, "", top)
    every = max(1, math.ceil((len(edges) * 26.0) / (WIDTH - _LEFT - _RIGHT)))
    parts += [_text(x(edge), HEIGHT - 24, f"{edge:g}", "label middle") for edge in edges[::every]]
    parts.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 7, axis, "label middle"))
    for number, (one, values) in enumerate(zip(series, heights, strict=True)):
        style = f"s{number % 3}"
        cells = list(zip(edges[:-1], edges[1:], values, strict=False))
        if one.outlined:
            way = "".join(f"V{_y(value, 0.0, top):.1f}H{x(right):.1f}" for _, right, value in cells)
            parts.append(f'<path class="outline {style}" d="M{x(first):.1f} {_y(0.0, 0.0, top):.1f}{way}"/>')
            continue
        for left, right, value in cells:
            if value:
                y, bottom = _y(value, 0.0, top), _y(0.0, 0.0, top)
                size = f'width="{max(0.5, x(right) - x(left) - 1.5):.1f}" height="{bottom - y:.1f}"'
                parts.append(f'<rect class="bar {style}" x="{x(left) + 0.75:.1f}" y="{y:.1f}" {size}/>')
    for row, limit in enumerate(shown):
        at = x(limit.value)
        parts.append(f'<path class="limit" d="M{at:.1f} {_TOP:.1f}V{HEIGHT - _BOTTOM:.1f}"/>')
        leftward = at > WIDTH / 2
        where = "limit-name end" if leftward else "limit-name"
        parts.append(_text(at + (-4 if leftward else 4), _TOP + 11 + 14 * row, limit.name, where))
    legend = []
    for number, one in enumerate(series):
        style = f"s{number % 3}"
        swatch = f'<rect class="bar {style}" x="0" y="1" width="12" height="10"/>'
        if one.outlined:
            swatch = f'<path class="outline {style}" d="M0 11V2H12V11"/>'
        legend.append((swatch, one.name))
    return _chart(title, parts, legend if len(series) > 1 else [])


def interval(value: float, low: float, high: float, *, title: str, limit: float | None = None) -> str:
    """A share with its interval on a line from 0 to 100 %, and what is asked for as a notch."""
    if not all(math.isfinite(share) for share in (value, low, high)):
        return ""
    places = [6.0 + 188.0 * min(1.0, max(0.0, share)) for share in (low, value, high)]
    parts = ['<path class="rail" d="M6 12H194"/>']
    parts.append(f'<path class="range s0" d="M{places[0]:.1f} 12H{places[2]:.1f}"/>')
    if limit is not None and math.isfinite(limit):
        at = 6.0 + 188.0 * min(1.0, max(0.0, limit))
        parts.append(f'<path class="limit" d="M{at:.1f} 2V22"/>')
    parts.append(_mark(places[1], 12.0, "dot", "s0"))
    said = html.escape(title)
    return f'<svg class="interval" viewBox="0 0 200 24" role="img" aria-label="{said}">{"".join(parts)}</svg>'


# --- pieces --------------------------------------------------------------------------------------------------------


def _y(value: float, low: float, high: float) -> float:
    share = (min(high, max(low, value)) - low) / (high - low)
    return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def _frame(most: float, step: float, unit: str, top: float) -> list[str]:
    """Lines and their figures from 0 to `most`, where the picture ends at `top`."""
    parts = []
    for number in range(round(most / step) + 1):
        y = _y(number * step, 0.0, top)
        parts.append(f'<path class="grid" d="M{_LEFT:.1f} {y:.1f}H{WIDTH - _RIGHT:.1f}"/>')
        parts.append(_text(_LEFT - 5, y + 4, f"{number * step:g}{unit}", "label end"))
    return parts


def _names(places: Sequence[str], width: float, axis: str) -> list[str]:
    longest = max((len(name) for name in places), default=0)
    every = max(1, math.ceil((longest * _LETTER + 4) / width))
    # The last one is always written: it is where things ended.
    last = len(places) - 1
    shown = [
        number for number in range(len(places)) if number == last or (number % every == 0 and last - number >= every)
    ]
    place = [_LEFT + width * (number + 0.5) for number in range(len(places))]
    parts = [_text(place[number], HEIGHT - 24, places[number], "label middle") for number in shown]
    return [*parts, _text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 7, axis, "label middle")]


def _mark(x: float, y: float, shape: str, style: str) -> str:
    if shape == "ring":
        return f'<circle class="ring {style}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    if shape == "square":
        return f'<rect class="dot {style}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'
    return f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{html.escape(text)}</text>'


def _chart(title: str, parts: Sequence[str], legend: Sequence[tuple[str, str]]) -> str:
    said = html.escape(title)
    drawing = (
        f'<svg class="chart" viewBox="0 0 {WIDTH:g} {HEIGHT:g}" role="img" aria-label="{said}">'
        f"<title>{said}</title>{''.join(parts)}</svg>"
    )
    entries = "".join(
        f'<li><svg class="swatch" viewBox="0 0 12 12" aria-hidden="true">{mark}</svg>{html.escape(name)}</li>'
        for mark, name in legend
    )
    return drawing + (f'<ul class="legend">{entries}</ul>' if entries else "")


def _nice_step(greatest: float) -> float:
    """A step of 1, 2 or 5 times a power of ten that divides the axis into about four."""
    if not greatest > 0.0:
        return 1.0
    rough = max(1.0, greatest / 4.0)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= rough * 0.999)
