"""Scripted searches, on a tool that goes wherever it is sent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.cell_config import Control
from skillcore.types import Observation, Pose
from skillcore_insertion.searches import PITCH_M, PLACES, PressedSpiral, RandomPresses, Search, StraightDown

CONTROL = Control(rate_hz=10.0, step_m=5e-3, turn_step_rad=0.2)
SOCKET = np.array([6e-3, -4e-3, 0.1])


def locate(observation: Observation) -> NDArray[np.float64]:
    return SOCKET


def path_of(
    search: Search, steps: int = 20, *, floor_m: float = 0.01, floor_of: Callable[[Pose], float] | None = None
) -> list[Pose]:
    """Where the tool has been; it sinks no deeper than the floor."""
    tcp, path = Pose.identity(), []
    for _ in range(steps):
        observation = Observation(
            images=np.zeros((2, 8, 8, 3), np.uint8),
            pose=tcp.as_vector().astype(np.float32),
            wrench=np.zeros(6, np.float32),
        )
        action = search(observation, {}, last=False)
        assert action.shape == (4,)
        assert np.abs(action).max() <= 1.0
        x, y, z = CONTROL.step_m * action[:3]
        moved = tcp @ Pose.from_xyz_yaw(x, y, z, CONTROL.turn_step_rad * float(action[3]))
        floor = floor_m if floor_of is None else floor_of(moved)
        position = np.array([*moved.position_m[:2], min(moved.position_m[2], floor)])
        tcp = Pose(position, moved.rotation)
        path.append(tcp)
    return path


def beside_m(tcp: Pose) -> float:
    return float(np.hypot(*(tcp.position_m[:2] - SOCKET[:2])))


def test_straight_down_goes_nowhere_else() -> None:
    path = path_of(StraightDown(CONTROL), 2)
    np.testing.assert_allclose(path[-1].position_m, [0.0, 0.0, 0.01], atol=1e-9)


def test_localize_goes_over_the_place_and_then_down() -> None:
    path = path_of(StraightDown(CONTROL, locate))
    height = [tcp.position_m[2] for tcp in path]
    over = next(number for number, tcp in enumerate(path) if beside_m(tcp) < 1e-3)
    assert max(height[: over + 1]) < 1e-3
    assert beside_m(path[-1]) < 1e-4
    assert height[-1] == pytest.approx(0.01)
    assert path[-1].yaw_rad == pytest.approx(SOCKET[2], abs=1e-6)


def test_five_places_are_pressed_and_the_first_is_the_one_located() -> None:
    search = RandomPresses(CONTROL, np.random.default_rng(1), locate)
    path = path_of(search, 60, floor_m=4e-3)
    pressed = [tcp.position_m[:2] for tcp in path if tcp.position_m[2] == pytest.approx(4e-3)]
    places: list[NDArray[np.float64]] = []
    for place in pressed:
        if not any(np.hypot(*(place - other)) < 1e-3 for other in places):
            places.append(place)
    assert np.hypot(*(places[0] - SOCKET[:2])) < 1e-3
    assert len(places) >= PLACES - 1


def test_the_spiral_winds_outward_under_pressure() -> None:
    path = path_of(PressedSpiral(CONTROL, locate), 30)
    radius = [beside_m(tcp) for tcp in path if tcp.position_m[2] == pytest.approx(0.01)]
    assert len(radius) > 20
    assert radius[-1] > 2.0 * PITCH_M
    # It never skips a turn.
    assert max(np.diff(radius[3:])) < PITCH_M


def test_the_spiral_presses_straight_on_where_it_falls_in() -> None:
    hole = SOCKET[:2] + np.array([2e-3, 0.0])

    def falls_in(tcp: Pose) -> float:
        return 0.02 if np.hypot(*(tcp.position_m[:2] - hole)) < 1.6e-3 else 0.01

    path = path_of(PressedSpiral(CONTROL, locate), 40, floor_of=falls_in)
    inside = [number for number, tcp in enumerate(path) if tcp.position_m[2] > 0.0105]
    assert path[inside[0] + 3].position_m[2] == pytest.approx(0.02)
    places = [path[number].position_m[:2] for number in inside[:4]]
    assert max(np.hypot(*(place - places[0])) for place in places) < 1e-4


def test_a_second_look_corrects_the_first() -> None:
    """What is located from afar is off; from above the place it is not."""
    true, looks = SOCKET[:2], list[float]()

    def roughly(observation: Observation) -> NDArray[np.float64]:
        tcp = Pose.from_rotvec(observation["pose"][:3], observation["pose"][3:])
        away = tcp.inverse().transform(np.array([[*true, 0.0]]))[0, :2]
        looks.append(float(np.hypot(*away)))
        return np.array([*(1.4 * away), SOCKET[2] - tcp.yaw_rad])

    path = path_of(PressedSpiral(CONTROL, roughly, looks=3), 12)
    assert len(looks) == 3
    assert looks[1] < 0.5 * looks[0]
    first = next(tcp for tcp in path if tcp.position_m[2] > 1e-3)
    assert beside_m(first) < 1.5e-3
    assert path[-1].yaw_rad == pytest.approx(SOCKET[2], abs=0.02)


def test_random_places_follow_from_the_generator() -> None:
    paths = [
        path_of(RandomPresses(CONTROL, np.random.default_rng(seed), locate), 30, floor_m=4e-3) for seed in (3, 3, 4)
    ]
    ends = [path[-1].position_m for path in paths]
    np.testing.assert_array_equal(ends[0], ends[1])
    assert not np.array_equal(ends[0], ends[2])


def test_nothing_is_done_after_the_end() -> None:
    observation = Observation(
        images=np.zeros((2, 8, 8, 3), np.uint8), pose=np.zeros(6, np.float32), wrench=np.zeros(6, np.float32)
    )
    assert not StraightDown(CONTROL, locate)(observation, {}, last=True).any()
