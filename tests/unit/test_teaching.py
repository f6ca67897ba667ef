"""Teaching a seat by hand: who is asked when, what is kept, and that the arm ends stopped and guided by nobody."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import LoadedCell, load_cell
from skillcore.errors import ArmFaultError, DeviceError, InputError, SafetyStopError
from skillcore.plugins import Registry
from skillcore.skill import Seat
from skillcore.taught import check_reach
from skillcore.teaching import ROUNDS, Lesson, Sight, mean_pose, spread_of, teach
from skillcore.types import Pose, rotation_from_rotvec

SEAT = Seat(depth_m=0.010)


@pytest.fixture(name="loaded")
def load(paper: Any, tmp_path: Path) -> LoadedCell:
    path = tmp_path / "paper.yaml"
    path.write_text(paper.CELL)
    return load_cell(path, Registry.from_modules({"paper": paper}))


@dataclass
class Person:
    """Guides the paper arm, one pose after the other, seen from the socket; `does` happens while it is guided."""

    arm: Any
    socket: Pose
    poses: Sequence[Pose]
    does: Callable[[], None] = lambda: None
    shown: int = 0
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    seen: list[Sight] = field(default_factory=list)

    def say(self, text: str, /) -> None:
        self.said.append(text)

    def wait(self, prompt: str, look: Callable[[], Sight], /) -> None:
        self.asked.append(prompt)
        self.seen.append(look())
        if not self.arm.is_guided:
            return
        self.does()
        self.arm.guide_to(self.socket @ self.poses[self.shown])
        self.shown += 1


@contextmanager
def taught(loaded: LoadedCell, paper: Any, *poses: Pose) -> Iterator[tuple[Cell, Person]]:
    with open_cell(loaded) as cell:
        yield cell, Person(paper.MADE["arm"], cell.socket_from_base, poses)


def lesson(
    cell: Cell, person: Person, *, times: int = 1, seat: Seat = SEAT, check: Callable[[Pose], None] = lambda pose: None
) -> Lesson:
    return teach(cell, seat, person, times=times, tolerance_m=0.001, check=check)


def seated(x_m: float = 0.0, y_m: float = 0.0, yaw_rad: float = 0.0, depth_m: float = 0.010) -> Pose:
    return Pose.from_xyz_yaw(x_m, y_m, depth_m, yaw_rad)


# --- what is shown -----------------------------------------------------------------------------------------------


def test_the_pose_that_was_shown_is_taken_and_the_plug_drawn_out_along_its_axis(loaded: LoadedCell, paper: Any) -> None:
    tilted = seated(0.002, -0.001) @ Pose(np.zeros(3), rotation_from_rotvec(np.array([0.1, 0.0, 0.3])))
    with taught(loaded, paper, tilted) as (cell, person):
        found = lesson(cell, person)
        assert (person.socket.inverse() @ found.seat).as_vector() == pytest.approx(tilted.as_vector(), abs=1e-9)
        assert found.spread_m == found.spread_rad == 0.0
        out = found.seat.inverse() @ person.arm.tcp_from_base
        assert out.position_m == pytest.approx([0.0, 0.0, -found.drawn_out[0].length_m], abs=1e-6)
        assert found.drawn_out[0].length_m == pytest.approx(0.016, abs=0.0011)
        assert found.drawn_out[0].aside_m == pytest.approx(0.0, abs=1e-6)
    assert [prompt.split(":")[0] for prompt in person.asked] == [
        "Pose 1 of 1",
        "Guide the plug home to its seat, hold it still there, and press Enter.",
    ]


def test_the_arm_is_free_only_while_it_is_guided(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated(), seated()) as (cell, person):
        lesson(cell, person, times=2)
        calls = [call for call in person.arm.calls if call != "servo_to"]
        guided = ["zero_wrench", "start_freedrive", "end_freedrive", "stop"]
        assert calls == ["connect", *[*guided, "stop"] * 2]
        assert person.arm.calls.index("servo_to") > person.arm.calls.index("end_freedrive")


def test_the_way_out_is_slow_and_bounded_in_force(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated()) as (cell, person):
        at: list[float] = []
        servo = person.arm.servo_to

        def watched(pose: Pose, **more: Any) -> Pose:
            assert more["force_limit_n"] == 30.0
            at.append(cell.clock.now_s())
            return servo(pose, **more)

        person.arm.servo_to = watched
        person.arm.force_n = np.array([0.0, 3.0, 12.0])
        person.does = lambda: setattr(person.arm, "force_n", np.array([4.0, 3.0, -1.0]))
        way = lesson(cell, person).drawn_out[0]
        assert at[-1] - at[0] > 0.014 / 0.011
        assert (way.along_n, way.aside_n) == (13.0, 4.0)  # since it was zeroed before the guiding


def test_a_screw_is_turned_back_before_it_is_drawn_out(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated()) as (cell, person):
        way: list[tuple[float, float]] = []
        servo = person.arm.servo_to

        def watched(pose: Pose, **more: Any) -> Pose:
            local = (person.socket @ seated()).inverse() @ pose
            way.append((float(local.position_m[2]), local.yaw_rad))
            return servo(pose, **more)

        person.arm.servo_to = watched
        lesson(cell, person, seat=Seat(0.010, loosen_rad=0.1))
        turned = [yaw for z, yaw in way if abs(z) < 1e-9]
        assert turned[-1] == pytest.approx(-0.1)
        assert all(yaw == pytest.approx(-0.1) for z, yaw in way if z < -1e-9)


def test_several_poses_are_averaged_and_their_spread_is_told(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated(0.0002), seated(-0.0002), seated(0.0, 0.0003, 0.02)) as (cell, person):
        found = lesson(cell, person, times=3)
        mean = person.socket.inverse() @ found.seat
        assert mean.position_m == pytest.approx([0.0, 0.0001, 0.010], abs=1e-9)
        assert mean.yaw_rad == pytest.approx(0.02 / 3, abs=1e-5)
    assert found.spread_m == pytest.approx(0.0004)
    assert found.spread_rad == pytest.approx(0.02)
    assert len(found.poses) == len(found.drawn_out) == 3


def test_poses_that_disagree_are_shown_again(loaded: LoadedCell, paper: Any) -> None:
    apart = (seated(0.001), seated(-0.001))
    with taught(loaded, paper, *apart, seated(), seated(0.0001)) as (cell, person):
        found = lesson(cell, person, times=2)
        assert found.spread_m == pytest.approx(0.0001)
    assert "the 2 poses differ by up to 2.00 mm and 0.0 deg; 1 mm and 2 deg are allowed" in person.said[2]


@pytest.mark.parametrize("other", [seated(0.0015), seated(yaw_rad=math.radians(3.0))])
def test_poses_that_keep_disagreeing_are_no_lesson(loaded: LoadedCell, paper: Any, other: Pose) -> None:
    with taught(loaded, paper, *[seated(), other] * ROUNDS) as (cell, person):
        with pytest.raises(InputError, match="also after 3 rounds") as caught:
            lesson(cell, person, times=2)
        assert "--tolerance-mm" in caught.value.cure
        assert not person.arm.is_guided
    assert person.shown == 2 * ROUNDS


def test_a_person_sees_where_the_arm_is(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated()) as (cell, person):
        person.arm.force_n = np.array([3.0, 0.0, 4.0])
        lesson(cell, person)
        sight = person.seen[0]
        assert sight.offset_m == pytest.approx([0.0, 0.0, 0.02], abs=1e-9)
        assert sight.force_n == pytest.approx(5.0)
        assert sight.inside_m == pytest.approx(0.02)
        assert sight.turned_rad == pytest.approx(0.0)


def test_a_pose_is_taken_only_of_an_arm_that_is_held_still(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated(0.001), seated(0.002), seated()) as (cell, person):
        read = person.arm.read

        def moving() -> Any:
            state = read()
            if person.arm.is_guided and person.shown in (1, 2):
                state.twist[:3] = [0.0, 0.012, 0.0]
            return state

        person.arm.read = moving
        found = lesson(cell, person)
        assert (person.socket.inverse() @ found.seat).position_m == pytest.approx([0.0, 0.0, 0.010], abs=1e-9)
    assert [prompt for prompt in person.asked if "still moves, by 12 mm/s" in prompt] == person.asked[2:]


# --- what ends it ------------------------------------------------------------------------------------------------


def ends_safely(paper: Any, person: Person) -> bool:
    calls = person.arm.calls
    last = len(calls) - 1 - calls[::-1].index("start_freedrive")
    return not person.arm.is_guided and calls[last + 1 : last + 3] == ["end_freedrive", "stop"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, InputError, RuntimeError])
def test_whatever_ends_the_guiding_the_arm_is_stopped(
    loaded: LoadedCell, paper: Any, error: type[BaseException]
) -> None:
    def leave() -> None:
        raise error("in the middle of it")

    with taught(loaded, paper, seated()) as (cell, person):
        person.does = leave
        with pytest.raises(error, match="in the middle"):
            lesson(cell, person)
        assert ends_safely(paper, person)
        assert "servo_to" not in person.arm.calls


def test_a_fault_while_it_is_guided_ends_the_guiding(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated()) as (cell, person):
        person.does = lambda: setattr(person.arm, "fault", "protective stop")
        with pytest.raises(ArmFaultError, match="protective stop"):
            lesson(cell, person)
        assert ends_safely(paper, person)


def test_above_the_hard_force_limit_the_guiding_ends(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated()) as (cell, person):
        person.does = lambda: setattr(person.arm, "force_n", np.array([0.0, 0.0, -70.0]))
        with pytest.raises(SafetyStopError, match="70 N measured"):
            lesson(cell, person)
        assert ends_safely(paper, person)


def test_an_arm_that_does_not_let_go_of_the_guiding_is_stopped(loaded: LoadedCell, paper: Any) -> None:
    def stuck() -> None:
        raise DeviceError("the controller does not answer")

    with taught(loaded, paper, seated()) as (cell, person):
        person.arm.end_freedrive = stuck
        with pytest.raises(DeviceError, match="does not answer"):
            lesson(cell, person)
        assert person.arm.calls[-1] == "stop"
        assert not person.arm.is_guided


def test_an_arm_that_cannot_be_guided_says_so_before_anybody_is_asked(paper: Any, tmp_path: Path) -> None:
    path = tmp_path / "stiff.yaml"
    path.write_text(paper.CELL.replace("arm: {driver: paper}", "arm: {driver: stiff}"))
    with taught(load_cell(path, Registry.from_modules({"paper": paper})), paper) as (cell, person):
        with pytest.raises(DeviceError, match="the arm of cell paper cannot be guided by hand") as caught:
            lesson(cell, person)
        assert "fixture" in caught.value.cure
    assert person.asked == []


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        (seated(depth_m=0.018), "the seat is 3.0 mm outside the workspace on its -z side"),
        (seated(0.0, 0.0215), "30 mm in front of the mouth is 1.5 mm outside the workspace on its +y side"),
        (
            seated() @ Pose(np.zeros(3), rotation_from_rotvec(np.array([0.0, 1.0, 0.0]))),
            "30 mm in front of the mouth is 13.7 mm outside",
        ),
    ],
)
def test_what_leaves_the_workspace_is_refused_before_the_arm_moves(
    loaded: LoadedCell, paper: Any, shown: Pose, told: str
) -> None:
    with taught(loaded, paper, shown) as (cell, person):
        with pytest.raises(InputError, match="what was shown leaves the workspace") as caught:
            lesson(cell, person, check=lambda pose: check_reach(loaded, pose, SEAT.depth_m))
        assert told in caught.value.what
        assert "fixture: {position_m: [0.5" in caught.value.cure
        assert "servo_to" not in person.arm.calls
        assert ends_safely(paper, person)


def test_a_plug_that_is_held_ends_it_with_figures(loaded: LoadedCell, paper: Any) -> None:
    """A latch holds it after 4 mm, whatever the arm pulls with."""
    with taught(loaded, paper, seated()) as (cell, person):
        servo = person.arm.servo_to
        latch = person.socket @ seated(depth_m=0.006)

        ahead: list[float] = []

        def latched(pose: Pose, **more: Any) -> Pose:
            away = float((person.socket.inverse() @ pose).position_m[2])
            ahead.append(float((person.socket.inverse() @ person.arm.tcp_from_base).position_m[2]) - away)
            person.arm.force_n = np.array([1.0, 0.0, 28.0]) * (away < 0.006)
            servo(latch if away < 0.006 else pose, **more)
            return pose

        person.arm.servo_to = latched
        with pytest.raises(ArmFaultError) as caught:
            lesson(cell, person)
        assert "does not come out along the tool's axis: 4.0 of 16.0 mm, with 28 N" in caught.value.what
        assert "30 N" in caught.value.cure
        assert person.arm.calls[-1] == "stop"
        # If the latch gives way, the plug does not leap out.
        assert 0.007 < max(ahead) < 0.0081


def test_an_arm_that_does_not_hold_what_was_shown_is_told(loaded: LoadedCell, paper: Any) -> None:
    with taught(loaded, paper, seated()) as (cell, person):
        end = person.arm.end_freedrive

        def sag() -> None:
            end()
            person.arm._go(person.socket @ seated(depth_m=0.02), 1.0)

        stop = person.arm.stop
        person.arm.end_freedrive = sag
        person.arm.stop = lambda: None
        try:
            with pytest.raises(DeviceError, match=r"the arm moved by \d\.\d\d mm while it should have held") as caught:
                lesson(cell, person)
            assert "payload" in caught.value.cure
        finally:
            person.arm.stop = stop


# --- several poses -----------------------------------------------------------------------------------------------


def test_the_mean_of_poses_is_one_and_lies_in_the_middle() -> None:
    turns = ([0.03, 0.0, 3.0], [-0.01, 0.02, 3.02], [0.0, -0.02, 2.98])
    poses = [Pose.from_rotvec([0.001 * number, 0.0, 0.1], turn) for number, turn in enumerate(turns)]
    mean = mean_pose(poses)
    assert mean.position_m == pytest.approx([0.001, 0.0, 0.1])
    assert np.allclose(mean.rotation @ mean.rotation.T, np.eye(3))
    assert np.linalg.det(mean.rotation) == pytest.approx(1.0)
    assert spread_of(poses)[0] == pytest.approx(0.002)
    assert max(spread_of([mean, pose])[1] for pose in poses) < spread_of(poses)[1]
    assert spread_of(poses[:1]) == (0.0, 0.0)
