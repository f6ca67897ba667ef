"""What a plugin registers: a part's options and how to make it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from skillcore.errors import NotFilledInError
from skillcore.types import Pose

if TYPE_CHECKING:
    from skillcore.config import StrictModel
    from skillcore.interfaces import Clock, Representation, Simulation

ConfigT = TypeVar("ConfigT", bound="StrictModel")
MadeT = TypeVar("MadeT", covariant=True)


def _no_representations(name: str, options: dict[str, Any]) -> Representation:
    raise ValueError("this context makes no representations")


@dataclass(frozen=True, slots=True)
class ViewShape:
    """What a representation is made for: the number of views, their height and width size_px, and how many domains it
    is trained on."""

    views: int = 2
    size_px: int = 64
    domains: int = 0


@dataclass(frozen=True, slots=True)
class Context:
    """What a factory may need besides its own options.

    Of devices: `name` is what the cell file calls the part (a camera's key, for instance), `clock` the cell's time,
    `simulation` the cell's world, if it has one, `fixture` where the cell holds the socket (socket_from_base).

    Of what learns: `device` is torch's name of the device to learn on, `views` what images look like,
    `make_representation` makes a representation from name and options, `feature_dim` is the length of the vectors a
    learner learns from.
    """

    name: str = ""
    clock: Clock | None = None
    simulation: Simulation | None = None
    fixture: Pose = field(default_factory=Pose.identity)
    device: str = "cpu"
    views: ViewShape = field(default_factory=ViewShape)
    make_representation: Callable[[str, dict[str, Any]], Representation] = _no_representations
    feature_dim: int = 0


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


def not_filled_in() -> NotFilledInError:
    """What a method raises that is still to be written: `raise not_filled_in()`. It says which one, and where."""
    here = inspect.currentframe()
    caller = here.f_back if here is not None else None
    if caller is None:
        return NotFilledInError("a method is not filled in yet", cure="write it")
    code = caller.f_code
    return NotFilledInError(
        f"{code.co_qualname} is not filled in yet",
        cure=f"write it: {code.co_filename}, line {code.co_firstlineno}; its docstring says what it must do",
    )
