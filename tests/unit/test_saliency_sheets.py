"""Sheets: what is on them is where it belongs, and they are files that anybody can read."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.interfaces import Shown
from skillcore.reports.saliency_sheets import HEAT, Row, Sheet, heated, spread

CELL = 64


def decoded(png: bytes) -> NDArray[np.uint8]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return np.asarray(cv2.cvtColor(cv2.imdecode(np.frombuffer(png, np.uint8), 1), cv2.COLOR_BGR2RGB), np.uint8)


def sheet(maps: NDArray[np.float32] | None, *, shown: NDArray[np.uint8] | None = None, title: str = "Title") -> Sheet:
    columns = 3
    return Sheet(
        title=title,
        lines=("a line below it",),
        headings=tuple(f"step {number}" for number in range(columns)),
        views=("left", "right"),
        images=np.full((columns, 2, 16, 16, 3), 120, np.uint8),
        rows=(Row(("image",)), Row(("policy", "hdmi/0001"), maps, ("x +0.10",) * columns)),
        shown=shown,
        cell_px=CELL,
    )


def is_hot(drawn: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels as bright and yellow as the hottest place is, and as nothing else on a grey sheet."""
    red, green, blue = (drawn[..., channel].astype(int) for channel in range(3))
    return np.asarray((red > 200) & (green > 150) & (blue < 190) & (red - blue > 50))


def test_heat_lies_where_the_map_says() -> None:
    maps = np.zeros((3, 2, 16, 16), np.float32)
    maps[1, 0, 1:4, 1:4] = 0.5
    maps[2, 1, 12:15, 12:15] = 0.5
    empty = is_hot(sheet(np.zeros_like(maps)).drawn())
    found = is_hot(sheet(maps).drawn()) & ~empty
    rows, columns = np.nonzero(found)
    assert len(rows) > 0
    # One spot in the upper view's middle column, one in the lower view's last column.
    upper = rows < len(found) // 2
    assert upper.any()
    assert (~upper).any()
    assert columns[upper].max() < columns[~upper].min()
    assert np.ptp(columns[upper]) < CELL // 2
    assert np.ptp(rows[upper]) < CELL // 2


def test_a_moment_without_saliency_says_so() -> None:
    maps = np.zeros((3, 2, 16, 16), np.float32)
    blank = sheet(maps).drawn()
    maps[:] = 1.0
    assert not np.array_equal(blank, sheet(maps).drawn())


def test_plug_and_socket_are_outlined_in_colours_of_their_own() -> None:
    maps = np.zeros((3, 2, 16, 16), np.float32)
    maps[..., 8, 8] = 1.0
    shown = np.full((3, 2, 16, 16), Shown.OTHER, np.uint8)
    shown[:, :, 4:8, 4:8] = Shown.PLUG
    plain, outlined = sheet(maps).drawn(), sheet(maps, shown=shown).drawn()
    cyan = (outlined[..., 0] < 40) & (outlined[..., 1] > 180) & (outlined[..., 2] > 200)
    # Six outlines of 16 px squares, and the line in the legend.
    assert cyan.sum() > 6 * 50
    assert not ((plain[..., 0] < 40) & (plain[..., 1] > 180) & (plain[..., 2] > 200)).any()


def test_long_titles_fit_on_the_sheet() -> None:
    wide = sheet(None, title="Where the policy looks " * 10).drawn()
    assert wide.shape[1] > sheet(None).drawn().shape[1]
    # Nothing is cut off: the last columns are paper.
    assert (wide[:, -4:] == 255).all()


def test_a_png_is_the_sheet_in_coarser_colours() -> None:
    maps = np.random.default_rng(0).random((3, 2, 16, 16)).astype(np.float32)
    made = sheet(maps)
    drawn, read = made.drawn(), decoded(made.png())
    assert read.shape == drawn.shape
    assert np.abs(read.astype(int) - drawn.astype(int)).max() < 8
    assert (read[0, 0] == 255).all()


def test_heat_hides_an_image_no_more_than_told() -> None:
    image = np.full((4, 4, 3), 200, np.uint8)
    np.testing.assert_array_equal(heated(image, np.zeros((4, 4), np.float32)), image)
    most = heated(image, np.ones((4, 4), np.float32))
    assert not np.array_equal(most, image)
    assert (most.astype(int) >= round((1.0 - HEAT) * 200) - 1).all()


@pytest.mark.parametrize(("count", "most", "expected"), [(10, 4, [0, 3, 6, 9]), (2, 6, [0, 1]), (1, 6, [0])])
def test_moments_are_spread_from_first_to_last(count: int, most: int, expected: list[int]) -> None:
    assert spread(count, most) == expected
