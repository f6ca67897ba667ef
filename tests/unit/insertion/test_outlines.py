"""Outlines: what they enclose, how they grow, what they refuse."""

import math

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from shapely import Polygon

from skillcore_insertion.outlines import (
    VERTICES_MAX,
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
    grown,
    hole_arrays,
    placed,
    ring_array,
)

SIZES = st.floats(2.0, 60.0)
SHARES = st.floats(0.0, 1.0)


def _rectangle(width: float, height: float, share: float) -> Rectangle:
    return Rectangle(width_mm=width, height_mm=height, corner_radius_mm=share * min(width, height) / 2.0)


def _d_shape(width: float, ratio: float, share: float) -> DShape:
    height = width * (0.2 + 0.6 * ratio)
    lower = width - 2.0 * height * math.tan(math.radians(10.0))
    return DShape(width_mm=width, height_mm=height, corner_radius_mm=share * min(lower, height) / 2.5)


def _composite(width: float, height: float, share: float) -> Composite:
    notch = Placed(outline=Rectangle(width_mm=width / 4.0, height_mm=height / 4.0), at_mm=(0.0, height / 2.0))
    rib = Placed(outline=Circle(diameter_mm=max(0.5, share * height / 2.0)), at_mm=(width / 2.0, 0.0), rotate_deg=30.0)
    return Composite(plus=(Placed(outline=Rectangle(width_mm=width, height_mm=height)), rib), minus=(notch,))


OUTLINES: st.SearchStrategy[AnyOutline] = st.one_of(
    st.builds(_rectangle, SIZES, SIZES, SHARES),
    st.builds(lambda d: Circle(diameter_mm=d), SIZES),
    st.builds(lambda n, d: RegularPolygon(sides=n, across_flats_mm=d), st.integers(3, 12), SIZES),
    st.builds(lambda w, h: Stadium(width_mm=w, height_mm=h), SIZES, SIZES),
    st.builds(_d_shape, SIZES, SHARES, SHARES),
    st.builds(lambda a, b, h: Trapezoid(top_width_mm=a, bottom_width_mm=b, height_mm=h), SIZES, SIZES, SIZES),
    st.builds(_composite, SIZES, SIZES, SHARES),
)


def _is_sound(polygon: Polygon) -> bool:
    return bool(polygon.is_valid and not polygon.is_empty and polygon.exterior.is_ccw)


def _size_mm(polygon: Polygon) -> tuple[float, float]:
    left, low, right, high = polygon.bounds
    return (right - left) * 1e3, (high - low) * 1e3


@given(OUTLINES)
def test_polygons_are_valid_counter_clockwise_and_in_metres(outline: AnyOutline) -> None:
    for around in (False, True):
        polygon = outline.polygon(around=around)
        assert _is_sound(polygon)
        assert 1e-3 < max(_size_mm(polygon)) * 1e-3 < 0.2


@given(OUTLINES)
def test_a_hole_encloses_its_plug_whatever_is_round(outline: AnyOutline) -> None:
    assert grown(outline.polygon(around=True), 1e-8).covers(outline.polygon())


@given(OUTLINES, st.floats(0.02, 0.5))
def test_growing_keeps_that_distance_everywhere(outline: AnyOutline, by_mm: float) -> None:
    inner = outline.polygon()
    outer = grown(inner, by_mm * 1e-3)
    assert _is_sound(outer)
    assert outer.covers(inner.buffer(by_mm * 1e-3 * 0.999))


@given(OUTLINES, st.floats(0.7, 1.4))
def test_scaling_keeps_the_kind_and_changes_the_size(outline: AnyOutline, factor: float) -> None:
    larger = outline.scaled(factor, factor)
    assert type(larger) is type(outline)
    before, after = outline.polygon(around=True), larger.polygon(around=True)
    assert _is_sound(after)
    assert after.area == pytest.approx(before.area * factor**2, rel=0.05)


@given(OUTLINES)
def test_vertices_stay_few(outline: AnyOutline) -> None:
    # A composite may keep a whole circle's vertices besides those of what stands on it or is cut out of it.
    limit = VERTICES_MAX + 12 if isinstance(outline, Composite) else VERTICES_MAX
    assert len(outline.polygon().exterior.coords) - 1 <= limit


