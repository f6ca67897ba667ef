"""Open cells: what is observed and commanded, and that the arm always ends stopped."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.cell import Cell, fitted, open_cell
from skillcore.cell_config import LoadedCell, load_cell
from skillcore.errors import ArmFaultError, CellBusyError, DeviceError, InputError, SafetyStopError, StaleFrameError
from skillcore.plugins import Registry
from skillcore.types import Pose

TOYS = Path(__file__).parent / "toys"
CELL = """\
schema: 1
name: paper
control: {{rate_hz: {rate}, step_m: 1 mm, turn_step_rad: 0.02}}
views: {{size_px: 32}}
safety:
  workspace: {{min_m: [-0.02, -0.02, -0.01], max_m: [0.02, 0.02, 0.04]}}
  speed_limit_m_s: 0.2
  force_limit_n: 30
  hard_force_limit_n: 60
fixture: {{position_m: [0.5, 0.0, 0.1], rotvec_rad: [0, 180 deg, 0]}}
{simulation}
arm: {{driver: paper, fault: {arm!r}}}
cameras:
  left: {{driver: paper, fault: {left!r}}}
  front: {{driver: paper}}
"""
DOWN = np.array([0.0, 0.0, 1.0, 0.0], np.float32)


def loaded(
    paper: Any, folder: Path, *, arm: str = "", left: str = "", wall: bool = False, rate: float = 10.0
) -> LoadedCell:
    path = folder / "paper.yaml"
    simulation = "" if wall else "simulation: {driver: paper}"
    path.write_text(CELL.format(simulation=simulation, arm=arm, left=left, rate=rate))
    return load_cell(path, Registry.from_modules({"paper": paper}))


@contextmanager
def opened(paper: Any, folder: Path, **faults: Any) -> Iterator[tuple[Cell, Any]]:
    """An open cell, control started, and its arm."""
    with open_cell(loaded(paper, folder, **faults)) as cell:
        cell.start_control()
        yield cell, paper.MADE["arm"]


def in_socket(cell: Cell, arm: Any) -> np.ndarray:
    return (cell.socket_from_base.inverse() @ arm.tcp_from_base).position_m


# --- opening and closing ---


def test_a_cell_is_stopped_before_anything_is_closed(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        cell.control(DOWN)
        paper.LOG.clear()
    assert paper.LOG == ["stop", "front closed", "left closed", "stop", "arm closed", "simulation closed"]
    assert arm.calls.index("servo_to") < arm.calls.index("stop")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, ArmFaultError])
def test_a_cell_ends_stopped_whatever_happens(paper: Any, tmp_path: Path, error: type[BaseException]) -> None:
    def work() -> None:
        with opened(paper, tmp_path) as (cell, _arm):
            cell.control(DOWN)
            paper.LOG.clear()
            raise error("in the middle of it")

    with pytest.raises(error, match="in the middle"):
        work()
    assert paper.LOG == ["stop", "front closed", "left closed", "stop", "arm closed", "simulation closed"]


def test_ctrl_c_within_a_step_stops_the_arm_at_once(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path, arm="interrupt") as (cell, _arm):
        with pytest.raises(KeyboardInterrupt):
            cell.control(DOWN)
        assert paper.LOG == ["stop"]


def test_a_device_that_fails_to_close_keeps_no_other_open(paper: Any, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot let go"), opened(paper, tmp_path, arm="close"):
        pass
    assert paper.LOG[-2:] == ["arm closed", "simulation closed"]
    with opened(paper, tmp_path) as (cell, _arm):
        assert cell.name == "paper"


def test_all_devices_that_do_not_open_are_told_at_once(paper: Any, tmp_path: Path) -> None:
    with pytest.raises(DeviceError) as caught, opened(paper, tmp_path, arm="connect", left="connect"):
        pytest.fail("a cell without an arm is no cell")
    message = str(caught.value)
    assert "2 of 3 devices did not open" in message
    for words in ("- arm: nobody answers", "switch the arm on", "- left: no such camera", "plug it in"):
        assert words in message
    assert paper.LOG == ["front closed", "left closed", "stop", "arm closed", "simulation closed"]


def test_ctrl_c_while_connecting_closes_what_was_opened(paper: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), opened(paper, tmp_path, arm="interrupt connect"):
        pytest.fail("never open")
    assert paper.LOG == ["stop", "arm closed", "simulation closed"]


def test_a_second_process_is_turned_away(paper: Any, tmp_path: Path) -> None:
    cell = loaded(paper, tmp_path)
    script = f"""
        import sys
        sys.path.insert(0, {str(TOYS)!r})
        import paper_devices
        from skillcore.cell import open_cell
        from skillcore.cell_config import load_cell
        from skillcore.plugins import Registry
        with open_cell(load_cell({str(cell.file)!r}, Registry.from_modules({{"paper": paper_devices}}))):
            print("open", flush=True)
            sys.stdin.readline()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "open\n"
            with pytest.raises(CellBusyError, match=f"process {process.pid}"), open_cell(cell):
                pytest.fail("two processes hold one cell")
            assert paper.LOG == []
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait(30) == 0
        finally:
            process.kill()
    with open_cell(cell):
        pass


