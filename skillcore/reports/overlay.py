"""The pictures of a film: a trial's views with what was felt, done and thought beside them, and cards with words.

Each is `HEIGHT_PX` by `WIDTH_PX`, RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from skillcore.learning.evaluate import TrialResult
from skillcore.learning.rewarding import threshold_of
from skillcore.reports.recorded_run import Setting
from skillcore.reports.strokes import Colour, box, dashed, text_width, write
from skillcore.types import ACTION_NAMES, Episode, Image

WIDTH_PX, HEIGHT_PX = 1280, 720
MARGIN = 20
VIEWS_TOP, VIEWS_HEIGHT, VIEWS_WIDTH = 72, 440, 896
PANEL_LEFT = MARGIN + VIEWS_WIDTH + 24
CHART_TOP, CHART_HEIGHT = 558, 122
BANNER_PX = 58
SHORTEST_AXIS = 20
"""Steps that a chart has room for at least."""

PAPER: Colour = (22, 25, 30)
WELL: Colour = (38, 43, 51)
LINE: Colour = (74, 82, 94)
DIM: Colour = (150, 160, 174)
INK: Colour = (236, 240, 245)
BLUE: Colour = (88, 166, 255)
ORANGE: Colour = (255, 170, 60)
GREEN: Colour = (40, 150, 75)
LIGHT_GREEN: Colour = (110, 220, 140)
RED: Colour = (190, 50, 50)
VIOLET: Colour = (150, 60, 190)
AMBER: Colour = (175, 120, 10)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended, in words and a colour."""

    words: str
    beside: str
    colour: Colour


def verdict_of(result: TrialResult, note: str = "") -> Verdict:
    """What is said over the last picture of a trial. note: why it was aborted."""
    if result.aborted:
        return Verdict("ABORTED", note or result.aborted, RED)
    if result.claimed and result.truth is False:
        return Verdict("NOT INSERTED", "reward model wrong: it took this for success", VIOLET)
    if result.claimed:
        seen = "as the reward model says" if result.truth is None else "and the reward model saw it"
        return Verdict("INSERTED", seen, GREEN)
    if result.truth:
        return Verdict("INSERTED", "reward model wrong: it did not see it", AMBER)
    return Verdict("NOT INSERTED", f"no success within {result.steps} steps", RED)


