"""Simulated peers: what a driver talks to where no device is at hand. They serve lines of JSON over TCP, in real time.

    with RobotPeer() as robot:
        arm = MyArm(MyOptions(address=robot.address, port=robot.port))

A request is an object on a line of its own, and so is its answer. An answer with `error` says what was refused, and
with `is_fault` whether because of a fault.

`RobotPeer`, a robot controller. Poses are six numbers, position in m and rotation vector in rad, seen from the base:

    {"do": "state"}   {"tcp_from_base": [6], "twist": [6], "force_n": [3], "torque_nm": [3], "fault": null or a text,
                       "is_moving": bool, "age_s": how old the reading is}
    {"do": "limits"}  {"speed_m_s": ..., "turn_speed_rad_s": ..., "force_n": ...}
    {"do": "move", "to": [6], "speed_m_s": ..., "force_limit_n": ...}      begins; stops with a fault on more force
    {"do": "servo", "to": [6], "duration_s": ..., "force_limit_n": ...}    {"to": [6]}: the target really set
    {"do": "zero"}    makes the present wrench the zero of later readings
    {"do": "stop"}    {"do": "recover"}

`CameraPeer`, a camera:

    {"do": "intrinsics"}  {"width_px": ..., "height_px": ..., "fx_px": ..., "fy_px": ..., "cx_px": ..., "cy_px": ...}
    {"do": "frame"}       {"number": ..., "age_s": ..., "rgb": rows of pixels from the top, three bytes each, in base64}

A controller that speaks otherwise: derive from a peer and write `serve`, which has the connection.

    python -m skillcore.testing --port 30100      a robot to connect to, until Ctrl-C
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
from abc import ABC, abstractmethod
from dataclasses import asdict
from types import TracebackType
from typing import Any, Self

import numpy as np

from skillcore.clock import WallClock
from skillcore.errors import ArmFaultError, SkillcoreError
from skillcore.testing.fakes import FakeArm
from skillcore.types import Image, Intrinsics, Pose

ABOVE = Pose.from_rotvec([0.5, 0.0, 0.13], [np.pi, 0.0, 0.0])
"""Where the robot of a peer stands at first: the tool points down, 30 mm above the fixture of the packaged cells."""
LOOPBACK = "127.0.0.1"


class Peer(ABC):
    """Serves lines of JSON on a port of its own for as long as the `with` block lasts."""

    def __init__(self, *, port: int = 0) -> None:
        self.address = LOOPBACK
        self.port = port
        self._lock = threading.RLock()
        self._listening: socket.socket | None = None
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    @abstractmethod
    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What is answered to a request. Raises SkillcoreError, KeyError, TypeError or ValueError to refuse it."""

    def client_gone(self) -> None:
        """A client has gone, or was cut off."""
        return

    def serve(self, connection: socket.socket) -> None:
        """Serves a client until it goes."""
        with connection.makefile("rwb") as stream:
            for line in stream:
                stream.write(json.dumps(self._answered(line)).encode() + b"\n")
                stream.flush()

    def cut_off(self) -> None:
        """As if the cable were pulled: drops all clients and accepts none, until `mend`."""
        listening, self._listening = self._listening, None
        with self._lock:
            connections = [*self._connections]
        for one in (listening, *connections):
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if listening is not None:
            listening.close()

    def mend(self) -> None:
        """Accepts clients again, on the same port."""
        if self._listening is None:
            self._listening = socket.create_server((self.address, self.port))
            self.port = int(self._listening.getsockname()[1])
            self._begin(self._accept, self._listening)

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cut_off()

    def _begin(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:  # cut off
                return
            with self._lock:
                if self._listening is not listening:
                    connection.close()
                    return
                self._connections.add(connection)
            self._begin(self._attend, connection)

    def _attend(self, connection: socket.socket) -> None:
        try:
            # A client that goes in the middle of a line is no fault of the peer.
            with contextlib.suppress(OSError):
                self.serve(connection)
        finally:
            with self._lock:
                self._connections.discard(connection)
                self.client_gone()
            connection.close()

    def _answered(self, line: bytes) -> dict[str, Any]:
        try:
            with self._lock:
                return self.answer(json.loads(line))
        except SkillcoreError as error:
            return {"error": error.what, "is_fault": isinstance(error, ArmFaultError)}
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"not understood: {type(error).__name__}: {error}", "is_fault": False}


