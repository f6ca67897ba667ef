"""The reflex takes over where pressing leads nowhere, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from skillcore.cell_config import Control
from skillcore.types import Observation, Pose
from skillcore_insertion.reflex import FeelAround

CONTROL = Control(rate_hz=10.0, step_m=5e-3, turn_step_rad=0.2)
DOWN = np.array([0.1, 0.0, 1.0, 0.05], np.float32)
HERE = Pose.from_xyz_yaw(0.004, -0.002, 0.008, 0.3)


def seen(tcp: Pose, force_n: float) -> Observation:
    wrench = np.array([0.0, 0.0, -force_n, 0.0, 0.0, 0.0], np.float32)
    return Observation(images=np.zeros((2, 8, 8, 3), np.uint8), pose=tcp.as_vector().astype(np.float32), wrench=wrench)


def moved(tcp: Pose, x: float, y: float, z: float) -> Pose:
    return Pose(tcp.position_m + np.array([x, y, z]), tcp.rotation)


def test_a_policy_that_moves_or_presses_nothing_is_left_alone() -> None:
    reflex = FeelAround(CONTROL)
    for step in range(6):
        assert reflex(seen(moved(HERE, 0.001 * step, 0.0, 0.0), 20.0), DOWN) is DOWN
    reflex = FeelAround(CONTROL)
    for _ in range(6):
        assert reflex(seen(HERE, 1.0), DOWN) is DOWN


def test_who_is_stuck_feels_around_the_place() -> None:
    reflex, tcp, places = FeelAround(CONTROL), HERE, []
    for _ in range(14):
        action = reflex(seen(tcp, 20.0), DOWN)
        if action is not DOWN:
            assert action[2] == 1.0
            assert action[3] == pytest.approx(0.05)
            x, y = CONTROL.step_m * action[:2]
            tcp = Pose((tcp @ Pose.from_xyz_yaw(x, y, 0.0, 0.0)).position_m, tcp.rotation)
            places.append(tcp.position_m[:2] - HERE.position_m[:2])
    away = np.hypot(*np.array(places).T)
    assert len(places) == 12
    assert away[-1] > 0.002
    assert np.all(np.diff(away) > -1e-6)
    # All around, not to one side.
    assert np.ptp(np.arctan2(*np.array(places).T)) > np.pi


@pytest.mark.parametrize("sunk", [True, False])
def test_it_ends_when_the_tip_sinks_in_or_the_policy_draws_back(sunk: bool) -> None:
    reflex = FeelAround(CONTROL)
    felt = [reflex(seen(HERE, 20.0), DOWN) for _ in range(4)]
    assert [action is DOWN for action in felt] == [True, True, False, False]
    wanted = DOWN if sunk else np.array([0.0, 0.0, -0.8, 0.0], np.float32)
    after = moved(HERE, 0.0, 0.0, 0.002) if sunk else HERE
    assert reflex(seen(after, 20.0), wanted) is wanted
