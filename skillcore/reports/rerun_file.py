"""A run as a Rerun recording: all that was seen, felt, done and thought, step by step. Needs the extra `rerun`.

Timelines: `step` counts the frames of the whole recording, `trial` its trials, `time` in s goes on from trial to trial
without the pauses between them. Entities:

    views/<camera>                      the images, lossless
    base/start                          TCP's pose at the trial's start, in the base; base/start/path the way it took
    base/start/tcp                      TCP's pose seen from there
    wrench/force_x ... torque_z, wrench/force              N, Nm; the last is the force's size
    action/x ... yaw, executed/x ... yaw                   what was asked for, and what was done, in [-1, 1]
    reward/score, reward/threshold, reward/reward          what the reward model thought, and what the learner was told
    outcome/claimed, outcome/truth, outcome/log            how the trial ended
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skillcore.episodes.images import encode_png
from skillcore.errors import InputError
from skillcore.learning.rewarding import threshold_of
from skillcore.learning.saved_trials import Trial
from skillcore.reports.overlay import verdict_of
from skillcore.reports.recorded_run import RecordedRun
from skillcore.reports.video import Film, chosen
from skillcore.storage import make_folder_durably, write_durably
from skillcore.types import ACTION_NAMES, Episode

if TYPE_CHECKING:
    from rerun import RecordingStream

FOLDER = "rerun"
INSTALL = "pip install 'skillcore[rerun]'"
MOST_TRIALS = 200
"""Of a part of a run at most so many are recorded; see `skillcore.reports.video.chosen`."""
FORCES = ("force_x", "force_y", "force_z", "torque_x", "torque_y", "torque_z")
TCP_AXES_M, START_AXES_M = 0.02, 0.01


def require_rerun() -> None:
    """Raises InputError that says what to install, where the SDK is missing."""
    try:
        import rerun  # noqa: F401 - whether it can be imported
    except ImportError as error:
        raise InputError(f"a Rerun recording needs the package rerun-sdk: {error}", cure=INSTALL) from error


def record_rerun(run: RecordedRun, path: Path | None = None) -> Film:
    """Writes the recording of a run, in its folder if no path is given; it appears whole or not at all.

    Raises InputError if the extra is missing, StorageError if the disk is full or fails, EpisodeError for a damaged
    episode.
    """
    require_rerun()
    path = path or run.folder / FOLDER / "run.rrd"
    trials = [trial for part in run.parts.values() for trial in chosen(part, MOST_TRIALS)]
    # Held in memory until it is whole, some hundred megabytes at most: the SDK's own writing of files would pass over a
    # full disk in silence.
    data, seconds = _recorded(run, trials)
    make_folder_durably(path.parent)
    write_durably(path, data)
    return Film(path, len(trials), seconds, len(data))


def _recorded(run: RecordedRun, trials: Sequence[Trial]) -> tuple[bytes, float]:
    """The recording's bytes, and its length in s."""
    import rerun

    recording = rerun.RecordingStream("skillcore", recording_id=run.folder.name)
    stream = rerun.binary_stream(recording)
    recording.send_recording_name(f"{run.setting.title}, {run.folder.name}")
    first, begin_s = 0, 0.0
    try:
        with run.store as store:
            for number, trial in enumerate(trials, 1):
                episode = store.read(trial.episode_id)
                if not first:
                    _send_what_stays(recording, run, episode)
                _send_trial(recording, run, trial, episode, number, first, begin_s)
                first += episode.steps + 1
                begin_s += (episode.steps + 1) / episode.info.control_hz
    finally:
        # What is not taken out, the SDK complains of on stderr.
        data = stream.read() or b""
        recording.disconnect()
    return data, begin_s