class RobotPeer(Peer):
    """A robot controller in software. Tests use its `arm` to cause faults, and say with `block` what is in its way.

    It stops when its client goes. Its force sensor is off by 4 N until it is zeroed.
    """

    def __init__(self, *, port: int = 0, tcp_from_base: Pose = ABOVE) -> None:
        super().__init__(port=port)
        self.arm = FakeArm(WallClock(), tcp_from_base)
        self.arm.force_n = np.array([0.0, 0.0, 4.0])
        self.arm.connect()
        self._free_motion_n = np.inf

    def block(self, tcp_from_base: Pose) -> Pose:
        """Puts a wall halfway to a pose and across the way to it. Returns the pose."""
        with self._lock:
            self.arm.block(tcp_from_base)
        return tcp_from_base

    def fault(self, text: str = "protective stop") -> None:
        """Lets the controller stop, and report a fault until it is told to recover."""
        with self._lock:
            self.arm.stop()
            self.arm.fault = text

    def client_gone(self) -> None:
        self.arm.stop()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        self._watch_force()
        match request["do"]:
            case "state":
                return self._state()
            case "limits":
                return asdict(self.arm.limits)
            case "move":
                goal = _pose(request["to"])
                distance = float(np.linalg.norm(goal.position_m - self.arm.tcp_from_base.position_m))
                speed = float(request["speed_m_s"])
                if not speed > 0.0:
                    raise ValueError("speed_m_s is greater than 0")
                self.arm.servo_to(goal, duration_s=distance / speed, force_limit_n=np.inf)
                self._free_motion_n = float(request["force_limit_n"])
            case "servo":
                duration, force = float(request["duration_s"]), float(request["force_limit_n"])
                self._free_motion_n = np.inf
                target = self.arm.servo_to(_pose(request["to"]), duration_s=duration, force_limit_n=force)
                return {"to": target.as_vector().tolist()}
            case "zero":
                self.arm.zero_wrench()
            case "stop":
                self.arm.stop()
            case "recover":
                self.arm.stop()
                self.arm.recover()
            case other:
                raise ValueError(f"there is nothing called {other!r} to do")
        return {}

    def _state(self) -> dict[str, Any]:
        state = self.arm.read()
        return {
            "tcp_from_base": state.tcp_from_base.as_vector().tolist(),
            "twist": state.twist.tolist(),
            "force_n": state.wrench.force_n.tolist(),
            "torque_nm": state.wrench.torque_nm.tolist(),
            "fault": state.fault,
            "is_moving": self.arm.is_moving,
            "age_s": 0.0,
        }

    def _watch_force(self) -> None:
        """A motion through free space ends in a fault on more force than it was given."""
        force = float(np.linalg.norm(self.arm.contact_n))
        if force > self._free_motion_n:
            self._free_motion_n = np.inf
            self.fault(f"stopped by {force:.0f} N on the way")


class CameraPeer(Peer):
    """A camera in software, which shows noise. With `is_frozen` it delivers its last frame only."""

    def __init__(self, *, port: int = 0, width_px: int = 64, height_px: int = 48, rate_hz: float = 30.0) -> None:
        super().__init__(port=port)
        self.intrinsics = Intrinsics(width_px, height_px, 60.0, 60.0, 0.5 * width_px, 0.5 * height_px)
        self.is_frozen = False
        self._rate_hz = rate_hz
        self._clock = WallClock()
        self._began_s = self._clock.now_s()
        self._number = 0

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "intrinsics":
                return asdict(self.intrinsics)
            case "frame":
                return self._frame()
            case other:
                raise ValueError(f"there is nothing called {other!r} to do")

    def _frame(self) -> dict[str, Any]:
        passed = self._clock.now_s() - self._began_s
        if not self.is_frozen:
            self._number = int(passed * self._rate_hz)
        return {
            "number": self._number,
            "age_s": passed - self._number / self._rate_hz,
            "rgb": base64.b64encode(self._image().tobytes()).decode(),
        }

    def _image(self) -> Image:
        shape = (self.intrinsics.height_px, self.intrinsics.width_px, 3)
        return np.random.default_rng(self._number).integers(0, 256, shape, dtype=np.uint8)

    def hold(self) -> Image:
        """Freezes, and returns what it goes on to show: (H, W, 3) uint8, RGB."""
        with self._lock:
            self.is_frozen = True
            return self._image()


def _pose(numbers: Any) -> Pose:
    if len(numbers) != 6 or not np.isfinite(np.asarray(numbers, np.float64)).all():
        raise ValueError("a pose is six finite numbers")
    return Pose.from_rotvec(numbers[:3], numbers[3:])
