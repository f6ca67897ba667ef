"""A broken or hostile frame server is refused, with the reason, and never believed."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from skillcore.errors import DeviceError, StaleFrameError
from skillcore.interfaces import Camera
from skillcore_realsense.wire import PORT

CARD: dict[str, Any] = {
    "name": "left",
    "model": "Intel RealSense D405",
    "usb": "3.2",
    "width_px": 640,
    "height_px": 480,
    "rates_hz": [30],
    "fx_px": 426.0,
    "fy_px": 426.0,
    "cx_px": 320.0,
    "cy_px": 240.0,
    "picture_px": [64, 64],
    "place_px": [192, 112, 256, 256],
    "depth": False,
}
FRAME_BYTES = 64 * 64 * 3


def message(header: Any) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(4, "big") + text


def greeting(**changes: Any) -> bytes:
    return message({"twin": 1, "cameras": [{**CARD, **changes}]})


def frame(number: int, **changes: Any) -> bytes:
    """A frame of now."""
    return message({"number": number, "time_s": time.time(), **changes}) + bytes(FRAME_BYTES)


class Impostor:
    """Says what it is told to whoever connects; `then` after the client has asked for a stream."""

    def __init__(
        self, address: str, first: bytes, then: Callable[[], list[bytes]] | None = None, *, hang_up: bool = True
    ) -> None:
        self.address, self._first, self._then, self._hang_up = address, first, then or list, hang_up
        self._listener = socket.create_server((address, PORT))
        self._clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._clients.append(client)
            try:
                client.sendall(self._first)
                client.settimeout(5.0)
                if self._then is not list:
                    client.recv(4096)
                    for piece in self._then():
                        client.sendall(piece)
                        time.sleep(0.03)
            except OSError:
                continue
            if self._hang_up:
                client.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for client in self._clients:
            client.close()
        self._thread.join(5.0)


@pytest.fixture
def impostor(loopback: str) -> Iterator[Callable[..., Impostor]]:
    """Starts an impostor."""
    started: list[Impostor] = []

    def start(*arguments: Any, **options: Any) -> Impostor:
        started.append(Impostor(loopback, *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        one.close()


def read_for(camera: Camera, seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        camera.read(0.2)
        time.sleep(0.02)


GREETINGS = {
    "web server": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "a header of 1213486160 bytes was announced"),
    "endless header": ((2**32 - 1).to_bytes(4, "big"), "at most 16384 are allowed"),
    "no header": ((0).to_bytes(4, "big"), "at most 16384 are allowed"),
    "no JSON": (message(b"\x80\x04pickled"), "a header is not as agreed"),
    "no object": (message([1, 2]), "a header is not as agreed"),
    "another version": (message({"twin": 2, "cameras": []}), "twin: "),
    "a field too much": (greeting(execute="rm"), "cameras.0.execute: "),
    "a field too few": (message({"twin": 1, "cameras": [{"name": "left"}]}), "cameras.0.model: "),
    "a vast image": (greeting(width_px=10**9), "cameras.0.width_px: "),
    "a vast picture": (greeting(picture_px=[2**40, 64]), "cameras.0.picture_px.0: "),
    "a picture outside": (greeting(place_px=[500, 112, 256, 256]), "lies outside of the image"),
    "a broken zoom": (greeting(place_px=[192, 112, 250, 256]), "no whole multiple"),
    "a picture that shrinks": (greeting(place_px=[192, 112, 32, 32]), "no whole multiple"),
    "no rate": (greeting(rates_hz=[]), "cameras.0.rates_hz: "),
    "a text for a number": (greeting(fx_px="426"), "cameras.0.fx_px: "),
    "too many cameras": (message({"twin": 1, "cameras": [CARD] * 17}), "cameras: "),
    "half a header": (greeting()[:-5], "hung up"),
    "nothing": (b"", "hung up"),
}


@pytest.mark.parametrize("case", GREETINGS)
def test_a_greeting_that_is_none_is_refused(
    impostor: Callable[..., Impostor], make_camera: Callable[..., Any], case: str
) -> None:
    first, reason = GREETINGS[case]
    address = impostor(first).address
    with pytest.raises(DeviceError, match="is no frame server of a twin") as told:
        make_camera(f"twin-{address}-left").connect()
    assert reason in told.value.what
    assert "ss -ltnp" in told.value.cure


def test_a_server_that_says_nothing_is_not_waited_for(
    impostor: Callable[..., Impostor], make_camera: Callable[..., Any]
) -> None:
    address = impostor(b"", hang_up=False).address
    began = time.monotonic()
    with pytest.raises(DeviceError, match="is no frame server of a twin: timed out"):
        make_camera(f"twin-{address}-left").connect()
    assert time.monotonic() - began < 5.0


STREAMS = {
    "a negative number": (lambda: [frame(1), frame(-1)], "number: "),
    "a time of no kind": (lambda: [frame(1), frame(2, time_s="now")], "time_s: "),
    "a time of no meaning": (lambda: [frame(1), message(b'{"number": 2, "time_s": NaN}')], "time_s: "),
    "a field too much": (lambda: [frame(1), frame(2, bytes=10**12)], "bytes: "),
    "an endless header": (lambda: [frame(1), (2**31).to_bytes(4, "big")], "at most 16384 are allowed"),
    "half a picture": (lambda: [frame(1), frame(2)[:-100]], "hung up"),
}


@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_that_breaks_the_rules_is_ended(
    impostor: Callable[..., Impostor], make_camera: Callable[..., Any], case: str
) -> None:
    frames, reason = STREAMS[case]
    camera = make_camera(f"twin-{impostor(greeting(), frames).address}-left", restarts=0)
    camera.connect()
    with pytest.raises(StaleFrameError, match="no longer connected") as told:
        read_for(camera, 20.0)
    assert reason in told.value.what
