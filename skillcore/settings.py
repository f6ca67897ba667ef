"""What the user prefers on this machine: `settings.yaml` in the home. It need not exist.

plugins: {allow: [mujoco, insertion]}      # load these plugins and no others
"""

from skillcore.config import StrictModel, load_yaml
from skillcore.home import home


class PluginSettings(StrictModel):
    """allow: names of the plugins to load, or None for all that are installed."""

    allow: list[str] | None = None


class Settings(StrictModel):
    """The whole file. plugins: which plugins are loaded."""

    plugins: PluginSettings = PluginSettings()


def load_settings() -> Settings:
    """The settings, or the defaults if there is no file. Raises ConfigError if the file is wrong."""
    path = home() / "settings.yaml"
    return load_yaml(path, Settings) if path.exists() else Settings()
