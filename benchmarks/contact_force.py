"""Measures, over a twin of its own, how hard a UR arm presses when its tool meets the socket's face, and how far it
walks in the open with a force that was not zeroed.

    python benchmarks/contact_force.py [--times 5] [--limit-n 20] [--address 127.0.0.90]

For both kinds of compliance: the greatest force of each of so many contacts, at several speeds, and the way in ten
seconds of goals where the tool is, ten a second. Figures of `servo` depend on how busy the computer is.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from typing import Any

import numpy as np

from skillcore.config import validate_options
from skillcore.types import Pose
from skillcore_twin import client
from skillcore_ur.options import ArmOptions
from skillcore_ur.remote_arm import RemoteUrArm

SPEEDS_M_S = (0.02, 0.05)
MOUTH_M = np.array([0.4, -0.2, 0.1])
ABOVE_M, BESIDE_M, NEAR_M, WAY_M = 0.03, 0.006, 0.015, 0.03
COMPLIANCE: dict[str, dict[str, Any]] = {
    "force_mode": {"mode": "force_mode"},
    "servo": {"mode": "servo", "tool_force_limit_n": 120.0},
}


def opened(note: client.Note, compliance: dict[str, Any]) -> RemoteUrArm:
    """A connected arm whose options fit the twin."""
    order = client.Order(address=note.address)
    options = {
        "address": note.address,
        "model": order.model,
        "tcp": {"position_m": list(order.tcp[:3])},
        "payload": {"mass_kg": order.payload_kg, "cog_m": list(order.payload_cog_m)},
        "compliance": compliance,
        # The computer may be busy.
        "watchdog_hz": 2.0,
        "stale_s": 1.0,
    }
    arm = RemoteUrArm(validate_options(options, ArmOptions, where="contact_force"))
    arm.connect()
    return arm


def walked_m(arm: RemoteUrArm) -> float:
    """How far the tool is from where it was after ten seconds."""
    start = arm.read().tcp_from_base
    for _ in range(100):
        arm.servo_to(arm.read().tcp_from_base, duration_s=0.1, force_limit_n=40.0)
        time.sleep(0.1)
    arm.stop()
    return float(np.linalg.norm(arm.read().tcp_from_base.position_m - start.position_m))


def greatest_n(arm: RemoteUrArm, *, speed_m_s: float, limit_n: float) -> float:
    """The greatest force of a contact with the socket's face, beside its mouth."""
    rotation = arm.read().tcp_from_base.rotation
    place = MOUTH_M + np.array([BESIDE_M, 0.0, NEAR_M])
    for height_m in (ABOVE_M, NEAR_M):
        arm.move_to(Pose(MOUTH_M + np.array([BESIDE_M, 0.0, height_m]), rotation), speed_m_s=0.1, force_limit_n=60.0)
    arm.zero_wrench()
    duration_s, greatest = WAY_M / speed_m_s, 0.0
    until = time.monotonic() + duration_s + 0.4
    arm.servo_to(Pose(place - np.array([0.0, 0.0, WAY_M]), rotation), duration_s=duration_s, force_limit_n=limit_n)
    while time.monotonic() < until:
        greatest = max(greatest, float(np.linalg.norm(arm.read().wrench.force_n)))
        time.sleep(0.008)
    arm.stop()
    arm.move_to(Pose(MOUTH_M + np.array([BESIDE_M, 0.0, ABOVE_M]), rotation), speed_m_s=0.1, force_limit_n=60.0)
    return greatest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--limit-n", type=float, default=20.0)
    parser.add_argument("--address", default="127.0.0.90")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["SKILLCORE_HOME"] = home
        for name, compliance in COMPLIANCE.items():
            # Each with a twin of its own: one whose force was zeroed shows nothing in the open any more.
            order = client.Order(address=arguments.address, fixture=(*MOUTH_M.tolist(), np.pi, 0.0, 0.0))
            note = client.start(order, timeout_s=120.0)
            try:
                arm = opened(note, compliance)
                shown = float(np.linalg.norm(arm.read().wrench.force_n))
                print(f"{name}: walks {walked_m(arm) * 1e3:.1f} mm in 10 s while {shown:.1f} N are shown")
                for speed in SPEEDS_M_S:
                    forces = [
                        greatest_n(arm, speed_m_s=speed, limit_n=arguments.limit_n) for _ in range(arguments.times)
                    ]
                    told = ", ".join(f"{force:.1f}" for force in forces)
                    print(f"{name}: {speed * 1e3:.0f} mm/s, {arguments.limit_n:g} N: {told} N")
                arm.close()
            finally:
                client.stop(note)


if __name__ == "__main__":
    main()
