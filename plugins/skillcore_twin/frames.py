"""The cameras of a twin: serves what a simulated world looks like on a loopback address, and fails on purpose.

The protocol is written down in `skillcore_realsense/wire.py`, which has the camera's side of it.

    server = FrameServer(("left", "right"), world.frame, address="127.0.0.2")
    server.start()
    server.freeze("left"); server.unplug("left"); server.delay("left", 1.0); server.restore("left")
    server.close()

The world draws small pictures. They are sent as they are, with their place in the full image of the camera that is
played: a D405 at 640 x 480, of which the rest is grey. Enlarging is left to the other side, so that a frame costs what
drawing it costs, and no more.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field, ValidationError

from skillcore.config import StrictModel
from skillcore.errors import DeviceError, InputError, UnknownNameError
from skillcore.types import Frame, Intrinsics

PORT = 29990
MODEL = "Intel RealSense D405"
WIDTH_PX, HEIGHT_PX = 640, 480
ZOOM = 4
"""A picture of 64 x 64 takes the middle 256 x 256 of the full image, which gives a D405's focal length there."""
RATES_HZ = (15, 30)
USB = "3.2"
MAX_HEADER_BYTES = 4096
REQUEST_S = 60.0
"""How long a client may be connected without asking for a stream."""
SEND_S = 1.0
"""How long a client may take to receive a frame."""
MOST_CLIENTS = 16
LONGEST_DELAY_S = 2.0
LATE_S = 1.0
"""How late frames come if that is caused by name."""
LONGEST_LAG_S = 0.1
"""What drawing has missed by more than this, because the world was slow, is not made up for."""
DEPTH_UNITS_IN_M = 10000.0


class CameraFault(NamedTuple):
    """A fault that a camera can have on purpose: what happens, and how it begins and ends."""

    summary: str
    begin: Callable[[], None]
    end: Callable[[], None]


class Request(StrictModel):
    """What a client asks for."""

    camera: Annotated[str, Field(max_length=64)]
    rate_hz: Annotated[int, Field(ge=1, le=120)]
    depth: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Picture:
    time_s: float
    colour: bytes
    depth: bytes


@dataclass(slots=True)
class _State:
    """What is wrong with a camera on purpose, and its last pictures."""

    frozen: bool = False
    unplugged: bool = False
    delay_s: float = 0.0
    usb: str = USB
    number: int = 0
    pictures: deque[_Picture] = field(default_factory=lambda: deque(maxlen=int(LONGEST_DELAY_S * max(RATES_HZ)) + 1))


