"""Drawings of connectors, for the terminal and as images."""

from pathlib import Path

import cv2
import pytest

from skillcore.errors import StorageError
from skillcore_insertion.drawing import draw_png, draw_text
from skillcore_insertion.library import PACKAGED
from skillcore_insertion.views import front_view, side_view

NAMES = sorted(path.stem for path in PACKAGED.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_text_fits_eighty_columns_and_gives_the_figures(library, name: str) -> None:
    connector = library.get(name)
    lines = draw_text(connector).splitlines()
    assert max(len(line) for line in lines) <= 80
    assert len(lines) < 70
    assert connector.title in lines[0]
    assert any(f"{connector.depth_mm:.2f} mm" in line for line in lines)
    assert sum(any("\u2800" < letter <= "\u28ff" for letter in line) for line in lines) > 6


def test_text_gets_no_wider_than_asked(library) -> None:
    for width in (60, 100):
        pictures = [line for line in draw_text(library.get("hdmi"), width).splitlines() if line[-1:] > "\u2800"]
        assert max(len(line) for line in pictures) <= width


@pytest.mark.parametrize("name", ["hdmi_a", "nema_5_15", "schuko", "screw_m4", "ddr4_dimm", "key_kw1", "sma"])
def test_image_is_written_and_not_empty(library, tmp_path: Path, name: str) -> None:
    path = draw_png(library.get(name), tmp_path / "drawing.png")
    image = cv2.imread(str(path))
    assert image.shape[0] > 500
    assert image.std() > 10.0


def test_an_image_that_cannot_be_written_is_an_error_that_names_the_place(library, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        draw_png(library.get("hdmi"), tmp_path / "nowhere" / "drawing.png")


def test_the_side_view_cuts_through_most_pins(library) -> None:
    assert side_view(library.get("nema_5_15")).cut == "y = 4.0 mm"
    assert len(side_view(library.get("nema_5_15")).guides) == 2
    assert side_view(library.get("key_kw1")).cut.startswith("x = ")


def test_the_front_view_gives_true_diameters(library) -> None:
    left, low, right, high = front_view(library.get("audio_3_5")).plug_mm
    assert (right - left, high - low) == pytest.approx((3.5, 3.5))
