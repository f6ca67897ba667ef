"""What is said where a camera is missing or its stream does not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillcore_realsense.devices import Connected, likely_cause, not_connected, seen_by_the_kernel, stream_failure

D405 = Connected("Intel RealSense D405", "128422271234", "3.2")
SLOW = Connected("Intel RealSense D435", "843112071111", "2.1")


def usb(folder: Path, **devices: tuple[str, str]) -> Path:
    """A folder like /sys/bus/usb/devices: number -> vendor and product."""
    for number, (vendor, product) in devices.items():
        (folder / number).mkdir()
        (folder / number / "idVendor").write_text(vendor + "\n")
        (folder / number / "product").write_text(product + "\n")
    (folder / "1-0:1.0").mkdir()
    return folder


def test_a_wrong_serial_is_answered_with_what_is_connected() -> None:
    error = not_connected("128422271243", [D405, SLOW])
    assert "128422271234 (Intel RealSense D405, USB 3.2), 843112071111 (Intel RealSense D435, USB 2.1)" in error.what
    assert error.cure == "serial: did you mean 128422271234?"


def test_nothing_connected_names_cable_and_libusb(tmp_path: Path) -> None:
    error = not_connected("128422271234", [], usb(tmp_path, a=("8087", "Hub"), b=("8086", "Bluetooth")))
    assert "no other RealSense either" in error.what
    assert "USB 3 port" in error.cure
    assert "pip install libusb-package" in error.cure


def test_a_camera_that_only_the_system_sees_names_the_udev_rules(tmp_path: Path) -> None:
    folder = usb(tmp_path, a=("8086", "Intel(R) RealSense(TM) Depth Camera 405"))
    assert seen_by_the_kernel(folder) == ["Intel(R) RealSense(TM) Depth Camera 405"]
    error = not_connected("128422271234", [], folder)
    assert "Depth Camera 405" in error.what
    assert "udev" in error.cure


def test_no_usb_bus_at_all(tmp_path: Path) -> None:
    assert seen_by_the_kernel(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("port", "said", "cure"),
    [
        (D405, "failed to set power state", "another process holds it"),
        (D405, "Device or resource busy", "another process holds it"),
        (SLOW, "Couldn't resolve requests", "use a USB 3 port"),
        (D405, "Couldn't resolve requests", "unplug it"),
    ],
)
def test_a_stream_that_does_not_start(port: Connected, said: str, cure: str) -> None:
    error = stream_failure(RuntimeError(said), port)
    assert port.serial in error.what
    assert said in error.what
    assert cure in error.cure


def test_likely_causes_are_told_apart() -> None:
    gone = likely_cause("1", None, late_s=None, still=False)
    slow = likely_cause("1", SLOW, late_s=None, still=False)
    late = likely_cause("1", D405, late_s=1.25, still=False)
    still = likely_cause("1", D405, late_s=None, still=True)
    silent = likely_cause("1", D405, late_s=None, still=False)
    words = ("no longer connected", "USB 2 port", "1.2 s late", "the same frame", "delivers no frames")
    for (what, cure), word in zip((gone, slow, late, still, silent), words, strict=True):
        assert word in what
        assert cure
