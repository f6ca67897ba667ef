"""The scripted hand that guides the simulated arm brings plugs home, gently; the truth stays the simulation's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import skillcore_mujoco.plugin
from skillcore.cell import open_cell
from skillcore.cell_config import TaughtSocket, load_cell
from skillcore.errors import DeviceError
from skillcore.plugins import Registry
from skillcore.skill import Skill
from skillcore.types import Pose
from skillcore_insertion.library import ConnectorLibrary
from skillcore_mujoco.hand import PUSH_N

CELLS = Path(__file__).resolve().parents[3] / "cell_configs"


def guided(setup: Any, seconds: float = 8.0) -> list[float]:
    """Lets the hand guide the arm; the forces met."""
    forces = []
    setup.arm.start_freedrive()
    for _ in range(round(seconds / 0.05)):
        setup.world.clock.sleep_until(setup.world.clock.now_s() + 0.05)
        forces.append(float(np.linalg.norm(setup.arm.read().wrench.force_n)))
    setup.arm.end_freedrive()
    return forces


@pytest.mark.parametrize("connector", ["hdmi_a", "usb_c", "schuko", "d_sub_9", "screw_m5", "bit_hex_6"])
def test_it_brings_the_plug_home_with_a_bounded_push_and_lets_go(
    bench: Callable[..., Any], library: ConnectorLibrary, connector: str
) -> None:
    mating = library.get(connector).mating(None)
    setup = bench(mating)
    setup.go(0.008, -0.005, -0.006, 0.05)
    forces = guided(setup)
    plug = setup.world.plug_from_socket()
    assert mating.depth_m - plug.position_m[2] < 0.0005
    assert max(forces) < 1.2 * PUSH_N
    assert forces[-1] < 2.0
    assert setup.arm.read().fault is None


def test_it_finds_home_from_beside_the_mouth_and_below_it(bench: Callable[..., Any], library: ConnectorLibrary) -> None:
    setup = bench(library.get("hdmi_a").mating(None))
    setup.go(0.025, 0.0, -0.012)
    setup.go(0.025, 0.0, -0.0005)
    guided(setup)
    assert setup.world.plug_from_socket().position_m[2] == pytest.approx(0.0115, abs=0.0005)


def test_it_misses_a_little_and_differently_each_time(bench: Callable[..., Any], library: ConnectorLibrary) -> None:
    setup = bench(library.get("hdmi_a").mating(None))
    seats = []
    for _ in range(2):
        guided(setup)
        seats.append(setup.arm.read().tcp_from_base.as_vector())
        setup.go(0.0, 0.0, -0.010)
    assert 0.0 < np.abs(seats[1] - seats[0]).max() < 0.02


def test_the_same_commands_are_guided_the_same_way(bench: Callable[..., Any], library: ConnectorLibrary) -> None:
    ends = []
    for _ in range(2):
        setup = bench(library.get("hdmi_a").mating(None))
        guided(setup)
        ends.append(setup.arm.read().tcp_from_base.as_vector())
    assert np.array_equal(*ends)


def test_nobody_guides_an_arm_with_a_fault(bench: Callable[..., Any], library: ConnectorLibrary) -> None:
    setup = bench(library.get("hdmi_a").mating(None))
    setup.arm._fault = "protective stop"
    with pytest.raises(DeviceError, match="protective stop"):
        setup.arm.start_freedrive()
    assert setup.world.hand is None


def test_what_was_taught_elsewhere_does_not_change_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skill: Skill
) -> None:
    """The cell takes the socket to be beside where it is and turned; the simulation is asked where it really is."""
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    loaded = load_cell(CELLS / "sim.yaml", Registry.from_modules({"mujoco": skillcore_mujoco.plugin}))
    real = loaded.socket_from_base
    aside = TaughtSocket(real @ Pose.from_xyz_yaw(0.003, 0.0, 0.0, 0.6), "today", tmp_path)
    truths = []
    for one in (loaded, replace(loaded, taught=aside)):
        with open_cell(one) as cell:
            task = skill.task(cell, skill.variant("hdmi"), scenario="I", seed=1, judge=None)
            cell.move_to(real @ Pose.from_xyz_yaw(0.004, -0.002, -0.008, 0.05))
            truth = task.truth()
            assert truth is not None
            truths.append(truth.seated_from_tcp.as_vector())
    assert truths[1] == pytest.approx(truths[0], abs=1e-9)
    assert truths[0][2] == pytest.approx(0.0195, abs=0.0015)
