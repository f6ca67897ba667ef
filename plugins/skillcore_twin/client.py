"""How others speak to a twin: its note in the home, a request and its answer, starting and ending it.

A twin writes a note into the folder `background` of the home, with the port it takes requests on and a token without
which it answers none; only its user can read it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from skillcore.errors import DeviceError, InputError
from skillcore.home import folder

ANSWER_S = 10.0
END_S = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a twin is to be. cell: the simulated cell that lends its world. fixture: position and rotation vector of the
    socket, or None for that cell's own. tcp: (6,) as on the pendant."""

    address: str = "127.0.0.2"
    model: str = "ur5e"
    cell: str = "sim"
    connector: str = "hdmi"
    seed: int = 0
    tcp: tuple[float, ...] = (0.0, 0.0, 0.15, 0.0, 0.0, 0.0)
    payload_kg: float = 1.2
    payload_cog_m: tuple[float, ...] = (0.0, 0.0, 0.05)
    tool_force_limit_n: float = 120.0
    fixture: tuple[float, ...] | None = None


def order_from(values: Mapping[str, Any]) -> Order:
    """An order as `asdict` gives it, read back from JSON."""
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    return Order(**{**values, **lists})


def note_of(address: str) -> Path:
    """The note of the twin on an address."""
    return folder("background") / f"twin-{address}.json"


def log_of(address: str) -> Path:
    """What the twin's process has printed."""
    return folder("background") / f"twin-{address}.log"


@dataclass(frozen=True, slots=True)
class Note:
    """A running twin, as it has noted itself."""

    address: str
    pid: int
    port: int
    token: str

    def write(self) -> None:
        path = note_of(self.address)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            json.dump(asdict(self), stream)
        new.replace(path)


def read_note(address: str) -> Note | None:
    """The note of a twin that is alive; one that a dead twin has left is taken away."""
    path = note_of(address)
    try:
        note = Note(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if not _alive(note.pid):
        path.unlink(missing_ok=True)
        return None
    return note


def running() -> list[Note]:
    """All twins that are alive, by address."""
    addresses = [path.stem.removeprefix("twin-") for path in sorted(folder("background").glob("twin-*.json"))]
    return [note for address in addresses if (note := read_note(address)) is not None]


def the_twin(address: str | None) -> Note:
    """The twin on an address, or the only one there is. Raises InputError."""
    if address is not None:
        note = read_note(address)
        if note is None:
            raise InputError(f"no twin runs on {address}", cure=f"skill twin start --address {address}")
        return note
    notes = running()
    if not notes:
        raise InputError("no twin runs", cure="skill twin start")
    if len(notes) > 1:
        raise InputError(
            f"{len(notes)} twins run", cure="say which: --address " + " or ".join(note.address for note in notes)
        )
    return notes[0]


def ask(note: Note, request: Mapping[str, Any], *, timeout_s: float = ANSWER_S) -> dict[str, Any]:
    """A twin's answer. Raises InputError for what it refuses, DeviceError where it does not answer."""
    try:
        with socket.create_connection((note.address, note.port), timeout_s) as connection:
            connection.sendall(json.dumps({**request, "token": note.token}).encode() + b"\n")
            with connection.makefile("rb") as stream:
                answer = json.loads(stream.readline() or b"{}")
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"the twin on {note.address} does not answer: {error}",
            cure=f"see {log_of(note.address)}; end it with: kill {note.pid}",
        ) from error
    if "error" in answer:
        raise InputError(str(answer["error"]), cure=str(answer.get("cure", "")))
    return dict(answer)


def start(order: Order, *, timeout_s: float) -> Note:
    """Starts a twin in a process of its own and returns when it answers. Raises InputError, DeviceError."""
    if read_note(order.address) is not None:
        raise InputError(f"a twin runs on {order.address} already", cure=f"skill twin stop --address {order.address}")
    log = log_of(order.address)
    command = [sys.executable, "-m", "skillcore_twin.process", json.dumps(asdict(order))]
    with log.open("w", encoding="utf-8") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, start_new_session=True
        )
    until = time.monotonic() + timeout_s
    try:
        while (note := read_note(order.address)) is None:
            if process.poll() is not None:
                last = log.read_text(encoding="utf-8", errors="replace").strip()
                if process.returncode == InputError.exit_code and last:
                    raise InputError(last)
                raise DeviceError(last or f"the twin ended with code {process.returncode}", cure=f"see {log}")
            if time.monotonic() > until:
                raise DeviceError(f"the twin did not start within {timeout_s:g} s", cure=f"see {log}")
            time.sleep(0.05)
        ask(note, {"do": "status"}, timeout_s=timeout_s)
    except BaseException:
        process.kill()
        process.wait()
        note_of(order.address).unlink(missing_ok=True)
        raise
    # It lives on without this process; nobody waits for it.
    process.returncode = 0
    return note


def stop(note: Note) -> None:
    """Ends a twin: asks it, and kills it where it does not listen. Raises DeviceError where even that fails."""
    try:
        ask(note, {"do": "stop"}, timeout_s=3.0)
    except DeviceError:
        if _is_twin(note.pid):
            os.kill(note.pid, signal.SIGKILL)
    until = time.monotonic() + END_S
    while _alive(note.pid):
        if time.monotonic() > until:
            raise DeviceError(f"process {note.pid} does not end", cure=f"kill -9 {note.pid}")
        time.sleep(0.05)
    note_of(note.address).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    """Whether a process lives; a child that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in ("Z", "X")


def _is_twin(pid: int) -> bool:
    """Whether the process is one of ours, and not another that has got a dead one's number."""
    try:
        return b"skillcore_twin.process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
