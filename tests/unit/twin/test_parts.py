"""What a twin is made of: motions, frames on the wire, and faults that come at their time."""

from __future__ import annotations

import numpy as np
import pytest

from skillcore.errors import InputError, UnknownNameError
from skillcore.types import Pose
from skillcore_twin import rtde_wire as wire
from skillcore_twin.faults import Fault, FaultSchedule
from skillcore_twin.motions import MoveLinear, Servo, Trapezoid, stopping
from skillcore_twin.rtde_server import INPUTS, OUTPUTS, output_type

HERE = Pose.from_rotvec([0.5, 0.0, 0.1], [np.pi, 0.0, 0.0])
TICK_S = 0.008


# --- motions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "speed"), [(0.1, 0.05), (0.002, 0.5), (0.0, 0.1)])
def test_a_trapezoid_keeps_to_its_limits(length: float, speed: float) -> None:
    profile = Trapezoid(length, speed, 0.5)
    times = np.linspace(0.0, profile.duration_s + 0.01, 2000)
    gone = np.array([profile.gone(float(time)) for time in times])
    step = times[1] - times[0]
    speeds = np.diff(gone) / step
    assert gone[-1] == pytest.approx(length)
    assert np.all(speeds >= -1e-9)
    assert np.max(speeds, initial=0.0) <= speed * 1.001
    assert np.max(np.abs(np.diff(speeds)), initial=0.0) <= 0.5 * step * 1.05 + 1e-9


def test_a_line_turns_as_long_as_it_goes() -> None:
    goal = HERE @ Pose.from_xyz_yaw(0.02, 0.0, 0.0, 0.4)
    motion = MoveLinear(HERE, goal, 0.1, 1.0)
    poses = []
    while not motion.done:
        poses.append(motion.step(TICK_S))
    assert poses[-1].position_m == pytest.approx(goal.position_m)
    half = next(pose for pose in poses if np.linalg.norm(pose.position_m - HERE.position_m) > 0.01)
    assert (HERE.inverse() @ half).yaw_rad == pytest.approx(0.2, abs=0.02)


def test_a_slider_at_zero_holds_a_motion() -> None:
    motion = MoveLinear(HERE, HERE @ Pose.from_xyz_yaw(0.02, 0.0, 0.0, 0.0), 0.1, 1.0)
    first = motion.step(TICK_S)
    assert motion.step(0.0).position_m == pytest.approx(first.position_m)
    assert not motion.done


def test_a_stop_comes_to_rest() -> None:
    motion = stopping(HERE, np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0]), 1.0)
    ticks = 0
    while not motion.done:
        pose = motion.step(TICK_S)
        ticks += 1
    assert ticks * TICK_S == pytest.approx(0.1, abs=0.02)
    assert 0.003 < pose.position_m[0] - HERE.position_m[0] < 0.006
    # A slider at zero has stopped it already.
    held = stopping(HERE, np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0]), 1.0)
    held.step(0.0)
    assert held.done


def test_a_servo_lags_behind_its_target() -> None:
    servo = Servo(HERE)
    servo.target = HERE @ Pose.from_xyz_yaw(0.01, 0.0, 0.0, 0.0)
    near = servo.step(TICK_S)
    assert 0.0 < near.position_m[0] - HERE.position_m[0] < 0.005
    for _ in range(100):
        near = servo.step(TICK_S)
    assert near.position_m == pytest.approx(servo.target.position_m, abs=1e-6)


# --- the wire ----------------------------------------------------------------------------------------------------


def test_frames_come_out_whole() -> None:
    sent = wire.frame(wire.START) + wire.frame(wire.DATA, b"abc")
    buffer = bytearray()
    found = []
    for byte in sent:
        buffer.append(byte)
        found += list(wire.frames_in(buffer))
    assert found == [(wire.START, b""), (wire.DATA, b"abc")]
    with pytest.raises(ValueError, match="2 bytes"):
        list(wire.frames_in(bytearray(b"\x00\x02U")))


def test_a_recipe_packs_and_unpacks() -> None:
    recipe = wire.Recipe(7, ("a", "b", "c"), ("INT32", "VECTOR3D", "DOUBLE"))
    values = {"a": -5, "b": (1.0, 2.0, 3.0), "c": 0.5}
    payload = recipe.pack(values.__getitem__)
    assert payload[0] == 7
    assert recipe.unpack(payload) == values
    assert recipe.unpack(payload[:9]) == {"a": -5}  # shorter than it should be
    assert recipe.unpack(payload + b"more") == values


def test_what_can_be_streamed_has_types_that_can_be_sent() -> None:
    assert {kind for kind, _ in OUTPUTS.values()} <= set(wire.FORMATS)
    assert set(INPUTS.values()) <= set(wire.FORMATS)
    assert output_type("output_int_register_47") == "INT32"
    assert output_type("input_double_register_0") == "DOUBLE"
    for unknown in ("output_int_register_48", "actual_tcp_pose", ""):
        assert output_type(unknown) == wire.NOT_FOUND


# --- faults ------------------------------------------------------------------------------------------------------


class Told:
    """A table of two faults that write down what happens."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.schedule = FaultSchedule(
            {
                "bang": Fault("at once", lambda: self.said.append("bang")),
                "dark": Fault("lasting", lambda: self.said.append("dark"), lambda: self.said.append("light")),
            }
        )

    def at(self, now_s: float) -> list[str]:
        """What is said up to a time."""
        self.said.clear()
        self.schedule.due(now_s)
        return list(self.said)


def test_faults_begin_and_end_at_their_time() -> None:
    told = Told()
    assert told.schedule.cause("dark", 10.0, after_s=3.0, lasts_s=2.0) == "dark: in 3 s, for 2 s"
    assert told.schedule.cause("bang", 10.0) == "bang: now"
    assert told.at(10.0) == ["bang"]
    assert told.at(12.9) == []
    assert told.at(13.1) == ["dark"]
    assert told.schedule.active == {"dark"}
    assert told.at(15.1) == ["light"]
    assert told.schedule.active == set()


def test_faults_are_cleared() -> None:
    told = Told()
    told.schedule.cause("dark", 0.0)
    told.schedule.cause("bang", 0.0, after_s=100.0)
    assert told.at(0.0) == ["dark"]
    assert told.schedule.clear() == ["bang", "dark"]
    assert told.said == ["dark", "light"]
    assert told.at(200.0) == []


def test_faults_by_chance_follow_from_their_seed() -> None:
    first, second, third = Told(), Told(), Told()
    one = first.schedule.cause_random(0.0, seed=4, times=20, within_s=60.0)
    assert one == second.schedule.cause_random(0.0, seed=4, times=20, within_s=60.0)
    assert one != third.schedule.cause_random(0.0, seed=5, times=20, within_s=60.0)
    assert len(one) == 20
    assert any("dark" in line for line in one)
    assert any("bang" in line for line in one)


def test_wrong_faults_are_refused() -> None:
    told = Told()
    with pytest.raises(UnknownNameError, match="drak"):
        told.schedule.cause("drak", 0.0)
    with pytest.raises(InputError, match="does not last"):
        told.schedule.cause("bang", 0.0, lasts_s=1.0)
    with pytest.raises(UnknownNameError):
        told.schedule.clear("drak")
