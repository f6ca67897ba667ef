"""Which plugins may be loaded, as the user says: in `SKILLCORE_PLUGINS`, or in `settings.yaml` in the home.

Imports next to nothing: `skill --help` asks it too.
"""

from __future__ import annotations

import os


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
