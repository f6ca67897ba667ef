"""A folder of results: it holds those of one set of conditions and one bundle, and says so."""

from __future__ import annotations

import json
from pathlib import Path

from skillcore.bench.conditions import Conditions
from skillcore.errors import InputError
from skillcore.learning.bundles import read_card
from skillcore.storage import make_folder_durably, write_json_durably

CONDITIONS = "conditions.json"


def check_same(conditions: Conditions, bundle: Path, out: Path) -> None:
    """Notes under which conditions a folder's results are found; others must not be taken for them.

    More variants, scenarios, seeds and reward models may be added. Raises InputError that names what differs.
    """
    path = out / CONDITIONS
    told = conditions.model_dump(mode="json", by_alias=True, include={"skill", "cell", "methods", "trials", "practice"})
    told["bundle"] = read_card(bundle).files
    if conditions.reward is not None:
        told["reward"] = conditions.reward.model_dump(mode="json", include={"reward_model", "options", "episodes"})
    if conditions.ablation is not None:
        told["ablation"] = conditions.ablation.model_dump(
            mode="json", include={"arms", "cells", "connectors", "episodes", "rollouts", "validation_episodes"}
        )
    if not path.exists():
        make_folder_durably(out)
        write_json_durably(path, told)
        return
    before = json.loads(path.read_bytes())
    other = sorted(name for name in told if before.get(name) != told[name])
    if other:
        raise InputError(
            f"{out}: holds results under other conditions: {', '.join(other)} differ", cure="give another folder: --out"
        )
