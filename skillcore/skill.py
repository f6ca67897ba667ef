"""What a skill implements: what it can be learned on, the task to practise, and who can show how it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from skillcore.cell import Cell
from skillcore.task import Judge, Task, Truth
from skillcore.types import Array, Observation

Split = Literal["train", "held_out"]
COLLECTING = "collect"
"""The scenario that offline data is collected in: wider than what is practised."""


@dataclass(frozen=True, slots=True)
class VariantEntry:
    """A variant as a list shows it: name, title (what a person calls it), family (of its like), split (train, or
    held_out to test on what nothing was trained on), and aliases, other names for it."""

    name: str
    title: str
    family: str
    split: Split
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """One thing a skill can be learned on. name, title, family, split: as in `VariantEntry`. model: the skill's own
    description of it."""

    name: str
    title: str
    family: str
    split: Split
    model: Any


@dataclass(frozen=True, slots=True)
class Seat:
    """Where success lies, as a person can show it with the tool in hand: `depth_m` beyond the socket's mouth, along the
    tool's z axis.

    loosen_rad: how far the tool must be turned back before it is drawn out, as by a thread that has taken hold.
    """

    depth_m: float
    loosen_rad: float = 0.0


class Demonstrator(Protocol):
    """A scripted policy that knows the truth: for offline data."""

    def act(self, truth: Truth) -> NDArray[np.float32]:
        """An action (4,) in [-1, 1]."""


class Actor(Protocol):
    """Chooses actions; sees every observation of an episode once, the last one too."""

    def __call__(self, observation: Observation, info: dict[str, Any], /, *, last: bool) -> NDArray[np.float32]: ...


class Reflex(Protocol):
    """What is done about a policy's action before it is executed, in one trial; sees every observation once."""

    def __call__(self, observation: Observation, action: NDArray[np.float32], /) -> NDArray[np.float32]: ...


MakeReflex = Callable[[], Reflex | None]
"""Makes the reflex of a trial."""


def no_reflex() -> None:
    """A `MakeReflex` for a policy that is left to itself."""


class Skill(ABC):
    """Something a cell can learn to do."""

    name: str
    variant_word: str
    """What a variant is called where it is told of, e.g. connector. `--variant` names one on the command line."""
    success_word: str = "done"
    """What is said of a trial that succeeded, e.g. inserted."""
    max_steps: int
    """Steps of a trial at most."""
    scenarios: Mapping[str, str]
    """The ways an episode can begin, each in a line of words. The first is the usual one."""

    @abstractmethod
    def variants(self) -> Sequence[VariantEntry]:
        """All that come with the skill, by name."""

    @abstractmethod
    def variant(self, name_or_path: str) -> Variant:
        """One of them, or one described by a file. Raises UnknownNameError or ConfigError."""

    @property
    @abstractmethod
    def validation(self) -> Sequence[str]:
        """Names of training variants that pretraining leaves out, to choose thresholds and settings on."""

    @abstractmethod
    def training_variant(self, index: int, *, seed: int, without: Collection[str] = ()) -> Variant:
        """Number `index` of an endless series to train on: those that come with the skill first, then procedural ones.

        without: names of variants to leave out, with all that is derived from them.
        """

    @property
    def pretrained(self) -> Path | None:
        """The bundle that comes with the skill, if one does."""
        return None

    @abstractmethod
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
        """The task of this variant on an open cell. `seed` draws the specimen and, in a simulation, the looks."""

    def seat(self, variant: Variant) -> Seat | None:
        """What `skill teach` has shown by hand; None where a hand can show nothing."""
        return None

    @abstractmethod
    def demonstrator(self, cell: Cell, variant: Variant, rng: np.random.Generator) -> Demonstrator:
        """Who collects offline data, made anew for every episode."""

    def searches(
        self, cell: Cell, variant: Variant, locate: Callable[[Observation], Array]
    ) -> Mapping[str, Callable[[np.random.Generator], Actor]]:
        """Scripted baselines by name, each made anew for every trial with random numbers of its own.

        locate: from an observation, x and y in m and yaw in rad of where the goal is thought to be, seen from the TCP.
        """
        return {}

    def explorer(
        self, cell: Cell, variant: Variant, locate: Callable[[Observation], Array]
    ) -> Callable[[np.random.Generator], Actor] | None:
        """A scripted search that finds the goal now and then, so that practice meets success where the policy hardly
        does; None where there is no such thing. locate: as for `searches`."""
        return None

    def reflex(self, cell: Cell) -> Reflex | None:
        """What helps a policy that is stuck, made anew for every trial; None where there is no such thing.

        A policy acts with it wherever it acts, and what it learns from are the actions that were executed.
        """
        return None

    @abstractmethod
    def describe(self, variant: Variant, width: int) -> str:
        """The variant in text: a drawing and its figures, at most `width` columns wide."""

    @abstractmethod
    def draw(self, variant: Variant, path: Path) -> Path:
        """The variant as a PNG. Returns the path."""
