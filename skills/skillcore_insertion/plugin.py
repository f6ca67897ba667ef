"""Registers the insertion skill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skillcore.config import StrictModel
from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part


class InsertionOptions(StrictModel):
    """Insertion has no options; what a cell must know stands in its cell file."""


def _make(options: InsertionOptions, context: Context) -> Any:
    from skillcore_insertion.skill import InsertionSkill

    return InsertionSkill()


@hookimpl
def skillcore_skills() -> Mapping[str, Part[Any, Any]]:
    return {"insertion": Part(InsertionOptions, _make, "insert a grasped plug into a fixed socket")}
