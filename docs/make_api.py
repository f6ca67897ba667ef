"""Writes docs/api.md: all that `skillcore` offers by name, from its docstrings. A test compares the two.

python docs/make_api.py
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import importlib
import inspect
import itertools
import re
import sys
import textwrap
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import skillcore
import skillcore.testing
import skillcore.testing.learning
from skillcore.config import Quantity

PAGE = Path(__file__).parent / "api.md"
WIDTH = 110

INTRO = """\
# The public surface

<!-- Written by docs/make_api.py from the docstrings; a test says when it must be run again. -->

What `skillcore` offers by name is what plugins, skills and programs may build on: `from skillcore import Pose, Task`.
A name may also be imported from the module that stands beside it here. It changes only where this page does, too;
everything else may change at any time. `skillcore.__version__` is the version that is installed.

Units are SI and stand in the names: `_m`, `_rad`, `_s`, `_n` (newtons), `_nm` (newton metres), `_hz`, `_px`. Shapes are
written as `(views, H, W, 3)`, and a batch has one more axis in front. Poses are `a_from_b`: the frame `a` as it is seen
from the frame `b`. What is wrong is told by an error of [these](#errors), with what to do about it.
"""

THEMES: Mapping[str, tuple[str, str]] = {
    "Values": (
        "What flows through a cell.",
        "Pose Wrench ArmState Frame Intrinsics Observation Past PAST ACTION_NAMES Episode EpisodeInfo",
    ),
    "Devices": (
        "What a plugin implements for an arm, a camera or a simulated world; see [plugins](plugins.md).",
        "Arm ArmLimits Guidable Camera Simulation Shown Clock WallClock",
    ),
    "What learns": (
        "What a plugin implements for an encoder, a reward model or a learner, and what these work on.",
        "Representation RewardModel Sight Learner Transitions Batch ReplayCache Progress Recipe completed "
        "save_tensors load_tensors load_module",
    ),
    "Registering parts": (
        "How a plugin makes its parts known.",
        "hookimpl Part Context ViewShape Registry not_filled_in",
    ),
    "Options": (
        "Options are strict models. A number in them is SI; a text may have a unit, as in `4 mm`.",
        "StrictModel load_yaml wrong all_wrong Triple Quantity",
    ),
    "Skills and tasks": (
        "What a skill implements; see [skills](skills.md).",
        "Skill Variant VariantEntry Seat COLLECTING Task Truth Judge Demonstrator Actor Reflex",
    ),
    "Things that mate": ("How a skill tells a simulation what it works on.", "Mating Extrusion Material Thread"),
    "Cells and episodes": (
        "Opening a cell and reading what was recorded. The fields of a cell file are in [cells](cells.md).",
        "load_cell LoadedCell CellConfig Control open_cell Cell Snapshot EpisodeStore",
    ),
    "Environments": ("Skills as [gymnasium](gymnasium.md) makes them.", "SkillEnv"),
    "Errors": (
        "All that a user can meet.",
        "SkillcoreError InputError ConfigError Fault UnknownNameError PluginError NotFilledInError BundleError "
        "EpisodeError ExportError StorageError DeviceError CellBusyError StaleFrameError ArmFaultError SafetyStopError",
    ),
}
TESTING = (skillcore.testing, skillcore.testing.learning)


def page() -> str:
    """The whole page."""
    parts = [INTRO]
    for title, (words, names) in THEMES.items():
        parts.append(f"## {title}\n\n{words}\n")
        if title == "Options":
            parts.append(_quantities())
        if title == "Errors":
            tree = (skillcore.errors.__doc__ or "").split("\n\n")[1]
            parts.append(f"```text\n{tree}\n```\n")
        parts += [entry(name) for name in names.split()]
    parts.append("## Tests for parts\n\nSuites that need pytest; see [plugins](plugins.md).\n")
    parts += [_suites(module) for module in TESTING]
    return "\n".join(parts)


def themed() -> list[str]:
    """All names that stand on the page, quantities included."""
    return [name for _, names in THEMES.values() for name in names.split()] + list(quantities())


def quantities() -> dict[str, Quantity]:
    """Public names that stand for a physical quantity: the quantity itself, or a float with one."""
    found = {}
    for name in skillcore.__all__:
        value = getattr(skillcore, name)
        carried = [one for one in getattr(value, "__metadata__", ()) if isinstance(one, Quantity)]
        if isinstance(value, Quantity) or carried:
            found[name] = carried[0] if carried else value
    return found


def entry(name: str) -> str:
    """What the page says of one name."""
    value, home = getattr(skillcore, name), home_of(name)
    lines = [f"### {name}", "", f"`{home}`"]
    shown = _signature(name, value)
    if shown:
        lines[-1] += "\n\n```python\n" + shown + "\n```"
    lines += ["", doc_of(name), ""]
    if inspect.isclass(value):
        lines += [line for member, words in members(value).items() for line in _member(value, member, words)]
    return "\n".join(lines).rstrip() + "\n"


def home_of(name: str) -> str:
    """The module that a public name is defined in."""
    return f"skillcore.{skillcore._HOMES[name]}"


def doc_of(name: str) -> str:
    """The docstring of a public name, of a constant the text below it; "" where there is none."""
    value, home = getattr(skillcore, name), home_of(name)
    if inspect.isclass(value) or inspect.isroutine(value):
        return inspect.cleandoc(value.__doc__ or "")
    return {**attribute_docs("skillcore.quantities", ""), **attribute_docs(home, "")}.get(name, "")


def members(kind: type) -> dict[str, str]:
    """What a class adds: its public methods, properties and attributes with a text of their own -> that text.

    A method that only fills in what a base promises has none, and is left out.
    """
    found = dict(attribute_docs(kind.__module__, kind.__name__))
    for name, value in vars(kind).items():
        is_method = inspect.isroutine(value) or isinstance(value, property)
        if name.startswith("_") or not is_method:
            continue
        inherited = any(hasattr(base, name) for base in kind.__mro__[1:])
        text = inspect.cleandoc(_function(value).__doc__ or "")
        if text or not inherited:
            found[name] = text
    return found


def fields(kind: type) -> list[str]:
    """The public fields of a dataclass or TypedDict."""
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind) if not field.name.startswith("_")]
    return list(kind.__annotations__) if typing.is_typeddict(kind) else []


@cache
def attribute_docs(module: str, kind: str) -> Mapping[str, str]:
    """Texts that stand below an assignment, in a module or in one of its classes."""
    body = ast.parse(inspect.getsource(importlib.import_module(module))).body
    if kind:
        body = next((node.body for node in body if isinstance(node, ast.ClassDef) and node.name == kind), [])
    found = {}
    for node, after in itertools.pairwise(body):
        names = [node.target] if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [])
        if not (names and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)):
            continue
        if isinstance(names[0], ast.Name) and isinstance(after.value.value, str):
            found[names[0].id] = inspect.cleandoc(after.value.value)
    return found


def _member(kind: type, name: str, text: str) -> list[str]:
    value = inspect.getattr_static(kind, name, None)
    shown = f"{name}{_arguments(_function(value))}" if inspect.isroutine(value) else name
    first, _, rest = text.partition("\n\n")
    words = f"- `{shown}`: {' '.join(first.split())}"
    lines = textwrap.wrap(words, WIDTH + 8, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
    return [*lines, "", *textwrap.indent(rest, "  ").splitlines(), ""] if rest else lines


def _function(value: Any) -> Any:
    if isinstance(value, property):
        return value.fget
    return getattr(value, "__func__", value)


def _arguments(function: Any) -> str:
    """A signature without its `self`."""
    signature = inspect.signature(function)
    kept = [one for one in signature.parameters.values() if one.name not in ("self", "cls")]
    return _spelled(signature.replace(parameters=kept))


def _spelled(signature: inspect.Signature) -> str:
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(signature)).replace("'", '"')
    text = re.sub(r"\b(?:collections\.abc|typing|pathlib|skillcore[\w.]*)\.(?=\w)", "", text)
    text = re.sub(r" = <factory>|<factory>", " = ...", text)
    text = re.sub(r"<function (\w+) at 0x\w+>", r"\1", text)
    # Where a default has no spelling, an address would be another every time.
    return re.sub(r"<.+? at 0x\w+>", "...", text)


def _signature(name: str, value: Any) -> str:
    if typing.is_typeddict(value):
        return f"class {name}(TypedDict):\n" + "\n".join(
            f"    {field}: {_plain(kind)}" for field, kind in value.__annotations__.items()
        )
    if inspect.isclass(value):
        if issubclass(value, enum.Enum):
            return "\n".join(f"{name}.{one.name} = {one.value}" for one in value)
        if issubclass(value, BaseModel):
            return f"class {name}({value.__mro__[1].__name__})"
        if issubclass(value, Exception) or inspect.isabstract(value) or getattr(value, "_is_protocol", False):
            bases = [base.__name__ for base in value.__mro__[1:2] if base is not object]
            return f"class {name}({', '.join(bases)})" if bases else f"class {name}"
        return _broken(name + _arguments(value.__init__))
    if inspect.isroutine(value):
        return _broken(name + _arguments(value))
    if isinstance(value, int | str | tuple):
        return f"{name} = {value!r}".replace("'", '"')
    return ""


def _plain(kind: Any) -> str:
    text = kind.__forward_arg__ if isinstance(kind, typing.ForwardRef) else getattr(kind, "__name__", str(kind))
    return str(text)


def _broken(signature: str) -> str:
    """One parameter a line where the line would grow too long."""
    signature = signature.removesuffix(" -> None")
    if len(signature) <= WIDTH:
        return signature
    head, _, rest = signature.partition("(")
    inner, _, tail = rest.rpartition(")")
    parts, depth, last = [], 0, 0
    for index, letter in enumerate(inner):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(inner[last:index].strip())
            last = index + 1
    parts.append(inner[last:].strip())
    return f"{head}(\n" + "".join(f"    {part},\n" for part in parts) + f"){tail}"


def _quantities() -> str:
    by_unit: dict[str, list[str]] = {}
    nouns: dict[str, Quantity] = {}
    for name, quantity in quantities().items():
        by_unit.setdefault(quantity.noun, []).append(name)
        nouns[quantity.noun] = quantity
    rows = [
        f"| {noun} | {quantity.si} | `{quantity.example}` | "
        + ", ".join(f"`{name}`" for name in sorted(by_unit[noun], key=str.isupper))
        + " |"
        for noun, quantity in nouns.items()
    ]
    head = "`skillcore.config`. A field is any of a kind (`reach_m: Metres`), or one within a plausible range, in SI\n"
    head += "(`Annotated[float, LENGTH.within(1e-4, 0.05)]`).\n\n| Quantity | In | As in | Names |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _suites(module: Any) -> str:
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    ]
    lines = [f"### {module.__name__}", ""]
    for name in sorted(names):
        value = getattr(module, name)
        if inspect.isclass(value):
            words = " ".join(inspect.cleandoc(value.__doc__ or "").split("\n\n")[0].split())
            lines += [*textwrap.wrap(f"- `{name}`: {words}", WIDTH, subsequent_indent="  ")]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"wrote {PAGE}\n")
