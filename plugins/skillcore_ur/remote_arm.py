"""The UR arm as the cell sees it: it asks the process that serves the robot, see `skillcore_ur.courier`.

That process is never waited for without end. One that does not answer is killed, which ends the robot's program through
its watchdog; `recover` starts another.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import subprocess
import sys
import threading
from typing import Any

from skillcore.errors import ArmFaultError, DeviceError, SkillcoreError
from skillcore.home import folder
from skillcore.interfaces import Arm, ArmLimits
from skillcore.types import ArmState, Pose
from skillcore_ur.messages import error_from, pose_from, pose_to, state_from
from skillcore_ur.options import ArmOptions

ALIVE_EVERY_S = 0.1
WAITS_S = {
    "read": 2.0,
    "connect": 60.0,
    "recover": 60.0,
    "move_to": 600.0,
    "zero_wrench": 20.0,
    "close": 10.0,
    "stop": 5.0,
}
"""How long a call may take; others `WAIT_S`. A process that takes longer hangs."""
WAIT_S = 10.0
END_S = 5.0


class RemoteUrArm(Arm):
    """See the module. Methods may be called from one thread, `stop` from any."""

    def __init__(self, options: ArmOptions) -> None:
        self._options = options
        limits = options.limits
        self._limits = ArmLimits(limits.speed_m_s, limits.turn_speed_rad_s, limits.force_n)
        self._courier: _Process | None = None
        self._connected = False

    @property
    def limits(self) -> ArmLimits:
        return self._limits

    def connect(self) -> None:
        if self._connected:
            return
        self._courier = _Process(self._options)
        try:
            self._courier.call("connect")
        except BaseException:
            self.close()
            raise
        self._connected = True

    def close(self) -> None:
        courier, self._courier = self._courier, None
        self._connected = False
        if courier is not None:
            with contextlib.suppress(SkillcoreError):
                courier.call("close")
            courier.end()

    def read(self) -> ArmState:
        return state_from(self._opened().call("read"))

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        self._opened().call("move_to", pose=pose_to(tcp_from_base), speed_m_s=speed_m_s, force_limit_n=force_limit_n)

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        arguments = {"pose": pose_to(tcp_from_base), "duration_s": duration_s, "force_limit_n": force_limit_n}
        return pose_from(self._opened().call("servo_to", **arguments))

    def zero_wrench(self) -> None:
        self._opened().call("zero_wrench")

    def stop(self) -> None:
        courier = self._courier
        if courier is None:
            return
        try:
            courier.call("stop")
        except Exception:  # noqa: BLE001 - whatever is wrong, the robot's watchdog ends the motion of a dead process
            courier.kill()

    def recover(self) -> None:
        courier = self._opened()
        if courier.alive:
            courier.call("recover")
            return
        # The process that knew of a fault is gone; a new one checks all anew.
        courier.end()
        self._courier = _Process(self._options)
        try:
            self._courier.call("connect")
        except DeviceError as error:
            raise ArmFaultError(f"the arm could not recover: {error.what}", cure=error.cure) from error

    def start_freedrive(self) -> None:
        """Lets the arm be led by hand, until `end_freedrive`. Raises ArmFaultError."""
        self._opened().call("start_freedrive")

    def end_freedrive(self) -> None:
        """Makes the arm stiff again, where it is, if it is led. Raises ArmFaultError."""
        if self._connected:
            self._opened().call("end_freedrive")

    def _opened(self) -> _Process:
        if self._courier is None or not self._connected:
            raise DeviceError("the robot is not connected", cure="call connect() first")
        return self._courier


class _Process:
    """The serving process, and the calls that wait for its answers."""

    def __init__(self, options: ArmOptions) -> None:
        mine, its = socket.socketpair()
        self._log = folder("background") / f"ur-{options.address.replace(':', '_')}.log"
        command = [sys.executable, "-m", "skillcore_ur.courier", str(its.fileno()), options.model_dump_json()]
        with its, self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[its.fileno()],
                start_new_session=True,
            )
        self._connection = mine
        self._lock = threading.Lock()
        self._number = 0
        self._waiting: dict[int, queue.Queue[dict[str, Any] | None]] = {}
        self._gone = threading.Event()
        self._threads = [
            threading.Thread(target=work, name=f"ur-{work.__name__}", daemon=True)
            for work in (self._listen, self._live)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def alive(self) -> bool:
        return not self._gone.is_set()

    def call(self, name: str, **arguments: Any) -> Any:
        """The answer to a call. Raises what it answers with, and DeviceError where it does not answer."""
        mailbox: queue.Queue[dict[str, Any] | None] = queue.Queue()
        with self._lock:
            self._number += 1
            number = self._number
            self._waiting[number] = mailbox
        try:
            if self._gone.is_set():
                raise self._ended()
            self._send({"id": number, "call": name, "arguments": arguments})
            answer = mailbox.get(timeout=WAITS_S.get(name, WAIT_S))
        except (queue.Empty, OSError) as error:
            self.kill()
            raise self._ended() from error
        finally:
            self._waiting.pop(number, None)
        if answer is None:
            raise self._ended()
        if "error" in answer:
            raise error_from(answer)
        return answer["value"]

    def kill(self) -> None:
        """Ends it at once; the robot's watchdog ends its program."""
        self._gone.set()
        self._process.kill()

    def end(self) -> None:
        """Ends it, and waits for that."""
        self._gone.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(END_S)
        self._connection.close()

    def _ended(self) -> ArmFaultError:
        return ArmFaultError("the process that serves the robot has ended", cure=f"recover; see {self._log}")

    def _send(self, message: dict[str, Any]) -> None:
        data = json.dumps(message).encode() + b"\n"
        with self._lock:
            self._connection.sendall(data)

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._connection.makefile("rb") as stream:
            for line in stream:
                answer = json.loads(line)
                mailbox = self._waiting.get(int(answer["id"]))
                if mailbox is not None:
                    mailbox.put(answer)
        self._gone.set()
        for mailbox in list(self._waiting.values()):
            mailbox.put(None)

    def _live(self) -> None:
        """Says now and then that this process is well."""
        while not self._gone.wait(ALIVE_EVERY_S):
            try:
                self._send({"id": 0, "call": "alive"})
            except OSError:
                return
