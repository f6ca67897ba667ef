"""The simulated world as a twin uses it."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from skillcore.cell_config import load_cell
from skillcore.errors import InputError
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.types import Pose
from skillcore_twin.live_world import LiveWorld

TICK_S = 0.008


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


@pytest.fixture
def world(registry: Registry):
    skill = registry.make("skills", "insertion", {}, Context(name="insertion"))
    world = LiveWorld(load_cell("sim", registry), skill=skill, connector="hdmi", seed=3)
    yield world
    world.close()
    world.close()


def lead(world: LiveWorld, goal: Pose, seconds: float, force_limit_n: float = 60.0) -> float:
    """Holds a target for some time; the greatest force that was felt."""
    forces = [
        float(np.linalg.norm(world.advance(goal, TICK_S, force_limit_n=force_limit_n).wrench.force_n))
        for _ in range(round(seconds / TICK_S))
    ]
    return max(forces)


def test_the_tool_follows_its_target_in_small_ticks(world: LiveWorld) -> None:
    start = world.read().tcp_from_base
    goal = Pose(start.position_m + np.array([0.01, -0.005, 0.02]), start.rotation)
    lead(world, goal, 0.5)
    assert world.read().tcp_from_base.position_m == pytest.approx(goal.position_m, abs=5e-4)
    # What only holds a target must not swing itself up.
    lead(world, goal, 0.5)
    assert float(np.linalg.norm(world.read().twist[:3])) < 0.005


def test_the_force_is_bounded(world: LiveWorld) -> None:
    socket = world.socket_from_base
    lead(world, socket @ Pose.from_xyz_yaw(0.006, 0.0, -0.005, 0.0), 0.6)
    inside = socket @ Pose.from_xyz_yaw(0.006, 0.0, 0.01, 0.0)
    lead(world, inside, 0.6, force_limit_n=15.0)
    # Once the impact is over. Its sensor has a bias of up to 2 N on each axis.
    assert 10.0 < lead(world, inside, 0.2, force_limit_n=15.0) < 20.0


def test_a_hand_that_knows_the_way_seats_the_plug(world: LiveWorld) -> None:
    assert world.truth().missing_m > 0.02
    goal = world.tool_at_seat()
    start = world.read().tcp_from_base
    for share in np.linspace(0.0, 1.0, 200):
        step = Pose(start.position_m + share * (goal.position_m - start.position_m), goal.rotation)
        world.advance(step, TICK_S, force_limit_n=60.0)
    lead(world, goal, 0.5)
    assert world.truth().missing_m < 0.001


def test_its_cameras_look_while_it_moves(world: LiveWorld) -> None:
    start, seen = world.read().tcp_from_base, []
    thread = threading.Thread(
        target=lambda: seen.extend({name: world.frame(name) for name in world.camera_names} for _ in range(5))
    )
    thread.start()
    while thread.is_alive():
        world.advance(start, TICK_S, force_limit_n=60.0)
    thread.join()
    assert [sorted(frames) for frames in seen] == [["left", "right"]] * 5
    assert all(frame.image.shape == (64, 64, 3) for frames in seen for frame in frames.values())


def test_a_cell_without_a_world_cannot_lend_one(registry: Registry, tmp_path) -> None:
    text = load_cell("sim", registry).file.read_text().replace("simulation:\n  driver: mujoco\n", "")
    (tmp_path / "real.yaml").write_text(text)
    with pytest.raises(InputError, match="not simulated"):
        LiveWorld(load_cell(tmp_path / "real.yaml", registry))
