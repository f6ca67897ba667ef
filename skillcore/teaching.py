"""Teaching a seat by hand: a person guides the plug home, as often as asked, and the arm draws it out again each time.

Everything the arm does by itself here is a slow way out along the tool's axis, through the guard, with its force
bounded. Where the person is asked for and what is shown stays with the `Operator`.
"""

from __future__ import annotations

import getpass
import itertools
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from skillcore.cell import Cell
from skillcore.cell_config import LoadedCell
from skillcore.errors import ArmFaultError, DeviceError, InputError
from skillcore.skill import Seat
from skillcore.taught import DepthFrom, DrawnOut, Taught, TaughtPose, apart, taught_in
from skillcore.types import Array, Pose

WATCH_S = 0.1
"""How often the arm is read while somebody guides it."""
STILL_M_S = 0.005
"""Slower than this counts as held still."""
READINGS = 10
READING_APART_S = 0.05
REST_M = 0.0005
"""An arm at rest strays no farther than this between its readings."""
TOLERANCE_RAD = math.radians(2.0)
ROUNDS = 3
"""How often all poses are taken anew because they disagree."""
DRAW_SPEED_M_S = 0.010
TURN_SPEED_RAD_S = 0.2
CLEARANCE_M = 0.006
"""How far in front of the mouth the plug is free."""
LEAD_M = 0.008
"""How far the target may run ahead of a plug that is held."""
PATIENCE_S = 3.0
"""How long after the way's end the arm may take to get there."""
NEAR_M = 0.001


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a person at the arm wants to know.

    offset_m: (3,) the TCP from the fixture, along the base's axes. inside_m: how far inside the workspace, negative
    outside, and the `side` that counts. turned_rad: against the fixture of the cell file.
    """

    offset_m: Array
    turned_rad: float
    force_n: float
    inside_m: float
    side: str
    speed_m_s: float


class Operator(Protocol):
    """The person at the arm, and what is shown to that person."""

    def say(self, text: str, /) -> None:
        """Tells something."""

    def wait(self, prompt: str, look: Callable[[], Sight], /) -> None:
        """Returns when the person is ready. `look` reads the arm, and is called again and again meanwhile.

        Raises InputError if nobody answers any more, and passes on what `look` raises.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """What was shown. seat: the mean of `poses` of the TCP in the base frame; the greatest differences among them."""

    seat: Pose
    poses: tuple[Pose, ...]
    spread_m: float
    spread_rad: float
    drawn_out: tuple[DrawnOut, ...]


def teach(
    cell: Cell,
    seat: Seat,
    operator: Operator,
    *,
    times: int,
    tolerance_m: float,
    check: Callable[[Pose], None],
) -> Lesson:
    """Lets a person show the seat `times` times, until the poses differ by no more than `tolerance_m`.

    check: raises for a pose that is none to teach; called before the arm moves by itself. Raises DeviceError for an
    arm that cannot be guided or a plug that does not come out, InputError if the poses keep disagreeing, and whatever
    guard and devices raise. The arm is stopped then, and ends stopped.
    """
    cell.guidable()
    cell.read()
    for left in reversed(range(ROUNDS)):
        shown = [_shown(cell, seat, operator, f"{number} of {times}", check) for number in range(1, times + 1)]
        poses, ways = tuple(pose for pose, _ in shown), tuple(way for _, way in shown)
        spread_m, spread_rad = spread_of(poses)
        if spread_m <= tolerance_m and spread_rad <= TOLERANCE_RAD:
            return Lesson(mean_pose(poses), poses, spread_m, spread_rad, ways)
        told = (
            f"the {times} poses differ by up to {spread_m * 1e3:.2f} mm and {math.degrees(spread_rad):.1f} deg; "
            f"{tolerance_m * 1e3:g} mm and {math.degrees(TOLERANCE_RAD):g} deg are allowed"
        )
        if left:
            operator.say(f"{told}: show all of them again")
    raise InputError(
        f"{told}, also after {ROUNDS} rounds",
        cure="see that the plug cannot slip in the gripper and goes home to its stop; --tolerance-mm allows more",
    )


def _shown(
    cell: Cell, seat: Seat, operator: Operator, number: str, check: Callable[[Pose], None]
) -> tuple[Pose, DrawnOut]:
    """One pose from one guiding, and how the plug came out."""
    look = _Look(cell)
    operator.wait(f"Pose {number}: hold the arm; the plug touches nothing. Enter sets the arm free.", look)
    cell.zero_wrench()
    with cell.guided():
        operator.wait("Guide the plug home to its seat, hold it still there, and press Enter.", look)
        while (speed := look().speed_m_s) > STILL_M_S:
            operator.wait(f"It still moves, by {speed * 1e3:.0f} mm/s. Hold it still, and press Enter.", look)
    pose = _pose_at_rest(cell)
    check(pose)
    operator.say("Hands off: the arm draws the plug out.")
    try:
        return pose, _draw_out(cell, pose, seat)
    finally:
        cell.stop()