def test_simulated_cells_run_side_by_side_under_names_of_their_own(paper: Any, tmp_path: Path) -> None:
    cell = loaded(paper, tmp_path)
    with open_cell(cell, instance="a"), open_cell(cell, instance="b"), open_cell(cell):
        pass
    real = loaded(paper, tmp_path, wall=True)
    with pytest.raises(DeviceError, match="only a simulated cell"), open_cell(real, instance="a"):
        pytest.fail("an arm is there once")


# --- observing ---


def test_an_observation_has_the_promised_form(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        arm.force_n = np.array([1.0, 2.0, 3.0])
        cell.control(DOWN)
        seen = cell.observe()
    assert seen["images"].shape == (2, 32, 32, 3)
    assert seen["images"].dtype == np.uint8
    assert seen["pose"].dtype == seen["wrench"].dtype == np.float32
    assert seen["pose"] == pytest.approx([0.0, 0.0, 0.001, 0.0, 0.0, 0.0], abs=1e-7)
    assert seen["wrench"] == pytest.approx([1.0, 2.0, 3.0, 0.0, 0.0, 0.0])


def test_a_snapshot_is_at_full_size(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, _arm):
        shot = cell.snapshot()
    assert [frame.image.shape for frame in shot.frames] == [(48, 64, 3)] * 2


def test_images_are_cut_to_their_middle_square() -> None:
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :8] = image[:, -8:] = 255
    assert fitted(image, 48).shape == (48, 48, 3)
    assert not fitted(image, 24).any()
    assert not fitted(np.ascontiguousarray(image.transpose(1, 0, 2)), 32).any()


@pytest.mark.parametrize("fault", ["", "repeats", "repeats the time too"])
def test_a_frozen_camera_is_no_view_of_now(paper: Any, tmp_path: Path, fault: str) -> None:
    """Told by the driver as promised; found by the cell where it hands out one frame again and again."""

    def work(cell: Cell) -> None:
        for _ in range(4):
            cell.control(DOWN)
            cell.observe()

    with opened(paper, tmp_path, left=fault) as (cell, _arm):
        work(cell)
        paper.MADE["left"].frozen = True
        with pytest.raises(StaleFrameError):
            work(cell)


def test_a_camera_slower_than_control_is_not_frozen(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path, left="repeats the time too") as (cell, _arm):
        camera = paper.MADE["left"]
        for step in range(8):
            camera.frozen = step % 2 == 1
            assert len(cell.observe()["images"]) == cell.views
            cell.control(DOWN)


