"""Insertion as `gymnasium.make("skillcore/Insertion-v0")` makes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skillcore.environment import SkillEnv


class InsertionEnv(SkillEnv):
    """Inserts a connector, on the simulated cell if no other is named. Options are those of `SkillEnv`."""

    def __init__(self, *, cell: str | Path = "sim", connector: str = "hdmi", **options: Any) -> None:
        super().__init__("insertion", connector, cell=cell, **options)
