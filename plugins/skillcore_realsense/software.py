"""A twin's camera as a software device of the vendor's library, in this process, fed from the twin's frame server.

Once plugged in, it is found in its context by its serial number like a camera on USB, and looks like a D405: one
module that gives colour and depth. Exposure and white balance can be set and read back; the twin's light is as it is.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from skillcore.errors import DeviceError, suggest
from skillcore_realsense.options import TWIN_SERIAL
from skillcore_realsense.wire import (
    DEPTH_UNIT_M,
    PORT,
    Card,
    FrameHeader,
    Greeting,
    WireError,
    full_image,
    receive,
    receive_pixels,
    send,
)

ANSWER_S = 0.5
"""How long the twin may take to answer, and to send the rest of a message that it has begun."""
GREY = 128


class SoftwareCamera:
    """A twin's camera that is plugged into a context. `alive` until the twin hangs up or `unplug` is called.

    The library's context holds a software device only weakly: what its callback hands over is kept here, and letting
    go of it unplugs the device.
    """

    def __init__(self, rs: Any, context: Any, serial: str, card: Card, connection: socket.socket) -> None:
        self._rs, self._card, self._connection = rs, card, connection
        self.why_gone = ""
        self._ended = threading.Event()
        self._kept: list[Any] = []
        context.set_devices_changed_callback(lambda news: self._kept.append(news.get_new_devices()))
        device = rs.software_device()
        for name, text in (
            ("name", f"{card.model} (twin)"),
            ("serial_number", serial),
            ("usb_type_descriptor", card.usb),
            ("product_line", "D400"),
        ):
            device.register_info(getattr(rs.camera_info, name), text)
        self._sensor = device.add_sensor("Stereo Module")
        self._add_streams()
        self._add_options()
        device.create_matcher(rs.matchers.default)
        device.add_to(context)
        self._device = device
        self._thread = threading.Thread(target=self._feed, name=f"feeds {serial}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether the twin still feeds it."""
        return not self._ended.is_set()

    def unplug(self) -> None:
        """Ends the stream and takes the device out of its context. May be called twice."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(2.0)
        self._kept.clear()
        self._device = self._sensor = None

    def _add_streams(self) -> None:
        rs, card = self._rs, self._card
        kinds = [(rs.stream.color, rs.format.rgb8, 3)]
        if card.depth:
            kinds.append((rs.stream.depth, rs.format.z16, 2))
            self._sensor.add_read_only_option(rs.option.depth_units, DEPTH_UNIT_M)
        for number, rate in enumerate(card.rates_hz):
            pair = [self._sensor.add_video_stream(self._stream(*kind, rate), number == 0) for kind in kinds]
            if card.depth:
                same = rs.extrinsics()
                same.rotation, same.translation = [1, 0, 0, 0, 1, 0, 0, 0, 1], [0, 0, 0]
                pair[1].register_extrinsics_to(pair[0], same)
                pair[0].register_extrinsics_to(pair[1], same)

    def _stream(self, kind: Any, form: Any, pixel_bytes: int, rate_hz: int) -> Any:
        rs, card = self._rs, self._card
        intrinsics = rs.intrinsics()
        intrinsics.width, intrinsics.height = card.width_px, card.height_px
        intrinsics.fx, intrinsics.fy = card.fx_px, card.fy_px
        # The library has pixel i's middle at i, where we have it at i + 0.5.
        intrinsics.ppx, intrinsics.ppy = card.cx_px - 0.5, card.cy_px - 0.5
        intrinsics.model, intrinsics.coeffs = rs.distortion.none, [0.0] * 5
        stream = rs.video_stream()
        stream.type, stream.fmt, stream.bpp = kind, form, pixel_bytes
        stream.index, stream.uid = 0, 2 * rate_hz + (0 if pixel_bytes == 3 else 1)
        stream.width, stream.height, stream.fps = card.width_px, card.height_px, rate_hz
        stream.intrinsics = intrinsics
        return stream

    def _add_options(self) -> None:
        option = self._rs.option
        for kind, least, most, step, default in (
            (option.enable_auto_exposure, 0, 1, 1, 1),
            (option.exposure, 1, 165000, 1, 33000),
            (option.enable_auto_white_balance, 0, 1, 1, 1),
            (option.white_balance, 2800, 6500, 10, 4600),
        ):
            limits = self._rs.option_range()
            limits.min, limits.max, limits.step, limits.default = least, most, step, default
            self._sensor.add_option(kind, limits, True)

    # --- in the thread ---

    def _feed(self) -> None:
        try:
            streams = self._await_start()
            while streams:
                self._pass_on(streams)
        except (WireError, OSError) as error:
            if not self._ended.is_set():
                self.why_gone = str(error) if isinstance(error, WireError) else f"the connection broke: {error}"
        finally:
            self._ended.set()
            self._connection.close()
            # The device vanishes from its context with the last that holds it, as if its cable were pulled.
            self._kept.clear()
            self._device = self._sensor = None

    def _await_start(self) -> dict[str, Any]:
        """Waits until a pipeline has opened streams, and asks the twin for these; none if it is unplugged first."""
        rs = self._rs
        while not self._ended.wait(0.005):
            opened = [each.as_video_stream_profile() for each in self._sensor.get_active_streams()]
            if opened:
                streams = {("depth" if each.stream_type() == rs.stream.depth else "colour"): each for each in opened}
                rate = max(each.fps() for each in opened)
                send(self._connection, {"camera": self._card.name, "rate_hz": rate, "depth": "depth" in streams})
                return streams
            self._notice_hang_up()
        return {}

    def _notice_hang_up(self) -> None:
        self._connection.settimeout(0.0)
        try:
            if not self._connection.recv(1, socket.MSG_PEEK):
                raise WireError("the twin hung up")
        except BlockingIOError:
            pass
        finally:
            self._connection.settimeout(ANSWER_S)

    def _pass_on(self, streams: dict[str, Any]) -> None:
        """Receives one frame and hands it to the library, which gives it to the pipeline if one is running."""
        self._connection.settimeout(None)  # a stream that stands still is not broken; `unplug` shuts it down
        header = receive(self._connection, FrameHeader)
        self._connection.settimeout(ANSWER_S)
        image, depth = receive_pixels(self._connection, self._card, depth="depth" in streams)
        if "colour" in streams:
            self._hand_over(streams["colour"], full_image(self._card, image, GREY), 3, header)
        if depth is not None:
            self._hand_over(streams["depth"], full_image(self._card, depth, 0), 2, header)

    def _hand_over(self, profile: Any, pixels: Any, pixel_bytes: int, header: FrameHeader) -> None:
        frame = self._rs.software_video_frame()
        frame.pixels, frame.bpp, frame.stride = pixels, pixel_bytes, pixels.shape[1] * pixel_bytes
        frame.timestamp, frame.domain = header.time_s * 1e3, self._rs.timestamp_domain.global_time
        frame.frame_number, frame.profile = header.number, profile
        self._sensor.on_video_frame(frame)


def plug_in(rs: Any, context: Any, serial: str) -> SoftwareCamera:
    """Asks the twin for its camera and plugs it into a context.

    Raises DeviceError if there is no such twin, or it has no such camera plugged in.
    """
    match = TWIN_SERIAL.fullmatch(serial)
    if match is None:
        raise DeviceError(f"{serial!r} is no serial number of a twin's camera", cure="such as twin-127.0.0.2-left")
    address, name = match["address"], match["camera"]
    try:
        connection = socket.create_connection((address, PORT), timeout=ANSWER_S)
    except OSError as error:
        what = f"no twin serves frames at {address}, port {PORT}: {error.strerror or error}"
        raise DeviceError(
            what, cure="start it: `skill twin start`; `skill twin status` lists the twins that run"
        ) from None
    try:
        connection.settimeout(ANSWER_S)
        cards = receive(connection, Greeting).cameras
        for card in cards:
            if card.name == name:
                return SoftwareCamera(rs, context, serial, card, connection)
        near = suggest(name, sorted(card.name for card in cards)) if cards else "its cameras are unplugged"
        raise DeviceError(f"the twin at {address} has no camera {name!r} plugged in", cure=near)
    except (WireError, OSError) as error:
        connection.close()
        what = f"what answers at {address}, port {PORT}, is no frame server of a twin: {error}"
        raise DeviceError(what, cure="see what else uses that port: `ss -ltnp`") from None
    except DeviceError:
        connection.close()
        raise
