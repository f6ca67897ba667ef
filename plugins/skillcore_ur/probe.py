"""Questions to a controller with a bounded wait: its dashboard, and one packet of its RTDE stream.

ur_rtde's constructors wait without end for a controller that is connected and silent, and hold Python's global lock
meanwhile. So they are called only when these questions have been answered.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Sequence
from typing import Any

from skillcore.errors import DeviceError

DASHBOARD_PORT, SCRIPT_PORT, RTDE_PORT = 29999, 30003, 30004
PORTS = {DASHBOARD_PORT: "dashboard", SCRIPT_PORT: "script", RTDE_PORT: "RTDE"}
STREAM_HZ = 125.0
_VECTORS = {"VECTOR3D": 3, "VECTOR6D": 6}
_SINGLES = {"DOUBLE": "d", "INT32": "i", "UINT32": "I", "UINT64": "Q", "UINT8": "B", "BOOL": "?"}


class Unreachable(Exception):
    """Nothing answers, or not in time."""


def reach(address: str, timeout_s: float) -> list[str]:
    """The names of the servers that cannot be reached, each tried for `timeout_s` at most."""
    closed = []
    for port, name in PORTS.items():
        try:
            socket.create_connection((address, port), timeout_s).close()
        except OSError:
            closed.append(f"{name} (port {port})")
    return closed


class Dashboard:
    """The dashboard server's lines. Connects when it is asked, and anew after a failure. Used from several threads."""

    def __init__(self, address: str, timeout_s: float = 1.0) -> None:
        self._address, self._timeout_s = address, timeout_s
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._buffer = b""

    def ask(self, line: str) -> str:
        """The answer to a line. Raises Unreachable."""
        with self._lock:
            try:
                if self._socket is None:
                    self._socket = socket.create_connection((self._address, DASHBOARD_PORT), self._timeout_s)
                    self._buffer = b""
                    self._line(self._socket)  # its welcome
                self._socket.sendall(line.encode() + b"\n")
                return self._line(self._socket)
            except OSError as error:
                self._drop()
                raise Unreachable(f"the dashboard of {self._address} does not answer: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _line(self, connection: socket.socket) -> str:
        while b"\n" not in self._buffer:
            data = connection.recv(4096)
            if not data:
                raise ConnectionError("it closed the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode("utf-8", errors="replace").strip()


def snapshot(address: str, names: Sequence[str], *, timeout_s: float) -> dict[str, Any]:
    """One packet of the stream with the named values; those the controller does not know are left out.

    "in_use" is added: whether another client has the registers that ur_rtde needs. Raises Unreachable.
    """
    try:
        with socket.create_connection((address, RTDE_PORT), timeout_s) as connection:
            return _ask_rtde(connection, list(names))
    except (OSError, ValueError, struct.error) as error:
        raise Unreachable(f"the RTDE server of {address} does not answer: {error}") from error


def _ask_rtde(connection: socket.socket, names: list[str]) -> dict[str, Any]:
    stream = connection.makefile("rb")
    answer = _exchange(connection, stream, b"V", struct.pack(">H", 2))
    if answer != b"\x01":
        raise ValueError("it does not speak version 2")
    registers = _exchange(connection, stream, b"I", b"input_int_register_0")
    types = _exchange(connection, stream, b"O", struct.pack(">d", STREAM_HZ) + ",".join(names).encode())[1:].decode()
    known = [name for name, kind in zip(names, types.split(","), strict=True) if kind != "NOT_FOUND"]
    if len(known) < len(names):
        names = known
        types = _exchange(connection, stream, b"O", struct.pack(">d", STREAM_HZ) + ",".join(names).encode())[
            1:
        ].decode()
    if _exchange(connection, stream, b"S", b"") != b"\x01":
        raise ValueError("it does not start")
    packet = _exchange(connection, stream, b"", b"", wanted=b"U")
    values, offset = dict[str, Any](in_use=b"IN_USE" in registers), 1
    for name, kind in zip(names, types.split(","), strict=True):
        layout = struct.Struct(f">{_VECTORS[kind]}d" if kind in _VECTORS else ">" + _SINGLES[kind])
        found = layout.unpack_from(packet, offset)
        values[name] = found if kind in _VECTORS else found[0]
        offset += layout.size
    return values


def _exchange(connection: socket.socket, stream: Any, kind: bytes, payload: bytes, *, wanted: bytes = b"") -> bytes:
    """Sends a frame, if there is one, and returns the payload of the next one that is wanted."""
    if kind:
        connection.sendall(struct.pack(">HB", 3 + len(payload), kind[0]) + payload)
    while True:
        header = stream.read(3)
        if len(header) < 3:
            raise ConnectionError("it closed the connection")
        size, found = struct.unpack(">HB", header)
        body: bytes = stream.read(size - 3)
        if len(body) < size - 3:
            raise ConnectionError("it closed the connection")
        if found == (wanted or kind)[0]:
            return body


def software_version(answer: str) -> tuple[int, int] | None:
    """Major and minor version in the dashboard's words."""
    found = re.search(r"(\d+)\.(\d+)\.\d+", answer)
    return (int(found[1]), int(found[2])) if found else None


def unreachable_error(address: str, closed: Sequence[str]) -> DeviceError:
    """What to say where servers cannot be reached."""
    return DeviceError(
        f"nothing answers at {address}: " + ", ".join(closed),
        cure="check the address, the cable and the robot's power; `ping` it; on the pendant: Settings > System > "
        "Network, and Settings > Security > Services for closed ports",
    )
