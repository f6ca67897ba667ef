"""An episode on one sheet that stands alone: both views at some steps, where the tool was, what it felt, what was done
and thought, and who says how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.episodes import EpisodeRow
from skillcore.episodes.images import encode_png
from skillcore.episodes.labels import Correction, said_of
from skillcore.learning.rewarding import threshold_of
from skillcore.reports.moments import FRAMES, frames_of
from skillcore.reports.panels import BLUE, FAINT, GREEN, GREY, INK, ORANGE, RED, Band, Panel, Trace
from skillcore.reports.strokes import Colour, text_width, write
from skillcore.types import ACTION_NAMES, Episode, Image, Pose

WIDTH_PX, MARGIN, GAP = 1400, 24, 6
LINE_PX = 21
PANEL_PX, LABELLED_PX = 170, 200
PAPER: Colour = (255, 255, 255)
LIGHT: Colour = (250, 190, 110)
"""Of what was asked for, which lies behind what was done."""
BY = {"correction": "by a person", "label": "by its label", "outcome": "by how it ended", "nobody": "nobody says"}
"""Who says whether an episode succeeded, in words."""


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Where the tool was, seen from where it started: position (frames, 3) in mm, turn about z (frames,) in deg; and
    the contact force (frames,) in N."""

    position_mm: NDArray[np.float64]
    turn_deg: NDArray[np.float64]
    force_n: NDArray[np.float64]

    @classmethod
    def of(cls, episode: Episode) -> Motion:
        turns = [Pose.from_rotvec(pose[:3], pose[3:]).yaw_rad for pose in episode.pose]
        return cls(
            1e3 * episode.pose[:, :3].astype(np.float64),
            np.rad2deg(np.unwrap(np.array(turns, np.float64))),
            np.asarray(np.linalg.norm(episode.wrench[:, :3].astype(np.float64), axis=1)),
        )


def yes(value: bool | None) -> str:
    return "not known" if value is None else "yes" if value else "no"


def words_of(row: EpisodeRow, episode: Episode, corrections: Sequence[Correction]) -> list[str]:
    """What is known of an episode besides its steps, in lines of words."""
    info = episode.info
    trial = "" if info.trial is None else f", trial {info.trial + 1}"
    when = f", recorded {info.started_at[:16].replace('T', ' ')}" if info.started_at else ""
    scenario = f", scenario {info.scenario}" if info.scenario else ""
    seconds = episode.steps / info.control_hz
    ended = {"success": "its reward took it for a success", "timeout": "the steps ran out", "aborted": "aborted"}
    said = said_of(row)
    lines = [
        f"{info.skill} of {info.variant} on cell {info.cell}: {info.source}{trial}{scenario}{when}",
        f"{episode.steps} steps, {seconds:.1f} s at {info.control_hz:g} Hz; ended: {ended[info.outcome]}"
        + (f" ({info.note})" if info.note else ""),
        f"greatest force {max(info.peak_force_n, float(Motion.of(episode).force_n.max())):.0f} N; "
        f"cut back by the guard {sum(info.clamps.values())} times; late steps {info.overruns}",
        f"success: {yes(said.success)}, {BY[said.by]}"
        + ("" if row.truth < 0 else f"; the simulation says {yes(row.truth == 1)}"),
    ]
    if info.reward_model:
        lines.insert(2, f"reward model: {info.reward_model}")
    return lines + [correction_words(one) for one in corrections]


def correction_words(one: Correction) -> str:
    """A correction in a line."""
    was = f"{yes(one.was)}, {BY[one.was_by]}"
    why = f": {one.why}" if one.why else ""
    return f"  corrected {one.when[:16].replace('T', ' ')} by {one.who}: success {yes(one.success)} (was {was}){why}"


def episode_png(row: EpisodeRow, episode: Episode, corrections: Sequence[Correction]) -> bytes:
    """The sheet as PNG. row: of this episode, with its newest label."""
    return encode_png(drawn(row, episode, corrections))


def drawn(row: EpisodeRow, episode: Episode, corrections: Sequence[Correction]) -> Image:
    """(H, 1400, 3) uint8 RGB The sheet."""
    lines = words_of(row, episode, corrections)
    frames = frames_of(episode.steps)
    cell = (WIDTH_PX - 2 * MARGIN - (FRAMES - 1) * GAP) // FRAMES
    heights = [max(1, round(cell * view.shape[0] / view.shape[1])) for view in episode.images[0]]
    strip_top = MARGIN + 34 + LINE_PX * len(lines) + 10
    charts_top = strip_top + 20 + sum(height + GAP for height in heights) + 38
    height_px = charts_top + 2 * PANEL_PX + LABELLED_PX + 3 * GAP + MARGIN
    sheet = np.full((height_px, WIDTH_PX, 3), PAPER, np.uint8)
    room = WIDTH_PX - 2 * MARGIN
    write(sheet, f"{row.variant}, episode {row.id}", (MARGIN, MARGIN + 18), 0.85, INK, bold=True, width=room)
    said = said_of(row)
    for number, line in enumerate(lines):
        is_verdict = line.startswith("success:")
        colour = {True: GREEN, False: RED, None: INK}[said.success] if is_verdict else INK if number < 2 else FAINT
        place = (MARGIN, MARGIN + 34 + LINE_PX * number + 12)
        write(sheet, line, place, 0.52, colour, bold=is_verdict, width=room)
    _draw_strip(sheet, episode, frames, strip_top, cell, heights)
    _draw_charts(sheet, episode, charts_top)
    return sheet


