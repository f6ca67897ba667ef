"""Insertion, as the runtime sees it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from skillcore.cell import Cell
from skillcore.errors import UnknownNameError
from skillcore.skill import COLLECTING, Actor, Demonstrator, Reflex, Seat, Skill, Variant, VariantEntry
from skillcore.task import Judge, Task
from skillcore.types import Array, Observation
from skillcore_insertion.collector import Collector
from skillcore_insertion.connector import Connector
from skillcore_insertion.drawing import draw_png, draw_text
from skillcore_insertion.library import ConnectorLibrary
from skillcore_insertion.outlines import MM
from skillcore_insertion.reflex import Careful
from skillcore_insertion.searches import Locate, PressedSpiral, RandomPresses, StraightDown
from skillcore_insertion.task import SCENARIOS, InsertionTask, Start
from skillcore_insertion.variation import procedural

EXPLORING_LOOKS = 3
LOOSEN_RAD = math.radians(5.0)
"""How far a screw that was only set on its thread is turned back to be free of it."""
VALIDATION = ("audio_3_5", "bnc", "d_sub_9", "displayport", "iec_c13", "jst_xh_4", "m12", "usb_a")
"""From eight families; settings and thresholds are chosen on these, and never on a held-out connector."""

COLLECT_START = Start(offset_m=(0.0, 0.020), height_m=(0.003, 0.014), turn_rad=math.radians(8.0))


class InsertionSkill(Skill):
    """A plug that is already grasped goes into a socket that is fixed in the cell."""

    name = "insertion"
    variant_word = "connector"
    success_word = "inserted"
    max_steps = 20
    scenarios = {  # noqa: RUF012
        "I": "starts up to 10 mm beside the socket",
        "II": "starts 10 to 20 mm beside the socket",
        COLLECTING: "starts up to 20 mm beside the socket, turned further, to collect offline data",
    }
    validation = VALIDATION

    def __init__(self, library: ConnectorLibrary | None = None) -> None:
        self.library = library or ConnectorLibrary()

    def variants(self) -> Sequence[VariantEntry]:
        return [
            VariantEntry(entry.name, entry.title, entry.family, entry.split, entry.aliases)  # type: ignore[arg-type]
            for entry in self.library.entries.values()
        ]

    def variant(self, name_or_path: str) -> Variant:
        return _variant(self.library.get(name_or_path))

    @property
    def pretrained(self) -> Path | None:
        return Path(__file__).parent / "pretrained"

    def training_variant(self, index: int, *, seed: int, without: Collection[str] = ()) -> Variant:
        # An alias would leave nothing out, and nobody would notice.
        without = {self.library.get(name).name for name in without}
        real = [name for name in self.library.by_split("train") if name not in without]
        if index < len(real):
            return _variant(self.library.get(real[index]))
        return _variant(procedural(index - len(real), seed, self.library, without))

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
        starts = {**SCENARIOS, COLLECTING: COLLECT_START}
        if scenario not in starts:
            raise UnknownNameError("scenario", scenario, starts)
        connector: Connector = variant.model
        return InsertionTask(
            cell,
            connector.mating(np.random.default_rng([seed, 0])),
            symmetry=connector.symmetry,
            start=starts[scenario],
            max_steps=self.max_steps if max_steps is None else max_steps,
            judge=judge,
            seed=seed,
        )

    def seat(self, variant: Variant) -> Seat:
        connector: Connector = variant.model
        return Seat(connector.depth_mm * MM, 0.0 if connector.thread is None else LOOSEN_RAD)

    def demonstrator(self, cell: Cell, variant: Variant, rng: np.random.Generator) -> Demonstrator:
        return Collector(cell.config.control, rng, depth_m=variant.model.depth_mm * MM)

    def searches(
        self, cell: Cell, variant: Variant, locate: Locate
    ) -> Mapping[str, Callable[[np.random.Generator], Actor]]:
        control = cell.config.control
        return {
            "localize": lambda rng: StraightDown(control, locate),
            "straight": lambda rng: StraightDown(control),
            "random": lambda rng: RandomPresses(control, rng, locate),
            "spiral": lambda rng: PressedSpiral(control, locate),
        }

    def explorer(self, cell: Cell, variant: Variant, locate: Locate) -> Callable[[np.random.Generator], Actor]:
        def turned_as_it_began(observation: Observation) -> Array:
            x, y, _ = locate(observation)
            return np.array([x, y, 0.0])

        def search(rng: np.random.Generator) -> Actor:
            # Where a socket is seen badly, how it is turned is seen worst; and a plug is presented about right.
            look = locate if rng.random() < 0.5 else turned_as_it_began
            return PressedSpiral(cell.config.control, look, looks=EXPLORING_LOOKS)

        return search

    def reflex(self, cell: Cell) -> Reflex:
        return Careful(cell.config.control)

    def describe(self, variant: Variant, width: int) -> str:
        return draw_text(variant.model, width)

    def draw(self, variant: Variant, path: Path) -> Path:
        return draw_png(variant.model, path)


def _variant(connector: Connector) -> Variant:
    return Variant(connector.name, connector.title, connector.family, connector.split, connector)