class FrameServer:
    """Draws while somebody looks, at the highest rate that was asked for, and streams to all who asked.

    names: of the cameras. newest: returns what the camera of that name sees now; called from a thread of the server,
    for one camera at a time and evenly spread, so that a world that it locks is locked for short times only.
    The frames' own times and numbers are those of a simulated clock: what is sent is timed by the Unix clock and
    numbered here. If `newest` raises, the cameras stand still, and `failure` says why.
    """

    def __init__(self, names: Sequence[str], newest: Callable[[str], Frame], *, address: str = "127.0.0.2") -> None:
        self._newest = newest
        self.address = address
        self.failure = ""
        self._cards = {name: _card(name, newest(name)) for name in names}
        self._states = {name: _State() for name in names}
        self._watching: dict[socket.socket, Request | None] = {}
        self._changed = threading.Condition()
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins to listen. Raises DeviceError if the address cannot be used."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.address, PORT))
            listener.listen(MOST_CLIENTS)
        except OSError as error:
            listener.close()
            raise DeviceError(
                f"frames cannot be served at {self.address}, port {PORT}: {error.strerror}",
                cure="another twin may run there: `skill twin status`; a twin needs a loopback address of its own",
            ) from None
        self._listener = listener
        for work in (self._accept, self._draw):
            self._threads.append(threading.Thread(target=work, name=f"frames {work.__name__}", daemon=True))
            self._threads[-1].start()

    def close(self) -> None:
        """Hangs up on everybody. May be called twice."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        with self._changed:
            clients = list(self._watching)
            self._changed.notify_all()
        for client in clients:
            _hang_up(client)
        for thread in self._threads:
            thread.join(2.0)

    # --- faults, caused on purpose ---

    def freeze(self, name: str, *, on: bool = True) -> None:
        """The camera stays connected and sends nothing more. Raises UnknownNameError, as all of these do."""
        self._change(name, frozen=on)

    def unplug(self, name: str, *, on: bool = True) -> None:
        """The camera is gone: its stream ends, and it is not listed any more."""
        self._change(name, unplugged=on)
        with self._changed:
            clients = [client for client, wish in self._watching.items() if wish is not None and wish.camera == name]
        for client in clients if on else ():
            _hang_up(client)

    def delay(self, name: str, seconds: float) -> None:
        """The camera sends frames that are so old already, up to 2 s, under new numbers. Raises InputError above."""
        if not 0.0 <= seconds <= LONGEST_DELAY_S:
            raise InputError(f"a delay of {seconds:g} s", cure=f"from 0 to {LONGEST_DELAY_S:g} s")
        self._change(name, delay_s=seconds)

    def plug_into_usb_2(self, name: str, *, on: bool = True) -> None:
        """From its next connection on, the camera says that it hangs on a USB 2 port."""
        self._change(name, usb="2.1" if on else USB)

    def restore(self, name: str) -> None:
        """Ends whatever was wrong with the camera on purpose."""
        self._change(name, frozen=False, unplugged=False, delay_s=0.0, usb=USB)

    def known_faults(self) -> dict[str, CameraFault]:
        """Every fault of every camera, by a name such as `left_frozen`, for a list of faults that a twin can have."""
        found: dict[str, CameraFault] = {}
        for name in self._states:
            found |= {
                f"{name}_frozen": CameraFault(
                    f"camera {name} is connected and sends nothing",
                    partial(self.freeze, name),
                    partial(self.freeze, name, on=False),
                ),
                f"{name}_unplugged": CameraFault(
                    f"the cable of camera {name} is out",
                    partial(self.unplug, name),
                    partial(self.unplug, name, on=False),
                ),
                f"{name}_late": CameraFault(
                    f"the frames of camera {name} come {LATE_S:g} s late",
                    partial(self.delay, name, LATE_S),
                    partial(self.delay, name, 0.0),
                ),
                f"{name}_usb2": CameraFault(
                    f"camera {name} hangs on a USB 2 port, from its next connection on",
                    partial(self.plug_into_usb_2, name),
                    partial(self.plug_into_usb_2, name, on=False),
                ),
            }
        return found

    def faults(self) -> dict[str, list[str]]:
        """What is wrong on purpose, by camera; nothing for a camera that is well."""
        with self._changed:
            return {
                name: [
                    word
                    for word, holds in (
                        ("frozen", state.frozen),
                        ("unplugged", state.unplugged),
                        (f"delayed by {state.delay_s:g} s", state.delay_s > 0.0),
                        ("on USB 2", state.usb != USB),
                    )
                    if holds
                ]
                for name, state in self._states.items()
            }

    def _change(self, name: str, **changes: Any) -> None:
        if name not in self._states:
            raise UnknownNameError("camera", name, self._states, where=f"the twin at {self.address}")
        with self._changed:
            for key, value in changes.items():
                setattr(self._states[name], key, value)
            self._changed.notify_all()

    # --- in threads ---

    def _accept(self) -> None:
        while (listener := self._listener) is not None:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # closed
            with self._changed:
                busy = len(self._watching) >= MOST_CLIENTS
                if not busy:
                    self._watching[client] = None
            if busy:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), name="frames client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Greets one client, waits for its request and streams until one of both hangs up."""
        try:
            client.settimeout(SEND_S)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                plugged = [name for name, state in self._states.items() if not state.unplugged]
                cards = [{**self._cards[name], "usb": self._states[name].usb} for name in plugged]
            _send(client, {"twin": 1, "cameras": cards})
            request = _receive_request(client)
            if request is None or not self._can_serve(request):
                return
            with self._changed:
                self._watching[client] = request
                self._changed.notify_all()
            self._stream(client, request)
        except (OSError, ValidationError):
            pass  # a client that went away or speaks something else concerns nobody else
        finally:
            with self._changed:
                self._watching.pop(client, None)
            client.close()

    def _can_serve(self, request: Request) -> bool:
        card = self._cards.get(request.camera)
        return card is not None and request.rate_hz in RATES_HZ and (card["depth"] or not request.depth)

    def _stream(self, client: socket.socket, request: Request) -> None:
        state, last, due_s = self._states[request.camera], -1, 0.0
        least_s = 0.75 / request.rate_hz
        while self._listener is not None:
            with self._changed:
                if state.unplugged:
                    return
                picture = None if state.frozen else _newest_of(state)
                if picture is None or state.number == last:
                    self._changed.wait(0.1)
                    continue
                last = state.number
            # Drawing goes at the highest rate asked for; whoever asked for less gets every second picture or so.
            if time.monotonic() < due_s:
                continue
            due_s = time.monotonic() + least_s
            _send(client, {"number": last, "time_s": picture.time_s}, picture.colour)
            if request.depth:
                client.sendall(picture.depth)

    def _draw(self) -> None:
        """Draws each camera that somebody watches, one after the other."""
        next_s = time.monotonic()
        while self._listener is not None:
            with self._changed:
                wishes = [wish for wish in self._watching.values() if wish is not None]
                if not wishes:
                    self._changed.wait(0.5)
                    next_s = time.monotonic()
                    continue
            watched = sorted({wish.camera for wish in wishes})
            period_s = 1.0 / (max(wish.rate_hz for wish in wishes) * len(watched))
            for name in watched:
                self._draw_one(name)
                next_s = max(next_s + period_s, time.monotonic() - LONGEST_LAG_S)
                time.sleep(max(0.0, next_s - time.monotonic()))

    def _draw_one(self, name: str) -> None:
        time_s = time.time()
        try:
            picture = _picture(time_s, self._newest(name))
        except Exception as error:  # noqa: BLE001 - whatever the world raises, its cameras stand still
            self.failure = f"{type(error).__name__}: {error}"
            return
        self.failure = ""
        with self._changed:
            self._states[name].pictures.append(picture)
            self._states[name].number += 1
            self._changed.notify_all()


