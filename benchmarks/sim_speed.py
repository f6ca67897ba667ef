"""Measures steps per second of the insertion task in the cell `sim`, both views rendered, on one core.

    python benchmarks/sim_speed.py [--steps 400] [CONNECTOR ...]

Seconds are those of the process's own time on the core, so that what else runs there does not count; each figure is
the best of three rounds. Exit code 1 below the target.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import skillcore_mujoco.plugin
from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.plugins import Registry
from skillcore_insertion.skill import InsertionSkill

CONNECTORS = ("hdmi_a", "usb_c", "audio_3_5", "screw_m4", "d_sub_9", "dt04_12p", "schuko")
TARGET_PER_S = 150.0
ROUNDS = 3
CELL = Path(__file__).resolve().parents[1] / "cell_configs" / "sim.yaml"


def measure(cell: Cell, skill: InsertionSkill, connector: str, steps: int) -> tuple[float, float, float]:
    """Steps per second, and the median reset and the installation in s. Policy and resets are left out of the steps."""
    variant = skill.variant(connector)
    began = time.process_time()
    task = skill.task(cell, variant, scenario="I", seed=1, judge=None)
    install_s = time.process_time() - began
    best, resets, seed = 0.0, [], 0
    for _ in range(ROUNDS):
        stepping, done = 0.0, 0
        while done < steps / ROUNDS:
            began = time.process_time()
            _, info = task.reset(seed=seed)
            resets.append(time.process_time() - began)
            demonstrator = skill.demonstrator(cell, variant, np.random.default_rng(seed))
            seed += 1
            ended = False
            while not ended:
                action = demonstrator.act(info["truth"])
                began = time.process_time()
                _, _, terminated, truncated, info = task.step(action)
                stepping += time.process_time() - began
                done += 1
                ended = terminated or truncated
        best = max(best, done / stepping)
    return best, float(np.median(resets)), install_s


def main() -> int:
    parser = argparse.ArgumentParser(description="steps per second of the simulated cell, on one core")
    parser.add_argument("connectors", nargs="*", metavar="CONNECTOR", help=f"default: {' '.join(CONNECTORS)}")
    parser.add_argument("--steps", type=int, default=400, help="steps per connector (default: 400)")
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    skill = InsertionSkill()
    with tempfile.TemporaryDirectory() as home:
        # Beside a cell in use, and never in its way.
        os.environ["SKILLCORE_HOME"] = home
        registry = Registry.from_modules({"mujoco": skillcore_mujoco.plugin})
        print(f"{'connector':<16}{'steps/s':>9}{'reset ms':>10}{'install ms':>12}")
        slowest = np.inf
        with open_cell(load_cell(CELL, registry)) as cell:
            for connector in arguments.connectors or CONNECTORS:
                speed, reset_s, install_s = measure(cell, skill, connector, arguments.steps)
                slowest = min(slowest, speed)
                print(f"{connector:<16}{speed:>9.0f}{reset_s * 1e3:>10.0f}{install_s * 1e3:>12.0f}", flush=True)
        views, size = cell.views, cell.config.views.size_px
    met = slowest >= TARGET_PER_S
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{views} views of {size} px on one core{load}")
    print(f"target {TARGET_PER_S:.0f} steps/s: {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