def test_the_pose_is_that_of_the_time_of_the_pictures(paper: Any, tmp_path: Path) -> None:
    """Of two cameras one is 0.1 s late, which makes half a step of 0.1 s."""
    with opened(paper, tmp_path, left="late") as (cell, arm):
        before = in_socket(cell, arm)
        cell.control(DOWN)
        assert cell.observe()["pose"][:3] == pytest.approx([0.0, 0.0, 0.0005], abs=1e-8)
        # An action refers to what was observed, wherever the arm is by now.
        assert cell.control(np.zeros(4, np.float32)) == pytest.approx(np.zeros(4), abs=1e-5)
        assert in_socket(cell, arm) - before == pytest.approx([0.0, 0.0, 0.0005], abs=1e-8)
        cell.control(np.array([0.0, 0.0, 0.0, 1.0], np.float32))
        turned = cell.observe()["pose"]
        assert turned[5] == pytest.approx(0.01, abs=1e-6)
        # Without an observation since the last step it moves from where it is.
        cell.control(DOWN)
        cell.control(DOWN)
        assert in_socket(cell, arm)[2] - before[2] == pytest.approx(0.0025, abs=1e-8)


def test_what_was_read_before_a_motion_says_nothing_of_where_the_arm_is(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path, left="late") as (cell, _arm):
        cell.control(DOWN)
        cell.move_to(cell.socket_from_base @ Pose.from_xyz_yaw(0.01, 0.0, -0.02, 0.0))
        cell.start_control()
        assert cell.observe()["pose"] == pytest.approx(np.zeros(6), abs=1e-8)


def test_a_long_pause_between_observations_is_no_frozen_camera(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, _arm):
        cell.observe()
        cell.clock.sleep_until(cell.clock.now_s() + 60.0)
        assert len(cell.observe()["images"]) == cell.views


# --- commanding ---