class _Look:
    """Reads the arm at most every `WATCH_S` of the cell's time."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._next_s = cell.clock.now_s()

    def __call__(self) -> Sight:
        cell = self._cell
        # A simulation's time passes only here; of the wall's, more may have passed already.
        self._next_s = max(self._next_s + WATCH_S, cell.clock.now_s())
        cell.clock.sleep_until(self._next_s)
        state, config = cell.read(), cell.config
        offset = state.tcp_from_base.position_m - np.array(config.fixture.position_m)
        inside, side = config.safety.workspace.nearest_side(offset)
        return Sight(
            offset_m=offset,
            turned_rad=apart(config.fixture.socket_from_base, state.tcp_from_base)[1],
            force_n=float(np.linalg.norm(state.wrench.force_n)),
            inside_m=inside,
            side=side,
            speed_m_s=float(np.linalg.norm(state.twist[:3])),
        )


def _pose_at_rest(cell: Cell) -> Pose:
    """The mean of some readings of an arm that holds still."""
    poses = []
    for _ in range(READINGS):
        cell.clock.sleep_until(cell.clock.now_s() + READING_APART_S)
        poses.append(cell.read().tcp_from_base)
    strayed = spread_of(poses)[0]
    if strayed > REST_M:
        raise DeviceError(
            f"the arm moved by {strayed * 1e3:.2f} mm while it should have held the pose that was shown",
            cure="check that the payload and its centre of gravity are set in the controller, then teach anew",
        )
    return mean_pose(poses)


def _draw_out(cell: Cell, seated: Pose, seat: Seat) -> DrawnOut:
    """Turns a screw back off its thread, then draws the tool straight back along its axis until the plug is free."""
    length = seat.depth_m + CLEARANCE_M
    along = aside = strayed = back = 0.0
    cell.restart_clock()
    loosened = 0.0
    while loosened < seat.loosen_rad:
        loosened = min(loosened + TURN_SPEED_RAD_S * cell.period_s, seat.loosen_rad)
        cell.servo_to(seated @ Pose.from_xyz_yaw(0.0, 0.0, 0.0, -loosened))
    target = 0.0
    for _ in range(math.ceil((length / DRAW_SPEED_M_S + PATIENCE_S) / cell.period_s)):
        target = min(target + DRAW_SPEED_M_S * cell.period_s, max(back, 0.0) + LEAD_M, length)
        state = cell.servo_to(seated @ Pose.from_xyz_yaw(0.0, 0.0, -target, -seat.loosen_rad))
        x, y, z = (seated.inverse() @ state.tcp_from_base).position_m
        back, strayed = -float(z), max(strayed, math.hypot(x, y))
        force = state.wrench.force_n
        along, aside = max(along, abs(float(force[2]))), max(aside, math.hypot(force[0], force[1]))
        if back > length - NEAR_M:
            return DrawnOut(
                length_m=round(back, 6), along_n=round(along, 2), aside_n=round(aside, 2), aside_m=round(strayed, 6)
            )
    cell.stop()
    raise ArmFaultError(
        f"the plug does not come out along the tool's axis: {max(back, 0.0) * 1e3:.1f} of {length * 1e3:.1f} mm, with "
        f"{along:.0f} N along it and {aside:.0f} N aside",
        cure="see whether a latch holds it, whether the z axis of the TCP points out of the tool along the plug, and "
        f"whether safety.force_limit_n ({cell.guard.envelope.force_limit_n:g} N) is enough",
    )


# --- what is kept --------------------------------------------------------------------------------------------------


def record(
    skill: str,
    variant: str,
    loaded: LoadedCell,
    lesson: Lesson,
    *,
    depth_m: float,
    depth_from: DepthFrom,
    by: str = "",
) -> Taught:
    """What was shown in a lesson, here and now. by: who taught; the user of this computer if empty.

    Raises StorageError if the cell file cannot be read.
    """
    x, y, z = np.round(lesson.seat.rotation[:, 2], 9).tolist()
    return Taught(
        schema=1,
        skill=skill,
        variant=variant,
        taught_at=datetime.now().astimezone().isoformat(timespec="seconds"),
        taught_by=by or _user(),
        cell=taught_in(loaded),
        depth_m=depth_m,
        depth_from=depth_from,
        seat=TaughtPose.of(lesson.seat),
        approach_axis=(x, y, z),
        spread_m=round(lesson.spread_m, 9),
        spread_rad=round(lesson.spread_rad, 9),
        poses=tuple(TaughtPose.of(pose) for pose in lesson.poses),
        drawn_out=lesson.drawn_out,
    )


def _user() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except (OSError, KeyError):
        return "an unknown user"  # a container need not know one


# --- several poses -----------------------------------------------------------------------------------------------


def mean_pose(poses: Sequence[Pose]) -> Pose:
    """The mean of poses that are near to each other."""
    position = np.mean([pose.position_m for pose in poses], axis=0)
    # The rotation nearest to the mean of the matrices (the chordal mean).
    u, _, vt = np.linalg.svd(np.mean([pose.rotation for pose in poses], axis=0))
    signs = np.diag([1.0, 1.0, float(np.sign(np.linalg.det(u @ vt)))])
    return Pose(np.asarray(position), np.asarray(u @ signs @ vt))


def spread_of(poses: Sequence[Pose]) -> tuple[float, float]:
    """The greatest distance in m between any two poses, and the greatest turn in rad; 0 for a single one."""
    pairs = [apart(one, other) for one, other in itertools.combinations(poses, 2)]
    return max((far for far, _ in pairs), default=0.0), max((turn for _, turn in pairs), default=0.0)