class TrialPainter:
    """Draws the pictures of one trial.

    heading: what stands above, left. axis_steps: how many steps the charts have room for. threshold: of the reward.
    """

    def __init__(
        self, setting: Setting, episode: Episode, result: TrialResult, heading: str, *, axis_steps: int = 0
    ) -> None:
        self._setting = setting
        self._episode = episode
        self._verdict = verdict_of(result, episode.info.note)
        self._threshold = threshold_of(episode.info.reward_model)
        self._force_n = np.linalg.norm(episode.wrench[:, :3].astype(np.float64), axis=1)
        self._axis = max(axis_steps, episode.steps, SHORTEST_AXIS)
        limit = setting.force_limit_n or 0.0
        self._top_n = max(10.0, 1.15 * limit, 1.05 * float(self._force_n.max()))
        self._still = self._drawn_still(heading)

    def picture(self, frame: int, *, ended: bool = False) -> Image:
        """(720, 1280, 3) The picture at a frame, 0 to the episode's steps. ended: with how the trial ended over it."""
        picture = self._still.copy()
        self._draw_views(picture, frame)
        self._draw_action(picture, frame)
        self._draw_numbers(picture, frame)
        self._draw_traces(picture, frame)
        if ended:
            self._draw_verdict(picture)
        return picture

    # --- what stays the same in all pictures ---

    def _drawn_still(self, heading: str) -> Image:
        picture = np.full((HEIGHT_PX, WIDTH_PX, 3), PAPER, np.uint8)
        write(picture, self._setting.title, (MARGIN, 32), 0.8, INK, bold=True, width=VIEWS_WIDTH)
        write(picture, heading, (MARGIN, 60), 0.6, DIM, width=VIEWS_WIDTH)
        write(picture, "MOTION OF THIS STEP", (PANEL_LEFT, VIEWS_TOP + 14), 0.5, DIM)
        for row, name in enumerate(ACTION_NAMES):
            write(picture, name, (PANEL_LEFT, self._row(row) + 17), 0.6, INK)
            box(picture, (self._bar_left, self._row(row)), (self._bar_right, self._row(row) + 22), WELL)
        write(picture, "CONTACT FORCE", (PANEL_LEFT, 290), 0.5, DIM)
        write(picture, "LOOKS LIKE SUCCESS", (PANEL_LEFT, 396), 0.5, DIM)
        self._draw_charts(picture)
        return picture

    def _draw_charts(self, picture: Image) -> None:
        setting, middle = self._setting, self._charts[1][0]
        title = "force, N"
        if setting.force_limit_n is not None:
            title += f"  (the arm may press with {setting.force_limit_n:.0f})"
        write(picture, title, (MARGIN, CHART_TOP - 10), 0.5, DIM)
        title = "reward model's score"
        if self._threshold is not None:
            title += f"  (success above {self._threshold:.2f})"
        write(picture, title, (middle, CHART_TOP - 10), 0.5, DIM)
        limits = (None if setting.force_limit_n is None else setting.force_limit_n / self._top_n, self._threshold)
        for (left, right), limit in zip(self._charts, limits, strict=True):
            box(picture, (left, CHART_TOP), (right, CHART_TOP + CHART_HEIGHT), WELL)
            for step in range(0, self._axis + 1, 5):
                x = self._chart_x(step, left, right)
                cv2.line(picture, (x, CHART_TOP + CHART_HEIGHT), (x, CHART_TOP + CHART_HEIGHT + 5), LINE, 1)
                said = str(step) if step else "step 0"
                write(picture, said, (x - 5 if step else left, CHART_TOP + CHART_HEIGHT + 22), 0.45, DIM)
            if limit is not None:
                dashed(picture, left, right, _chart_y(limit), ORANGE)

    # --- what changes ---

    def _draw_views(self, picture: Image, frame: int) -> None:
        images = self._episode.images[frame]
        count = len(images)
        side_px = min(VIEWS_HEIGHT, (VIEWS_WIDTH - 16 * (count - 1)) // count)
        for view, image in enumerate(images):
            height, width = image.shape[:2]
            scale = side_px / max(height, width)
            size = (round(width * scale), round(height * scale))
            left = MARGIN + view * (side_px + 16)
            picture[VIEWS_TOP : VIEWS_TOP + size[1], left : left + size[0]] = cv2.resize(
                image, size, interpolation=cv2.INTER_CUBIC
            )
            label = self._setting.camera(view)
            box(picture, (left, VIEWS_TOP), (left + text_width(label, 0.5) + 14, VIEWS_TOP + 24), PAPER)
            write(picture, label, (left + 7, VIEWS_TOP + 17), 0.5, INK)

    def _draw_action(self, picture: Image, frame: int) -> None:
        """What has led to this frame: filled what was done, outlined what was asked for where the guard cut it."""
        if not frame:
            write(picture, "start", (self._bar_right + 12, self._row(0) + 17), 0.55, DIM)
        middle = (self._bar_left + self._bar_right) // 2
        half = middle - self._bar_left
        for row in range(len(ACTION_NAMES)):
            top = self._row(row)
            if frame:
                done = float(self._episode.executed[frame - 1, row])
                asked = float(np.clip(self._episode.action[frame - 1, row], -1.0, 1.0))
                end = middle + round(np.clip(done, -1.0, 1.0) * half)
                box(picture, (min(middle, end), top), (max(middle, end), top + 22), BLUE)
                if abs(asked - done) > 0.02:
                    wanted = middle + round(asked * half)
                    cv2.rectangle(picture, (min(middle, wanted), top), (max(middle, wanted), top + 22), ORANGE, 2)
                write(picture, self._amount(row, done), (self._bar_right + 12, top + 17), 0.55, INK)
            cv2.line(picture, (middle, top - 3), (middle, top + 25), DIM, 1)

    def _amount(self, row: int, value: float) -> str:
        if ACTION_NAMES[row] == "yaw":
            turn = self._setting.turn_step_rad
            return f"{value:+.2f}" if turn is None else f"{_rounded(np.rad2deg(value * turn)):+.1f} deg"
        step = self._setting.step_m
        return f"{value:+.2f}" if step is None else f"{_rounded(value * step * 1e3):+.1f} mm"

    def _draw_numbers(self, picture: Image, frame: int) -> None:
        time_s = frame / self._episode.info.control_hz
        clock = f"step {frame} of {self._episode.steps}    {time_s:.1f} s"
        write(picture, clock, (WIDTH_PX - MARGIN - text_width(clock, 0.7), 36), 0.7, INK)
        force, limit = float(self._force_n[frame]), self._setting.force_limit_n
        over = limit is not None and force > limit
        write(picture, f"{force:.0f} N", (PANEL_LEFT, 334), 1.2, ORANGE if over else INK, bold=True)
        so_far = f"greatest so far {self._force_n[: frame + 1].max():.0f} N"
        write(picture, so_far, (PANEL_LEFT + 130, 332), 0.5, DIM)
        score = float(self._episode.score[frame])
        left, right, top = PANEL_LEFT, WIDTH_PX - MARGIN, 410
        box(picture, (left, top), (right, top + 26), WELL)
        if np.isfinite(score):
            passed = self._threshold is not None and score > self._threshold
            box(picture, (left, top), (left + round(score * (right - left)), top + 26), GREEN if passed else BLUE)
            write(picture, f"{score:.2f}", (left + 8, top + 19), 0.6, INK, bold=True)
        if self._threshold is not None:
            x = left + round(self._threshold * (right - left))
            cv2.line(picture, (x, top - 5), (x, top + 31), ORANGE, 2)
            needs = f"needs {self._threshold:.2f}"
            write(picture, needs, (min(x, right) - text_width(needs, 0.5), top + 50), 0.5, ORANGE)
        truth = int(self._episode.truth[frame])
        if truth >= 0:
            write(picture, "SIMULATOR SAYS", (PANEL_LEFT, 492), 0.5, DIM)
            said, colour = ("seated", LIGHT_GREEN) if truth else ("not seated", INK)
            write(picture, said, (PANEL_LEFT + 150, 493), 0.65, colour, bold=True)

    def _draw_traces(self, picture: Image, frame: int) -> None:
        for (left, right), values in zip(self._charts, (self._force_n / self._top_n, self._episode.score), strict=True):
            points = [
                (self._chart_x(step, left, right), _chart_y(float(value)))
                for step, value in enumerate(values[: frame + 1])
                if np.isfinite(value)
            ]
            if points:
                cv2.polylines(picture, [np.array(points, np.int32)], False, BLUE, 2, cv2.LINE_AA)
                cv2.circle(picture, points[-1], 5, INK, -1, cv2.LINE_AA)

    def _draw_verdict(self, picture: Image) -> None:
        verdict = self._verdict
        bottom = VIEWS_TOP + VIEWS_HEIGHT
        box(picture, (MARGIN, bottom - BANNER_PX), (MARGIN + VIEWS_WIDTH, bottom), verdict.colour)
        write(picture, verdict.words, (MARGIN + 18, bottom - 18), 1.1, (255, 255, 255), bold=True)
        beside = MARGIN + 18 + text_width(verdict.words, 1.1, bold=True) + 24
        room = MARGIN + VIEWS_WIDTH - beside - 12
        write(picture, verdict.beside, (beside, bottom - 21), 0.65, (255, 255, 255), width=room)
        cv2.rectangle(picture, (4, 4), (WIDTH_PX - 5, HEIGHT_PX - 5), verdict.colour, 8)

    # --- where things are ---

    _bar_left, _bar_right = PANEL_LEFT + 44, WIDTH_PX - MARGIN - 92
    _charts = ((MARGIN, 632), (660, WIDTH_PX - MARGIN))

    @staticmethod
    def _row(row: int) -> int:
        return VIEWS_TOP + 30 + row * 40

    def _chart_x(self, step: int, left: int, right: int) -> int:
        return left + 8 + round(step / self._axis * (right - left - 16))


def card(title: str, lines: Sequence[str], *, colour: Colour = BLUE, small: str = "") -> Image:
    """(720, 1280, 3) A picture of words alone. small: a line at the foot."""
    picture = np.full((HEIGHT_PX, WIDTH_PX, 3), PAPER, np.uint8)
    box(picture, (0, 0), (18, HEIGHT_PX), colour)
    write(picture, title, (90, 250), 2.0, INK, bold=True, width=WIDTH_PX - 150)
    for row, line in enumerate(lines):
        write(picture, line, (92, 330 + 54 * row), 1.0, INK if not row else DIM, width=WIDTH_PX - 150)
    write(picture, small, (92, HEIGHT_PX - 40), 0.55, DIM, width=WIDTH_PX - 150)
    return picture


def _rounded(value: float) -> float:
    """To a tenth, and 0 without a sign of its own."""
    return round(value, 1) + 0.0


def _chart_y(share: float) -> int:
    return CHART_TOP + CHART_HEIGHT - 4 - round(min(max(share, 0.0), 1.0) * (CHART_HEIGHT - 10))
