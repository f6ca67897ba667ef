"""The check of a cell's devices: every way to fail is told with its device and its cure, and all are closed again."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillcore import cell_check
from skillcore.cell_check import DeviceReport, check_cell
from skillcore.cell_config import load_cell
from skillcore.errors import ArmFaultError, DeviceError, PluginError, StaleFrameError
from skillcore.plugins import Registry

CELL = """\
schema: 1
name: bench
safety: {{workspace: {{min_m: [-0.05, -0.05, -0.03], max_m: [0.05, 0.05, 0.10]}}}}
fixture: {{position_m: [0.5, 0.0, 0.1], rotvec_rad: [0, 180 deg, 0]}}
views: {{size_px: 32}}
{simulation}
arm: {{driver: toy, fault: {arm}}}
cameras:
  left: {{driver: toy, fault: {left}}}
  front: {{driver: toy}}
"""


@pytest.fixture(name="toys")
def import_toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "toys"))
    toys = importlib.import_module("toy_devices")
    monkeypatch.setattr(cell_check, "READ_APART_S", 0.01)
    toys.CLOSED.clear()
    yield toys
    toys.CLOSED.clear()


def check(
    toys: Any, folder: Path, *, arm: str = "", left: str = "", simulation: str | None = None
) -> list[DeviceReport]:
    section = "" if simulation is None else f"simulation: {{driver: toy, fault: {simulation!r}}}"
    path = folder / "cell.yaml"
    path.write_text(CELL.format(simulation=section, arm=repr(arm), left=repr(left)))
    return check_cell(load_cell(path, Registry.from_modules({"toys": toys})))


def by_name(reports: list[DeviceReport]) -> dict[str, DeviceReport]:
    return {report.device: report for report in reports}


def test_a_healthy_cell(toys: Any, tmp_path: Path) -> None:
    reports = check(toys, tmp_path)
    assert [(report.device, report.status) for report in reports] == [
        ("arm", "ok"),
        ("camera left", "ok"),
        ("camera front", "ok"),
    ]
    assert not [note for report in reports for note in report.notes]
    assert reports[0].read == "TCP [0.0, 0.0, 20.0] mm from the fixture, force 0.0 N"
    assert reports[1].read.startswith("64x48, ")
    assert toys.CLOSED == ["front", "left", "arm"]


def test_a_healthy_simulated_cell(toys: Any, tmp_path: Path) -> None:
    reports = check(toys, tmp_path, simulation="")
    assert [report.status for report in reports] == ["ok"] * 4
    assert reports[0].read == "socket at [500.0, 0.0, 100.0] mm"
    assert toys.CLOSED == ["front", "left", "arm", "simulation"]


@pytest.mark.parametrize(
    ("fault", "words", "cure"),
    [
        ("connect", "nobody answers at 10.0.0.5", "switch the arm on"),
        ("crash", "raised ZeroDivisionError: division by zero", "makers of in-process"),
        ("read", "the arm does not answer", "restart it"),
        ("close", "raised OSError: cannot let go", "makers of"),
        ("no limit", "a limit of nan m/s is no limit", "makers of"),
        ("slow", "an action of 1 asks for 0.04 m/s, and the arm's own limit is 0.01 m/s", "lower control.step_m"),
        ("controller", "the controller reports a fault: joint 3 is too hot", "clear it"),
        ("no pose", "the TCP's pose is no pose", "makers of"),
        ("mirrored", "the TCP's pose is no pose", "makers of"),
        ("short twist", "the twist is no vector of 6", "makers of"),
        ("no wrench", "the wrench is not made of finite numbers", "force sensor"),
        ("no time", "the time of a reading is no finite number", "makers of"),
        ("stopped", "a later reading is not of a later time", "makers of"),
        ("same number", "no higher sequence number", "makers of"),
        ("old", "its newest reading is 3.00 s old", "cell's clock"),
        ("early", "its newest reading is 3.00 s in the future", "cell's clock"),
    ],
)
def test_an_arm_that_fails(toys: Any, tmp_path: Path, fault: str, words: str, cure: str) -> None:
    reports = by_name(check(toys, tmp_path, arm=fault))
    assert reports["arm"].status == "fault"
    found = reports["arm"].faults[0]
    assert words in found.what
    assert cure in found.cure
    assert found.exit_code == 3
    assert reports["camera left"].status == "ok"
    assert set(toys.CLOSED) == {"arm", "left", "front"}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("outside", "the TCP is outside the workspace, [300.0, 0.0, 20.0] mm from the fixture"),
        ("pressed", "60 N at rest: the tool touches something"),
        ("drift", "the arm moved by 10.0 mm while nothing was commanded"),
        ("tight", "the arm's own limit of 0.2 m/s is tighter than the cell's"),
    ],
)
def test_what_is_worth_knowing_of_an_arm_is_no_fault(toys: Any, tmp_path: Path, fault: str, words: str) -> None:
    report = by_name(check(toys, tmp_path, arm=fault))["arm"]
    assert report.status == "ok"
    (note,) = report.notes
    assert words in note


@pytest.mark.parametrize(
    ("fault", "words", "cure"),
    [
        ("connect", "no such camera", "plug it in"),
        ("stale", "no new frame in 0.2 s", "check the cable"),
        ("frozen", "delivers frame 7 again and again", "unplug it"),
        ("old", "its newest reading is 3.00 s old", "clock"),
        ("grey", "an image of shape (48, 64), and not (H, W, 3)", "makers of"),
        ("none", "an image of shape (), and not (H, W, 3)", "makers of"),
        ("float", "an image of float64, and not of uint8", "makers of"),
        ("wide depth", "its depth is not (H, W) float32", "makers of"),
        ("other size", "its intrinsics are for 65x48, its images 64x48", "makers of"),
        ("no focus", "its focal lengths and centre are not those of a camera", "makers of"),
    ],
)
def test_a_camera_that_fails(toys: Any, tmp_path: Path, fault: str, words: str, cure: str) -> None:
    reports = by_name(check(toys, tmp_path, left=fault))
    assert reports["camera left"].status == "fault"
    assert words in reports["camera left"].faults[0].what
    assert cure in reports["camera left"].faults[0].cure
    assert reports["arm"].status == reports["camera front"].status == "ok"


def test_errors_of_devices_keep_their_kind(toys: Any, tmp_path: Path) -> None:
    reports = by_name(check(toys, tmp_path, arm="read", left="stale"))
    assert isinstance(reports["arm"].faults[0], ArmFaultError)
    assert isinstance(reports["camera left"].faults[0], StaleFrameError)


def test_a_dark_image_and_a_small_one_are_worth_knowing(toys: Any, tmp_path: Path) -> None:
    report = by_name(check(toys, tmp_path, left="dark"))["camera left"]
    assert (report.status, len(report.notes)) == ("ok", 1)
    assert "lens" in report.notes[0]
    path = tmp_path / "cell.yaml"
    path.write_text(path.read_text().replace("size_px: 32", "size_px: 64"))
    reports = check_cell(load_cell(path, Registry.from_modules({"toys": toys})))
    assert "smaller than the views" in by_name(reports)["camera front"].notes[0]


def test_depth_is_told(toys: Any, tmp_path: Path) -> None:
    assert "64x48 with depth" in by_name(check(toys, tmp_path, left="depth"))["camera left"].read


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("install", "nothing fits in"),
        ("socket", "its socket is 10.0 mm and 5.7 deg from the fixture"),
        ("clock", "its clock slept 0 s of 0.01 s"),
    ],
)
def test_a_simulation_that_fails(toys: Any, tmp_path: Path, fault: str, words: str) -> None:
    reports = by_name(check(toys, tmp_path, simulation=fault))
    assert words in reports["simulation"].faults[0].what
    assert toys.CLOSED[-1] == "simulation"


def test_a_frozen_camera_in_a_frozen_world_is_not_waited_for(toys: Any, tmp_path: Path) -> None:
    reports = by_name(check(toys, tmp_path, simulation="clock", left="frozen"))
    assert "again and again" in reports["camera left"].faults[0].what


def test_nothing_is_tried_in_a_simulation_that_cannot_be_made(toys: Any, tmp_path: Path) -> None:
    reports = check(toys, tmp_path, simulation="make")
    assert [report.status for report in reports] == ["fault", "not tried", "not tried", "not tried"]
    assert toys.CLOSED == []


def test_a_missing_sdk_is_told_beside_the_other_faults(
    toys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def needs_sdk(*_args: Any) -> None:
        raise ModuleNotFoundError("No module named 'sdk'", name="sdk")

    monkeypatch.setattr(toys, "ToyArm", needs_sdk)
    reports = by_name(check(toys, tmp_path, left="stale"))
    assert isinstance(reports["arm"].faults[0], PluginError)
    assert reports["camera left"].status == "fault"
    assert reports["camera front"].status == "ok"


def test_all_are_closed_after_ctrl_c_even_if_closing_is_interrupted_too(
    toys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_self: Any) -> None:
        toys.CLOSED.append("interrupted")
        raise KeyboardInterrupt

    monkeypatch.setattr(toys.ToyArm, "read", interrupt)
    monkeypatch.setattr(toys.ToyArm, "close", interrupt)
    with pytest.raises(KeyboardInterrupt):
        check(toys, tmp_path, simulation="")
    assert toys.CLOSED == ["interrupted", "front", "left", "interrupted", "simulation"]


def test_faults_are_device_errors_with_cures(toys: Any, tmp_path: Path) -> None:
    for report in check(toys, tmp_path, arm="no pose", left="grey"):
        for fault in report.faults:
            assert isinstance(fault, DeviceError)
            assert fault.cure
