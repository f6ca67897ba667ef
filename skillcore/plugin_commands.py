"""Commands of `skill` that plugins bring along, found without importing any of them.

A distribution names a `typer.Typer` in the entry-point group "skillcore.commands", under the command's name:

    [project.entry-points."skillcore.commands"]
    twin = "skillcore_twin.commands:twin_app"

Its module imports what is heavy inside its functions. Where `SKILLCORE_PLUGINS` or `plugins.allow` in `settings.yaml`
name the plugins to load, only the commands of their distributions are there.
"""

from __future__ import annotations

from importlib import metadata
from typing import Any

from skillcore.allowed import allowed_points, owner_of
from skillcore.errors import PluginError

GROUP = "skillcore.commands"


def plugin_commands() -> dict[str, list[metadata.EntryPoint]]:
    """The commands that may be offered, by name; more than one where distributions collide."""
    return allowed_points(GROUP)


def load_plugin_command(name: str, points: list[metadata.EntryPoint]) -> Any:
    """What the entry point of a command names. Raises PluginError."""
    if len(points) > 1:
        owners = [owner_of(point) for point in points]
        raise PluginError(
            f"two distributions offer a command {name!r}: " + " and ".join(owners),
            cure="uninstall one of them: pip uninstall " + " or ".join(owners),
        )
    try:
        return points[0].load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also of a plugin that calls sys.exit()
        owner = owner_of(points[0])
        raise PluginError(
            f"command {name!r} of {owner} cannot be loaded: {type(error).__name__}: {error}",
            cure=f"repair it, or uninstall it: pip uninstall {owner}",
        ) from error
