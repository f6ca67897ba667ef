"""Contact: force is bounded, what does not fit stays out, and what fits goes in."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell
from skillcore.errors import ArmFaultError
from skillcore.testing.simulation import plain_mating
from skillcore.types import Pose
from skillcore_insertion.collector import Collector
from skillcore_insertion.library import ConnectorLibrary
from skillcore_insertion.skill import InsertionSkill
from skillcore_insertion.task import InsertionTask, Start
from skillcore_mujoco.arm import SimulatedArm
from skillcore_mujoco.options import ArmOptions, WorldOptions

CENTRED = Start(offset_m=(0.0, 0.0), height_m=(0.004, 0.006), turn_rad=0.0)


@pytest.mark.parametrize("limit", [10.0, 20.0, 40.0])
@pytest.mark.parametrize("connector", ["", "hdmi_a", "usb_c", "d_sub_9"])
def test_beside_the_hole_the_force_is_bounded_and_nothing_enters(
    bench: Callable[..., Any], library: ConnectorLibrary, connector: str, limit: float
) -> None:
    mating = library.get(connector).mating(None) if connector else plain_mating()
    setup = bench(mating)
    beside = 0.002
    setup.go(0.0, beside, -0.002)
    readings = setup.push(0.0, beside, 0.020, force_limit_n=limit)
    pressed = [-reading.wrench.force_n[2] for reading in readings[-5:]]
    assert np.mean(pressed) == pytest.approx(limit, rel=0.03)
    assert max(pressed) < limit * 1.05
    assert setup.world.plug_from_socket().position_m[2] < 0.0005
    assert readings[-1].fault is None


def test_what_is_centred_goes_in_and_sits_at_its_depth(bench: Callable[..., Any]) -> None:
    setup = bench(plain_mating())
    setup.go(0.0, 0.0, -0.002)
    readings = setup.push(0.0, 0.0, 0.020, force_limit_n=20.0)
    assert setup.world.plug_from_socket().position_m[2] == pytest.approx(0.010, abs=0.0003)
    # The shoulder rests on the face with what is left of the push.
    assert -readings[-1].wrench.force_n[2] == pytest.approx(20.0, rel=0.02)


def test_inside_the_hole_walls_hold_against_a_side_push(bench: Callable[..., Any]) -> None:
    setup = bench(plain_mating())
    setup.go(0.0, 0.0, 0.004)
    reading = setup.push(0.010, 0.0, 0.004, force_limit_n=15.0)[-1]
    assert -reading.wrench.force_n[0] == pytest.approx(15.0, rel=0.05)
    assert abs(setup.world.plug_from_socket().position_m[0]) < 0.001


def test_a_push_aslant_is_bounded_as_a_whole(bench: Callable[..., Any]) -> None:
    """At the bottom of the hole, against its wall and its floor at once."""
    setup = bench(plain_mating())
    setup.go(0.0, 0.0, 0.004)
    readings = setup.push(0.020, 0.020, 0.030, force_limit_n=20.0)
    forces = np.array([reading.wrench.force_n for reading in readings[-5:]])
    assert (np.abs(forces).max(axis=0) > 3.0).all()
    assert np.linalg.norm(forces, axis=1).mean() == pytest.approx(20.0, rel=0.05)
    assert np.linalg.norm(forces, axis=1).max() < 21.0


@pytest.mark.parametrize("resistance", [0.0, 4.0, 12.0])
def test_contact_springs_resist_while_the_plug_is_drawn(bench: Callable[..., Any], resistance: float) -> None:
    """In proportion to how far it is inside: 8 of 10 mm at first."""
    setup = bench(replace(plain_mating(), resistance_n=resistance))
    setup.go(0.0, 0.0, 0.008)
    setup.arm.servo_to(setup.place(0.0, 0.0, -0.006), duration_s=1.4, force_limit_n=40.0)
    forces = []
    for _ in range(14):
        setup.world.clock.sleep_until(setup.world.clock.now_s() + 0.1)
        forces.append(setup.arm.read().wrench.force_n[2])
    assert max(forces[:3]) == pytest.approx(0.78 * resistance, rel=0.1, abs=0.3)
    assert forces[-1] == pytest.approx(0.0, abs=0.2)


def test_the_socket_panel_stops_the_plug(bench: Callable[..., Any]) -> None:
    setup = bench(plain_mating())
    height = setup.world.look.panel_z_m
    setup.go(0.035, 0.0, -0.002)
    setup.push(0.035, 0.0, 0.020, force_limit_n=20.0)
    assert setup.world.plug_from_socket().position_m[2] == pytest.approx(height, abs=0.0005)


def test_numbers_do_not_depend_on_the_looks_before(bench: Callable[..., Any]) -> None:
    """The panel is moved in height for every look: down to the last bit it must not matter from where."""
    mating = plain_mating()

    def pressed(*looks: int) -> Any:
        setup = bench(mating, look=looks[0])
        for look in looks[1:]:
            setup.world.install(mating, seed=look)
        setup.go(0.035, 0.001, -0.002)
        return np.concatenate([r.wrench.as_vector() for r in setup.push(0.035, 0.0, 0.02, force_limit_n=20.0)])

    fresh = pressed(3)
    assert np.array_equal(fresh, pressed(5, 6, 3))
    assert not np.array_equal(fresh, pressed(6))


def test_a_move_that_is_held_up_says_so_and_lets_go(bench: Callable[..., Any]) -> None:
    setup = bench(plain_mating())
    setup.go(0.0, 0.012, -0.002)
    with pytest.raises(ArmFaultError, match="held up"):
        setup.arm.move_to(setup.place(0.0, 0.012, 0.006), speed_m_s=0.02, force_limit_n=100.0)
    setup.world.clock.sleep_until(setup.world.clock.now_s() + 0.5)
    assert np.linalg.norm(setup.arm.read().wrench.force_n) < 2.0


def test_a_move_stops_at_the_force_it_may_meet(bench: Callable[..., Any]) -> None:
    setup = bench(plain_mating())
    setup.go(0.0, 0.012, -0.002)
    with pytest.raises(ArmFaultError, match="more than the 10 N allowed"):
        setup.arm.move_to(setup.place(0.0, 0.012, 0.006), speed_m_s=0.02, force_limit_n=10.0)
    setup.go(0.0, 0.012, -0.002)


def test_a_protective_stop_stays_until_it_is_cleared(bench: Callable[..., Any]) -> None:
    setup = bench(plain_mating(), arm=ArmOptions(protective_stop_n=25.0))
    setup.go(0.0, 0.012, -0.002)
    with pytest.raises(ArmFaultError, match="protective stop"):
        setup.push(0.0, 0.012, 0.020, force_limit_n=40.0)
    assert setup.arm.read().fault is not None
    with pytest.raises(ArmFaultError):
        setup.go(0.0, 0.012, -0.002)
    setup.arm.recover()
    assert setup.arm.read().fault is None
    setup.go(0.0, 0.012, -0.002)


def test_the_plug_sits_in_the_grasp_within_its_errors(bench: Callable[..., Any]) -> None:
    options = WorldOptions(grasp_error_m=0.0012, grasp_error_rad=0.03)
    setup = bench(plain_mating(), options=options)
    offsets, turns = [], []
    for seed in range(60):
        setup.world.new_episode(seed=seed)
        plug = setup.world.physics.tcp_from_socket.inverse() @ setup.world.plug_from_socket()
        # The tip swings about the grip, 20 mm above it, where fingers let it tilt.
        tilt = plug.rotvec_rad.copy()
        tilt[2] = 0.0
        offsets.append(np.linalg.norm(plug.position_m) - 0.02 * np.linalg.norm(tilt))
        turns.append(np.linalg.norm(plug.rotvec_rad))
    assert max(offsets) < 0.0012 + 1e-5
    assert max(turns) < 0.03 + 1e-4
    # Drawn evenly from a ball: half lie beyond four fifths of the radius.
    assert np.median(turns) == pytest.approx(0.8 * 0.03, abs=0.004)
    assert len(set(turns)) == 60


def test_an_exact_grasp_has_no_error(bench: Callable[..., Any]) -> None:
    setup = bench(plain_mating())
    plug = setup.world.physics.tcp_from_socket.inverse() @ setup.world.plug_from_socket()
    assert plug.as_vector() == pytest.approx(np.zeros(6), abs=1e-9)


@pytest.mark.parametrize("connector", ["hdmi_a", "usb_c", "audio_3_5", "screw_m4"])
def test_the_collector_inserts_from_a_centred_start(
    cells: Callable[[str], AbstractContextManager[Cell]], skill: InsertionSkill, connector: str
) -> None:
    model = skill.library.get(connector)
    with cells("sim") as cell:
        mating = model.mating(np.random.default_rng(1))
        task = InsertionTask(cell, mating, symmetry=model.symmetry, start=CENTRED, max_steps=20, seed=1)
        for seed in range(3):
            _, info = task.reset(seed=seed)
            collector = Collector(
                cell.config.control,
                np.random.default_rng(seed),
                depth_m=mating.depth_m,
                random=0.0,
                biased=0.0,
                wandering=0.0,
            )
            ended = False
            while not ended:
                action = collector.act(info["truth"])
                _, reward, terminated, truncated, info = task.step(action)
                ended = terminated or truncated
            assert (reward, terminated, info["aborted"]) == (1.0, True, "")
            depth = cell.simulation.plug_from_socket().position_m[2]
            assert depth == pytest.approx(mating.depth_m, abs=0.0006)
            if mating.thread is not None:
                assert cell.simulation.turned_rad() > 0.95 * mating.thread.turn_rad


def test_a_thread_takes_hold_at_its_seat_and_lets_go_when_unscrewed(
    bench: Callable[..., Any], library: ConnectorLibrary
) -> None:
    setup = bench(library.get("screw_m4").mating(None))

    def turn_to(yaw_rad: float) -> float:
        setup.arm.servo_to(setup.place(0.0, 0.0, 0.004, yaw_rad), duration_s=0.5, force_limit_n=20.0)
        setup.world.clock.sleep_until(setup.world.clock.now_s() + 1.0)
        return float(setup.world.turned_rad())

    setup.go(0.0, 0.0, -0.002, 0.2)
    assert setup.world.turned_rad() == 0.0
    assert turn_to(0.2) == pytest.approx(0.0, abs=0.02)
    assert turn_to(0.6) == pytest.approx(0.4, abs=0.02)
    assert turn_to(0.1) == pytest.approx(0.0, abs=0.02)
    # It has let go, and takes hold anew where it is.
    assert turn_to(0.6) == pytest.approx(0.5, abs=0.02)
    setup.world.new_episode(seed=1)
    assert setup.world.turned_rad() == 0.0


def test_a_screw_is_no_success_before_it_is_turned(
    cells: Callable[[str], AbstractContextManager[Cell]], skill: InsertionSkill
) -> None:
    model = skill.library.get("screw_m4")
    with cells("sim") as cell:
        task = InsertionTask(cell, model.mating(None), symmetry=model.symmetry, start=CENTRED, max_steps=10, seed=1)
        task.reset(seed=1)
        down = np.array([0.0, 0.0, 1.0, 0.0], np.float32)
        for _ in range(10):
            _, reward, terminated, truncated, _ = task.step(down)
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert cell.simulation.plug_from_socket().position_m[2] == pytest.approx(task.mating.depth_m, abs=0.0006)


@pytest.mark.parametrize("held", [1, 3])
def test_a_wedged_plug_is_turned_while_it_is_drawn_out(
    cells: Callable[[str], AbstractContextManager[Cell]],
    skill: InsertionSkill,
    monkeypatch: pytest.MonkeyPatch,
    held: int,
) -> None:
    model = skill.library.get("hdmi_a")
    pulls: list[Pose] = []
    move_to = SimulatedArm.move_to

    def wedged(arm: SimulatedArm, tcp_from_base: Pose, **limits: float) -> None:
        inside = cell.socket_from_base.inverse() @ arm.read().tcp_from_base
        if inside.position_m[2] > 0.002:
            pulls.append(tcp_from_base)
            if len(pulls) <= held:
                raise ArmFaultError("the arm was held up")
        move_to(arm, tcp_from_base, **limits)

    with cells("sim") as cell:
        task = InsertionTask(cell, model.mating(None), symmetry=model.symmetry, start=CENTRED, max_steps=8, seed=1)
        task.reset(seed=1)
        for _ in range(3):
            task.step(np.array([0.0, 0.0, 1.0, 0.0], np.float32))
        assert cell.simulation.plug_from_socket().position_m[2] > 0.004
        monkeypatch.setattr(SimulatedArm, "move_to", wedged)
        task.reset(seed=2)
        assert len(pulls) == held + 1
        assert cell.simulation.plug_from_socket().position_m[2] < 0.0
        assert len({round(pull.yaw_rad, 6) for pull in pulls}) == held + 1


def test_a_plug_that_stays_wedged_is_told_of(
    cells: Callable[[str], AbstractContextManager[Cell]], skill: InsertionSkill, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wedged(arm: SimulatedArm, tcp_from_base: Pose, **limits: float) -> None:
        raise ArmFaultError("the arm was held up", cure="free the tool")

    with cells("sim") as cell:
        task = InsertionTask(cell, skill.library.get("hdmi_a").mating(None), start=CENTRED, max_steps=8, seed=1)
        task.reset(seed=1)
        for _ in range(3):
            task.step(np.array([0.0, 0.0, 1.0, 0.0], np.float32))
        monkeypatch.setattr(SimulatedArm, "move_to", wedged)
        with pytest.raises(ArmFaultError, match="held up"):
            task.reset(seed=2)
