"""A camera's stream: opened, watched and started again in a thread of its own.

All calls to the library's pipeline are made there, so that whoever reads never waits for a device that hangs.
"""

from __future__ import annotations

import atexit
import contextlib
import re
import threading
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skillcore.errors import DeviceError, suggest
from skillcore.interfaces import Clock
from skillcore_realsense.devices import (
    Connected,
    connected,
    describe,
    likely_cause,
    misfits,
    not_connected,
    set_light,
    stream_failure,
)
from skillcore_realsense.options import RealSenseOptions
from skillcore_realsense.software import SoftwareCamera, plug_in
from skillcore_realsense.timing import FrameClock, FrameNumbers

STALL_S = 0.35
"""A stream without a new, young frame for so long stands still."""
FIRST_FRAME_S = 5.0
"""How long a camera may take to deliver its first frame."""
POLL_S = 0.05
BAD_FRAMES_APART_S = 0.2
"""If bad frames come, they come so often; a single one says nothing about the silence after it."""
END_S = 3.0
REPORT = "unplug the camera and plug it in again; if it happens again, report it with the version of pyrealsense2"
PLAYED_ON = "it is played on by itself: what was recorded had no frames either"
LOOK_AGAIN_S = 0.25
"""How often a camera that was unplugged is looked for."""
RESTART_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A set of frames as the library gave it, with its time on the cell's clock and its number."""

    frames: Any
    time_s: float
    sequence: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why there is no picture. gave_up: the stream is not started again by itself."""

    what: str
    cure: str
    gave_up: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    pipeline: Any
    profile: Any
    device: Any
    port: Connected


@dataclass(frozen=True, slots=True)
class _Silence:
    """The last frame of no use: when it came, how late it was, or whether it was the one before it again."""

    time_s: float
    late_s: float | None = None
    still: bool = False


class Stream:
    """Delivers the newest frames of one camera, and what is wrong with it.

    `changed` guards `latest`, `trouble` and `profile`, and tells of each new one.
    """

    def __init__(self, rs: Any, options: RealSenseOptions, clock: Clock, *, name: str) -> None:
        self._rs, self._options, self._clock, self._camera = rs, options, clock, name
        self.changed = threading.Condition()
        self.latest: Arrival | None = None
        self.trouble: Trouble | None = None
        self.profile: Any = None
        self.restarts = 0
        self._ending = threading.Event()
        self._context: Any = None
        self._software: SoftwareCamera | None = None
        self._times, self._numbers = FrameClock(), FrameNumbers()
        self._files = 0
        self._starts: deque[float] = deque()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        """Begins to open the camera, and returns at once."""
        # A pipeline that still runs when the process ends makes the library abort it.
        atexit.register(self.end)
        self._thread.start()

    def end(self) -> bool:
        """Ends the stream; whether it did in time."""
        atexit.unregister(self.end)
        self._ending.set()
        self._thread.join(END_S)
        return not self._thread.is_alive()

    # --- in the thread ---

    def _run(self) -> None:
        try:
            self._keep_running()
        except Exception as error:  # noqa: BLE001 - the reader has to be told, whatever the library raised
            self._tell(f"the vendor's library failed: {type(error).__name__}: {error}", REPORT, gave_up=True)
        finally:
            if self._software is not None:
                self._software.unplug()

    def _keep_running(self) -> None:
        self._context = self._rs.context()
        while self._start_and_watch() and self._await_plugged_in():
            self._starts.append(time.monotonic())
            self.restarts += 1

    def _start_and_watch(self) -> bool:
        """Runs the stream until it stands still or is to end, and tells what is wrong. Whether to start it again."""
        try:
            opened = self._open()
        except DeviceError as error:
            return self._announce(error, listed=True)
        try:
            silence = self._watch(opened)
            # Told before it is stopped: that may take long, if the camera does not answer any more.
            return silence is not None and self._announce(*self._diagnosis(silence))
        except RuntimeError as error:
            return self._announce(stream_failure(error, opened.port), listed=True)
        finally:
            # Also a stream that is broken must be stopped, or the camera stays claimed and dead for the next process.
            with contextlib.suppress(RuntimeError):  # it has ended by itself: the device is gone
                opened.pipeline.stop()

    def _announce(self, error: DeviceError, listed: bool) -> bool:
        """Tells why there is no picture, and whether the stream is started again, which is returned.

        listed: whether the camera is still connected; if not, it is looked for first.
        """
        if self._ending.is_set():
            return False
        if self.profile is None:  # it has never run: whoever connects is told, and decides
            self._tell(error.what, error.cure, gave_up=True)
            return False
        while self._starts and time.monotonic() - self._starts[0] > RESTART_WINDOW_S:
            self._starts.popleft()
        done, allowed = len(self._starts), self._options.restarts
        if done >= allowed:
            often = f"{done} restarts within {RESTART_WINDOW_S:g} s did not help" if done else "restarts: 0"
            self._tell(f"{error.what} ({often})", error.cure, gave_up=True)
            return False
        again = f"; restart {done + 1} of {allowed} is under way" if listed else ""
        self._tell(error.what + again, error.cure, gave_up=False)
        return True

    def _tell(self, what: str, cure: str, *, gave_up: bool) -> None:
        with self.changed:
            self.trouble = Trouble(what, cure, gave_up)
            self.changed.notify_all()

    def _await_plugged_in(self) -> bool:
        """Waits until the camera is listed; whether it is, rather than that the stream is to end."""
        while not self._ending.wait(LOOK_AGAIN_S):
            with contextlib.suppress(DeviceError, RuntimeError):
                self._find()
                return True
        return False

    def _find(self) -> tuple[Connected, Any]:
        """The camera's device. Raises DeviceError that lists what is connected."""
        serial, software = self._options.serial, self._software
        if serial.startswith("twin-") and (software is None or not software.alive):
            if software is not None:
                software.unplug()
            self._software = None
            self._software = plug_in(self._rs, self._context, serial)
        found = connected(self._rs, self._context)
        for port, device in found:
            if port.serial == serial:
                return port, device
        raise not_connected(serial, [port for port, _ in found])

    def _open(self) -> _Opened:
        """Starts the pipeline. Raises DeviceError."""
        rs, options = self._rs, self._options
        config, pipeline = rs.config(), rs.pipeline(self._context)
        if options.play_from is not None:
            port, device = self._load(options.play_from, config, pipeline)
        else:
            port, device = self._find()
            config.enable_device(port.serial)
        try:
            wrong = misfits(rs, device, options)
            del device
            if wrong:
                lines = "\n".join(f"{each.field}: {each.reason}\n  -> {each.cure}" for each in wrong)
                raise DeviceError(f"{port} cannot do what the cell file asks of camera {self._camera}\n{lines}")
            profile = self._start(config, pipeline, port)
            return _Opened(pipeline, profile, profile.get_device(), port)
        except RuntimeError as error:
            raise stream_failure(error, port) from error

    def _start(self, config: Any, pipeline: Any, port: Connected) -> Any:
        """Starts a pipeline with the streams of the options. Raises DeviceError, and RuntimeError as the library."""
        rs, options = self._rs, self._options
        rate = round(options.rate_hz)
        config.enable_stream(rs.stream.color, *options.size_px, rs.format.rgb8, rate)
        if options.depth:
            config.enable_stream(rs.stream.depth, *(options.depth_size_px or options.size_px), rs.format.z16, rate)
        # Starting what can't be started holds up the whole process for 15 s; asking first takes no time.
        if not config.can_resolve(rs.pipeline_wrapper(pipeline)):
            raise RuntimeError("these streams do not run together")
        if options.record_to is not None:
            config.enable_record_to_file(str(self._new_file(options.record_to, port)))
        profile = pipeline.start(config)
        try:
            set_light(rs, profile.get_device(), options)
        except RuntimeError:
            pipeline.stop()
            raise
        return profile

    def _load(self, file: Path, config: Any, pipeline: Any) -> tuple[Connected, Any]:
        """The device in a recording. Raises DeviceError."""
        if not file.is_file():
            beside = sorted(path.name for path in file.parent.glob("*.db3")) if file.parent.is_dir() else []
            cure = suggest(file.name, beside) if beside else "`record_to: FOLDER` makes recordings"
            raise DeviceError(f"play_from: there is no file {file}", cure=cure)
        try:
            # By the class, since the library has two functions of that name and one takes no instance.
            self._rs.config.enable_device_from_file(config, str(file))
            device = config.resolve(self._rs.pipeline_wrapper(pipeline)).get_device()
            port = describe(self._rs, device)
        except RuntimeError as error:
            cure = "give a .db3 file that `record_to` made, with a colour stream in it"
            raise DeviceError(f"play_from: {file} cannot be played: {error}", cure=cure) from error
        serial = self._options.serial
        if serial and port.serial != serial:
            cure = f"write serial: {port.serial}, or leave it out"
            raise DeviceError(f"play_from: {file} was recorded by camera {port.serial}, not {serial}", cure=cure)
        return port, device

    def _new_file(self, folder: Path, port: Connected) -> Path:
        """A name that no recording has yet. Raises DeviceError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            cure = "give a folder that can be written to"
            raise DeviceError(f"record_to: {folder}: {error.strerror}", cure=cure) from error
        words = re.sub(r"[^A-Za-z0-9._-]", "_", f"{self._camera}-{port.serial}")
        while True:
            self._files += 1
            path = folder / f"{words}-{time.strftime('%Y%m%d-%H%M%S')}-{self._files}.db3"
            if not path.exists():
                return path

    def _watch(self, opened: _Opened) -> _Silence | None:
        """Takes frames as they come, until no good one comes any more. None if the stream is to end."""
        last_good_s, patience_s = time.monotonic(), FIRST_FRAME_S
        silence = _Silence(last_good_s)
        number: int | None = None
        while not self._ending.is_set():
            came, frames = opened.pipeline.try_wait_for_frames(int(POLL_S * 1e3))
            colour = frames.get_color_frame() if came else None
            if colour and (not self._options.depth or frames.get_depth_frame()):
                age_s = self._age_s(colour, opened.device)
                if colour.frame_number == number:
                    silence = _Silence(time.monotonic(), still=True)
                elif age_s > STALL_S:
                    silence = _Silence(time.monotonic(), late_s=age_s)
                else:
                    last_good_s, patience_s = time.monotonic(), STALL_S
                    self._deliver(frames, age_s, colour.frame_number, opened.profile)
                number = colour.frame_number
            now = time.monotonic()
            if now - last_good_s > patience_s:
                if self._options.play_from is None or self.profile is None:
                    return silence if now - silence.time_s < BAD_FRAMES_APART_S else _Silence(now)
                # Started again, it would begin at its beginning, and never come past this place.
                self._tell("the recording has a gap here", PLAYED_ON, gave_up=False)
                last_good_s = now
        return None

    def _age_s(self, colour: Any, device: Any) -> float:
        domains = self._rs.timestamp_domain
        of_host = colour.frame_timestamp_domain != domains.hardware_clock and not device.is_playback()
        return self._times.age_s(colour.timestamp * 1e-3, of_host=of_host)

    def _deliver(self, frames: Any, age_s: float, number: int, profile: Any) -> None:
        arrival = Arrival(frames, self._clock.now_s() - age_s, self._numbers.sequence(number))
        with self.changed:
            self.latest, self.trouble, self.profile = arrival, None, profile
            self.changed.notify_all()

    def _diagnosis(self, silence: _Silence) -> tuple[DeviceError, bool]:
        """What a silence means, and whether the camera is still connected."""
        if self._options.play_from is not None:
            return DeviceError("the recording holds no frames", cure="see what is in it with realsense-viewer"), True
        serial, software = self._options.serial, self._software
        # A software device that is gone is listed as long as the pipeline has it.
        listed = connected(self._rs, self._context) if software is None or software.alive else []
        port = next((port for port, _ in listed if port.serial == serial), None)
        what, cure = likely_cause(serial, port, late_s=silence.late_s, still=silence.still)
        if software is not None and software.why_gone:
            what += f" ({software.why_gone})"
        return DeviceError(what, cure=cure), port is not None
