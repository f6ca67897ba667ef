"""The connection to a controller through ur_rtde's clients: readings, commands one at a time, and letting go of it.

ur_rtde's clients may hang when a network does: they wait without end in places. So commands are given under a lock
that nobody waits for without end, and a client that will not close is left behind in a thread of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skillcore.errors import ArmFaultError, DeviceError
from skillcore.types import Array, Pose

LOCK_S = 1.5
CLOSE_S = 1.5
PROGRAM_S = 5.0
POLL_S = 0.008
ZERO_SETTLE_S, ZERO_READINGS = 0.1, 10
_VARIABLES = [
    "timestamp",
    "actual_q",
    "actual_TCP_pose",
    "actual_TCP_speed",
    "actual_TCP_force",
    "robot_mode",
    "runtime_state",
    "safety_status_bits",
    "target_speed_fraction",
]


_disconnecting: list[threading.Thread] = []
"""`disconnect` sleeps for half a second when all is done; what still sleeps at the end of Python would abort it."""


@atexit.register
def _await_disconnected() -> None:
    until = time.monotonic() + CLOSE_S
    for thread in _disconnecting:
        thread.join(max(0.0, until - time.monotonic()))


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """A packet of the stream. timestamp_s: the controller's. twist, wrench: (6,) in base axes, at the TCP."""

    timestamp_s: float
    joints_rad: Array
    tcp_from_base: Pose
    twist: Array
    wrench: Array
    robot_mode: int
    runtime_state: int
    safety_bits: int
    slider: float


class Link:
    """One connection. It is not opened anew: a new one takes its place."""

    def __init__(self, address: str, rate_hz: float) -> None:
        """Connects, and uploads the control script. Raises DeviceError. Call it after `checks.check_controller`."""
        from rtde_control import RTDEControlInterface
        from rtde_receive import RTDEReceiveInterface

        self._lock = threading.Lock()
        self._closed = False
        self._newest = 0.0
        self._seen_s = time.monotonic()
        self._receive: Any = None
        self._control: Any = None
        try:
            self._receive = RTDEReceiveInterface(address, rate_hz, _VARIABLES)
            self._control = RTDEControlInterface(address, rate_hz)
        except (RuntimeError, ValueError) as error:
            self.close()
            raise DeviceError(
                f"the robot at {address} does not take the control program: {error}",
                cure="see the log on the pendant; no other program may use the robot's RTDE registers",
            ) from error

    # --- reading ---

    def reading(self) -> Reading:
        """The newest packet. Raises DeviceError when the connection is gone."""
        receive = self._receive
        try:
            for _ in range(5):
                stamp = receive.getTimestamp()
                pose = receive.getActualTCPPose()
                reading = Reading(
                    timestamp_s=stamp,
                    joints_rad=np.array(receive.getActualQ()),
                    tcp_from_base=Pose.from_rotvec(pose[:3], pose[3:]),
                    twist=np.array(receive.getActualTCPSpeed()),
                    wrench=np.array(receive.getActualTCPForce()),
                    robot_mode=int(receive.getRobotMode()),
                    runtime_state=int(receive.getRuntimeState()),
                    safety_bits=int(receive.getSafetyStatusBits()),
                    slider=float(receive.getTargetSpeedFraction()),
                )
                if receive.getTimestamp() == stamp:
                    break  # all of one packet
        except (RuntimeError, ValueError) as error:
            raise DeviceError(f"the robot's stream cannot be read: {error}") from error
        if stamp != self._newest:
            self._newest, self._seen_s = stamp, time.monotonic()
        return reading

    @property
    def age_s(self) -> float:
        """How long ago the newest packet was seen first; `reading` must be called often for that."""
        return time.monotonic() - self._seen_s

    @property
    def connected(self) -> bool:
        return not self._closed and bool(self._receive.isConnected()) and bool(self._control.isConnected())

    # --- commanding ---

    @contextlib.contextmanager
    def commands(self) -> Iterator[Any]:
        """ur_rtde's control client, for this thread alone. Raises ArmFaultError when another one hangs in it."""
        if not self._lock.acquire(timeout=LOCK_S):
            raise ArmFaultError("the connection to the robot hangs", cure="recover, or restart the robot")
        try:
            if self._closed:
                raise ArmFaultError("the connection to the robot is closed", cure="recover")
            yield self._control
        except (RuntimeError, ValueError) as error:
            raise ArmFaultError(f"the robot refuses a command: {error}", cure="see the log on the pendant") from error
        finally:
            self._lock.release()

    def upload(self) -> None:
        """Starts the control script anew, while no program runs. Raises DeviceError."""
        with self.commands() as control:
            wait_until(lambda: not control.isProgramRunning(), PROGRAM_S, "the old program does not end")
            # The register may still hold the last real-time command, and a new script would go on with it. Whatever
            # is asked of a robot without a program clears it.
            control.kickWatchdog()
            control.reuploadScript()
            wait_until(control.isProgramRunning, PROGRAM_S, "the control program does not start")

    def zero_force(self) -> None:
        """Makes the present force the zero, and waits until that shows. Raises ArmFaultError."""
        with self.commands() as control:
            accepted(control.zeroFtSensor(), "zeroing the force sensor")
        time.sleep(ZERO_SETTLE_S)

    def mean_force_n(self) -> float:
        """The size of the mean of a few readings. Raises DeviceError."""
        forces = []
        for _ in range(ZERO_READINGS):
            forces.append(self.reading().wrench[:3])
            time.sleep(POLL_S)
        return float(np.linalg.norm(np.mean(forces, axis=0)))

    @property
    def moving_alone(self) -> bool:
        """Whether a motion runs that nobody waits for."""
        return bool(self._control.getAsyncOperationProgressEx().isAsyncOperationRunning())

    # --- the end ---

    def stop_script(self) -> None:
        """Ends the control program, where it can still be asked to."""
        with self.commands() as control:
            if control.isProgramRunning():
                control.stopScript()

    def close(self) -> None:
        """Lets go of the controller; returns after `CLOSE_S` at the latest."""
        self._closed = True
        clients = [client for client in (self._control, self._receive) if client is not None]
        for client in clients:
            # Its destructor holds Python's global lock for half a second, or without end where the network hangs, and
            # does nothing that `disconnect` has not done. So it must never run.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(client))
            thread = threading.Thread(target=client.disconnect, name="ur-disconnect", daemon=True)
            thread.start()
            _disconnecting.append(thread)
        with contextlib.suppress(DeviceError):
            wait_until(lambda: not any(client.isConnected() for client in clients), CLOSE_S, "it hangs")


def wait_until(holds: Callable[[], bool], timeout_s: float, else_what: str) -> None:
    """Returns as soon as it holds. Raises DeviceError after the time."""
    until = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > until:
            raise DeviceError(else_what, cure="see the log on the pendant")
        time.sleep(0.005)


def accepted(taken: bool, what: str) -> None:
    """Raises ArmFaultError for a command that was not taken."""
    if not taken:
        raise ArmFaultError(f"the robot does not accept {what}", cure="see the log on the pendant")
