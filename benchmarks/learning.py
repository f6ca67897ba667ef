"""Practises several connectors with several seeds, and prints success over the trials.

    python benchmarks/learning.py BUNDLE --connectors usb_a,bnc --seeds 0,1 --trials 200

Connectors run side by side, one process each core. Options of the learner can be overridden, to compare them.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

VALIDATION = "audio_3_5,bnc,d_sub_9,displayport,iec_c13,jst_xh,m12,usb_a"


def run(job: tuple[str, str, int, argparse.Namespace]) -> dict[str, Any]:
    """One connector, one seed."""
    bundle, connector, seed, arguments = job
    os.environ["SKILLCORE_HOME"] = tempfile.mkdtemp()
    import torch

    torch.set_num_threads(arguments.threads)
    from skillcore.cell_config import load_cell
    from skillcore.learning import bundles
    from skillcore.learning.evaluate import Evaluation
    from skillcore.learning.job import Plan, Unwatched, learn
    from skillcore.parts import Context
    from skillcore.plugins import Registry

    registry = Registry.discover()
    skill = registry.make("skills", "insertion", {}, Context())
    overrides = dict(option.split("=", 1) for option in arguments.option)
    read = bundles.read_card

    def read_card(folder: Path) -> Any:
        card = read(folder)
        choice = card.recipe.learner
        options = {**choice.options, **{name: json.loads(value) for name, value in overrides.items()}}
        recipe = card.recipe.model_copy(update={"learner": choice.model_copy(update={"options": options})})
        reward = {**card.reward, **({"threshold": arguments.threshold} if arguments.threshold else {})}
        return card.model_copy(update={"recipe": recipe, "reward": reward})

    bundles.read_card = read_card
    found = bundles.load_bundle(Path(bundle), registry, device="cpu")
    home = Path(os.environ["SKILLCORE_HOME"])

    began = time.monotonic()
    outcome = learn(
        skill,
        skill.variant(connector),
        load_cell(arguments.cell, registry),
        found,
        Plan(
            arguments.scenario,
            arguments.zero_shot,
            arguments.trials,
            arguments.acceptance,
            adapt=not arguments.unadapted,
        ),
        folder=home,
        bundles=home / "bundles",
        seed=seed,
        command="benchmarks/learning.py",
        watcher=Unwatched(),
    )
    practised = outcome.practised
    return {
        "connector": connector,
        "seed": seed,
        "zero_shot": outcome.zero_shot.success.value,
        "curve": [round(Evaluation(practised[at : at + 25]).success.value, 2) for at in range(0, len(practised), 25)],
        "trials": len(practised),
        "wrong_claims": Evaluation(practised).wrong_claims.hits,
        "acceptance": outcome.acceptance.success.value,
        "false_positives": outcome.acceptance.wrong_claims.hits,
        "missed": outcome.acceptance.false_negatives.hits,
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle")
    parser.add_argument("--connectors", default=VALIDATION)
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--zero-shot", type=int, default=40)
    parser.add_argument("--acceptance", type=int, default=50)
    parser.add_argument("--scenario", default="I")
    parser.add_argument("--cell", default="sim")
    parser.add_argument("--threshold", type=float, default=0.0)
    parser.add_argument("--option", action="append", default=[], help="NAME=JSON of the learner")
    parser.add_argument("--unadapted", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    jobs = [
        (arguments.bundle, connector, int(seed), arguments)
        for seed in arguments.seeds.split(",")
        for connector in arguments.connectors.split(",")
    ]
    results = []
    with multiprocessing.get_context("spawn").Pool(arguments.workers, maxtasksperchild=1) as pool:
        for result in pool.imap(run, jobs, chunksize=1):
            results.append(result)
            print(json.dumps(result), flush=True)
    for name in ("zero_shot", "acceptance"):
        print(f"mean {name}: {sum(result[name] for result in results) / len(results):.3f}")


if __name__ == "__main__":
    main()
