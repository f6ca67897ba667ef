"""Options that several commands share, and what they stand for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from skillcore.cell_config import LoadedCell
    from skillcore.learning.bundles import Bundle
    from skillcore.plugins import Registry
    from skillcore.skill import Skill, Variant

SkillName = Annotated[str, typer.Argument(metavar="SKILL", help="The skill, e.g. insertion.", show_default=False)]
ConnectorName = Annotated[
    str,
    typer.Option(
        "--connector",
        "--variant",
        help="Name of a connector (of another skill: of a variant), or a YAML file that describes one.",
        show_default=False,
    ),
]
CellName = Annotated[str, typer.Option("--cell", help="A cell file, or the name of a cell.")]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**31 - 1, help="Everything random follows from it.")]
Device = Annotated[str, typer.Option("--device", help="Where networks run: cpu, cuda, or auto.")]
BundleFolder = Annotated[
    str,
    typer.Option("--bundle", help="Folder of a bundle. Default: the newest of the connector, else the pretrained."),
]
Scenario = Annotated[
    str,
    typer.Option(
        "--scenario",
        help="How trials start, for insertion I (within 10 mm) or II (10 to 20 mm). Default: the skill's first.",
        show_default=False,
    ),
]


def load_skill(name: str) -> tuple[Skill, Registry]:
    """A skill by name, and the parts that are installed. Raises UnknownNameError, PluginError."""
    from skillcore.parts import Context
    from skillcore.plugins import Registry

    registry = Registry.discover()
    return registry.make("skills", name, {}, Context(name=name)), registry


def load_cell_for(skill: Skill, variant: Variant, registry: Registry, *, cell: str, connector: str) -> LoadedCell:
    """A cell with the socket where it was taught for this variant, if it was; prints which holds.

    Raises UnknownNameError, ConfigError, and InputError for what was taught and no longer holds.
    """
    from skillcore.cell_config import load_cell
    from skillcore.taught import find, with_taught, words

    loaded = load_cell(cell, registry)
    taught = find(loaded, skill, variant, named=connector)
    if taught is not None:
        typer.echo(f"socket: {words(taught, loaded)}")
    elif skill.seat(variant) is not None and loaded.simulation is None:
        typer.echo(f"socket: at the fixture of {loaded.file}; nothing was taught (skill teach --help)")
    return with_taught(loaded, taught)


def taught_at(loaded: LoadedCell) -> str | None:
    """When the socket was taught, for the record of a run; None where it stands in the cell file."""
    return None if loaded.taught is None else loaded.taught.taught_at


def chosen_scenario(skill: Skill, scenario: str) -> str:
    """The scenario, or the skill's usual one where none is named. Raises UnknownNameError for one that it has not."""
    from skillcore.errors import UnknownNameError

    if scenario and scenario not in skill.scenarios:
        raise UnknownNameError("scenario", scenario, skill.scenarios, where="--scenario")
    return scenario or next(iter(skill.scenarios))


def variant_option(skill: Skill) -> str:
    """What names a variant on the command line, for what a command says to type next: `--connector` for connectors."""
    return "--connector" if skill.variant_word == "connector" else "--variant"


def open_bundle(
    skill: Skill, registry: Registry, *, wanted: str, variant: Variant | None, device: str
) -> tuple[Bundle, str]:
    """The bundle to use, and the device its networks are on. Raises BundleError, InputError."""
    from skillcore.home import folder
    from skillcore.learning.bundles import find_bundle, load_bundle
    from skillcore.learning.recipe import choose_device

    name = "" if variant is None else variant.name
    place = find_bundle(folder("bundles"), skill.name, wanted, name, skill.pretrained)
    chosen = choose_device(device)
    return load_bundle(place, registry, device=chosen), chosen


def say_where(run: Path | None = None, **more: Any) -> None:
    """Prints where everything is, at a command's end."""
    from skillcore.home import home

    if run is not None:
        typer.echo(f"run:    {run}")
    for name, value in more.items():
        typer.echo(f"{name + ':':<7} {value}")
    typer.echo(f"home:   {home()}")
