"""Charts: well-formed SVG whatever is drawn, nothing outside of the picture, and no text that becomes markup."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.reports.charts import HEIGHT, WIDTH, Bars, Limit, Line, Point, curve, histogram, interval

SVG = "{http://www.w3.org/2000/svg}"
any_float = st.floats(width=32)
share = st.one_of(st.floats(0, 1), any_float)
words = st.text(max_size=20)
points = st.lists(st.builds(Point, st.integers(0, 5), share, share, share), max_size=6)
lines = st.lists(st.builds(Line, words, points, st.sampled_from(["dot", "ring", "square"]), st.booleans()), max_size=4)


def parsed(svg: str) -> ElementTree.Element:
    """The drawing and its legend, read as XML. Control characters, which XML has not, are no matter in HTML."""
    clean = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff￾￿]", "", svg)
    return ElementTree.fromstring(f"<div>{clean}</div>")


def numbers(element: ElementTree.Element) -> list[float]:
    """All coordinates in a drawing."""
    names = ("x", "y", "cx", "cy", "width", "height", "d")
    texts = [value for one in element.iter() for name, value in one.attrib.items() if name in names]
    return [float(found) for text in texts for found in re.findall(r"-?(?:inf|nan|\d+(?:\.\d+)?)", text)]


@given(st.lists(words, max_size=6), lines, words, words, st.none() | st.builds(Limit, words, share))
@settings(max_examples=80, deadline=None)
def test_a_curve_is_sound_whatever_it_shows(
    places: list[str], drawn: list[Line], title: str, axis: str, limit: Limit | None
) -> None:
    root = parsed(curve([*places, "a", "b", "c", "d", "e", "f"][:6], drawn, title=title, axis=axis, limit=limit))
    found = numbers(root)
    assert all(math.isfinite(number) for number in found)
    assert all(-10.0 <= number <= WIDTH for number in found)
    allowed = {"div", "svg", "title", "path", "text", "circle", "rect", "ul", "li"}
    assert {element.tag for element in root.iter()} <= allowed


@given(
    st.lists(st.floats(-1e3, 1e6), max_size=8).map(sorted),
    st.lists(st.builds(Bars, words, st.lists(any_float, max_size=8), st.booleans()), max_size=3),
    st.lists(st.builds(Limit, words, any_float), max_size=2),
)
@settings(max_examples=80, deadline=None)
def test_a_histogram_is_sound_whatever_it_shows(edges: list[float], series: list[Bars], limits: list[Limit]) -> None:
    found = numbers(parsed(histogram(edges, series, title="t", axis="a", limits=limits)))
    assert all(math.isfinite(number) for number in found)
    assert all(-10.0 <= number <= max(WIDTH, HEIGHT) for number in found)


@given(share, share, share, words, st.none() | share)
def test_an_interval_is_sound_or_nothing(
    value: float, low: float, high: float, title: str, limit: float | None
) -> None:
    drawing = interval(value, low, high, title=title, limit=limit)
    assert bool(drawing) is all(math.isfinite(one) for one in (value, low, high))
    assert all(math.isfinite(number) for number in numbers(parsed(drawing)))


def test_texts_stay_texts() -> None:
    evil = "<script>alert(1)</script>\"'&"
    drawn = curve(
        [evil],
        [Line(evil, [Point(0, 0.5, 0.4, 0.6)]), Line("b", [Point(0, 0.5, 0.4, 0.6)])],
        title=evil,
        axis=evil,
        limit=Limit(evil, 0.9),
    )
    drawn += histogram([0, 1], [Bars(evil, [1.0])], title=evil, axis=evil, limits=[Limit(evil, 0.5)])
    drawn += interval(0.5, 0.4, 0.6, title=evil)
    assert "<script" not in drawn
    assert evil in "".join(parsed(drawn).itertext())


def test_a_share_is_drawn_where_its_axis_says() -> None:
    root = parsed(curve(["a"], [Line("only", [Point(0, 0.5, 0.25, 0.75)])], title="t", axis="a"))
    (dot,) = root.iter("circle")
    levels = {text.text: float(text.attrib["y"]) for text in root.iter("text")}
    middle = levels["50%"] - 4.0  # Letters stand on their line.
    assert abs(float(dot.attrib["cy"]) - middle) < 0.1
    (spread,) = (path for path in root.iter("path") if "spread" in path.attrib["class"])
    ends = sorted(numbers(spread)[1:])
    assert abs(ends[0] - (levels["75%"] - 4.0)) < 0.1
    assert abs(ends[1] - (levels["25%"] - 4.0)) < 0.1
    # One line alone needs no legend.
    assert not list(root.iter("li"))


def test_of_many_places_some_are_written_and_always_the_last() -> None:
    places = [str(25 * number) for number in range(1, 41)]
    root = parsed(curve(places, [], title="t", axis="practice trials"))
    written = [text.text for text in root.iter("text") if text.text in places]
    assert 2 < len(written) < 20
    assert written[-1] == "1000"


def test_bars_are_as_high_as_their_values() -> None:
    root = parsed(histogram([0, 1, 2, 3], [Bars("only", [1.0, 0.0, 4.0])], title="t", axis="a"))
    heights = [float(bar.attrib["height"]) for bar in root.iter("rect")]
    assert len(heights) == 2
    assert abs(heights[1] / heights[0] - 4.0) < 0.02
