"""The `skill` command. `app.py` says how a command group is added."""

from skillcore.cli.app import main

__all__ = ["main"]
