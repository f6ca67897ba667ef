"""How the surfaces of connectors look: a palette of named materials, and what is drawn from it.

A connector file names a material (`material: nickel`), lists several to draw from (`material: [black_plastic,
white_plastic]`), or spells one out (`material: {colors: ["#e8602c"], gloss: 0.3}`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from skillcore.config import StrictModel, wrong
from skillcore.errors import suggest
from skillcore.solids import Material
from skillcore_insertion.outlines import SOME

Texture = Literal["plain", "brushed", "speckled"]


class Finish(StrictModel):
    """A surface: the colours it comes in (#rrggbb, the most usual one first), its gloss and its texture.

    gloss: 0 is matt, 1 is polished metal.
    """

    colors: Annotated[
        tuple[Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")], ...],
        SOME,
        Field(max_length=12, strict=False),
    ]
    gloss: Annotated[float, Field(ge=0.0, le=1.0)] = 0.15
    texture: Texture = "plain"

    def material(self, rng: np.random.Generator | None = None) -> Material:
        """The first colour, or one drawn from all of them, with the spread of batches, dust and wear."""
        if rng is None:
            return Material(_rgb(self.colors[0]), self.gloss, self.texture)
        color = np.array(_rgb(self.colors[int(rng.integers(len(self.colors)))]))
        color = np.clip(color * rng.uniform(0.85, 1.12) + rng.normal(0.0, 0.012, 3), 0.0, 1.0)
        gloss = float(np.clip(self.gloss + rng.uniform(-0.08, 0.08), 0.0, 1.0))
        red, green, blue = (float(channel) for channel in color)
        return Material((red, green, blue), gloss, self.texture)


def _rgb(text: str) -> tuple[float, float, float]:
    return int(text[1:3], 16) / 255.0, int(text[3:5], 16) / 255.0, int(text[5:7], 16) / 255.0


def _finish(colors: str, gloss: float, texture: Texture = "plain") -> Finish:
    return Finish(colors=tuple(colors.split()), gloss=gloss, texture=texture)


PALETTE: dict[str, Finish] = {
    # metals
    "nickel": _finish("#c4c2bb #b5b3ad #d2d0ca", 0.8),
    "steel": _finish("#9b9c9e #86888b #b3b4b5", 0.65, "brushed"),
    "tin": _finish("#c9cac8 #b4b6b5", 0.55),
    "zinc": _finish("#a9adb1 #bcbfbf #97999c", 0.5, "brushed"),
    "chrome": _finish("#d8dadc #c3c6c9", 0.95),
    "aluminium": _finish("#b9bbbd #a4a7aa", 0.5, "brushed"),
    "brass": _finish("#c7a552 #b4933f #d3b667", 0.75),
    "gold": _finish("#d6ae4a #c99f3b #e0be66", 0.8),
    "copper": _finish("#b87445 #a86537", 0.7),
    "black_oxide": _finish("#2b2b2d #3a3937", 0.4, "brushed"),
    "yellow_zinc": _finish("#b9a04a #a99552 #c2b26b", 0.5),
    # plastics and rubber
    "black_plastic": _finish("#1d1d1f #262628 #303033", 0.2),
    "black_rubber": _finish("#1a1a1a #232323", 0.05, "speckled"),
    "white_plastic": _finish("#efeeea #e4e2dc #f6f6f4", 0.3),
    "ivory_plastic": _finish("#ddd5bd #cfc5a8", 0.25),
    "natural_nylon": _finish("#e9e4d4 #ded8c4", 0.25),
    "grey_plastic": _finish("#7c7d80 #94969a #636467", 0.2),
    "light_grey_plastic": _finish("#bfc0c0 #adafb0", 0.2),
    "dark_grey_plastic": _finish("#46474a #3b3c3f", 0.2),
    "beige_plastic": _finish("#cfc3a5 #c2b697", 0.2),
    "red_plastic": _finish("#b3211f #c9302b #9c1b1e", 0.25),
    "orange_plastic": _finish("#d9661f #e07a34", 0.25),
    "yellow_plastic": _finish("#e3b81c #edc93f #d6a70f", 0.25),
    "green_plastic": _finish("#2c7a3d #3c8f4d #1f6a4a", 0.25),
    "blue_plastic": _finish("#1f4f9c #2a63b5 #173f80", 0.25),
    "vga_blue_plastic": _finish("#1c3f95 #23489f", 0.2),
    "usb3_blue_plastic": _finish("#1668b8 #2277c4", 0.3),
    "purple_plastic": _finish("#6a3d90 #7b4da3", 0.25),
    "brown_plastic": _finish("#4d3326 #5d4031", 0.2),
    "clear_plastic": _finish("#c8ccce #d4d8da", 0.5),
    # circuit boards
    "green_board": _finish("#1f5a35 #2b6b3f #174a2c", 0.3),
    "blue_board": _finish("#1b3f74 #14335f", 0.3),
    "black_board": _finish("#17191b #212427", 0.3),
    # what is dark because it is deep or printed
    "hollow": _finish("#0c0c0d #121213", 0.0),
    "black_print": _finish("#101010", 0.05),
    "white_print": _finish("#f2f2f2", 0.05),
    "red_print": _finish("#c41f1f", 0.05),
}
"""Materials that connector files can name."""


def _named(value: Any) -> Any:
    """Turns names of the palette, alone or in a list, into finishes; leaves what is spelled out to the model."""
    many = list(value) if isinstance(value, list | tuple) else [value]
    return tuple(_from_palette(item) if isinstance(item, str) else item for item in many)


def _from_palette(name: str) -> Finish:
    if name not in PALETTE:
        raise wrong(f"there is no material named {name!r}", suggest(name, sorted(PALETTE)))
    return PALETTE[name]


Finishes = Annotated[tuple[Finish, ...], SOME, BeforeValidator(_named), Field(max_length=12)]
"""Finishes to draw from; the first is the nominal one."""


class FinishDraw:
    """Draws materials for one part; the same list of finishes always gives the same material, as one moulding would."""

    def __init__(self, rng: np.random.Generator | None) -> None:
        self._rng = rng
        self._drawn: dict[tuple[Finish, ...], Material] = {}

    def __call__(self, finishes: tuple[Finish, ...]) -> Material:
        if finishes not in self._drawn:
            chosen = finishes[0 if self._rng is None else int(self._rng.integers(len(finishes)))]
            self._drawn[finishes] = chosen.material(self._rng)
        return self._drawn[finishes]
