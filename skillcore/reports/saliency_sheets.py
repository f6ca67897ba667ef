"""Sheets that show where a network looks: heat over grey images, views below each other, moments side by side.

Each is one PNG that stands alone: what it shows, of which bundle and connector, at which steps, and what the colours
mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.errors import InputError
from skillcore.interfaces import Shown
from skillcore.learning.recipe import Brain
from skillcore.learning.saliency import policy_saliency
from skillcore.types import ACTION_NAMES, Episode, Image, Observation

PAPER, INK, FAINT = (255, 255, 255), (30, 30, 30), (110, 110, 110)
PLUG_COLOR, SOCKET_COLOR = (0, 225, 255), (255, 255, 255)
"""Of the outlines; both are lined with black, so that they show on any heat."""
HEAT = 0.8
"""How far the hottest place hides the image."""
FONT = cv2.FONT_HERSHEY_SIMPLEX
SMALL, LARGE = 0.42, 0.6
LINE_PX, GAP_PX, MARGIN_PX = 19, 6, 14
CELL_PX = 150
NARROW_PX = 112
"""Of the sheet for a report, which phones show too."""
CAPTION_PX = 17
SPECK_PX = 6
"""Parts that cover no more pixels of an image are not outlined."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A row of pictures: label, its lines. maps: (columns, views, H, W) not negative, or None for the images
    themselves. captions: a text under each picture, or none at all."""

    label: tuple[str, ...]
    maps: NDArray[np.float32] | None = None
    captions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """What stands on a sheet.

    lines: below the title. headings: of the columns. images: (columns, views, H, W, 3). shown: (columns, views, H, W)
    of `Shown`, or None; plug and socket are outlined where it is known. rows: repeated for every view.
    """

    title: str
    lines: tuple[str, ...]
    headings: tuple[str, ...]
    views: tuple[str, ...]
    images: Image
    rows: tuple[Row, ...]
    shown: Image | None = None
    cell_px: int = CELL_PX

    def png(self) -> bytes:
        """The sheet as PNG."""
        drawn: Image = np.asarray(cv2.cvtColor(self.drawn(), cv2.COLOR_RGB2BGR), np.uint8)
        # 32 levels a colour, black and white among them: nobody sees the difference, and the file is half as large.
        coarse = np.bitwise_or(np.bitwise_and(drawn, 0xF8), np.right_shift(drawn, 5))
        done, data = cv2.imencode(".png", coarse, [cv2.IMWRITE_PNG_COMPRESSION, 6])
        assert done, "OpenCV writes PNG to memory"
        return data.tobytes()

    def drawn(self) -> Image:
        """(H, W, 3) uint8 RGB."""
        columns, cell, indent = len(self.images), self.cell_px, self._indent_px
        words = (self.title, *self.lines)
        width = max(
            indent + columns * (cell + GAP_PX) + MARGIN_PX,
            2 * MARGIN_PX + max(_width(text, LARGE if not n else SMALL) for n, text in enumerate(words)),
        )
        heights = [cell + GAP_PX + (CAPTION_PX if row.captions else 0) for row in self.rows]
        top = MARGIN_PX + (len(words) + 2) * LINE_PX + GAP_PX
        block = LINE_PX + sum(heights) + GAP_PX
        sheet = np.full((top + len(self.views) * block + MARGIN_PX, width, 3), PAPER, np.uint8)
        for number, text in enumerate(words):
            _write(sheet, text, (MARGIN_PX, MARGIN_PX + number * LINE_PX), LARGE if not number else SMALL)
        self._draw_legend(sheet, MARGIN_PX + len(words) * LINE_PX + 4)
        for column, heading in enumerate(self.headings):
            _write(sheet, heading, (indent + column * (cell + GAP_PX), top - LINE_PX), SMALL)
        for view, name in enumerate(self.views):
            self._draw_view(sheet, top + view * block, view, name, heights)
        return sheet

    @property
    def _indent_px(self) -> int:
        """Room for the labels of the rows."""
        return 2 * MARGIN_PX + max(_width(text, SMALL) for row in self.rows for text in row.label)

    def _draw_view(self, sheet: Image, top: int, view: int, name: str, heights: Sequence[int]) -> None:
        cell = self.cell_px
        cv2.line(sheet, (MARGIN_PX, top), (sheet.shape[1] - MARGIN_PX, top), FAINT, 1)
        _write(sheet, f"camera: {name}", (MARGIN_PX, top + 2), SMALL)
        top += LINE_PX
        for row, height in zip(self.rows, heights, strict=True):
            for number, text in enumerate(row.label):
                at = (MARGIN_PX, top + cell // 3 + number * LINE_PX)
                _write(sheet, text, at, SMALL, FAINT if number else INK)
            for column in range(len(self.images)):
                left = self._indent_px + column * (cell + GAP_PX)
                sheet[top : top + cell, left : left + cell] = self._picture(row, column, view)
                if row.captions:
                    _write(sheet, row.captions[column], (left, top + cell + 1), SMALL)
            top += height

    def _picture(self, row: Row, column: int, view: int) -> Image:
        image, size = self.images[column, view], (self.cell_px, self.cell_px)
        large = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        if row.maps is None:
            return large
        most = float(row.maps[column].max())
        if most > 0.0:
            heat = cv2.resize(row.maps[column, view] / most, size, interpolation=cv2.INTER_LINEAR)
            large = heated(large, np.clip(heat, 0.0, 1.0))
        else:
            large = heated(large, np.zeros(size, np.float32))
        if self.shown is not None:
            for part, color in ((Shown.SOCKET, SOCKET_COLOR), (Shown.PLUG, PLUG_COLOR)):
                _outline(large, self.shown[column, view] == part, color)
        if most == 0.0:
            _write(large, "nothing", (6, self.cell_px - LINE_PX), SMALL, PAPER)
        return large

    def _draw_legend(self, sheet: Image, top: int) -> None:
        """What colours and outlines mean."""
        left = MARGIN_PX
        _write(sheet, "saliency: none", (left, top), SMALL)
        left += _width("saliency: none", SMALL) + 6
        bar = np.linspace(0.0, 1.0, 110, dtype=np.float32)[None].repeat(12, axis=0)
        sheet[top : top + 12, left : left + 110] = heated(np.full((12, 110, 3), 128, np.uint8), bar)
        left += 116
        words = "most, at that moment, of all cameras"
        _write(sheet, words, (left, top), SMALL)
        left += _width(words, SMALL) + 24
        if self.shown is None:
            return
        for name, color in (("plug", PLUG_COLOR), ("socket", SOCKET_COLOR)):
            cv2.rectangle(sheet, (left, top), (left + 22, top + 12), (90, 90, 90), -1)
            cv2.line(sheet, (left, top + 6), (left + 22, top + 6), (0, 0, 0), 3)
            cv2.line(sheet, (left, top + 6), (left + 22, top + 6), color, 1)
            _write(sheet, name, (left + 28, top), SMALL)
            left += 28 + _width(name, SMALL) + 18


def heated(image: Image, heat: NDArray[np.float32]) -> Image:
    """An image (H, W, 3) in grey with heat (H, W) in [0, 1] laid over it."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
    codes = np.round(255.0 * heat).astype(np.uint8)
    color = cv2.cvtColor(cv2.applyColorMap(codes, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB).astype(np.float32)
    cover = (HEAT * np.sqrt(heat))[..., None]
    return np.asarray(np.clip((1.0 - cover) * grey + cover * color, 0.0, 255.0), np.uint8)


def spread(count: int, most: int) -> list[int]:
    """`most` numbers below `count` at even distances, the first and the last among them; all if there are fewer."""
    return sorted({int(number) for number in np.linspace(0, count - 1, min(count, most)).round()})


def saliency_png(
    brain: Brain, episode: Episode, *, frames: int = 4, views: Sequence[str] = (), bundle: str = ""
) -> bytes:
    """A small PNG for a report: where the policy looked for X, Y, Z and yaw at some moments of one saved episode.

    brain: who acted in it; after practice, that of the bundle that came of it. views: names of the cameras. bundle: the
    name that its bundle has on the sheet. Takes a second or two. Raises InputError where captum is missing (see
    `skillcore.learning.saliency.can_explain`) or the episode has no step, PluginError for parts that show nothing.
    """
    if not episode.steps:
        raise InputError("an episode without a step shows nothing of a policy")
    steps = spread(episode.steps, frames)
    found = policy_saliency(
        brain,
        Observation(images=episode.images[steps], pose=episode.pose[steps], wrench=episode.wrench[steps]),
    )
    rows = [Row(("image",))]
    for number, name in enumerate(ACTION_NAMES):
        captions = tuple(f"{name} {value:+z.2f}" for value in found.values[:, number])
        rows.append(Row((action_title(name),), found.maps[:, number], captions))
    info = episode.info
    trial = "" if info.trial is None else f" trial {info.trial + 1}"
    sheet = Sheet(
        title="Where the policy looked",
        lines=(
            f"{info.variant} on cell {info.cell}, {info.source}{trial}: {info.outcome}",
            *((f"bundle {bundle}",) if bundle else ()),
            f"Grad-CAM ({found.layer}): what speaks for each motion it chose.",
            "1.00 is a full step.",
        ),
        headings=tuple(f"step {step + 1} of {episode.steps}" for step in steps),
        views=tuple(views) or tuple(str(number + 1) for number in range(episode.images.shape[1])),
        images=episode.images[steps],
        rows=tuple(rows),
        cell_px=NARROW_PX,
    )
    return sheet.png()


def action_title(name: str) -> str:
    """What a number of the action is called on a sheet."""
    return name if name == "yaw" else name.upper()


def _outline(picture: Image, part: NDArray[np.bool_], color: tuple[int, int, int]) -> None:
    size = picture.shape[1], picture.shape[0]
    large = cv2.resize(part.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    found, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # Single pixels that show through a gap would only clutter the picture.
    speck = SPECK_PX * size[0] * size[1] / part.size
    contours = [one for one in found if cv2.contourArea(one) > speck]
    cv2.drawContours(picture, contours, -1, (0, 0, 0), 2)
    cv2.drawContours(picture, contours, -1, color, 1)


def _width(text: str, scale: float) -> int:
    (width, _), _ = cv2.getTextSize(text, FONT, scale, 1)
    return int(width)


def _write(sheet: Image, text: str, at_px: tuple[int, int], scale: float, color: tuple[int, int, int] = INK) -> None:
    """Text whose upper left corner is at (x, y). OpenCV's letters are ASCII."""
    plain = text.encode("ascii", "replace").decode()
    cv2.putText(sheet, plain, (at_px[0], at_px[1] + 12), FONT, scale, color, 1, cv2.LINE_AA)
