"""A folder of results: it holds those of one set of conditions and one bundle, and says so."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from skillcore.bench.conditions import Conditions
from skillcore.errors import InputError
from skillcore.learning.bundles import read_card
from skillcore.learning.runs import read_mapping
from skillcore.storage import make_folder_durably, write_json_durably

CONDITIONS = "conditions.json"
GROWING = ("reward", "reward.models", "reward.splits")
"""What is compared entry by entry, since jobs are named by these entries: others may be added."""


def check_same(conditions: Conditions, bundle: Path, out: Path) -> None:
    """Notes under which conditions a folder's results are found; others must not be taken for them.

    More variants, scenarios, seeds, splits and reward models may be added. What an earlier version did not note is
    noted now. Raises InputError that names what differs.
    """
    path = out / CONDITIONS
    told = conditions.model_dump(mode="json", by_alias=True, include={"skill", "cell", "methods", "trials", "practice"})
    card = read_card(bundle)
    told["bundle"], told["threshold"] = card.files, card.reward["threshold"]
    if conditions.reward is not None:
        compared = {"reward_model", "splits", "models", "options", "cells", "episodes", "false_positives"}
        told["reward"] = conditions.reward.model_dump(mode="json", include=compared)
    if conditions.ablation is not None:
        told["ablation"] = conditions.ablation.model_dump(
            mode="json", include={"arms", "cells", "connectors", "episodes", "rollouts", "validation_episodes"}
        )
    before = read_mapping(path, cure="give another folder: --out") or {}
    other: list[str] = []
    both = _joined(before, told, "", other)
    if other:
        raise InputError(
            f"{out}: holds results under other conditions: {', '.join(sorted(other))} differ",
            cure="give another folder: --out",
        )
    if both != before:
        make_folder_durably(out)
        write_json_durably(path, both)


def _joined(before: Mapping[str, Any], now: Mapping[str, Any], where: str, other: list[str]) -> dict[str, Any]:
    """What either says. `other` gets the names of what both say, and not alike."""
    both = {**before, **now}
    for name in before.keys() & now.keys():
        full = f"{where}{name}"
        if full in GROWING and isinstance(before[name], Mapping):
            both[name] = _joined(before[name], now[name], f"{full}.", other)
        elif before[name] != now[name]:
            other.append(full)
    return both
