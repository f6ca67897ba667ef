"""What a plugin registers: a part's options and how to make it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from skillcore.types import Pose

if TYPE_CHECKING:
    from skillcore.config import StrictModel
    from skillcore.interfaces import Clock, Representation, Simulation

ConfigT = TypeVar("ConfigT", bound="StrictModel")
MadeT = TypeVar("MadeT", covariant=True)


class RepresentationMaker(Protocol):
    """Makes a representation by name and options, for a reward model or a learner that was told to use it."""

    def __call__(
        self, name: str, options: dict[str, Any], *, views: int, size_px: int, domains: int
    ) -> Representation: ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a factory may need besides its own options.

    name: what the cell file calls the part (a camera's key, for instance). clock: the cell's time. simulation: the
    cell's, if it has one. fixture: where the cell holds the socket (socket_from_base). representation: makes
    representations, for parts that learn. device: torch's name of the one to learn on.
    """

    name: str = ""
    clock: Clock | None = None
    simulation: Simulation | None = None
    fixture: Pose = field(default_factory=Pose.identity)
    representation: RepresentationMaker | None = None
    device: str = "cpu"


@dataclass(frozen=True, slots=True)
class Part(Generic[ConfigT, MadeT]):
    """A part a plugin offers: `config` validates its options, `factory` makes it, `summary` says what it is in a line.

    The factory must not talk to hardware: that is what `connect` is for. It imports vendor SDKs, and leaves an
    ImportError to be answered with `requires`, the pip command that cures it.
    """

    config: type[ConfigT]
    factory: Callable[[ConfigT, Context], MadeT]
    summary: str
    requires: str = ""
