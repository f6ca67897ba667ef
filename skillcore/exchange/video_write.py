"""Frames of a camera as H.264 in MP4, many episodes in a file, as LeRobot keeps them. Needs the extra `exchange`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from skillcore.errors import InputError
from skillcore.exchange import lerobot_form as form
from skillcore.exchange.lerobot_files import place_of
from skillcore.storage import storage_faults
from skillcore.types import Image

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.video.stream import VideoStream

INSTALL = "pip install 'skillcore[exchange]'"
CODEC: Final = "libx264"
# Views are small and connectors smaller, so that quality comes first; a key frame every other frame is what random
# access wants, and frames that look ahead would shift the times.
OPTIONS = {"crf": "18", "preset": "veryfast", "g": "2", "bf": "0"}


def require_codec() -> None:
    """Raises InputError that says what to install, where videos cannot be written."""
    try:
        import av
    except ImportError as error:
        raise InputError(f"videos need the package av: {error}", cure=INSTALL) from error
    if CODEC not in av.codecs_available:
        raise InputError(f"the package av that is installed cannot write H.264: it lacks {CODEC}", cure=INSTALL)


class VideoWriter:
    """The videos of one camera."""

    def __init__(self, folder: Path, key: str, *, rate_hz: float) -> None:
        self._folder, self._key = folder, key
        self._rate = Fraction(rate_hz).limit_denominator(1000)
        self._file = -1
        self._frames = 0
        self._size = 0
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None

    def add(self, pictures: Image) -> dict[str, Any]:
        """Writes an episode's frames (frames, H, W, 3); returns what LeRobot notes of them in the episode's row.

        Raises InputError if the encoder fails, StorageError if the disk is full or fails.
        """
        import av

        if self._container is None or self._size > form.VIDEO_BYTES:
            self.close()
            self._open(*pictures.shape[1:3])
        container, stream = self._container, self._stream
        assert container is not None
        assert stream is not None
        start = self._frames
        with self._faults():
            for picture in pictures:
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
                frame.pts, frame.time_base = self._frames, 1 / self._rate
                packets = stream.encode(frame)
                container.mux(packets)
                self._size += sum(packet.size for packet in packets)
                self._frames += 1
        chunk, file = place_of(self._file)
        return {
            f"videos/{self._key}/chunk_index": chunk,
            f"videos/{self._key}/file_index": file,
            f"videos/{self._key}/from_timestamp": float(start / self._rate),
            f"videos/{self._key}/to_timestamp": float(self._frames / self._rate),
        }

    @property
    def _path(self) -> Path:
        chunk, file = place_of(self._file)
        return self._folder / form.VIDEOS.format(video_key=self._key, chunk_index=chunk, file_index=file)

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        import av

        try:
            with storage_faults("write", self._path):
                yield
        except av.error.FFmpegError as error:
            raise InputError(f"{self._path}: the video encoder failed: {error}", cure=INSTALL) from error

    def _open(self, height_px: int, width_px: int) -> None:
        import av

        self._file, self._frames, self._size = self._file + 1, 0, 0
        with self._faults():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(str(self._path), "w", format="mp4")
            stream = self._container.add_stream(CODEC, rate=self._rate, options=OPTIONS)
            stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
            self._stream = stream

    def close(self) -> None:
        """Ends the file that is open. May be called twice. Raises as `add` does."""
        container, stream = self._container, self._stream
        self._container = self._stream = None
        if container is not None and stream is not None:
            with self._faults():
                container.mux(stream.encode(None))
                container.close()

    def about(self, height_px: int, width_px: int) -> dict[str, Any]:
        """What LeRobot notes of a camera's videos."""
        return {
            "video.height": height_px,
            "video.width": width_px,
            "video.codec": "h264",
            "video.pix_fmt": "yuv420p",
            "video.is_depth_map": False,
            "video.fps": float(self._rate),
            "video.channels": 3,
            "has_audio": False,
        }
