"""The frame server of a twin: what it serves, to whom, and that no client can disturb it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from skillcore.errors import DeviceError, InputError, UnknownNameError
from skillcore.types import Frame, Intrinsics
from skillcore_realsense.wire import FrameHeader, Greeting, WireError, receive, receive_pixels, send
from skillcore_twin.frames import MOST_CLIENTS, PORT, FrameServer


class World:
    """Draws grey squares, each a little brighter; `broken` makes it raise."""

    def __init__(self, size_px: int = 64) -> None:
        self.size_px, self.drawn, self.broken = size_px, 0, False
        self.lock = threading.Lock()

    def frame(self, name: str) -> Frame:
        with self.lock:
            if self.broken:
                raise ValueError("the world has ended")
            self.drawn += 1
            size = self.size_px
            image = np.full((size, size, 3), self.drawn % 256, np.uint8)
            depth = np.full((size, size), 0.0801, np.float32)
            return Frame(image, depth, Intrinsics(size, size, 100.0, 100.0, 32.0, 32.0), 0.0, 1)


class Client:
    """Speaks as a camera does."""

    def __init__(self, address: str) -> None:
        self.socket = socket.create_connection((address, PORT), timeout=5.0)
        try:
            self.cards = {card.name: card for card in receive(self.socket, Greeting).cameras}
        except (WireError, OSError):
            self.socket.close()
            raise

    def ask(self, camera: str = "a", *, rate_hz: int = 30, depth: bool = False) -> None:
        self.camera, self.depth = camera, depth
        send(self.socket, {"camera": camera, "rate_hz": rate_hz, "depth": depth})

    def next(self) -> tuple[FrameHeader, Any, Any]:
        header = receive(self.socket, FrameHeader)
        return header, *receive_pixels(self.socket, self.cards[self.camera], depth=self.depth)

    def receive_for(self, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            self.next()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def server(world: World, loopback: str) -> Iterator[FrameServer]:
    server = FrameServer("ab", world.frame, address=loopback)
    server.start()
    yield server
    server.close()
    server.close()


@pytest.fixture
def connect(server: FrameServer) -> Iterator[Callable[[], Client]]:
    """Makes clients, and lets go of them afterwards."""
    made: list[Client] = []

    def make() -> Client:
        made.append(Client(server.address))
        return made[-1]

    yield make
    for client in made:
        client.socket.close()


def test_it_streams_what_the_world_draws(connect: Callable[[], Client]) -> None:
    client = connect()
    assert set(client.cards) == {"a", "b"}
    assert client.cards["a"].place_px == (192, 112, 256, 256)
    client.ask(depth=True)
    before = time.time()
    received = [client.next() for _ in range(4)]
    numbers = [header.number for header, _, _ in received]
    assert numbers == sorted(set(numbers))
    for header, image, depth in received:
        assert image.shape == (64, 64, 3)
        assert len(np.unique(image)) == 1
        assert (depth == 801).all()
        assert before - 1.0 < header.time_s < time.time()


def test_it_draws_only_while_somebody_looks(world: World, connect: Callable[[], Client]) -> None:
    time.sleep(0.3)
    idle = world.drawn
    assert idle == 2  # to know how large its pictures are
    client = connect()
    time.sleep(0.3)
    assert world.drawn == idle
    client.ask()
    client.next()
    client.socket.close()
    deadline = time.monotonic() + 10.0
    while True:
        drawn = world.drawn
        time.sleep(0.5)
        if world.drawn == drawn:
            return
        assert time.monotonic() < deadline, "it goes on drawing for nobody"


def test_a_slower_client_gets_fewer_frames(connect: Callable[[], Client]) -> None:
    fast, slow = connect(), connect()
    fast.ask("a", rate_hz=30)
    slow.ask("b", rate_hz=15)
    numbers: dict[str, list[int]] = {"fast": [], "slow": []}
    for _ in range(8):
        numbers["slow"].append(slow.next()[0].number)
    for _ in range(8):
        numbers["fast"].append(fast.next()[0].number)
    steps = {name: float(np.median(np.diff(each))) for name, each in numbers.items()}
    assert steps == {"fast": 1.0, "slow": 2.0}


def test_a_world_that_fails_makes_its_cameras_stand_still(
    world: World, server: FrameServer, connect: Callable[[], Client]
) -> None:
    client = connect()
    client.ask()
    client.next()
    world.broken = True
    client.socket.settimeout(0.4)
    with pytest.raises(TimeoutError):
        client.receive_for(20.0)
    assert server.failure == "ValueError: the world has ended"
    world.broken = False
    client.socket.settimeout(5.0)
    client.next()
    assert server.failure == ""


def test_faults_are_told_and_end(server: FrameServer, connect: Callable[[], Client]) -> None:
    server.freeze("a")
    server.delay("a", 1.0)
    server.unplug("b")
    server.plug_into_usb_2("a")
    assert server.faults() == {"a": ["frozen", "delayed by 1 s", "on USB 2"], "b": ["unplugged"]}
    assert {name: card.usb for name, card in connect().cards.items()} == {"a": "2.1"}
    server.freeze("a", on=False)
    server.plug_into_usb_2("a", on=False)
    server.unplug("b", on=False)
    assert server.faults() == {"a": ["delayed by 1 s"], "b": []}
    server.restore("a")
    assert server.faults() == {"a": [], "b": []}
    assert {name: card.usb for name, card in connect().cards.items()} == {"a": "3.2", "b": "3.2"}
    with pytest.raises(UnknownNameError, match="there is no camera named 'c'"):
        server.freeze("c")
    with pytest.raises(InputError, match="a delay of 60 s"):
        server.delay("a", 60.0)


def test_every_fault_begins_and_ends_by_its_name(server: FrameServer) -> None:
    known = server.known_faults()
    assert set(known) == {f"{name}_{what}" for name in "ab" for what in ("frozen", "unplugged", "late", "usb2")}
    assert len({fault.summary for fault in known.values()}) == len(known)
    told = {"frozen": "frozen", "unplugged": "unplugged", "late": "delayed by 1 s", "usb2": "on USB 2"}
    for name, fault in known.items():
        camera, _, what = name.partition("_")
        fault.begin()
        assert server.faults() == {"a": [], "b": [], camera: [told[what]]}
        fault.end()
        assert server.faults() == {"a": [], "b": []}


def test_an_unplugged_camera_hangs_up(server: FrameServer, connect: Callable[[], Client]) -> None:
    gone, other = connect(), connect()
    gone.ask("a")
    other.ask("b")
    gone.next()
    server.unplug("a")
    with pytest.raises((WireError, OSError)):
        gone.receive_for(20.0)
    other.next()


def message(text: str) -> bytes:
    return len(text).to_bytes(4, "big") + text.encode()


REQUESTS = {
    "no JSON": b"\x00\x00\x00\x04\x80\x04.c",
    "endless": b"\xff\xff\xff\xff" + bytes(100),
    "a web browser": b"GET / HTTP/1.1\r\n\r\n",
    "a field too much": message('{"camera": "a", "rate_hz": 30, "depth": false, "eval": ""}'),
    "no such camera": message('{"camera": "zz", "rate_hz": 30, "depth": false}'),
    "no such rate": message('{"camera": "a", "rate_hz": 31, "depth": false}'),
    "half a header": b"\x00\x00",
}


@pytest.mark.parametrize("case", REQUESTS)
def test_who_speaks_something_else_is_hung_up_on(connect: Callable[[], Client], case: str) -> None:
    client, bystander = connect(), connect()
    bystander.ask()
    client.socket.sendall(REQUESTS[case])
    with contextlib.suppress(ConnectionError):  # what it has not read of a request, it answers so
        if case == "half a header":
            client.socket.shutdown(socket.SHUT_WR)
        assert client.socket.recv(1) == b""
    bystander.next()


def test_there_is_a_limit_to_clients(connect: Callable[[], Client]) -> None:
    clients = [connect() for _ in range(MOST_CLIENTS)]
    with pytest.raises((WireError, OSError)):
        connect()
    clients[0].ask()
    clients[0].next()


def test_two_twins_need_two_addresses(server: FrameServer, world: World) -> None:
    with pytest.raises(DeviceError, match=f"frames cannot be served at {server.address}, port {PORT}") as told:
        FrameServer("ab", world.frame, address=server.address).start()
    assert "loopback address of its own" in told.value.cure


def test_pictures_too_large_for_the_camera_are_refused() -> None:
    with pytest.raises(DeviceError, match="camera a draws 512x512"):
        FrameServer("ab", World(512).frame)
    assert FrameServer("ab", World(480).frame).faults() == {"a": [], "b": []}
