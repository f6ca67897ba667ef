"""Buttons: what the skill is learned on. A collar in a panel, and in it a cap that lies a little deeper."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from skillcore import FORCE, LENGTH, Extrusion, Material, Mating, StrictModel

FINGER_RADIUS_M = 0.003
_COLLAR_M = 0.003
_STEEL = Material((0.7, 0.7, 0.72), gloss=0.6)


class Button(StrictModel):
    """One button. cap_m: diameter of its cap. recess_m: how far the cap lies below the collar. press_n: the force that
    switches. color: RGB in [0, 1]."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    name: str
    title: str
    family: str = "in_house"
    split: Literal["train", "held_out"] = "held_out"
    cap_m: Annotated[float, LENGTH.within(0.008, 0.04)]
    recess_m: Annotated[float, LENGTH.within(0.001, 0.006)]
    press_n: Annotated[float, FORCE.within(2.0, 20.0)] = 6.0
    color: tuple[float, float, float] = (0.2, 0.2, 0.2)

    @property
    def reach_m(self) -> float:
        """How far beside the middle of the cap the middle of the finger still presses."""
        return 0.5 * self.cap_m - FINGER_RADIUS_M

    def mating(self) -> Mating:
        """The finger in the gripper and the button in the panel, as simulations take them."""
        cap = 0.5 * self.cap_m
        back = self.recess_m + 0.004
        return Mating(
            name=self.name,
            plug=(Extrusion(_circle(FINGER_RADIUS_M), (-0.03, 0.0), _STEEL, chamfer_m=0.0005),),
            socket=(
                Extrusion(_circle(cap + _COLLAR_M), (0.0, back), _STEEL, holes=(_circle(cap),), chamfer_m=0.0005),
                Extrusion(_circle(cap - 0.0002), (self.recess_m, back), Material(self.color)),
            ),
            depth_m=self.recess_m,
            friction=0.3,
            resistance_n=0.0,
        )


def drawn(index: int, seed: int) -> Button:
    """Number `index` of the endless series of buttons of a seed, to train on."""
    rng = np.random.default_rng([seed, index])
    red, green, blue = rng.uniform(0.05, 0.95, 3)
    return Button(
        name=f"drawn~{index:04d}",
        title=f"Drawn button {index}",
        family="drawn",
        split="train",
        cap_m=float(rng.uniform(0.009, 0.028)),
        recess_m=float(rng.uniform(0.0012, 0.004)),
        press_n=float(rng.uniform(4.0, 10.0)),
        color=(float(red), float(green), float(blue)),
    )


def _circle(radius_m: float) -> np.ndarray:
    around = np.arange(24) * (2.0 * np.pi / 24)
    return radius_m * np.column_stack([np.cos(around), np.sin(around)])


BUTTONS = {
    button.name: button
    for button in (
        Button(name="red_16", title="Red, 16 mm", family="panel", split="train", cap_m=0.016, recess_m=0.002,
               color=(0.8, 0.1, 0.1)),
        Button(name="black_12", title="Black, 12 mm", family="panel", split="train", cap_m=0.012, recess_m=0.0015),
        Button(name="blue_28", title="Blue, 28 mm", family="panel", split="train", cap_m=0.028, recess_m=0.003,
               color=(0.1, 0.2, 0.7)),
        Button(name="white_10", title="White, 10 mm", family="keypad", split="train", cap_m=0.010, recess_m=0.0012,
               press_n=4.0, color=(0.9, 0.9, 0.88)),
        Button(name="green_22", title="Green, 22 mm", family="panel", cap_m=0.022, recess_m=0.002,
               color=(0.1, 0.6, 0.2)),
        Button(name="yellow_14", title="Yellow, 14 mm", family="keypad", cap_m=0.014, recess_m=0.0018, press_n=5.0,
               color=(0.9, 0.8, 0.1)),
    )
}  # fmt: skip