def test_an_action_moves_in_the_tools_axes_and_is_told_back(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        before = in_socket(cell, arm)
        executed = cell.control(np.array([1.0, -0.5, 0.25, 0.5], np.float32))
        assert executed == pytest.approx([1.0, -0.5, 0.25, 0.5], abs=1e-5)
        assert in_socket(cell, arm) - before == pytest.approx([0.001, -0.0005, 0.00025], abs=1e-9)
        # The tool has turned by 0.01 rad, and its axes with it.
        before = in_socket(cell, arm)
        cell.control(np.array([1.0, 0.0, 0.0, 0.0], np.float32))
        assert in_socket(cell, arm) - before == pytest.approx([np.cos(0.01) * 1e-3, np.sin(0.01) * 1e-3, 0.0], abs=1e-9)


def test_actions_are_cut_to_their_range(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, _arm):
        executed = cell.control(np.array([0.0, 7.0, -3.0, 0.0], np.float32))
        assert executed == pytest.approx([0.0, 1.0, -1.0, 0.0], abs=1e-5)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_action_that_is_no_number_moves_nothing(paper: Any, tmp_path: Path, value: float) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        if np.isinf(value):
            assert cell.control(np.array([0.0, 0.0, value, 0.0], np.float32))[2] == pytest.approx(1.0, abs=1e-5)
            return
        with pytest.raises(SafetyStopError, match="finite numbers"):
            cell.control(np.array([0.0, 0.0, value, 0.0], np.float32))
        assert "servo_to" not in arm.calls
        assert paper.LOG == ["stop"]


@pytest.mark.parametrize("action", [0.5, [0.5], [0.5, 0.0, 0.0], [DOWN], np.zeros(0)])
def test_an_action_of_another_shape_is_refused_and_moves_nothing(paper: Any, tmp_path: Path, action: Any) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        before = in_socket(cell, arm)
        with pytest.raises(InputError, match=r"action: shape \(.*\), and must be \(4,\)"):
            cell.control(np.asarray(action, np.float32))
        assert np.array_equal(in_socket(cell, arm), before)
        assert "servo_to" not in arm.calls
        assert arm.calls[-1] == "stop"


def test_the_workspace_is_kept_and_counted(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        for _ in range(30):
            executed = cell.control(np.array([1.0, 0.0, 0.0, 0.0], np.float32))
        assert in_socket(cell, arm)[0] == pytest.approx(0.02, abs=1e-9)
        assert executed == pytest.approx(np.zeros(4), abs=1e-5)
        assert cell.guard.clamps == {"workspace": 10, "speed": 0, "turn_speed": 0}
        cell.start_control()
        assert cell.guard.clamps == {"workspace": 0, "speed": 0, "turn_speed": 0}


def test_free_motions_keep_to_workspace_and_speed_too(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        cell.move_to(cell.socket_from_base @ Pose.from_xyz_yaw(0.5, 0.0, -0.02, 0.0), speed_m_s=3.0)
        assert in_socket(cell, arm) == pytest.approx([0.02, 0.0, -0.02])
        assert arm.speed_m_s == 0.2
        assert cell.state.tcp_from_base.position_m == pytest.approx(arm.tcp_from_base.position_m)


def test_where_the_arm_is_after_a_failed_motion_is_read_anew(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        number = cell.state.sequence
        arm.fault = "joint 3 is too hot"
        with pytest.raises(ArmFaultError):
            cell.move_to(cell.socket_from_base)
        assert cell.state.sequence > number


def test_the_arm_is_told_the_force_limit(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        cell.control(DOWN)
        assert arm.force_limit_n == 30.0


def test_above_the_hard_force_limit_the_arm_is_stopped(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        arm.force_n = np.array([0.0, 0.0, -59.0])
        cell.control(DOWN)
        assert paper.LOG == []
        arm.force_n = np.array([0.0, -45.0, -45.0])
        with pytest.raises(SafetyStopError, match="64 N measured, more than the hard limit of 60 N"):
            cell.control(DOWN)
        assert paper.LOG == ["stop"]
        assert cell.guard.peak_force_n == pytest.approx(63.6, abs=0.1)


def test_a_real_arm_is_watched_within_a_step(paper: Any, tmp_path: Path) -> None:
    # A slow clockwork, so that there is time for three readings on a busy machine too.
    with opened(paper, tmp_path, arm="bump", wall=True, rate=1.0) as (cell, _arm):
        with pytest.raises(SafetyStopError, match="90 N measured"):
            cell.control(DOWN)
        assert paper.LOG == ["stop"]


def test_a_fault_of_the_controller_stops_the_arm(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        arm.fault = "protective stop"
        with pytest.raises(ArmFaultError, match="protective stop"):
            cell.control(DOWN)
        assert paper.LOG == ["stop"]
        cell.recover()
        cell.control(DOWN)


# --- the clockwork ---


def test_a_step_takes_one_period(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, _arm):
        before = cell.clock.now_s()
        for _ in range(5):
            cell.control(DOWN)
        assert cell.clock.now_s() - before == pytest.approx(0.5)
        assert cell.overruns == 0


def test_a_late_step_is_counted_and_not_made_up_for(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, arm):
        arm.late_s = 0.35
        cell.control(DOWN)
        arm.late_s = 0.0
        assert cell.overruns == 1
        before = cell.clock.now_s()
        cell.control(DOWN)
        assert cell.clock.now_s() - before == pytest.approx(0.1)
        assert cell.overruns == 1
        cell.start_control()
        assert cell.overruns == 0


def test_time_spent_thinking_counts(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path) as (cell, _arm):
        cell.clock.sleep_until(cell.clock.now_s() + 0.06)
        before = cell.clock.now_s()
        cell.control(DOWN)
        assert cell.clock.now_s() - before == pytest.approx(0.04)
        cell.clock.sleep_until(cell.clock.now_s() + 0.11)
        cell.control(DOWN)
        assert cell.overruns == 1


def test_a_slow_arm_overruns_on_the_walls_clock(paper: Any, tmp_path: Path) -> None:
    with opened(paper, tmp_path, arm="slow", wall=True, rate=50.0) as (cell, _arm):
        for _ in range(4):
            cell.control(DOWN)
        assert cell.overruns == 4
