"""Runs an episode in the cell `sim` and prints a digest of everything in it: `episode_script.py CONNECTOR SEED`."""

import hashlib
import sys
from pathlib import Path

import numpy as np

import skillcore_mujoco.plugin
from skillcore.cell import open_cell
from skillcore.cell_config import load_cell
from skillcore.plugins import Registry
from skillcore.task import Task
from skillcore_insertion.skill import InsertionSkill

CELL = Path(__file__).resolve().parents[3] / "cell_configs" / "sim.yaml"


def digest(task: Task, skill: InsertionSkill, connector: str, seed: int) -> str:
    """Of all observations, scores and truths of an episode that the collector acts in."""
    variant = skill.variant(connector)
    demonstrator = skill.demonstrator(task.cell, variant, np.random.default_rng(seed))
    total = hashlib.sha256()
    observation, info = task.reset(seed=seed)
    ended = False
    while True:
        for name in ("images", "pose", "wrench"):
            total.update(observation[name].tobytes())
        truth = info["truth"]
        total.update(truth.seated_from_tcp.as_vector().tobytes() + bytes([truth.success]))
        total.update(info["executed"].tobytes())
        if ended:
            return total.hexdigest()
        observation, _, terminated, truncated, info = task.step(demonstrator.act(truth))
        ended = terminated or truncated


def main(connector: str, seed: int) -> str:
    skill = InsertionSkill()
    with open_cell(load_cell(CELL, Registry.from_modules({"mujoco": skillcore_mujoco.plugin}))) as cell:
        task = skill.task(cell, skill.variant(connector), scenario="I", seed=7, judge=None)
        return digest(task, skill, connector, seed)


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2])))
