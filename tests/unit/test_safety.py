"""The guard: whatever is commanded, what goes to the arm lies in the envelope, and nothing loosens it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skillcore.errors import ArmFaultError, InputError, SafetyStopError
from skillcore.interfaces import ArmLimits
from skillcore.safety import Envelope, Guard
from skillcore.types import ArmState, Pose, Wrench

LOW, HIGH = np.array([0.4, -0.1, 0.0]), np.array([0.6, 0.1, 0.2])
ENVELOPE = Envelope(LOW, HIGH, 0.25, 3.0, 40.0, 100.0)
SLACK = 1.0 + 2e-6

inside = st.tuples(*(st.floats(low, high) for low, high in zip(LOW, HIGH, strict=True)))
anywhere = st.tuples(*(st.floats(-3.0, 3.0) for _ in range(3)))
turns = st.tuples(*(st.floats(-1.5, 1.5) for _ in range(3)))
durations = st.sampled_from([0.01, 0.1, 1.0])


def state(*, force: tuple[float, float, float] = (0.0, 0.0, 0.0), fault: str | None = None) -> ArmState:
    return ArmState(Pose.identity(), np.zeros(6), Wrench(np.array(force), np.zeros(3)), fault, 0.0, 0)


def turn_between(first: Pose, second: Pose) -> float:
    return float(np.linalg.norm((first.inverse() @ second).rotvec_rad))


@given(anywhere, turns, inside, turns, durations)
def test_from_within_what_is_commanded_lies_within(
    target: tuple[float, ...],
    target_turn: tuple[float, ...],
    here: tuple[float, ...],
    turn: tuple[float, ...],
    duration_s: float,
) -> None:
    wanted, measured = Pose.from_rotvec(target, target_turn), Pose.from_rotvec(here, turn)
    allowed = Guard(ENVELOPE).limit(wanted, measured, duration_s)
    assert np.all(allowed.position_m >= LOW - 1e-12)
    assert np.all(allowed.position_m <= HIGH + 1e-12)
    step = float(np.linalg.norm(allowed.position_m - measured.position_m))
    assert step <= ENVELOPE.speed_limit_m_s * duration_s * SLACK
    assert turn_between(measured, allowed) <= ENVELOPE.turn_speed_limit_rad_s * duration_s * SLACK + 1e-6
    assert allowed.rotation @ allowed.rotation.T == pytest.approx(np.eye(3), abs=1e-9)


@given(anywhere, anywhere, durations)
def test_from_outside_it_only_ever_comes_nearer(
    target: tuple[float, ...], here: tuple[float, ...], duration_s: float
) -> None:
    wanted, measured = Pose.from_rotvec(target, np.zeros(3)), Pose.from_rotvec(here, np.zeros(3))
    allowed = Guard(ENVELOPE).limit(wanted, measured, duration_s)
    assert outside(allowed) <= outside(measured) + 1e-12
    assert np.linalg.norm(allowed.position_m - measured.position_m) <= 0.25 * duration_s * SLACK


def outside(pose: Pose) -> float:
    return float(np.linalg.norm(pose.position_m - np.clip(pose.position_m, LOW, HIGH)))


@given(inside, turns, inside, turns, durations)
def test_what_is_allowed_passes_unchanged_and_uncounted(
    target: tuple[float, ...],
    target_turn: tuple[float, ...],
    here: tuple[float, ...],
    turn: tuple[float, ...],
    duration_s: float,
) -> None:
    guard = Guard(ENVELOPE)
    measured = Pose.from_rotvec(here, turn)
    once = guard.limit(Pose.from_rotvec(target, target_turn), measured, duration_s)
    guard.start_episode()
    again = guard.limit(once, measured, duration_s)
    assert again.position_m == pytest.approx(once.position_m, abs=1e-9)
    assert again.rotation == pytest.approx(once.rotation, abs=1e-9)
    assert guard.clamps == {"workspace": 0, "speed": 0, "turn_speed": 0}


positive = st.floats(0.01, 500.0)
envelopes = st.builds(
    lambda corner, size, speed, turn, force, hard: Envelope(
        np.array(corner), np.array(corner) + np.array(size), speed, turn, force, hard
    ),
    anywhere,
    st.tuples(*(st.floats(0.0, 2.0) for _ in range(3))),
    *[positive] * 4,
)


def limits_of(envelope: Envelope) -> np.ndarray:
    """All limits, each the smaller the tighter."""
    speeds = [envelope.speed_limit_m_s, envelope.turn_speed_limit_rad_s]
    forces = [envelope.force_limit_n, envelope.hard_force_limit_n]
    return np.concatenate([-envelope.min_m, envelope.max_m, speeds, forces])


@given(envelopes, envelopes)
def test_tightening_never_loosens(first: Envelope, second: Envelope) -> None:
    guard = Guard(first)
    try:
        guard.tighten(second)
    except InputError:
        assert np.any(np.maximum(first.min_m, second.min_m) > np.minimum(first.max_m, second.max_m))
        assert guard.envelope is first
        return
    tightened = limits_of(guard.envelope)
    assert np.all(tightened <= limits_of(first))
    assert np.all(tightened <= limits_of(second))
    assert np.array_equal(tightened, np.minimum(limits_of(first), limits_of(second)))


@given(envelopes, positive, positive, positive)
def test_an_arms_own_limits_are_kept_and_loosen_nothing(
    envelope: Envelope, speed: float, turn: float, force: float
) -> None:
    tightened = envelope.tightened_by_arm(ArmLimits(speed, turn, force))
    assert np.all(limits_of(tightened) <= limits_of(envelope))
    assert tightened.speed_limit_m_s <= speed
    assert tightened.turn_speed_limit_rad_s <= turn
    assert tightened.force_limit_n <= force
    assert tightened.hard_force_limit_n == envelope.hard_force_limit_n


def test_a_guard_is_not_tightened_to_nothing() -> None:
    guard = Guard(ENVELOPE)
    with pytest.raises(InputError, match="nothing in common"):
        guard.tighten(Envelope(HIGH + 1.0, HIGH + 2.0, 1.0, 1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="nothing in common"):
        guard.tighten(Envelope(LOW * np.nan, HIGH, 1.0, 1.0, 1.0, 1.0))
    assert guard.envelope is ENVELOPE


def test_each_limit_is_counted_by_its_name() -> None:
    guard = Guard(ENVELOPE)
    middle = Pose.from_rotvec(0.5 * (LOW + HIGH), np.zeros(3))

    def command(x_m: float, turn_rad: float) -> None:
        guard.limit(middle @ Pose.from_xyz_yaw(x_m, 0.0, 0.0, turn_rad), middle, 0.1)

    command(0.02, 0.2)
    assert guard.clamps == {"workspace": 0, "speed": 0, "turn_speed": 0}
    command(0.03, 0.0)
    command(0.05, 0.31)
    command(0.5, 0.0)
    assert guard.clamps == {"workspace": 1, "speed": 3, "turn_speed": 1}
    guard.start_episode()
    assert guard.clamps == {"workspace": 0, "speed": 0, "turn_speed": 0}


@pytest.mark.parametrize("which", ["target", "target turn", "measured", "measured turn"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_pose_is_never_commanded(which: str, value: float) -> None:
    middle = 0.5 * (LOW + HIGH)
    broken = np.array([middle[0], value, middle[2]])
    good, moved = Pose(middle, np.eye(3)), Pose(broken, np.eye(3))
    turned = Pose(middle, np.diag([1.0, value, 1.0]))
    bad = turned if "turn" in which else moved
    target, measured = (bad, good) if "target" in which else (good, bad)
    guard = Guard(ENVELOPE)
    with pytest.raises(SafetyStopError, match="finite numbers"):
        guard.limit(target, measured, 0.1)


def test_the_hard_limit_ends_the_motion_and_the_peak_is_kept() -> None:
    guard = Guard(ENVELOPE)
    guard.check(state(force=(60.0, 0.0, 80.0)))
    with pytest.raises(SafetyStopError, match="hard limit of 100 N"):
        guard.check(state(force=(60.0, 10.0, 80.0)))
    assert guard.peak_force_n == pytest.approx(np.sqrt(10100.0))
    guard.check(state())
    assert guard.peak_force_n > 100.0
    guard.start_episode()
    assert guard.peak_force_n == 0.0


def test_a_force_that_is_no_number_ends_the_motion() -> None:
    with pytest.raises(SafetyStopError, match="no number"):
        Guard(ENVELOPE).check(state(force=(0.0, np.nan, 0.0)))


def test_a_fault_is_told_before_a_force() -> None:
    guard = Guard(ENVELOPE)
    with pytest.raises(ArmFaultError, match="protective stop"):
        guard.check(state(force=(500.0, 0.0, 0.0), fault="protective stop"))
    assert guard.peak_force_n == 500.0
