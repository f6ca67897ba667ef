"""Videos of trials, made of saved episodes: H.264 in MP4, as every browser plays it. Needs the extra `video`.

Nothing here runs while an arm moves: pictures are drawn and encoded when a run has ended, or when somebody asks.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import numpy as np

from skillcore.episodes import EpisodeStore
from skillcore.errors import InputError
from skillcore.learning.saved_trials import Trial
from skillcore.reports.overlay import HEIGHT_PX, WIDTH_PX, TrialPainter
from skillcore.reports.recorded_run import RecordedRun, shown_of_part, spread
from skillcore.storage import make_folder_durably, storage_faults, temporary_beside
from skillcore.types import Image

FOLDER = "video"
INSTALL = "pip install 'skillcore[video]'"
MOST_TRIALS = 24
"""Of a part of a run at most so many are shown, about a minute of video."""
BEGIN_S, END_S = 0.3, 1.2
"""How long the first picture of a trial stands, and the last, with its outcome."""
CODEC: Final = "libx264"
# A steady quality; more effort saves little, since most of a picture stands still.
QUALITY = {"crf": "22", "preset": "veryfast"}
BT709 = 1
PICTURES_A_KEY = 50


@dataclass(frozen=True, slots=True)
class Film:
    """A video that was written."""

    path: Path
    trials: int
    seconds: float
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """A picture, and for how many frames of the video it stands."""

    picture: Image
    frames: int = 1


def require_video() -> None:
    """Raises InputError that says what to install, where videos cannot be written."""
    try:
        import av
    except ImportError as error:
        raise InputError(f"a video needs the package av: {error}", cure=INSTALL) from error
    if CODEC not in av.codecs_available:
        raise InputError(f"the package av that is installed cannot write H.264: it lacks {CODEC}", cure=INSTALL)


def write_mp4(path: Path, shots: Iterable[Shot], *, rate_hz: float, title: str = "") -> tuple[float, int]:
    """Writes a video that appears whole or not at all. Returns its length in s and its size in bytes.

    shots: pictures (720, 1280, 3). rate_hz: frames a second. Raises StorageError if the disk is full or fails, and
    InputError if the extra is missing or the encoder fails.
    """
    require_video()
    import av

    make_folder_durably(path.parent)
    temporary = temporary_beside(path)
    try:
        with storage_faults("write", path):
            frames = _encode(temporary, shots, rate_hz, title)
            size = temporary.stat().st_size
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
    except av.error.FFmpegError as error:
        what = f"{path}: the video encoder failed: {error}"
        raise InputError(what, cure=f"install it anew: {INSTALL}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return frames / rate_hz, size


def _encode(path: Path, shots: Iterable[Shot], rate_hz: float, title: str) -> int:
    """Returns how many frames were written. Raises OSError, and av's errors."""
    import av

    rate = Fraction(rate_hz).limit_denominator(1000)
    frames = 0
    # The index goes to the front, so that a browser can begin before it has all of the file.
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(CODEC, rate=rate, options=QUALITY)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        context = stream.codec_context
        context.gop_size = PICTURES_A_KEY
        context.colorspace = context.color_primaries = context.color_trc = BT709
        for shot in shots:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shot.picture), format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
            for _ in range(shot.frames):
                frame.pts, frame.time_base = frames, 1 / rate
                container.mux(stream.encode(frame))
                frames += 1
        container.mux(stream.encode(None))
    return frames


# --- of a run ------------------------------------------------------------------------------------------------------


def record_run(run: RecordedRun) -> list[Film]:
    """A video of each part of a run, in the run's folder. Raises as `write_mp4` does.

    Of practice, trials without noise are shown. Of more than `MOST_TRIALS`, see `chosen`.
    """
    films = []
    for part, trials in run.parts.items():
        path = run.folder / FOLDER / f"{part}.mp4"
        films.append(write_trials(run, chosen(shown_of_part(part, trials)), path))
    return films


def chosen(trials: Sequence[Trial], most: int = MOST_TRIALS) -> list[Trial]:
    """At most so many trials, in their order: first those that went wrong in whatever way, then others at even
    distances."""
    if len(trials) <= most:
        return list(trials)
    wrong = [trial for trial in trials if not (trial.result.claimed and trial.result.success)]
    right = [trial for trial in trials if trial.result.claimed and trial.result.success]
    kept = spread(wrong, min(len(wrong), most - min(len(right), most // 4)))
    kept += spread(right, most - len(kept)) if len(kept) < most else []
    return sorted(kept, key=lambda trial: trial.number)


def write_trials(run: RecordedRun, trials: Sequence[Trial], path: Path, *, speed: float = 1.0) -> Film:
    """A video of these trials, one after the other. speed: 1 is as it was. Raises as `write_mp4` and a store do."""
    with run.store as store:
        rate_hz = rate_of(store, trials) * speed
        shots = (shot for trial in trials for shot in trial_shots(run, store, trial, rate_hz=rate_hz))
        seconds, size = write_mp4(path, shots, rate_hz=rate_hz, title=f"{run.setting.title}: {path.stem}")
    return Film(path, len(trials), seconds, size)


def rate_of(store: EpisodeStore, trials: Sequence[Trial]) -> float:
    """Steps a second of these trials, as they were."""
    return store.read(trials[0].episode_id).info.control_hz


def trial_shots(
    run: RecordedRun, store: EpisodeStore, trial: Trial, *, rate_hz: float, longest_s: float = math.inf
) -> Iterator[Shot]:
    """The pictures of a trial, a step in each frame. longest_s: of a longer trial only its end is shown."""
    episode = store.read(trial.episode_id)
    trials = run.parts[trial.part]
    heading = f"{episode.info.variant} in cell {episode.info.cell}: {run.words_of(trial.part)}, "
    heading += f"trial {trial.number} of {len(trials)}"
    axis = max(one.result.steps for one in trials)
    painter = TrialPainter(run.setting, episode, trial.result, heading, axis_steps=axis)
    first = max(0, episode.steps - round(min(longest_s * rate_hz, episode.steps)))
    for frame in range(first, episode.steps + 1):
        yield Shot(painter.picture(frame), max(1, round(BEGIN_S * rate_hz)) if frame == first else 1)
    yield Shot(painter.picture(episode.steps, ended=True), max(1, round(END_S * rate_hz)))


def seconds_of(trial: Trial, rate_hz: float) -> float:
    """How long a trial takes in a video."""
    return BEGIN_S + trial.result.steps / rate_hz + END_S
