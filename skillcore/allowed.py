"""Which plugins may be loaded, as the user says: in `SKILLCORE_PLUGINS`, or in `settings.yaml` in the home.

Imports next to nothing: `skill --help` asks it too.
"""

from __future__ import annotations

import os
from importlib import metadata

PLUGINS = "skillcore"
"""The entry-point group of plugins."""


def allowed_plugins() -> tuple[str, list[str] | None]:
    """Where it is said, and the names of the plugins that may be loaded, or None for all.

    Raises ConfigError if the settings are wrong.
    """
    variable = os.environ.get("SKILLCORE_PLUGINS", "").strip()
    if variable:
        return "SKILLCORE_PLUGINS", [name.strip() for name in variable.split(",") if name.strip()]
    from skillcore.home import home

    where = "settings.yaml: plugins.allow"
    if not (home() / "settings.yaml").exists():
        return where, None  # without a file the settings need not be loaded, which takes longer than `--help` may
    from skillcore.settings import load_settings

    return where, load_settings().plugins.allow


def allowed_points(group: str) -> dict[str, list[metadata.EntryPoint]]:
    """What a group offers of the distributions whose plugins may be loaded, by name; more than one where distributions
    collide. Raises ConfigError as `allowed_plugins` does."""
    found: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=group):
        found.setdefault(point.name, []).append(point)
    allowed = allowed_plugins()[1] if found else None
    if allowed is not None:
        owners = {owner_of(point) for point in metadata.entry_points(group=PLUGINS) if point.name in allowed}
        found = {name: [point for point in points if owner_of(point) in owners] for name, points in found.items()}
    return {name: found[name] for name in sorted(found) if found[name]}


def owner_of(point: metadata.EntryPoint) -> str:
    """The name of its distribution."""
    return point.dist.name if point.dist else "unknown"
