"""The thread that keeps the arm alive: it looks after faults, serves the watchdog, and leads the compliant motion.

When this process dies or hangs, the thread stands still, and the controller's watchdog ends its program. On a fault
the thread commands nothing any more, which has the same end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skillcore.errors import SkillcoreError
from skillcore.types import Pose, Wrench
from skillcore_ur.compliance import Admittance, Drawing, Ramp, between, shifted
from skillcore_ur.link import Link, Reading
from skillcore_ur.options import ArmOptions, ForceMode, Servo

IDLE_S = 0.02
RELEASE_S = 1.0
STOP_M_S2 = 4.0
BLIND_S = 0.06
"""After so long without a new packet nobody knows where a force would push the tool, or what a set point presses on."""
ARRIVED = 0.7
"""Share of a step after which the target has arrived, so that the tool, which is late, has at the step's end."""


@dataclass(slots=True)
class _Motion:
    ramp: Ramp
    admittance: Admittance | None


class Pulse:
    """Runs until `end`. healthy: called with each reading; says whether the arm may be commanded."""

    def __init__(self, link: Link, options: ArmOptions, healthy: Callable[[Reading | None], bool]) -> None:
        self._link, self._options, self._healthy = link, options, healthy
        self._compliance = options.compliance
        self._drawing = Drawing(self._compliance) if isinstance(self._compliance, ForceMode) else None
        self._period_s = 1.0 / min(options.rate_hz, 125.0)
        self._lock = threading.Lock()
        self._motion: _Motion | None = None
        self._released = threading.Event()
        self._released.set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ur-pulse", daemon=True)
        self._thread.start()

    # --- what others ask of it ---

    def lead(self, goal: Pose, measured: Pose, duration_s: float, force_limit_n: float) -> None:
        """Draws the tool to a goal: from where the last one has brought the target, if it presses, so that it goes on
        pressing; else from where the tool is."""
        now = time.monotonic()
        with self._lock:
            motion = self._motion
            start = measured
            if motion is not None:
                target = motion.ramp.at(now)[0]
                share = 1.0 if self._drawing is None else self._drawing.contact
                start = shifted(measured, share * between(measured, target))
            ramp = Ramp(start, goal, now, now + ARRIVED * duration_s, force_limit_n)
            if motion is None:
                admittance = None if isinstance(self._compliance, ForceMode) else Admittance(self._compliance, measured)
                if self._drawing is not None:
                    self._drawing.begin()
                self._released.clear()
                self._motion = _Motion(ramp, admittance)
            else:
                motion.ramp = ramp

    @property
    def leading(self) -> bool:
        return self._motion is not None

    def let_go(self) -> None:
        """Leads no more, and makes the arm stiff where it is. Raises nothing; returns within a second."""
        with self._lock:
            self._motion = None
        if threading.current_thread() is not self._thread:
            self._released.wait(RELEASE_S)

    def end(self) -> None:
        """Ends the thread, as far as it can be ended."""
        self._ending.set()
        with self._lock:
            self._motion = None
        self._thread.join(RELEASE_S)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    # --- its own thread ---

    def _run(self) -> None:
        served_s, engaged = 0.0, False
        next_s = time.monotonic()
        while not self._ending.is_set():
            try:
                reading = self._link.reading() if self._link.connected else None
                if not self._healthy(reading) or reading is None:
                    with self._lock:
                        self._motion = None
                    engaged = False
                    self._released.set()
                else:
                    with self._lock:
                        motion = self._motion
                    if motion is not None:
                        self._command(motion, reading)
                        engaged, served_s = True, time.monotonic()
                    elif engaged:
                        self._release()
                        engaged, served_s = False, time.monotonic()
                        self._released.set()
                    elif time.monotonic() - served_s >= IDLE_S:
                        self._released.set()
                        with self._link.commands() as control:
                            control.kickWatchdog()
                        served_s = time.monotonic()
            except SkillcoreError:
                # What is wrong shows in the next reading; until then nothing is commanded.
                self._healthy(None)
            next_s = max(next_s + self._period_s, time.monotonic())
            self._ending.wait(max(0.0, next_s - time.monotonic()))

    def _command(self, motion: _Motion, reading: Reading) -> None:
        ramp = motion.ramp
        target, velocity = ramp.at(time.monotonic())
        if self._drawing is not None:
            here, felt_n = reading.tcp_from_base, reading.wrench[:3]
            told = np.zeros(6)
            if self._link.age_s <= BLIND_S:  # what is not seen is not pushed
                told = self._drawing.wrench(target, velocity, here, reading.twist, felt_n, ramp.force_limit_n)
            frame = [*here.position_m, 0.0, 0.0, 0.0]
            limits = self._options.limits
            speeds = [limits.speed_m_s] * 3 + [limits.turn_speed_rad_s] * 3
            with self._link.commands() as control:
                control.forceMode(frame, [1] * 6, list(told), 2, speeds)
            return
        compliance = self._compliance
        assert isinstance(compliance, Servo)
        assert motion.admittance is not None
        pose = motion.admittance.pose
        if self._link.age_s <= BLIND_S:
            felt = Wrench(reading.wrench[:3], reading.wrench[3:])
            here = reading.tcp_from_base
            pose = motion.admittance.step(target, velocity, here, felt, ramp.force_limit_n, self._period_s)
        with self._link.commands() as control:
            control.servoL(
                list(pose.as_vector()), 0.0, 0.0, self._period_s, compliance.lookahead_time_s, compliance.gain
            )

    def _release(self) -> None:
        with self._link.commands() as control:
            if isinstance(self._compliance, ForceMode):
                control.forceModeStop()
            else:
                control.servoStop(STOP_M_S2)
