"""The cell files with RealSense cameras, and a cell that looks through two of them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from skillcore.cell import open_cell
from skillcore.cell_check import check_cell
from skillcore.cell_config import load_cell
from skillcore.config import StrictModel, validate_options
from skillcore.errors import DeviceError, StaleFrameError
from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore.plugins import Registry
from skillcore.testing import FakeArm
from skillcore_realsense import plugin
from skillcore_realsense.options import RealSenseOptions

CELLS = Path(__file__).parents[2] / "cell_configs"
FILES = ("ur5e_d405", "ur5e_d405_twin", "ur10e_d435")


def document_of(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((CELLS / f"{name}.yaml").read_text(encoding="utf-8")))


def cameras_of(name: str) -> dict[str, RealSenseOptions]:
    """The cameras of a cell file, validated."""
    cameras = {}
    for key, section in document_of(name)["cameras"].items():
        assert section.pop("driver") == "realsense"
        cameras[key] = validate_options(section, RealSenseOptions, where=f"{name}.yaml: cameras.{key}")
    return cameras


@pytest.mark.parametrize("name", FILES)
def test_the_cameras_of_the_cell_files_are_right(name: str) -> None:
    cameras = cameras_of(name)
    assert len(cameras) == (1 if name == "ur10e_d435" else 2)
    assert len({options.serial for options in cameras.values()}) == len(cameras)
    for options in cameras.values():
        assert options.crop is not None
        assert options.crop.width_px == options.crop.height_px  # views are square
        assert "auto" not in (options.exposure_s, options.white_balance_k)


def test_the_twin_s_cell_differs_in_address_and_serial_numbers_only() -> None:
    real, twin = document_of("ur5e_d405"), document_of("ur5e_d405_twin")
    for document in (real, twin):
        del document["name"], document["description"], document["arm"]["address"]
        for camera in document["cameras"].values():
            del camera["serial"]
    assert real == twin


def test_the_twin_s_cameras_are_on_its_robot_s_address() -> None:
    twin = document_of("ur5e_d405_twin")
    address = twin["arm"]["address"]
    serials = {key: camera["serial"] for key, camera in twin["cameras"].items()}
    assert serials == {key: f"twin-{address}-{key}" for key in ("left", "right")}


# --- an open cell ------------------------------------------------------------------------------------------------


class PaperArms:
    """A plugin with an arm on paper."""

    def __init__(self) -> None:
        self.made: list[FakeArm] = []

    @hookimpl
    def skillcore_arms(self) -> Mapping[str, Part[Any, Any]]:
        return {"paper": Part(StrictModel, self._make, "An arm on paper.")}

    def _make(self, options: StrictModel, context: Context) -> FakeArm:
        assert context.clock is not None
        self.made.append(FakeArm(context.clock, tcp_from_base=context.fixture))
        return self.made[-1]


@pytest.fixture
def arms() -> PaperArms:
    return PaperArms()


@pytest.fixture
def cell(twin: Any, library: Any, arms: PaperArms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The twin's cell file, with the arm on paper and the cameras of the frame server of this test."""
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    document = document_of("ur5e_d405_twin")
    document["arm"] = {"driver": "paper"}
    for key, camera in document["cameras"].items():
        camera["serial"] = twin.serial(key)
    (tmp_path / "cell.yaml").write_text(json.dumps(document))
    return load_cell(tmp_path / "cell.yaml", Registry.from_modules({"realsense": plugin, "paper": arms}))


def test_the_policy_sees_the_pictures_as_the_twin_draws_them(cell: Any, drawing: Any) -> None:
    with open_cell(cell) as opened:
        opened.start_control()
        images = opened.observe()["images"]
    assert images.shape == (2, 64, 64, 3)
    for image, odd in zip(images, (1, 0), strict=True):
        seed = drawing.seed_of(image)
        assert seed % 2 == odd
        np.testing.assert_array_equal(image, drawing.picture(seed))


def test_the_check_finds_nothing_wrong(cell: Any) -> None:
    reports = {report.device: report for report in check_cell(cell)}
    for name in ("camera left", "camera right"):
        assert reports[name].faults == []
        assert reports[name].notes == []
        assert reports[name].read.startswith("256x256")


def test_the_check_names_the_camera_that_is_pulled_out(cell: Any, twin: Any) -> None:
    twin.tell("unplug", "left")
    faults = {report.device: report.faults for report in check_cell(cell)}
    assert "has no camera 'left' plugged in" in str(faults["camera left"][0])
    assert faults["camera right"] == []


def test_a_camera_that_freezes_ends_the_episode_with_the_arm_stopped(cell: Any, twin: Any, arms: PaperArms) -> None:
    def work() -> None:
        with open_cell(cell) as opened:
            opened.start_control()
            for step in range(200):
                opened.control(np.zeros(4, np.float32))
                opened.observe()
                if step == 2:
                    twin.tell("freeze", "right")
            pytest.fail("nobody noticed")

    with pytest.raises(StaleFrameError, match="delivers no frames"):
        work()
    (arm,) = arms.made
    last = arm.calls.index("servo_to", len(arm.calls) - arm.calls[::-1].index("servo_to") - 1)
    assert arm.calls[last:] == ["servo_to", "stop", "stop", "close"]


def test_a_cell_whose_cameras_are_missing_says_so_at_once(cell: Any, twin: Any) -> None:
    for name in ("left", "right"):
        twin.tell("unplug", name)
    began = time.monotonic()
    with pytest.raises(DeviceError, match="2 of 3 devices did not open") as told, open_cell(cell):
        pass
    assert time.monotonic() - began < 10.0
    for name in ("left", "right"):
        assert f"has no camera '{name}' plugged in" in str(told.value)
