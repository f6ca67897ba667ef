"""The simulated peers: they stop, tell of faults and can be cut off, whatever a client sends."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from skillcore.clock import WallClock
from skillcore.errors import DeviceError, StaleFrameError
from skillcore.interfaces import Camera
from skillcore.testing import CameraContract, CameraPeer, Peer, RobotPeer
from skillcore.testing.__main__ import main
from skillcore.testing.promises import connected
from skillcore.types import Frame, Image, Intrinsics, Pose


class NetworkCamera(Camera):
    """The smallest driver of a `CameraPeer`."""

    def __init__(self, peer: CameraPeer) -> None:
        self._peer = peer
        self._client: Client | None = None
        self._intrinsics: Intrinsics | None = None

    def connect(self) -> None:
        self._client = Client(self._peer)
        self._intrinsics = Intrinsics(**self._client.ask(do="intrinsics"))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    @property
    def intrinsics(self) -> Intrinsics:
        assert self._intrinsics is not None
        return self._intrinsics

    def read(self, max_age_s: float) -> Frame:
        if self._client is None:
            raise DeviceError("the camera is not connected")
        try:
            told = self._client.ask(do="frame")
        except OSError as error:
            raise DeviceError("the camera does not answer") from error
        if told["age_s"] > max_age_s:
            raise StaleFrameError("no new frame")
        size = (self.intrinsics.height_px, self.intrinsics.width_px, 3)
        image = np.frombuffer(base64.b64decode(told["rgb"]), np.uint8).reshape(size)
        return Frame(image, None, self.intrinsics, WallClock().now_s() - told["age_s"], told["number"])


class TestNetworkCamera(CameraContract):
    """All promises can be kept over the peer. Frames may be older than in a cell: the machine may be busy."""

    max_age_s = 0.5
    slack_s = 0.5

    @pytest.fixture(autouse=True)
    def _peer(self) -> Iterator[None]:
        with CameraPeer() as self.peer:
            yield

    def make_camera(self) -> Camera:
        return NetworkCamera(self.peer)

    def shows(self, camera: Camera) -> Image:
        return self.peer.hold()

    def freeze(self, camera: Camera) -> bool:
        self.peer.is_frozen = True
        return True

    def cut_off(self, camera: Camera) -> bool:
        self.peer.cut_off()
        return True


@pytest.mark.parametrize("turned", [(slice(None), slice(None), slice(None, None, -1)), slice(None, None, -1)])
def test_a_camera_that_swaps_colours_or_rows_is_found(turned: Any) -> None:
    class Swapped(NetworkCamera):
        def read(self, max_age_s: float) -> Frame:
            frame = super().read(max_age_s)
            return replace(frame, image=np.ascontiguousarray(frame.image[turned]))

    with CameraPeer() as peer, connected(Swapped(peer)) as camera:
        suite = TestNetworkCamera()
        suite.peer = peer
        with pytest.raises(pytest.fail.Exception, match=r"Frame\.image is RGB"):
            suite.test_colours_are_red_green_and_blue(camera, WallClock())


class Client:
    """Says something to a peer and hears what it answers."""

    def __init__(self, peer: Peer) -> None:
        self._socket = socket.create_connection((peer.address, peer.port), 20.0)
        self._stream = self._socket.makefile("rwb")

    def say(self, line: bytes) -> dict[str, Any]:
        self._stream.write(line + b"\n")
        self._stream.flush()
        answer = self._stream.readline()
        if not answer:
            raise ConnectionResetError("hung up")
        return dict(json.loads(answer))

    def ask(self, **request: Any) -> dict[str, Any]:
        return self.say(json.dumps(request).encode())

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what could not be sent any more
            self._stream.close()
        self._socket.close()


@contextmanager
def client_of(peer: Peer) -> Iterator[Client]:
    client = Client(peer)
    try:
        yield client
    finally:
        client.close()


def ahead(told: dict[str, Any]) -> Pose:
    pose = Pose.from_rotvec(told["tcp_from_base"][:3], told["tcp_from_base"][3:])
    return pose @ Pose.from_xyz_yaw(0.0, 0.0, -0.05, 0.0)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"no json",
        b"[]",
        b"7",
        b"{}",
        b'{"do": "dance"}',
        b'{"do": "servo", "to": [1, 2]}',
        b'{"do": "move"}',
        b'{"do": "move", "to": [0.5, 0, 0.2, 0, 0, 0], "speed_m_s": 0, "force_limit_n": 20}',
        b'{"do": "move", "to": [0.5, 0, 0.2, 0, 0, 0], "speed_m_s": -1, "force_limit_n": 20}',
    ],
)
def test_what_is_not_understood_is_refused_and_the_next_request_served(line: bytes) -> None:
    with RobotPeer() as robot, client_of(robot) as client:
        answer = client.say(line)
        assert "not understood" in answer["error"]
        assert answer["is_fault"] is False
        assert client.ask(do="state")["fault"] is None


def test_a_robot_that_is_told_to_stop_stops() -> None:
    with RobotPeer() as robot, client_of(robot) as client:
        goal = ahead(client.ask(do="state")).as_vector().tolist()
        client.ask(do="move", to=goal, speed_m_s=0.001, force_limit_n=20.0)
        assert client.ask(do="state")["is_moving"]
        client.ask(do="stop")
        assert not client.ask(do="state")["is_moving"]


def test_a_robot_whose_client_goes_stops() -> None:
    with RobotPeer() as robot:
        with client_of(robot) as client:
            goal = ahead(client.ask(do="state")).as_vector().tolist()
            client.ask(do="move", to=goal, speed_m_s=0.001, force_limit_n=20.0)
        with client_of(robot) as client:
            # It has noticed when the second client is served: clients are let go in turn.
            for _ in range(1000):
                if not client.ask(do="state")["is_moving"]:
                    return
        pytest.fail("it goes on without a client")


def test_faults_are_told_and_refuse_motions_until_it_recovers() -> None:
    with RobotPeer() as robot, client_of(robot) as client:
        robot.fault("joint 3 is too hot")
        told = client.ask(do="state")
        assert told["fault"] == "joint 3 is too hot"
        refused = client.ask(do="servo", to=told["tcp_from_base"], duration_s=0.1, force_limit_n=20.0)
        assert refused == {"error": "joint 3 is too hot", "is_fault": True}
        client.ask(do="recover")
        assert client.ask(do="state")["fault"] is None


def test_a_robot_that_is_blocked_presses_as_hard_as_it_may() -> None:
    with RobotPeer() as robot, client_of(robot) as client:
        client.ask(do="zero")
        start = client.ask(do="state")["tcp_from_base"]
        goal = robot.block(ahead({"tcp_from_base": start})).as_vector().tolist()
        client.ask(do="servo", to=goal, duration_s=0.0, force_limit_n=12.0)
        told = client.ask(do="state")
        assert np.linalg.norm(told["force_n"]) == pytest.approx(12.0)
        assert told["force_n"][2] > 0.0, "it is pushed forward, out of the wall behind"
        assert abs(told["tcp_from_base"][2] - start[2]) == pytest.approx(0.025)


def test_a_robot_must_be_zeroed() -> None:
    with RobotPeer() as robot, client_of(robot) as client:
        assert np.linalg.norm(client.ask(do="state")["force_n"]) > 3.0
        client.ask(do="zero")
        assert client.ask(do="state")["force_n"] == [0.0, 0.0, 0.0]


def test_a_peer_that_is_cut_off_answers_again_when_it_is_mended() -> None:
    with RobotPeer() as robot:
        with client_of(robot) as client:
            client.ask(do="state")
            robot.cut_off()
            with pytest.raises(OSError):
                client.ask(do="state")
        with pytest.raises(ConnectionRefusedError):
            Client(robot)
        robot.mend()
        with client_of(robot) as client:
            assert client.ask(do="limits")["force_n"] > 0.0


def test_a_port_that_is_taken_is_told_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with RobotPeer() as robot:
        monkeypatch.setattr(sys, "argv", ["testing", "--port", str(robot.port)])
        with pytest.raises(SystemExit) as caught:
            main()
    assert caught.value.code == 2
    assert f"cannot listen on port {robot.port}" in capsys.readouterr().err


def test_a_camera_delivers_frames_until_it_freezes() -> None:
    with CameraPeer(rate_hz=1000.0) as camera, client_of(camera) as client:
        sizes = client.ask(do="intrinsics")
        first = client.ask(do="frame")
        while (second := client.ask(do="frame"))["number"] == first["number"]:
            pass
        assert second["rgb"] != first["rgb"]
        assert len(second["rgb"]) == 4 * sizes["width_px"] * sizes["height_px"]
        camera.is_frozen = True
        third, fourth = client.ask(do="frame"), client.ask(do="frame")
        assert third["number"] == fourth["number"]
        assert fourth["age_s"] >= third["age_s"]
        assert "not understood" in client.ask(do="dance")["error"]
