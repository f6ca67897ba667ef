"""What is connected, what is likely wrong where something is not, and what a camera can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillcore.errors import DeviceError, suggest
from skillcore_realsense.options import RealSenseOptions

USB_DEVICES = Path("/sys/bus/usb/devices")
INTEL = "8086"
UDEV_RULES = "https://github.com/realsenseai/librealsense/blob/master/config/99-realsense-libusb.rules"
BUSY_WORDS = ("busy", "claim", "power state", "in use", "access denied")


@dataclass(frozen=True, slots=True)
class Connected:
    """A camera that the library lists."""

    name: str
    serial: str
    usb: str

    def __str__(self) -> str:
        return f"{self.serial} ({self.name}, USB {self.usb})"

    @property
    def on_slow_port(self) -> bool:
        """Whether it hangs on a USB 2 port or cable, which is too slow for most streams."""
        return self.usb.startswith("2")


@dataclass(frozen=True, slots=True)
class Misfit:
    """An option that a camera cannot do: the field, why, and the nearest that it can."""

    field: str
    reason: str
    cure: str


def connected(rs: Any, context: Any) -> list[tuple[Connected, Any]]:
    """All cameras of a context, with the library's devices."""
    found = []
    for device in context.query_devices():
        try:
            found.append((describe(rs, device), device))
        except RuntimeError:
            continue  # pulled out while it was asked
    return found


def describe(rs: Any, device: Any) -> Connected:
    """Name, serial number and port of a device. Raises RuntimeError if it does not answer."""

    def info(which: Any) -> str:
        return str(device.get_info(which)) if device.supports(which) else "unknown"

    kinds = rs.camera_info
    return Connected(info(kinds.name), info(kinds.serial_number), info(kinds.usb_type_descriptor))


def not_connected(serial: str, found: list[Connected], usb_devices: Path = USB_DEVICES) -> DeviceError:
    """The answer where no camera has the serial number."""
    if found:
        listed = ", ".join(map(str, found))
        near = suggest(serial, [each.serial for each in found])
        return DeviceError(
            f"no camera with serial {serial!r} is connected; connected: {listed}", cure=f"serial: {near}"
        )
    what = f"no camera with serial {serial!r} is connected, and no other RealSense either"
    seen = seen_by_the_kernel(usb_devices)
    if seen:
        what += f"; yet the system sees on USB: {', '.join(seen)}"
        cure = (
            f"you may not open it: put {UDEV_RULES} into /etc/udev/rules.d, run `sudo udevadm control --reload-rules "
            "&& sudo udevadm trigger`, and plug the camera in again"
        )
    else:
        cure = (
            "plug it into a USB 3 port of its own with the cable it came with; `lsusb` must list it "
            "(Intel, 8086:...). In a container or virtual machine pass the USB bus on; if the library misses libusb: "
            "pip install libusb-package"
        )
    return DeviceError(what, cure=cure)


def seen_by_the_kernel(usb_devices: Path = USB_DEVICES) -> list[str]:
    """Names of the RealSense cameras on USB, whether or not this user may open them; none where it is not told."""
    names = []
    for product in sorted(usb_devices.glob("*/product")):
        try:
            name = product.read_text(encoding="utf-8", errors="replace").strip()
            vendor = (product.parent / "idVendor").read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            continue  # unplugged meanwhile
        if vendor == INTEL and "realsense" in name.lower():
            names.append(name)
    return names


def stream_failure(error: Exception, camera: Connected) -> DeviceError:
    """What it means that a stream did not start, or that the library ended it."""
    said = " ".join(str(error).split())
    what = f"the stream of {camera} does not run: {said}"
    if any(word in said.lower() for word in BUSY_WORDS):
        cure = "another process holds it: end realsense-viewer and other programs that use it, then try again"
    elif camera.on_slow_port:
        cure = "it hangs on USB 2: use a USB 3 port and the cable it came with"
    else:
        cure = "unplug it and plug it in again; if that does not help, try another USB 3 port and cable"
    return DeviceError(what, cure=cure)


def likely_cause(serial: str, port: Connected | None, *, late_s: float | None, still: bool) -> tuple[str, str]:
    """Why a stream stands still, and the cure. port: the camera as it is listed now, None if it is not any more.

    late_s: how old the frames are that arrive, if any do. still: whether the same frame comes again and again.
    """
    if port is None:
        return (
            f"{serial} is no longer connected",
            "plug it in again, it comes back by itself; if it often drops out, the likely cause is its cable, a "
            "connector that moves with the arm, or a hub without power of its own",
        )
    if port.on_slow_port:
        return (
            f"{port} hangs on a USB 2 port, which is too slow",
            "use a USB 3 port (blue or marked SS) and the cable it came with",
        )
    if late_s is not None:
        return (
            f"the frames of {port} arrive {late_s:.1f} s late",
            "this computer or its USB bus is overloaded: end other programs, or lower size_px or rate_hz",
        )
    words = "delivers the same frame again and again" if still else "delivers no frames, though it is connected"
    return (
        f"{port} {words}",
        "the likely cause is its cable or hub, or another process that uses it: give it a USB 3 port of its own, and "
        "unplug it and plug it in again",
    )