def _card(name: str, frame: Frame) -> dict[str, Any]:
    """How a camera is introduced. Raises DeviceError if its pictures are too large for the camera that is played."""
    seen: Intrinsics = frame.intrinsics
    zoom = min(ZOOM, WIDTH_PX // seen.width_px, HEIGHT_PX // seen.height_px)
    if zoom < 1:
        raise DeviceError(
            f"camera {name} draws {seen.width_px}x{seen.height_px}, more than the {WIDTH_PX}x{HEIGHT_PX} of a twin's",
            cure="lower its size_px in the file of the simulated cell",
        )
    width, height = zoom * seen.width_px, zoom * seen.height_px
    left, top = (WIDTH_PX - width) // 2, (HEIGHT_PX - height) // 2
    return {
        "name": name,
        "model": MODEL,
        "width_px": WIDTH_PX,
        "height_px": HEIGHT_PX,
        "rates_hz": list(RATES_HZ),
        "fx_px": zoom * seen.fx_px,
        "fy_px": zoom * seen.fy_px,
        "cx_px": left + zoom * seen.cx_px,
        "cy_px": top + zoom * seen.cy_px,
        "picture_px": [seen.width_px, seen.height_px],
        "place_px": [left, top, width, height],
        "depth": frame.depth_m is not None,
    }


def _picture(time_s: float, frame: Frame) -> _Picture:
    depth = b""
    if frame.depth_m is not None:
        units = np.clip(frame.depth_m * DEPTH_UNITS_IN_M + 0.5, 0.0, 65535.0)
        depth = units.astype("<u2").tobytes()
    return _Picture(time_s, np.ascontiguousarray(frame.image).tobytes(), depth)


def _newest_of(state: _State) -> _Picture | None:
    """The newest picture that the camera's delay lets through; called with the lock held."""
    latest = time.time() - state.delay_s
    for picture in reversed(state.pictures):
        if picture.time_s <= latest:
            return picture
    return None


def _receive_request(client: socket.socket) -> Request | None:
    """What the client asks for; None if it hung up. Raises ValidationError or OSError for anything else."""
    client.settimeout(REQUEST_S)
    head = _exactly(client, 4)
    if head is None:
        return None
    client.settimeout(SEND_S)
    length = int.from_bytes(head, "big")
    text = _exactly(client, length) if length <= MAX_HEADER_BYTES else None
    return None if text is None else Request.model_validate_json(text)


def _exactly(client: socket.socket, length: int) -> bytes | None:
    received = b""
    while len(received) < length:
        piece = client.recv(length - len(received))
        if not piece:
            return None
        received += piece
    return received


def _send(client: socket.socket, header: Mapping[str, Any], raw: bytes = b"") -> None:
    text = json.dumps(header).encode()
    client.sendall(len(text).to_bytes(4, "big") + text + raw)


def _hang_up(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
