"""Episodes as a LeRobot dataset of version 3.0; see `lerobot_form` for how it lies on the disk.

Frames of an episode of `steps` steps: one for each step, with the observation before it, and one for the observation
after the last, with an action of 0, which means to stay. Without that one, a success would never be seen.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from skillcore.episodes import EpisodeRow, EpisodeStore
from skillcore.episodes.checks import info_to_json
from skillcore.episodes.labels import Correction, corrected_episode
from skillcore.errors import InputError
from skillcore.exchange import lerobot_form as form
from skillcore.exchange.lerobot_files import DataFiles, write_card, write_episodes, write_tasks
from skillcore.exchange.lerobot_form import Corrected
from skillcore.exchange.statistics import Statistics
from skillcore.exchange.video_write import VideoWriter, require_codec
from skillcore.storage import folder_in_making, storage_faults, write_json_durably
from skillcore.types import Episode

Pictures = Literal["png", "video"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Written:
    """What an export holds. left_out: ids of episodes without a step, of which nothing was left to write."""

    folder: Path
    episodes: int
    frames: int
    tasks: tuple[str, ...]
    left_out: tuple[str, ...]


def write_lerobot(
    store: EpisodeStore,
    rows: Sequence[EpisodeRow],
    out: Path,
    *,
    pictures: Pictures = "png",
    final_frame: bool = True,
    task: str = "{skill}: {variant}",
    progress: Progress = lambda done, total: None,
) -> Written:
    """Writes episodes of a store, in the order given, as the new folder `out`, which appears whole or not at all.

    pictures: png keeps every pixel; video is smaller, and needs the extra `exchange`. final_frame: with the observation
    after the last step. task: what LeRobot calls the task; {skill}, {variant} and {cell} are filled in.

    Raises InputError if `out` exists, nothing was chosen, or the episodes cannot be one dataset; EpisodeError if one is
    damaged; StorageError if the disk is full or fails.
    """
    if pictures == "video":
        require_codec()
    with folder_in_making(out) as building:
        survey = _Survey(store, rows, final_frame=final_frame)
        if pictures == "video":
            survey.check_filmable()
        corrections = store.corrections()
        with _Writer(building, survey, pictures, task=task) as writer:
            for done, row in enumerate(survey.rows):
                progress(done, len(survey.rows))
                writer.add(store.read(row.id, as_recorded=True), corrections.get(row.id, ()))
            writer.finish()
        progress(len(survey.rows), len(survey.rows))
        _flush(building)
    return dataclasses.replace(writer.written, folder=out)


class _Survey:
    """What all episodes have in common, and which of them have a frame to write."""

    def __init__(self, store: EpisodeStore, rows: Sequence[EpisodeRow], *, final_frame: bool) -> None:
        listing = f"see what is there: skill data list {store.folder}"
        if not rows:
            raise InputError(f"{store.folder}: no episode was chosen", cure=listing)
        self.final_frame = final_frame
        self.rows = [row for row in rows if row.steps or final_frame]
        self.left_out = tuple(row.id for row in rows if not (row.steps or final_frame))
        if not self.rows:
            raise InputError(f"{store.folder}: the chosen episodes have no step", cure="keep the final frame")
        first = self.rows[0]
        self.views, self.height_px, self.width_px = first.views, first.height_px, first.width_px
        self.rate_hz = store.read(first.id, images=False).info.control_hz
        self.known: set[str] = set()
        for row in self.rows:
            episode = store.read(row.id, images=False)
            self._check(first, row, episode)
            if np.isfinite(episode.score).any():
                self.known.add(form.SCORE)
            if np.isfinite(episode.seated_from_tcp).any():
                self.known.add(form.SEATED)

    def _check(self, first: EpisodeRow, row: EpisodeRow, episode: Episode) -> None:
        shapes = [f"{one.id} has {one.views} views of {one.width_px}x{one.height_px}" for one in (first, row)]
        if shapes[0].partition(" ")[2] != shapes[1].partition(" ")[2]:
            raise InputError(
                f"a dataset has images of one shape, and {' and '.join(shapes)}", cure="choose one cell with --cell"
            )
        if episode.info.control_hz != self.rate_hz:
            raise InputError(
                f"a dataset has one rate, and {first.id} has {self.rate_hz:g} Hz and {row.id} has "
                f"{episode.info.control_hz:g} Hz",
                cure="choose one cell with --cell",
            )

    def check_filmable(self) -> None:
        """Raises InputError where H.264 cannot hold the images."""
        if self.width_px % 2 or self.height_px % 2:
            raise InputError(
                f"a video needs even sides, and the images are of {self.width_px}x{self.height_px}",
                cure="keep them as images: --images png",
            )


class _Writer:
    """Writes the files of one dataset, in a `with` block."""

    def __init__(self, folder: Path, survey: _Survey, pictures: Pictures, *, task: str) -> None:
        self._folder, self._survey, self._task = folder, survey, task
        self._views = [form.VIEW.format(view=view) for view in range(survey.views)]
        self._statistics = Statistics()
        self._data = DataFiles(folder)
        self._videos: dict[str, VideoWriter] = {}
        if pictures == "video":
            self._videos = {name: VideoWriter(folder, name, rate_hz=survey.rate_hz) for name in self._views}
        self._cells: set[str] = set()
        self._tasks: dict[str, int] = {}
        self._frames = 0
        self._entries: list[dict[str, Any]] = []
        self._infos: list[dict[str, Any]] = []
        self._corrected: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._data.close()
        for video in self._videos.values():
            video.close()

    @property
    def written(self) -> Written:
        return Written(self._folder, len(self._entries), self._frames, tuple(self._tasks), self._survey.left_out)

    def add(self, recorded: Episode, corrections: Sequence[Correction] = ()) -> None:
        """Writes one more episode as people corrected it, and beside it what was recorded."""
        info, number = recorded.info, len(self._entries)
        episode = recorded
        if corrections:
            episode = corrected_episode(recorded, corrections[-1].success)
            before = Corrected(
                success=recorded.success.tolist(), reward=recorded.reward.tolist(), corrections=list(corrections)
            )
            self._corrected[str(number)] = before.model_dump()
        frames = episode.steps + int(self._survey.final_frame)
        text = self._task.replace("{skill}", info.skill).replace("{variant}", info.variant).replace("{cell}", info.cell)
        numbers = _numbers(episode, frames, self._survey.known) | {
            form.TIMESTAMP: (np.arange(frames) / info.control_hz).astype(np.float32),
            form.FRAME_INDEX: np.arange(frames, dtype=np.int64),
            form.EPISODE_INDEX: np.full(frames, number, np.int64),
            form.INDEX: np.arange(self._frames, self._frames + frames, dtype=np.int64),
            form.TASK_INDEX: np.full(frames, self._tasks.setdefault(text, len(self._tasks)), np.int64),
        }
        images = {name: episode.images[:frames, view] for view, name in enumerate(self._views)}
        chunk, file = self._data.write(numbers, {} if self._videos else images)
        entry: dict[str, Any] = {
            form.EPISODE_INDEX: number,
            "tasks": [text],
            "length": frames,
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + frames,
            "data/chunk_index": chunk,
            "data/file_index": file,
        }
        for name, video in self._videos.items():
            entry |= video.add(images[name])
        for name, figures in self._statistics.add(numbers, images).items():
            entry |= {f"stats/{name}/{figure}": value for figure, value in figures.items()}
        self._entries.append(entry)
        self._infos.append(info_to_json(info))
        self._cells.add(info.cell)
        self._frames += frames

    def finish(self) -> None:
        """Writes what speaks of the whole. Raises StorageError."""
        self._data.close()
        for video in self._videos.values():
            video.close()
        write_tasks(self._folder, list(self._tasks))
        write_episodes(self._folder, self._entries)
        write_json_durably(self._folder / form.STATS, self._statistics.of_all())
        write_json_durably(self._folder / form.INFO, self._info())
        ours = {
            "format": form.OURS_FORMAT,
            "final_frame": self._survey.final_frame,
            "episodes": self._infos,
            "corrected": self._corrected,
        }
        write_json_durably(self._folder / form.OURS, ours)
        write_card(self._folder, self._info(), final_frame=self._survey.final_frame)

    def _info(self) -> dict[str, Any]:
        rate = self._survey.rate_hz
        return {
            "codebase_version": form.VERSION,
            "robot_type": ", ".join(sorted(self._cells)),
            "total_episodes": len(self._entries),
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "chunks_size": form.FILES_A_CHUNK,
            "data_files_size_in_mb": form.DATA_BYTES // 2**20,
            "video_files_size_in_mb": form.VIDEO_BYTES // 2**20,
            "fps": int(rate) if rate == int(rate) else rate,
            "splits": {"train": f"0:{len(self._entries)}"},
            "data_path": form.DATA,
            "video_path": form.VIDEOS if self._videos else None,
            "features": self._features(),
        }

    def _features(self) -> dict[str, Any]:
        sides = [self._survey.height_px, self._survey.width_px, 3]
        picture: dict[str, Any] = {"dtype": "image", "shape": sides, "names": ["height", "width", "channels"]}
        if self._videos:
            about = next(iter(self._videos.values())).about(*sides[:2])
            picture |= {"dtype": "video", "info": about}
        left_out = {form.SCORE, form.SEATED} - self._survey.known
        numbers = {
            name: {"dtype": dtype, "shape": [len(names) if names else 1], "names": list(names) if names else None}
            for name, (dtype, names) in form.NUMBERS.items()
            if name not in left_out
        }
        return dict.fromkeys(self._views, picture) | numbers


def _numbers(episode: Episode, frames: int, known: set[str]) -> dict[str, NDArray[Any]]:
    """The columns that an episode brings, besides its images and what says where in the dataset it lies."""

    def filled(values: NDArray[Any]) -> NDArray[Any]:
        """What belongs to a step, with 0 in the final frame."""
        return np.concatenate([values, np.zeros((1, *values.shape[1:]), values.dtype)])[:frames]

    last = max(0, episode.steps - 1)
    numbers: dict[str, NDArray[Any]] = {
        form.STATE: np.concatenate([episode.pose, episode.wrench], axis=1)[:frames],
        form.ACTION: filled(episode.action),
        form.REWARD: filled(episode.reward),
        form.DONE: np.arange(frames) >= last,
        form.SUCCEEDED: (np.arange(frames) >= last) & episode.terminated,
        form.EXECUTED: filled(episode.executed),
        form.SUCCESS: episode.success[:frames],
        form.TRUTH: episode.truth[:frames],
    }
    if form.SCORE in known:
        numbers[form.SCORE] = episode.score[:frames]
    if form.SEATED in known:
        numbers[form.SEATED] = episode.seated_from_tcp[:frames]
    return numbers


def _flush(folder: Path) -> None:
    """Puts all that lies in a folder on the disk. Raises StorageError."""
    for path in (*folder.rglob("*"), folder):
        with storage_faults("write", path):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
