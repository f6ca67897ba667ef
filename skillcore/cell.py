"""A cell: one arm and its sensors, opened together, moved only through the guard, and always left stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.cell_config import CellConfig, LoadedCell
from skillcore.clock import WallClock
from skillcore.errors import DeviceError, InputError, SkillcoreError, StaleFrameError
from skillcore.home import cell_lock
from skillcore.interfaces import Arm, Camera, Clock, Guidable, Simulation
from skillcore.parts import Context
from skillcore.safety import Envelope, Guard
from skillcore.types import (
    ACTION_NAMES,
    ArmState,
    Frame,
    Image,
    Observation,
    Pose,
    rotation_from_rotvec,
    rotvec_from_rotation,
)

FRAME_MAX_AGE_S = 0.2
"""A picture older than this is no observation of now."""
READ_SLACK_S = 0.05
"""What it may take to hand over a frame that was just young enough."""


WATCH_S = 0.02
"""So often a real arm is read and checked while it moves."""
REMEMBERED = 32
"""Readings that are kept, to tell where the arm was when a picture was taken."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything read at one moment: the arm's `state`, and `frames`, one a camera in the order of the cell file."""

    state: ArmState
    frames: tuple[Frame, ...]


class Cell:
    """An open cell. Use `open_cell`; the arm itself is out of reach on purpose.

    Control runs in steps of `period_s`: `start_control` fixes the frame that observations and actions refer to, and
    each `control` commands a step, waits for its end and reads the arm. A step that ends late is counted in `overruns`.

    Pictures are older than readings of the arm, and the arm moves. So an observation is one of the time when its
    pictures were taken, and an action refers to the pose that was observed: it leads to the same place, however late.

    socket_from_base: where the socket is. The guard's box lies around the fixture of the cell file, wherever that is.
    """

    def __init__(
        self,
        config: CellConfig,
        arm: Arm,
        cameras: dict[str, Camera],
        clock: Clock,
        simulation: Simulation | None,
        socket_from_base: Pose,
    ) -> None:
        self.config = config
        self.socket_from_base = socket_from_base
        self.clock = clock
        self.simulation = simulation
        self.guard = Guard(_envelope(config).tightened_by_arm(arm.limits))
        self.overruns = 0
        self._arm = arm
        self._cameras = cameras
        self._start_from_base = Pose.identity()
        self._deadline_s = 0.0
        self._state: ArmState | None = None
        self._readings: deque[ArmState] = deque(maxlen=REMEMBERED)
        self._observed_from_base: Pose | None = None
        self._frame_seen: dict[str, tuple[int | None, float]] = {}

    @property
    def name(self) -> str:
        """As the cell file has it."""
        return self.config.name

    @property
    def period_s(self) -> float:
        """Length of a control step."""
        return 1.0 / self.config.control.rate_hz

    @property
    def views(self) -> int:
        """How many cameras."""
        return len(self._cameras)

    @property
    def start_from_base(self) -> Pose:
        """The pose that observations and actions refer to since `start_control`."""
        return self._start_from_base

    # --- reading ---

    @property
    def state(self) -> ArmState:
        """The arm's last reading; a new one, unchecked, where the last was made void by a motion."""
        return self._state or self._sense()

    def read(self) -> ArmState:
        """The arm's newest state. Raises as `Guard.check` does."""
        state = self._sense()
        self.guard.check(state)
        return state

    def _sense(self) -> ArmState:
        state = self._state = self._arm.read()
        self._readings.append(state)
        return state

    def _forget(self) -> None:
        """What was read and seen is void: the arm is somewhere else."""
        self._state = self._observed_from_base = None
        self._readings.clear()

    def snapshot(self) -> Snapshot:
        """The arm's newest state and every camera's newest frame, at full size."""
        state = self.read()
        return Snapshot(state, self._frames())

    def observe(self) -> Observation:
        """What policy and reward model see now; see `Observation`. The pose is that of the time when the pictures were
        taken, and refers to `start_control`."""
        state, frames = self.state, self._frames()
        size = self.config.views.size_px
        taken_s = sum(frame.time_s for frame in frames) / len(frames)
        self._observed_from_base = _tcp_at(self._readings, taken_s)
        return Observation(
            images=np.stack([fitted(frame.image, size) for frame in frames]),
            pose=(self._start_from_base.inverse() @ self._observed_from_base).as_vector().astype(np.float32),
            wrench=state.wrench.as_vector().astype(np.float32),
        )

    def shown(self) -> Image | None:
        """What the pixels of `observe` show now, (views, size, size) of `Shown`; None where no simulation knows.

        For reports; nothing may learn from it.
        """
        parts = None if self.simulation is None else self.simulation.shown()
        if parts is None or len(parts) != self.views:
            return None
        size = self.config.views.size_px
        return np.stack([fitted(part, size, interpolation=cv2.INTER_NEAREST) for part in parts])

    def _frames(self) -> tuple[Frame, ...]:
        """Every camera's newest frame. A camera that has frozen is not taken at its word."""
        frames = []
        for name, camera in self._cameras.items():
            frame = camera.read(FRAME_MAX_AGE_S)
            now = self.clock.now_s()
            number, since = self._frame_seen.get(name, (None, now))
            if frame.sequence != number:
                since = now
            self._frame_seen[name] = (frame.sequence, since)
            age = now - min(frame.time_s, since)
            if age > FRAME_MAX_AGE_S + READ_SLACK_S:
                raise StaleFrameError(
                    f"camera {name} stands still: its newest frame is {age:.2f} s old",
                    cure="unplug it and plug it in again; check that it has a USB port of its own",
                )
            frames.append(frame)
        return tuple(frames)

    def await_frames(self, patience_s: float) -> None:
        """Returns as soon as every camera delivers. Raises StaleFrameError if one does not within `patience_s`."""
        until = self.clock.now_s() + patience_s
        while True:
            try:
                self._frames()
            except StaleFrameError:
                if self.clock.now_s() >= until:
                    raise
                self.clock.sleep_until(self.clock.now_s() + self.period_s)
            else:
                return

    # --- moving ---

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float | None = None) -> None:
        """Moves through free space, within the guard's workspace and speed, and returns when it has arrived."""
        envelope = self.guard.envelope
        position = np.clip(tcp_from_base.position_m, envelope.min_m, envelope.max_m)
        speed = min(speed_m_s or envelope.speed_limit_m_s, envelope.speed_limit_m_s)
        # Even if the motion fails: wherever the arm is then, it is not where it was.
        self._forget()
        self._arm.move_to(
            Pose(position, tcp_from_base.rotation), speed_m_s=speed, force_limit_n=envelope.hard_force_limit_n
        )

    def zero_wrench(self) -> None:
        """Takes the present wrench for zero; the tool must touch nothing."""
        self._arm.zero_wrench()
        self._forget()

    def start_control(self) -> None:
        """Makes the present pose the start that observations and actions refer to, and starts the clockwork."""
        self.overruns = 0
        self.guard.start_episode()
        self._start_from_base = self.read().tcp_from_base
        self._deadline_s = self.clock.now_s()

    def restart_clock(self) -> None:
        """The next step begins now: for whoever waited after `start_control`."""
        self._deadline_s = self.clock.now_s()

    def control(self, action: NDArray[np.float32]) -> NDArray[np.float32]:
        """One control step: moves by `action` (4,), in [-1, 1], in the tool's axes, and waits for the step's end.

        It moves from where the tool was when it was observed, if it was since the last step.

        Returns what was really commanded (4,), in the same units. The tool is kept upright as it was at the start.
        Raises InputError for an action of another shape, and as `Guard.check` does; the arm is stopped then.
        """
        if np.shape(action) != (len(ACTION_NAMES),):
            self._arm.stop()
            what = f"action: shape {np.shape(action)}, and must be ({len(ACTION_NAMES)},)"
            raise InputError(what, cure=f"one number each for {', '.join(ACTION_NAMES)}")
        control = self.config.control
        before = self._observed_from_base or self.state.tcp_from_base
        scale = np.array([control.step_m] * 3 + [control.turn_step_rad])
        here = self._start_from_base.inverse() @ before
        x, y, z = here.position_m
        upright = Pose.from_xyz_yaw(x, y, z, here.yaw_rad)
        wanted = np.clip(np.asarray(action, dtype=np.float64), -1.0, 1.0) * scale
        commanded = self._step(self._start_from_base @ upright @ Pose.from_xyz_yaw(*wanted))
        moved = upright.inverse() @ (self._start_from_base.inverse() @ commanded)
        executed = np.array([*moved.position_m, moved.yaw_rad]) / scale
        return np.asarray(executed, dtype=np.float32)

    def servo_to(self, tcp_from_base: Pose) -> ArmState:
        """One control step towards a pose that need not be near: compliant, with bounded force, and slow enough for
        the guard. Waits for the step's end; returns the reading then.

        The first of several steps begins with `restart_clock`. Raises as `Guard.check` does, with the arm stopped.
        """
        self._step(tcp_from_base)
        return self.state

    def _step(self, target: Pose) -> Pose:
        """Commands what the guard allows of a target, waits for the step's end and reads; what was commanded."""
        try:
            allowed = self.guard.limit(target, self.state.tcp_from_base, self.period_s)
            force_limit = self.guard.envelope.force_limit_n
            commanded = self._arm.servo_to(allowed, duration_s=self.period_s, force_limit_n=force_limit)
            self._observed_from_base = None
            self._await_step_end()
            self.read()
        except BaseException:
            self._arm.stop()
            raise
        return commanded

    def _await_step_end(self) -> None:
        self._deadline_s += self.period_s
        now = self.clock.now_s()
        if now > self._deadline_s:
            self.overruns += 1
            self._deadline_s = now
            return
        # A simulated world stands still while nobody asks for it; a real arm is watched on its way.
        while self.simulation is None and self.clock.now_s() + WATCH_S < self._deadline_s:
            self.clock.sleep_until(self.clock.now_s() + WATCH_S)
            self.read()
        self.clock.sleep_until(self._deadline_s)

    def guidable(self) -> Guidable:
        """The arm, as far as it can be guided by hand. Raises DeviceError if it can't."""
        if not isinstance(self._arm, Guidable):
            raise DeviceError(
                f"the arm of cell {self.name} cannot be guided by hand",
                cure="its driver does not offer it (skillcore.interfaces.Guidable): write into the cell file's fixture "
                "where the socket is",
            )
        return self._arm

    @contextmanager
    def guided(self) -> Iterator[None]:
        """Within the block a person can guide the arm by hand. However the block ends, the arm is stopped then.

        Raises as `guidable` does.
        """
        arm = self.guidable()
        try:
            arm.start_freedrive()
            yield
        finally:
            self._forget()
            try:
                arm.end_freedrive()
            finally:
                self._arm.stop()

    def stop(self) -> None:
        """Stops the arm. Never raises."""
        self._arm.stop()

    def recover(self) -> None:
        """Clears a fault that can be cleared safely. Raises ArmFaultError if it can't."""
        self._arm.recover()
        self._forget()