def _send_what_stays(recording: RecordingStream, run: RecordedRun, episode: Episode) -> None:
    import rerun
    from rerun import blueprint

    for entity, length_m in (("base/start", START_AXES_M), ("base/start/tcp", TCP_AXES_M)):
        recording.log(entity, rerun.TransformAxes3D(length_m), static=True, strict=True)
    cameras = [
        blueprint.Spatial2DView(origin=_view(run, view), name=run.setting.camera(view))
        for view in range(episode.images.shape[1])
    ]
    plots = [
        blueprint.TimeSeriesView(origin="wrench", contents=["wrench/force", "wrench/force_z"], name="force, N"),
        blueprint.TimeSeriesView(origin="executed", name="motion done"),
        blueprint.TimeSeriesView(origin="reward", name="reward model"),
    ]
    upper = blueprint.Horizontal(*cameras, blueprint.Spatial3DView(origin="base", name="TCP"))
    lower = blueprint.Horizontal(*plots, blueprint.TextLogView(origin="outcome/log", name="outcomes"))
    panel = blueprint.TimePanel(timeline="step")
    recording.send_blueprint(blueprint.Blueprint(blueprint.Vertical(upper, lower), panel, collapse_panels=True))


def _send_trial(
    recording: RecordingStream,
    run: RecordedRun,
    trial: Trial,
    episode: Episode,
    number: int,
    first: int,
    begin_s: float,
) -> None:
    """number: of the trial in the recording. first, begin_s: number and time of its first frame there."""
    import rerun

    count = episode.steps + 1

    def send(entity: str, columns: Any, frames: NDArray[np.int64]) -> None:
        times = [
            rerun.TimeColumn("step", sequence=first + frames),
            rerun.TimeColumn("trial", sequence=np.full(len(frames), number)),
            rerun.TimeColumn("time", duration=begin_s + frames / episode.info.control_hz),
        ]
        recording.send_columns(entity, times, columns, strict=True)

    def numbers(entity: str, values: NDArray[Any], frames: NDArray[np.int64]) -> None:
        known = np.isfinite(values)
        if known.any():
            send(entity, rerun.Scalars.columns(scalars=values[known].astype(np.float64)), frames[known])

    every, later, last = np.arange(count), np.arange(1, count), np.array([count - 1])
    for view in range(episode.images.shape[1]):
        blobs = [encode_png(image) for image in episode.images[:, view]]
        columns = rerun.EncodedImage.columns(blob=blobs, media_type=["image/png"] * count)
        send(_view(run, view), columns, every)
    start, path = episode.start_from_base, episode.pose[:, :3]
    pose = rerun.Transform3D.columns(translation=[start.position_m], mat3x3=[start.rotation])
    send("base/start", pose, every[:1])
    send("base/start/path", rerun.LineStrips3D.columns(strips=[path]), every[:1])
    turns = _quaternions(episode.pose[:, 3:])
    send("base/start/tcp", rerun.Transform3D.columns(translation=path, quaternion=turns), every)
    for column, name in enumerate(FORCES):
        numbers(f"wrench/{name}", episode.wrench[:, column], every)
    numbers("wrench/force", np.linalg.norm(episode.wrench[:, :3], axis=1), every)
    # What was done in a step stands at the frame that it led to, where one sees what came of it.
    for column, name in enumerate(ACTION_NAMES):
        numbers(f"action/{name}", episode.action[:, column], later)
        numbers(f"executed/{name}", episode.executed[:, column], later)
    numbers("reward/reward", episode.reward, later)
    numbers("reward/score", episode.score, every)
    threshold = threshold_of(episode.info.reward_model)
    if threshold is not None:
        numbers("reward/threshold", np.full(count, threshold), every)
    numbers("outcome/claimed", np.array([float(trial.result.claimed)]), last)
    if trial.result.truth is not None:
        numbers("outcome/truth", np.array([float(trial.result.truth)]), last)
    verdict = verdict_of(trial.result, episode.info.note)
    said = f"{run.words_of(trial.part)}, trial {trial.number}: {verdict.words.lower()}, {verdict.beside}"
    level = "INFO" if trial.result.claimed and trial.result.success else "WARN"
    send("outcome/log", rerun.TextLog.columns(text=[said], level=[level]), last)


def _view(run: RecordedRun, view: int) -> str:
    return f"views/{run.setting.camera(view).replace(' ', '_')}"


def _quaternions(rotvecs_rad: NDArray[np.float32]) -> NDArray[np.float64]:
    """Rotation vectors (n, 3) as quaternions (n, 4), x y z w."""
    vectors = rotvecs_rad.astype(np.float64)
    half = 0.5 * np.linalg.norm(vectors, axis=1, keepdims=True)
    # sin(a) / a of half the angle, which is finite at 0.
    return np.concatenate([0.5 * np.sinc(half / np.pi) * vectors, np.cos(half)], axis=1)