@given(OUTLINES, st.floats(-30.0, 30.0), st.floats(-180.0, 180.0))
def test_placing_moves_and_turns_without_stretching(outline: AnyOutline, x_mm: float, turn_deg: float) -> None:
    polygon = outline.polygon()
    moved = placed(polygon, (x_mm, 1.0), turn_deg)
    assert moved.area == pytest.approx(polygon.area)
    assert placed(moved, (0.0, 0.0), 0.0) is moved
    expected = shapely.affinity.translate(shapely.affinity.rotate(polygon, turn_deg, (0.0, 0.0)), x_mm * 1e-3, 1e-3)
    assert moved.symmetric_difference(expected).area < 1e-12


def test_measures_are_the_ones_that_were_written() -> None:
    measures = {
        Rectangle(width_mm=12.0, height_mm=4.5, corner_radius_mm=0.3): (12.0, 4.5),
        Stadium(width_mm=8.25, height_mm=2.4): (8.25, 2.4),
        DShape(width_mm=16.33, height_mm=7.9, corner_radius_mm=2.6): (16.33, 7.9),
        Trapezoid(top_width_mm=10.0, bottom_width_mm=6.0, height_mm=3.0): (10.0, 3.0),
        RegularPolygon(sides=6, across_flats_mm=10.0): (20.0 / math.sqrt(3.0), 10.0),
        PolygonOutline(points_mm=((0.0, 0.0), (0.0, 2.0), (5.0, 0.0))): (5.0, 2.0),
    }
    for outline, size in measures.items():
        assert _size_mm(outline.polygon()) == pytest.approx(size, rel=1e-9)


def test_a_circles_plug_lies_inside_of_it_and_its_hole_outside() -> None:
    true_circle = shapely.Point(0.0, 0.0).buffer(2e-3, quad_segs=256)
    circle = Circle(diameter_mm=4.0)
    assert true_circle.buffer(1e-9).covers(circle.polygon())
    assert circle.polygon(around=True).buffer(1e-9).covers(true_circle)


def test_what_is_cut_away_is_rounded_the_other_way() -> None:
    ring = Composite(plus=(Placed(outline=Circle(diameter_mm=9.0)),), minus=(Placed(outline=Circle(diameter_mm=5.0)),))
    plug, hole = ring.polygon(), ring.polygon(around=True)
    assert hole.buffer(1e-9).covers(plug)
    (inner,) = hole_arrays(plug)
    assert shapely.LinearRing(inner).is_ccw
    assert Polygon(inner).area > Polygon(*[hole_arrays(hole)[0]]).area


def test_rings_are_open_counter_clockwise_float64() -> None:
    ring = ring_array(Polygon([(0.0, 0.0), (0.0, 1.0), (1.0, 0.0)]))
    assert ring.shape == (3, 2)
    assert ring.dtype == np.float64
    assert shapely.LinearRing(ring).is_ccw


def test_shrinking_to_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="leaves no single piece"):
        grown(Rectangle(width_mm=2.0, height_mm=1.0).polygon(), -0.6e-3)


def test_a_changed_model_is_validated_and_keeps_nothing_it_had_computed() -> None:
    rectangle = Rectangle(width_mm=4.0, height_mm=2.0)
    assert changed(rectangle, width_mm=5.0).polygon().area == pytest.approx(1e-5)
    with pytest.raises(ValidationError):
        changed(rectangle, corner_radius_mm=3.0)


@pytest.mark.parametrize(
    ("make", "field", "reason"),
    [
        (lambda: Rectangle(width_mm=4.0, height_mm=2.0, corner_radius_mm=1.5), "corner_radius_mm", "more than fits"),
        (lambda: Rectangle(width_mm=0.012, height_mm=0.0045), "width_mm", "greater than or equal to 0.1"),
        (lambda: DShape(width_mm=4.0, height_mm=12.0, side_angle_deg=30.0), "", "sides meet"),
        (lambda: PolygonOutline(points_mm=((0.0, 0.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0))), "points_mm", "crossing"),
        (lambda: PolygonOutline(points_mm=((0.0, 0.0), (2.0, 2.0))), "points_mm", "holds 2 points"),
        (lambda: Composite(plus=()), "plus", "empty list"),
        (
            lambda: Composite(
                plus=(
                    Placed(outline=Circle(diameter_mm=1.0)),
                    Placed(outline=Circle(diameter_mm=1.0), at_mm=(5.0, 0.0)),
                )
            ),
            "",
            "pieces that do not touch",
        ),
        (
            lambda: Composite(
                plus=(Placed(outline=Circle(diameter_mm=1.0)),), minus=(Placed(outline=Circle(diameter_mm=9.0)),)
            ),
            "minus",
            "takes away all",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_the_field_and_the_reason(make, field: str, reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make()
    assert reason in str(caught.value)
    assert field in str(caught.value)
