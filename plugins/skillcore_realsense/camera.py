"""An Intel RealSense camera, on USB, in a recording, or of a twin.

So far this has run with the library's software devices only, and never on a real camera: see
tests/hardware/test_realsense.py for what to run when one is at hand.
"""

from __future__ import annotations

import time
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.errors import DeviceError, StaleFrameError
from skillcore.interfaces import Camera, Clock
from skillcore.types import Frame, Image, Intrinsics
from skillcore_realsense.options import RealSenseOptions
from skillcore_realsense.stream import FIRST_FRAME_S, Arrival, Stream

ANSWER_S = 0.45
"""`read` answers within this, with a frame or with what is wrong."""


class RealSenseCamera(Camera):
    """Delivers the newest frame of a stream that is watched beside it.

    A stream that stands still is told within half a second, with its likely cause, and is started again meanwhile, as
    often as the options allow within a minute; a camera that was unplugged comes back when it is plugged in again.
    Lens distortion is not taken out of the images.
    """

    def __init__(self, rs: Any, options: RealSenseOptions, clock: Clock, *, name: str = "camera") -> None:
        self._rs, self._options, self._clock = rs, options, clock
        self._name = name or "camera"
        self._stream: Stream | None = None
        self._intrinsics: Intrinsics | None = None
        self._align: Any = None

    @property
    def restarts(self) -> int:
        """How often the stream was started again since `connect`."""
        return 0 if self._stream is None else self._stream.restarts

    def connect(self) -> None:
        self.close()
        stream = Stream(self._rs, self._options, self._clock, name=self._name)
        stream.start()
        self._stream = stream
        give_up_s = time.monotonic() + FIRST_FRAME_S + 2.0
        with stream.changed:
            while stream.latest is None and stream.trouble is None and time.monotonic() < give_up_s:
                stream.changed.wait(0.1)
            trouble, profile = stream.trouble, stream.profile
        if stream.latest is None:
            self.close()
            if trouble is not None:
                raise DeviceError(trouble.what, cure=trouble.cure)
            cure = "unplug the camera and plug it in again, and start this program anew"
            raise DeviceError("the vendor's library does not answer", cure=cure)
        self._intrinsics = self._intrinsics_of(profile)
        if self._options.depth:
            # Where both are one imager there is nothing to align, and rounding would tear lines of holes.
            self._align = None if self._is_aligned(profile) else self._rs.align(self._rs.stream.color)

    def close(self) -> None:
        stream, self._stream = self._stream, None
        self._intrinsics = None
        if stream is not None:
            # If it hangs in the library, nothing more can be done: the thread ends with the process.
            stream.end()

    @property
    def intrinsics(self) -> Intrinsics:
        if self._intrinsics is None:
            raise DeviceError(f"camera {self._name} is not connected", cure="call connect() first")
        return self._intrinsics

    def read(self, max_age_s: float) -> Frame:
        intrinsics, stream = self.intrinsics, self._stream
        assert stream is not None
        arrival = self._await_young(stream, min(max_age_s, self._options.max_age_s))
        image, depth_m = self._pictures(arrival.frames)
        return Frame(image, depth_m, intrinsics, arrival.time_s, arrival.sequence)

    def _await_young(self, stream: Stream, max_age_s: float) -> Arrival:
        """The newest frames, once they are young enough. Raises StaleFrameError."""
        give_up_s = time.monotonic() + ANSWER_S
        with stream.changed:
            trouble_before = stream.trouble
            while True:
                latest, trouble = stream.latest, stream.trouble
                if trouble is None and latest is not None and self._clock.now_s() - latest.time_s <= max_age_s:
                    return latest
                # A new trouble is told at once; with one that is known, the stream gets the time to come back.
                left_s = give_up_s - time.monotonic()
                if trouble is not None and (trouble.gave_up or trouble is not trouble_before or left_s <= 0.0):
                    raise StaleFrameError(f"camera {self._name}: {trouble.what}", cure=trouble.cure)
                if left_s <= 0.0:
                    raise StaleFrameError(
                        f"camera {self._name}: no frame younger than {max_age_s:g} s",
                        cure="see the load of this computer, or raise max_age_s in the cell file",
                    )
                stream.changed.wait(left_s)

    # --- images ---

    def _pictures(self, frames: Any) -> tuple[Image, NDArray[np.float32] | None]:
        colour = self._fitted(np.asanyarray(frames.get_color_frame().get_data()), cv2.INTER_AREA)
        if not self._options.depth:
            return np.array(colour, np.uint8), None
        # Where the depth camera sees nothing, 0 means so: an average with it would be a depth that nothing has.
        aligned = (frames if self._align is None else self._align.process(frames)).get_depth_frame()
        units = self._fitted(np.asanyarray(aligned.get_data()), cv2.INTER_NEAREST)
        return np.array(colour, np.uint8), units.astype(np.float32) * np.float32(aligned.get_units())

    def _fitted(self, pixels: NDArray[Any], interpolation: int) -> NDArray[Any]:
        """Cropped and resized as the options say."""
        crop, size = self._options.crop, self._options.resize_px
        if crop is not None:
            pixels = pixels[crop.top_px : crop.top_px + crop.height_px, crop.left_px : crop.left_px + crop.width_px]
        if size is not None:
            pixels = np.asarray(cv2.resize(pixels, size, interpolation=interpolation))
        return pixels

    def _is_aligned(self, profile: Any) -> bool:
        """Whether the depth stream's pixels are those of the colour stream."""
        colour, depth = (profile.get_stream(kind) for kind in (self._rs.stream.color, self._rs.stream.depth))
        own, other = (each.as_video_stream_profile().get_intrinsics() for each in (colour, depth))
        names = ("width", "height", "fx", "fy", "ppx", "ppy")
        between = depth.get_extrinsics_to(colour)
        return (
            all(abs(getattr(own, name) - getattr(other, name)) < 1e-3 for name in names)
            and bool(np.allclose(between.rotation, np.eye(3).ravel(), atol=1e-6))
            and bool(np.allclose(between.translation, 0.0, atol=1e-6))
        )

    def _intrinsics_of(self, profile: Any) -> Intrinsics:
        """Of what `_fitted` makes of a colour image. The library has pixel i's middle at i, we have it at i + 0.5."""
        own = profile.get_stream(self._rs.stream.color).as_video_stream_profile().get_intrinsics()
        crop, size = self._options.crop, self._options.resize_px
        left, top, width, height = 0, 0, own.width, own.height
        if crop is not None:
            left, top, width, height = crop.left_px, crop.top_px, crop.width_px, crop.height_px
        wide, high = size or (width, height)
        across, down = wide / width, high / height
        return Intrinsics(
            wide, high, own.fx * across, own.fy * down, (own.ppx + 0.5 - left) * across, (own.ppy + 0.5 - top) * down
        )
