"""The name of a new part, and all that is called after it."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from dataclasses import dataclass
from importlib import metadata

from skillcore.errors import InputError
from skillcore.plugins import GROUP, Kind, Registry, singular
from skillcore.scaffold.kinds import BEGUN, spelled

MOST = 32
"""Characters of a name, so that what is made of it stays readable."""
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_OURS = "skillcore"


@dataclass(frozen=True, slots=True)
class Names:
    """Of a package `acme-arm`, which is also the name of its plugin and of its part.

    package: acme_arm, what is imported. maker: Acme, the beginning of its classes' names. made: AcmeArm.
    variable: ACME_ARM, the beginning of environment variables.
    """

    name: str
    package: str
    maker: str
    made: str
    variable: str


def names_for(name: str, kind: Kind) -> Names:
    """All names, of one that nobody has. Raises InputError."""
    _check_form(name)
    package, noun = name.replace("-", "_"), BEGUN[kind].noun
    camel = "".join(word.capitalize() for word in name.split("-"))
    maker = camel.removesuffix(noun).removesuffix(singular(kind).capitalize())
    if not maker:
        cure = f"put your own name in front: acme-{name}"
        raise InputError(f"{name!r} says what kind of part it is, and not whose", cure=cure)
    _check_free(name, package, kind)
    return Names(name, package, maker, maker + noun, package.upper())


def _check_form(name: str) -> None:
    if not _NAME.fullmatch(name):
        what = f"{name!r} is no name for a package: small letters and digits, in words joined by -"
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        near = re.sub(r"^[0-9-]+", "", near)
        raise InputError(what, cure=f"write {near[:MOST].strip('-')}" if near else "write for instance acme-arm")
    if len(name) > MOST:
        raise InputError(f"{name!r} is longer than {MOST} characters", cure=f"write {name[:MOST].strip('-')}")
    if name.startswith("test"):
        what = f"{name!r} begins as tests do: pytest would take its class for one"
        raise InputError(what, cure=f"put your own name in front: acme-{name}")
    if name.startswith(_OURS):
        what = f"{name!r} begins as the packages of skillcore itself do"
        raise InputError(what, cure="begin with your own name, such as acme-arm")


def _check_free(name: str, package: str, kind: Kind) -> None:
    other = name if name.endswith(f"-{spelled(kind)}") else f"{name}-{spelled(kind)}"
    cure = f"choose another name, such as {f'my-{name}' if other == name else other}"
    if keyword.iskeyword(package) or keyword.issoftkeyword(package) or package in sys.stdlib_module_names:
        raise InputError(f"{package!r} is a word of Python or a module that comes with it", cure=cure)
    points = [point for point in metadata.entry_points(group=GROUP) if point.name == name]
    if points:
        owner = points[0].dist.name if points[0].dist else "unknown"
        raise InputError(f"a plugin named {name!r} is installed already, from {owner}", cure=cure)
    try:
        there = metadata.distribution(name).name
    except metadata.PackageNotFoundError:
        there = ""
    if there:
        raise InputError(f"a distribution named {there!r} is installed already", cure=cure)
    if importlib.util.find_spec(package) is not None:
        raise InputError(f"a module named {package!r} is installed already", cure=cure)
    # Broken plugins are no concern of a new one.
    registry, _ = Registry.survey()
    for part in registry.parts(kind):
        if part.name == name:
            what = f"{part.source} offers {singular(kind)} {name!r} already"
            raise InputError(what, cure=cure)
