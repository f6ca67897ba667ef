"""Letters, boxes and lines in a picture. Letters are ASCII, which every version of OpenCV can draw."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Colour = tuple[int, int, int]


def text_width(text: str, scale: float, *, bold: bool = False) -> int:
    """In pixels."""
    return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 2 if bold else 1)[0][0])


def write(
    picture: NDArray[np.uint8],
    text: str,
    place: tuple[int, int],
    scale: float,
    colour: Colour,
    *,
    bold: bool = False,
    width: int | None = None,
) -> None:
    """Writes from `place`, left end of the base line, on. width: a text that is longer is drawn smaller, and cut where
    it would be too small to read."""
    shown = "".join(letter if 32 <= ord(letter) < 127 else "?" for letter in text)
    if width is not None:
        scale = max(0.6 * scale, min(scale, scale * width / max(1, text_width(shown, scale, bold=bold))))
        while len(shown) > 4 and text_width(shown, scale, bold=bold) > width:
            shown = shown[:-4] + "..."
    cv2.putText(picture, shown, place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 2 if bold else 1, cv2.LINE_AA)


def box(picture: NDArray[np.uint8], corner: tuple[int, int], other: tuple[int, int], colour: Colour) -> None:
    """A filled rectangle, without its right and lower edge."""
    picture[corner[1] : other[1], corner[0] : other[0]] = colour


def dashed(picture: NDArray[np.uint8], left: int, right: int, y: int, colour: Colour) -> None:
    """A level line of dashes."""
    for x in range(left, right, 14):
        cv2.line(picture, (x, y), (min(x + 8, right), y), colour, 1)
