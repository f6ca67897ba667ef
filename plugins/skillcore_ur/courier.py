"""The process that serves the robot: `python -m skillcore_ur.courier FD`, started by `skillcore_ur.remote_arm`.

The robot's watchdog must be served many times a second, and Python cannot promise that in a process that learns: an
import or a long computation may hold its global lock for half a second. So the driver lives in a process of its own.
It takes requests as lines of JSON on a socket that it inherits, and answers each with a line. `stop` is done at once,
beside whatever else is done; all else is done in order.

When the other end is gone, or has been silent for `LEASE_S`, the arm is stopped; when it is gone, this process ends.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from skillcore.config import validate_options
from skillcore.errors import SkillcoreError
from skillcore_ur.arm import UrArm
from skillcore_ur.messages import pose_from, pose_to, state_to
from skillcore_ur.options import ArmOptions

LEASE_S = 1.5
WATCH_S = 0.1


class Courier:
    """Answers requests until the other end is gone."""

    def __init__(self, arm: UrArm, connection: socket.socket) -> None:
        self._arm = arm
        self._connection = connection
        self._sending = threading.Lock()
        self._requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._heard_s = time.monotonic()
        self._silent = False

    def run(self) -> None:
        for work in (self._work, self._watch):
            threading.Thread(target=work, daemon=True).start()
        with self._connection.makefile("rb") as stream:
            for line in stream:
                self._heard_s, self._silent = time.monotonic(), False
                request = json.loads(line)
                if request["call"] == "stop":
                    threading.Thread(target=self._answer, args=(request,), daemon=True).start()
                elif request["call"] != "alive":
                    self._requests.put(request)
        self._arm.stop()
        self._arm.close()

    def _work(self) -> None:
        while (request := self._requests.get()) is not None:
            self._answer(request)

    def _watch(self) -> None:
        """Stops the arm, once, when the other process hangs."""
        while True:
            time.sleep(WATCH_S)
            if not self._silent and time.monotonic() - self._heard_s > LEASE_S:
                self._silent = True
                self._arm.stop()

    def _answer(self, request: Mapping[str, Any]) -> None:
        answer: dict[str, Any] = {"id": request["id"]}
        try:
            answer["value"] = self._do(str(request["call"]), request["arguments"])
        except SkillcoreError as error:
            answer |= {"error": type(error).__name__, "what": error.what, "cure": error.cure}
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            answer |= {"error": "DeviceError", "what": f"{type(error).__name__}: {error}", "cure": "report it"}
        try:
            with self._sending:
                self._connection.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            return  # whoever asked is gone, which the reader finds out too

    def _do(self, call: str, arguments: Mapping[str, Any]) -> Any:
        arm = self._arm
        if call == "read":
            return state_to(arm.read())
        if call == "move_to":
            arm.move_to(
                pose_from(arguments["pose"]),
                speed_m_s=arguments["speed_m_s"],
                force_limit_n=arguments["force_limit_n"],
            )
            return None
        if call == "servo_to":
            target = arm.servo_to(
                pose_from(arguments["pose"]),
                duration_s=arguments["duration_s"],
                force_limit_n=arguments["force_limit_n"],
            )
            return pose_to(target)
        return PLAIN[call](arm)


PLAIN = {
    "connect": UrArm.connect,
    "close": UrArm.close,
    "zero_wrench": UrArm.zero_wrench,
    "stop": UrArm.stop,
    "recover": UrArm.recover,
    "start_freedrive": UrArm.start_freedrive,
    "end_freedrive": UrArm.end_freedrive,
}
"""Calls without arguments."""


def main() -> None:
    # Ctrl-C is the other process's to handle: it closes the arm.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    options = validate_options(json.loads(sys.argv[2]), ArmOptions, where="options")
    Courier(UrArm(options), socket.socket(fileno=int(sys.argv[1]))).run()
    # ur_rtde's threads may still sleep, and would be torn out of C++ by an orderly end of Python.
    os._exit(0)


if __name__ == "__main__":
    main()