def _draw_strip(
    sheet: Image, episode: Episode, frames: Sequence[int], top: int, cell: int, heights: Sequence[int]
) -> None:
    force_n = Motion.of(episode).force_n
    for column, frame in enumerate(frames):
        left = MARGIN + column * (cell + GAP)
        write(sheet, f"step {frame}, {frame / episode.info.control_hz:.1f} s", (left, top + 13), 0.46, INK, width=cell)
        below = top + 20
        for view, height in enumerate(heights):
            picture = cv2.resize(episode.images[frame, view], (cell, height), interpolation=cv2.INTER_CUBIC)
            sheet[below : below + height, left : left + cell] = picture
            if not column:
                name = f"camera {view + 1}"
                sheet[below : below + 18, left : left + text_width(name, 0.42) + 10] = PAPER
                write(sheet, name, (left + 5, below + 13), 0.42, INK)
            below += height + GAP
        score = float(episode.score[frame])
        told = f"{force_n[frame]:.0f} N" + (f", score {score:.2f}" if np.isfinite(score) else "")
        write(sheet, told, (left, below + 10), 0.46, INK, width=cell)


def _draw_charts(sheet: Image, episode: Episode, top: int) -> None:
    motion, steps = Motion.of(episode), episode.steps
    at = np.arange(steps + 1, dtype=np.float64)
    colours = (RED, GREEN, BLUE)
    position = Panel(
        "where the tool is, seen from its start, mm (z points out of the tool)",
        [Trace(name, at, motion.position_mm[:, axis], colours[axis]) for axis, name in enumerate("xyz")],
        steps,
        high=1.0,
    )
    turn = Panel("turn about z, degrees", [Trace("yaw", at, motion.turn_deg, ORANGE)], steps, high=1.0)
    force = Panel("contact force, N", [Trace("force", at, motion.force_n, BLUE)], steps, high=10.0)
    half = (WIDTH_PX - 2 * MARGIN - 3 * GAP) // 2
    right = MARGIN + half + 3 * GAP
    position.draw(sheet, MARGIN, top, half, PANEL_PX)
    turn.draw(sheet, right, top, half, PANEL_PX)
    force.draw(sheet, MARGIN, top + PANEL_PX + GAP, half, LABELLED_PX)
    _thought(episode, at).draw(sheet, right, top + PANEL_PX + GAP, half, LABELLED_PX)
    quarter = (WIDTH_PX - 2 * MARGIN - 3 * GAP) // len(ACTION_NAMES)
    for number, name in enumerate(ACTION_NAMES):
        asked, done = (values[:, number].astype(np.float64) for values in (episode.action, episode.executed))
        panel = Panel(
            f"{name}: share of a full step",
            [Trace("asked", at[:-1], asked, LIGHT, 5, stairs=True), Trace("done", at[:-1], done, BLUE, stairs=True)],
            steps,
            low=-1.0,
        )
        left = MARGIN + number * (quarter + GAP)
        panel.draw(sheet, left, top + PANEL_PX + LABELLED_PX + 2 * GAP, quarter, PANEL_PX)


def _thought(episode: Episode, at: NDArray[np.float64]) -> Panel:
    threshold = threshold_of(episode.info.reward_model)
    colours: dict[int, Colour] = {1: GREEN, 0: GREY, -1: (238, 240, 243)}

    def band(name: str, values: NDArray[Any]) -> list[Band]:
        return [Band(name, [colours[int(value)] for value in values])] if (values >= 0).any() else []

    return Panel(
        "reward, and score of the reward model; below: label and truth of each frame (green yes, grey no, pale none)",
        [
            Trace("score", at, episode.score.astype(np.float64), BLUE),
            Trace("reward", at[:-1], episode.reward.astype(np.float64), GREEN, 1, stairs=True),
        ],
        episode.steps,
        limit=threshold,
        limit_name="" if threshold is None else f"success above {threshold:.2f}",
        bands=[*band("label", episode.success), *band("truth", episode.truth)],
    )
