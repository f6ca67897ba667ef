"""The options of a RealSense camera: what is wrong is told at once, with the field and the nearest valid value."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillcore.config import validate_options
from skillcore.errors import ConfigError, DeviceError, PluginError
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore_realsense import plugin
from skillcore_realsense.options import Crop, RealSenseOptions


def fault_of(**options: Any) -> str:
    """What is said of these options."""
    with pytest.raises(ConfigError) as told:
        validate_options(options, RealSenseOptions, where="camera")
    return str(told.value)


def test_a_cell_file_s_values_are_taken() -> None:
    options = validate_options(
        {
            "serial": "218622270973",
            "size_px": [848, 480],
            "rate_hz": "30 Hz",
            "depth": True,
            "crop": {"left_px": 184, "top_px": 0, "width_px": 480, "height_px": 480},
            "resize_px": [128, 128],
            "exposure_s": "8 ms",
            "white_balance_k": 4600,
            "max_age_s": "150 ms",
            "record_to": "recordings",
        },
        RealSenseOptions,
        where="camera",
    )
    assert options.size_px == (848, 480)
    assert options.exposure_s == pytest.approx(0.008)
    assert options.white_balance_k == 4600
    assert options.max_age_s == pytest.approx(0.15)
    assert str(options.record_to) == "recordings"


WRONG = {
    "no serial": ({}, "serial: is missing"),
    "serial": ({"serial": 218622270973}, "put quotes around it"),
    "twin": ({"serial": "twin-left"}, "write twin-ADDRESS-CAMERA, such as twin-127.0.0.2-left"),
    "twin's address": ({"serial": "twin-300.0.0.1-left"}, "'300.0.0.1' is no address"),
    "twin elsewhere": ({"serial": "twin-192.168.1.7-left"}, "192.168.1.7 is no loopback address"),
    "crop": (
        {"serial": "1", "crop": {"left_px": 400, "top_px": 0, "width_px": 300, "height_px": 480}},
        "crop.width_px: the crop ends at pixel 700, and the image at 640\n  -> write at most 240",
    ),
    "crop's corner": (
        {"serial": "1", "crop": {"left_px": 0, "top_px": 470, "width_px": 300, "height_px": 20}},
        "crop.height_px: the crop ends at pixel 490, and the image at 480\n  -> let the crop begin",
    ),
    "depth": ({"serial": "1", "depth_size_px": [640, 480]}, "depth_size_px: there is no depth stream"),
    "age": ({"serial": "1", "rate_hz": 10, "max_age_s": 0.1}, "max_age_s: 0.1 s is too short"),
    "slow": ({"serial": "1", "rate_hz": 5}, "rate_hz: 5 Hz is less than the 10 Hz needed"),
    "exposure": ({"serial": "1", "exposure_s": "50 ms"}, "exposure_s: 0.05 s is longer than the time between"),
    "exposure's unit": ({"serial": "1", "exposure_s": 8}, "exposure_s"),
    "white balance": ({"serial": "1", "white_balance_k": "warm"}, "white_balance_k"),
    "both files": ({"serial": "1", "record_to": "a", "play_from": "b.db3"}, "record_to: what is played"),
    "name": ({"serial": "1", "exposure": 1}, "did you mean exposure_s"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_told_by_field(case: str) -> None:
    options, words = WRONG[case]
    assert words in fault_of(**options)


def test_all_faults_are_told_at_once() -> None:
    crop = {"left_px": 400, "top_px": 300, "width_px": 300, "height_px": 300}
    told = fault_of(crop=crop, depth_size_px=[640, 480], max_age_s="50 ms", rate_hz=15)
    assert {"serial: ", "crop.width_px: ", "crop.height_px: ", "depth_size_px: ", "max_age_s: "} <= {
        line.removeprefix("camera: ").partition(" ")[0] + " " for line in told.splitlines()
    }


# --- what only the camera knows ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"size_px": (1280, 720)},
            "size_px: this camera has no colour stream of 1280x720\n  -> the nearest is [640, 480]",
        ),
        ({"rate_hz": 60.0}, "rate_hz: this camera has no colour stream of 640x480 at 60 Hz\n  -> the nearest is 30"),
        ({"depth": True, "depth_size_px": (848, 480)}, "depth_size_px: this camera has no depth stream of 848x480"),
        ({"white_balance_k": 9000}, "white_balance_k: this camera does from 2800 to 6500\n  -> the nearest is 6500"),
    ],
)
def test_what_the_camera_cannot_do_is_told_by_field(
    twin: Any, make_camera: Callable[..., Any], options: dict[str, Any], words: str
) -> None:
    with pytest.raises(DeviceError) as told:
        make_camera(twin.serial(), **options).connect()
    assert words in str(told.value)


def test_all_that_the_camera_cannot_do_is_told_at_once(twin: Any, make_camera: Callable[..., Any]) -> None:
    with pytest.raises(DeviceError) as told:
        make_camera(twin.serial(), size_px=(320, 240), depth=True, white_balance_k=9000).connect()
    for field in ("size_px", "depth_size_px", "white_balance_k"):
        assert f"\n{field}: " in str(told.value)


def test_exposure_and_white_balance_are_locked_in_the_camera(twin: Any, library: Any, make_camera: Any) -> None:
    def light(**options: Any) -> dict[str, float]:
        camera = make_camera(twin.serial(), **options)
        camera.connect()
        sensor = camera._stream.profile.get_device().query_sensors()[0]
        names = ("enable_auto_exposure", "exposure", "enable_auto_white_balance", "white_balance")
        return {name: sensor.get_option(getattr(library.option, name)) for name in names}

    locked = light(exposure_s=0.008, white_balance_k=3500)
    assert locked == {
        "enable_auto_exposure": 0.0,
        "exposure": 8000.0,  # in us, since the module gives depth as well
        "enable_auto_white_balance": 0.0,
        "white_balance": 3500.0,
    }
    free = light()
    assert (free["enable_auto_exposure"], free["enable_auto_white_balance"]) == (1.0, 1.0)


def test_every_option_is_described() -> None:
    text = (Path(__file__).parents[2] / "docs" / "first_cell.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    names = [*RealSenseOptions.model_fields, *Crop.model_fields]
    assert [name for name in names if not any(f"`{name}`" in row for row in rows)] == []


# --- the part ----------------------------------------------------------------------------------------------------


def test_without_the_library_the_answer_is_a_pip_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    registry = Registry.from_modules({"realsense": plugin})
    with pytest.raises(PluginError) as told:
        registry.make("cameras", "realsense", {"serial": "1"}, Context(name="left"))
    assert "needs the Python module 'pyrealsense2'" in told.value.what
    assert told.value.cure == "pip install 'pyrealsense2>=2.58,<3' libusb-package"


def test_the_system_s_own_libusb_does_as_well(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "libusb_package", None)
    registry = Registry.from_modules({"realsense": plugin})
    assert registry.make("cameras", "realsense", {"serial": "1"}, Context(name="left")).restarts == 0