# --- what a camera can do ----------------------------------------------------------------------------------------


def misfits(rs: Any, device: Any, options: RealSenseOptions) -> list[Misfit]:
    """Everything in the options that this camera cannot do."""
    found = _stream_misfits(rs, device, options.size_px, options.rate_hz, rs.stream.color, rs.format.rgb8, "size_px")
    if options.depth:
        size = options.depth_size_px or options.size_px
        found += _stream_misfits(rs, device, size, options.rate_hz, rs.stream.depth, rs.format.z16, "depth_size_px")
    sensor = colour_sensor(rs, device)
    if sensor is None or device.is_playback():
        return found
    for field, kind, wanted, back in _light(rs, sensor, options):
        if not sensor.supports(kind):
            found.append(Misfit(field, "this camera cannot have it set", "leave it out, or write `auto`"))
            continue
        limits = sensor.get_option_range(kind)
        if not limits.min <= wanted <= limits.max:
            nearest = min(max(wanted, limits.min), limits.max) * back
            reason = f"this camera does from {limits.min * back:g} to {limits.max * back:g}"
            found.append(Misfit(field, reason, f"the nearest is {nearest:g}"))
    return found


def _stream_misfits(
    rs: Any, device: Any, size: tuple[int, int], rate_hz: float, stream: Any, form: Any, field: str
) -> list[Misfit]:
    offered = {
        (video.width(), video.height(), video.fps())
        for sensor in device.query_sensors()
        for profile in sensor.get_stream_profiles()
        if profile.stream_type() == stream and profile.format() == form
        for video in [profile.as_video_stream_profile()]
    }
    kind = "depth" if stream == rs.stream.depth else "colour"
    if not offered:
        where = "depth" if kind == "depth" else "serial"
        return [
            Misfit(where, f"this camera has no {kind} stream", "leave it out" if kind == "depth" else "use another")
        ]
    rates = sorted({rate for *its_size, rate in offered if tuple(its_size) == size})
    if not rates:
        sizes = sorted(
            {each[:2] for each in offered}, key=lambda each: (abs(each[0] - size[0]), abs(each[1] - size[1]))
        )
        listed = ", ".join(f"{width}x{height}" for width, height in sorted(sizes))
        cure = f"the nearest is [{sizes[0][0]}, {sizes[0][1]}]; it has {listed}"
        return [Misfit(field, f"this camera has no {kind} stream of {size[0]}x{size[1]}", cure)]
    if rate_hz not in rates:
        nearest = min(rates, key=lambda rate: abs(rate - rate_hz))
        reason = f"this camera has no {kind} stream of {size[0]}x{size[1]} at {rate_hz:g} Hz"
        return [Misfit("rate_hz", reason, f"the nearest is {nearest}; it has {', '.join(map(str, rates))}")]
    return []


def colour_sensor(rs: Any, device: Any) -> Any | None:
    """The module of a device that gives colour."""
    for sensor in device.query_sensors():
        if any(profile.stream_type() == rs.stream.color for profile in sensor.get_stream_profiles()):
            return sensor
    return None


def set_light(rs: Any, device: Any, options: RealSenseOptions) -> None:
    """Sets exposure and white balance as the options say. Raises RuntimeError as the library does."""
    sensor, option = colour_sensor(rs, device), rs.option
    if sensor is None or device.is_playback():
        return
    for automatic, locked in (
        (option.enable_auto_exposure, options.exposure_s != "auto"),
        (option.enable_auto_white_balance, options.white_balance_k != "auto"),
    ):
        if sensor.supports(automatic):
            sensor.set_option(automatic, 0.0 if locked else 1.0)
    for _, kind, wanted, _ in _light(rs, sensor, options):
        sensor.set_option(kind, wanted)


def _light(rs: Any, sensor: Any, options: RealSenseOptions) -> list[tuple[str, Any, float, float]]:
    """What is to be locked: field, the library's option, its value there, and the unit of that value here.

    Modules that give depth as well count exposure in us, cameras for colour alone in 100 us.
    """
    locked: list[tuple[str, Any, float, float]] = []
    if options.exposure_s != "auto":
        depth_too = any(profile.stream_type() == rs.stream.depth for profile in sensor.get_stream_profiles())
        unit_s = 1e-6 if depth_too else 1e-4
        locked.append(("exposure_s", rs.option.exposure, float(round(options.exposure_s / unit_s)), unit_s))
    if options.white_balance_k != "auto":
        locked.append(("white_balance_k", rs.option.white_balance, float(options.white_balance_k), 1.0))
    return locked