@contextmanager
def open_cell(loaded: LoadedCell, *, instance: str = "") -> Iterator[Cell]:
    """Opens all devices of a cell and closes them again, the arm stopped first, whatever happens in between.

    instance: a simulated cell can be opened many times side by side, each under a name of its own.

    Raises CellBusyError if another process holds the cell, and one DeviceError that lists all devices that would not
    open, each with its cure.
    """
    with ExitStack() as stack:
        if instance and loaded.simulation is None:
            raise DeviceError(f"cell {loaded.name}: only a simulated cell can be opened more than once at a time")
        stack.enter_context(cell_lock(f"{loaded.name}#{instance}" if instance else loaded.name))
        fixture = loaded.config.fixture.socket_from_base
        simulation = None
        if loaded.simulation is not None:
            simulation = loaded.simulation.make(Context(name="simulation", fixture=fixture))
            stack.callback(simulation.close)
        clock = simulation.clock if simulation is not None else WallClock()
        context = Context(clock=clock, simulation=simulation, fixture=fixture)
        arm = loaded.arm.make(_named(context, "arm"))
        cameras = {key: driver.make(_named(context, key)) for key, driver in loaded.cameras.items()}
        failures = []
        for name, device in (("arm", arm), *cameras.items()):
            stack.callback(device.close)
            try:
                device.connect()
            except SkillcoreError as error:
                failures.append((name, error))
        if failures:
            raise DeviceError(
                f"cell {loaded.name}: {len(failures)} of {1 + len(cameras)} devices did not open\n"
                + "\n".join(f"- {name}: {error}" for name, error in failures)
            ) from failures[0][1]
        stack.callback(arm.stop)
        yield Cell(loaded.config, arm, cameras, clock, simulation, loaded.socket_from_base)


