"""Pressing, as skillcore sees it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import cv2
import numpy as np

from acme_press.buttons import BUTTONS, Button, drawn
from acme_press.presser import Presser
from acme_press.task import PressTask
from skillcore import (
    COLLECTING,
    Cell,
    Judge,
    Skill,
    Task,
    UnknownNameError,
    Variant,
    VariantEntry,
    load_yaml,
)

OFFSETS_M = {"near": 0.010, COLLECTING: 0.018}
DRAWN_PX = 400


class PressSkill(Skill):
    """A finger that is already grasped presses a button in a panel."""

    name = "press"
    variant_word = "button"
    success_word = "pressed"
    max_steps = 15
    scenarios = {  # noqa: RUF012
        "near": "starts up to 10 mm beside the button",
        COLLECTING: "starts up to 18 mm beside the button, to collect offline data",
    }
    validation = ("black_12",)

    def variants(self) -> Sequence[VariantEntry]:
        return [VariantEntry(one.name, one.title, one.family, one.split) for one in BUTTONS.values()]

    def variant(self, name_or_path: str) -> Variant:
        if name_or_path.endswith((".yaml", ".yml")):
            return _variant(load_yaml(name_or_path, Button))
        if name_or_path not in BUTTONS:
            raise UnknownNameError("button", name_or_path, BUTTONS)
        return _variant(BUTTONS[name_or_path])

    def training_variant(self, index: int, *, seed: int, without: Collection[str] = ()) -> Variant:
        real = [one for one in BUTTONS.values() if one.split == "train" and one.name not in without]
        return _variant(real[index] if index < len(real) else drawn(index - len(real), seed))

    def task(
        self,
        cell: Cell,
        variant: Variant,
        *,
        scenario: str,
        seed: int,
        judge: Judge | None,
        max_steps: int | None = None,
    ) -> Task:
        if scenario not in OFFSETS_M:
            raise UnknownNameError("scenario", scenario, OFFSETS_M)
        steps = self.max_steps if max_steps is None else max_steps
        offset_m = OFFSETS_M[scenario]
        return PressTask(cell, variant.model, offset_m=offset_m, max_steps=steps, judge=judge, seed=seed)

    def demonstrator(self, cell: Cell, variant: Variant, rng: np.random.Generator) -> Presser:
        return Presser(cell.config.control, rng)

    def describe(self, variant: Variant, width: int) -> str:
        button: Button = variant.model
        return f"{button.title}\ncap {1e3 * button.cap_m:g} mm\n{1e3 * button.recess_m:g} mm deep\n{button.press_n:g} N"

    def draw(self, variant: Variant, path: Path) -> Path:
        button: Button = variant.model
        picture = np.full((DRAWN_PX, DRAWN_PX, 3), 200, np.uint8)
        middle, cap_px = (DRAWN_PX // 2, DRAWN_PX // 2), round(8000 * 0.5 * button.cap_m)
        cv2.circle(picture, middle, cap_px + 24, (120, 120, 120), -1, cv2.LINE_AA)
        blue_green_red = tuple(round(255 * part) for part in reversed(button.color))
        cv2.circle(picture, middle, cap_px, blue_green_red, -1, cv2.LINE_AA)
        cv2.imwrite(str(path), picture)
        return path


def _variant(button: Button) -> Variant:
    return Variant(button.name, button.title, button.family, button.split, button)
