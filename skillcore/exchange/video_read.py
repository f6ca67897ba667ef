"""Frames of an episode out of a stranger's video. Needs the extra `exchange`."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from skillcore.errors import EpisodeError, InputError
from skillcore.exchange.strangers import shown
from skillcore.exchange.video_write import INSTALL
from skillcore.types import Image

MAX_FILE_BYTES = 16 * 2**30
CODECS = ("h264", "hevc", "av1", "libdav1d", "libaom-av1", "vp9", "mpeg4")
TOLERANCE = 0.25
"""A frame may be off its time by so much of the time between two."""
MAX_BEFORE = 2000
"""Frames between a key frame and the first one that is wanted."""


def require_av() -> Any:
    """The package av. Raises InputError that says what to install."""
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"the dataset's images are videos, and reading them needs av: {error}", cure=INSTALL
        ) from error
    return av


def read_video(
    path: Path,
    name: str,
    *,
    start_s: float,
    frames: int,
    rate_hz: float,
    size_px: tuple[int, int],
    keep: Callable[[int, Image], None],
) -> None:
    """Hands frames 0 ... `frames`, each (H, W, 3) uint8 RGB, to `keep`, beginning at `start_s` of the video.

    size_px: height and width that were declared. Raises EpisodeError where the video is damaged, of another size, or
    lacks a frame; InputError without the package av.
    """
    av = require_av()
    try:
        # The file is handed over open, and its form is not guessed: a playlist could name other files and addresses.
        with path.open("rb") as file, av.open(file, "r", format="mp4") as container:
            _read(container, name, start_s, frames, rate_hz, size_px, keep)
    except EpisodeError:
        raise
    except (av.error.FFmpegError, OSError, ValueError, MemoryError, OverflowError) as error:
        # Without the number and the whole path that FFmpeg puts around what it has to say.
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EpisodeError(f"{shown(name)} is damaged: {shown(said)}") from error


def _read(
    container: Any,
    name: str,
    start_s: float,
    frames: int,
    rate_hz: float,
    size_px: tuple[int, int],
    keep: Callable[[int, Image], None],
) -> None:
    if len(container.streams.video) != 1:
        raise EpisodeError(f"{shown(name)} has {len(container.streams.video)} video streams, not one")
    stream = container.streams.video[0]
    codec = stream.codec_context
    if codec.name not in CODECS:
        raise EpisodeError(f"{shown(name)} is coded as {shown(str(codec.name))}", cure=f"known are {', '.join(CODECS)}")
    _check_size(name, (codec.height, codec.width), size_px)
    if not math.isfinite(start_s) or not 0.0 <= start_s <= 1e7:
        raise EpisodeError(f"{shown(name)}: an episode cannot begin at {start_s} s")
    if start_s > 0.0:
        container.seek(int(max(0.0, start_s - TOLERANCE / rate_hz) / stream.time_base), stream=stream, backward=True)
    found, before = 0, 0
    for frame in container.decode(stream):
        if frame.time is None:
            raise EpisodeError(f"{shown(name)} has a frame without a time")
        late = float(frame.time) - (start_s + found / rate_hz)
        if late < -TOLERANCE / rate_hz:
            before += 1
            if before > MAX_BEFORE + frames:
                raise EpisodeError(f"{shown(name)} has more frames than its rate of {rate_hz:g} Hz allows")
            continue
        if late > TOLERANCE / rate_hz:
            raise EpisodeError(f"{shown(name)} has no frame at {start_s + found / rate_hz:.3f} s: frames are missing")
        _check_size(name, (frame.height, frame.width), size_px)
        keep(found, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
        found += 1
        if found == frames:
            return
    raise EpisodeError(f"{shown(name)} ends after {found} of {frames} frames: frames are missing")


def _check_size(name: str, found: tuple[int, int], declared: tuple[int, int]) -> None:
    if found != declared:
        raise EpisodeError(
            f"{shown(name)} is of {found[1]}x{found[0]} pixels, where {declared[1]}x{declared[0]} were declared"
        )