def _tcp_at(readings: Sequence[ArmState], time_s: float) -> Pose:
    """Where the TCP was, between the readings (at least one) that lie around that time; the nearest where none do."""
    after = next((number for number, state in enumerate(readings) if state.time_s >= time_s), len(readings))
    if after in (0, len(readings)):
        return readings[min(after, len(readings) - 1)].tcp_from_base
    first, second = readings[after - 1], readings[after]
    share = (time_s - first.time_s) / (second.time_s - first.time_s)
    start, end = first.tcp_from_base, second.tcp_from_base
    turn = rotation_from_rotvec(share * rotvec_from_rotation(start.rotation.T @ end.rotation))
    return Pose(start.position_m + share * (end.position_m - start.position_m), start.rotation @ turn)


def fitted(image: Image, size_px: int, *, interpolation: int = cv2.INTER_AREA) -> Image:
    """The middle square of an image (H, W, 3), or of an array (H, W), at size_px. interpolation: OpenCV's."""
    height, width = image.shape[:2]
    if height != width:
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        image = image[top : top + side, left : left + side]
    if image.shape[0] == size_px:
        return image
    resized = cv2.resize(image, (size_px, size_px), interpolation=interpolation)
    return np.asarray(resized, dtype=np.uint8)


def _envelope(config: CellConfig) -> Envelope:
    safety = config.safety
    center = config.fixture.socket_from_base.position_m
    return Envelope(
        min_m=center + np.array(safety.workspace.min_m),
        max_m=center + np.array(safety.workspace.max_m),
        speed_limit_m_s=safety.speed_limit_m_s,
        turn_speed_limit_rad_s=safety.turn_speed_limit_rad_s,
        force_limit_n=safety.force_limit_n,
        hard_force_limit_n=safety.hard_force_limit_n,
    )


def _named(context: Context, name: str) -> Context:
    return Context(name=name, clock=context.clock, simulation=context.simulation, fixture=context.fixture)
