"""The reflex takes over where pressing leads nowhere, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from skillcore.cell_config import Control
from skillcore.types import Observation, Pose
from skillcore_insertion.reflex import SIDEWAYS_STEPS, Careful, FeelAround
from skillcore_insertion.searches import PRESS_N

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
    for _ in range(9):
        action = reflex(seen(tcp, 20.0), DOWN)
        if action is not DOWN:
            assert action[3] == pytest.approx(0.05)
            x, y = CONTROL.step_m * action[:2]
            tcp = Pose((tcp @ Pose.from_xyz_yaw(x, y, 0.0, 0.0)).position_m, tcp.rotation)
            places.append(tcp.position_m[:2] - HERE.position_m[:2])
    away = np.hypot(*np.array(places).T)
    assert len(places) == 8
    # Far from the place from the first step on, since friction holds the tip back, and farther on the second round.
    assert away[0] > 0.002
    assert away[-1] > away[0] + 0.001
    # All around, not to one side.
    assert np.ptp(np.arctan2(*np.array(places[:3]).T)) > np.pi


@pytest.mark.parametrize("stiffness_n", [15.0, 40.0, 200.0])
def test_whoever_feels_around_presses_with_the_force_that_slides(stiffness_n: float) -> None:
    """However stiff the arm: the force of a whole step down is given here."""
    reflex, pushed, felt = FeelAround(CONTROL), 1.0, []
    for _ in range(16):
        pressed_n = min(40.0, stiffness_n * pushed)
        felt.append(pressed_n)
        pushed = float(reflex(seen(HERE, pressed_n), DOWN)[2])
    assert felt[-1] == pytest.approx(min(PRESS_N, stiffness_n), rel=0.1)


def test_before_it_touches_it_goes_sideways_first() -> None:
    far, near = np.array([0.5, 0.3, 1.0, 0.1], np.float32), np.array([0.2, 0.1, 1.0, 0.1], np.float32)
    reflex = Careful(CONTROL)
    assert reflex(seen(HERE, 0.0), far).tolist() == pytest.approx([0.5, 0.3, 0.0, 0.1])
    assert far[2] == 1.0
    assert reflex(seen(moved(HERE, 0.002, 0.0, 0.0), 0.0), near) is near
    up = np.array([0.5, 0.3, -0.4, 0.1], np.float32)
    assert reflex(seen(moved(HERE, 0.004, 0.0, 0.0), 0.0), up).tolist() == up.tolist()


def test_after_it_has_touched_it_goes_where_the_policy_wants() -> None:
    far = np.array([0.5, 0.3, 1.0, 0.1], np.float32)
    reflex = Careful(CONTROL)
    assert reflex(seen(HERE, 10.0), far) is far
    assert reflex(seen(moved(HERE, 0.002, 0.0, 0.0), 0.0), far) is far


def test_a_policy_that_never_arrives_goes_down_all_the_same() -> None:
    far = np.array([0.5, 0.3, 1.0, 0.1], np.float32)
    reflex = Careful(CONTROL)
    held = [reflex(seen(moved(HERE, 0.002 * step, 0.0, 0.0), 0.0), far)[2] == 0.0 for step in range(12)]
    assert held == [True] * (SIDEWAYS_STEPS - 1) + [False] * (13 - SIDEWAYS_STEPS)


@pytest.mark.parametrize("sunk", [True, False])
def test_it_ends_when_the_tip_sinks_in_or_the_policy_draws_back(sunk: bool) -> None:
    reflex = FeelAround(CONTROL)
    felt = [reflex(seen(HERE, 20.0), DOWN) for _ in range(3)]
    assert [action is DOWN for action in felt] == [True, False, False]
    wanted = DOWN if sunk else np.array([0.0, 0.0, -0.8, 0.0], np.float32)
    after = moved(HERE, 0.0, 0.0, 0.002) if sunk else HERE
    assert reflex(seen(after, 20.0), wanted) is wanted
