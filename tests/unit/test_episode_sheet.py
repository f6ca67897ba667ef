"""The sheet of an episode, and charts over its steps."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from skillcore.episodes import EpisodeRow
from skillcore.episodes.labels import Correction
from skillcore.reports.episode_sheet import WIDTH_PX, drawn, episode_png, words_of
from skillcore.reports.panels import GREEN, RED, Panel, Trace, step_ticks
from skillcore.types import Episode, EpisodeInfo


def episode(steps: int = 12, *, views: int = 2, height_px: int = 32, width_px: int = 32) -> Episode:
    rng = np.random.default_rng(0)
    frames = steps + 1

    def floats(*shape: int) -> NDArray[np.float32]:
        return rng.uniform(-1.0, 1.0, shape).astype(np.float32)

    info = EpisodeInfo(
        "insertion", "hdmi", "sim", 0, "practice", "success", reward_model="threshold 0.6400, 2 of 3 frames",
        started_at="2026-01-02T03:04:05+00:00", trial=6, note="",
    )  # fmt: skip
    return Episode(
        info=info,
        images=np.full((frames, views, height_px, width_px, 3), 90, np.uint8),
        pose=0.01 * floats(frames, 6),
        wrench=floats(frames, 6),
        action=floats(steps, 4),
        executed=floats(steps, 4),
        reward=np.zeros(steps, np.float32),
        score=rng.uniform(0.0, 1.0, frames).astype(np.float32),
        success=np.full(frames, -1, np.int8),
        truth=np.zeros(frames, np.int8),
        seated_from_tcp=np.full((frames, 6), np.nan, np.float32),
    )


def row_of(one: Episode) -> EpisodeRow:
    return EpisodeRow.of(one, "000006-0123abcd", sequence=6, sha256="0" * 64, size=1)


def has(picture: NDArray[np.uint8], colour: tuple[int, int, int], rows: slice) -> bool:
    return bool((picture[rows] == np.array(colour, np.uint8)).all(-1).any())


@pytest.mark.parametrize("steps", [0, 1, 7, 20, 700])
@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 24, 48)])
def test_any_episode_can_be_drawn(steps: int, shape: tuple[int, int, int]) -> None:
    one = episode(steps, views=shape[0], height_px=shape[1], width_px=shape[2])
    picture = cv2.imdecode(np.frombuffer(episode_png(row_of(one), one, ()), np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    assert picture.shape[1] == WIDTH_PX


def test_the_verdict_is_green_or_red_as_the_newest_label_says() -> None:
    one = episode()
    top = slice(0, 200)
    assert has(drawn(row_of(one), one, ()), GREEN, top)
    no = dataclasses.replace(row_of(one), success=0, corrected=0)
    said = Correction(
        number=1, success=False, was=True, was_by="outcome", who="ada", when="2026-02-03T04:05:06+00:00", why="loose"
    )
    picture = drawn(no, one, (said,))
    assert has(picture, RED, top)
    assert not has(picture, GREEN, top)


def test_the_words_tell_who_says_what_and_when() -> None:
    one = episode()
    said = Correction(
        number=1, success=False, was=True, was_by="outcome", who="ada", when="2026-02-03T04:05:06+00:00", why="loose"
    )
    words = "\n".join(words_of(dataclasses.replace(row_of(one), success=0, corrected=0), one, (said,)))
    assert "insertion of hdmi on cell sim: practice, trial 7, recorded 2026-01-02 03:04" in words
    assert "success: no, by a person; the simulation says no" in words
    assert "corrected 2026-02-03 04:05 by ada: success no (was yes, by how it ended): loose" in words


def test_text_from_a_file_draws_no_nonsense() -> None:
    one = episode()
    one.info.variant, one.info.note = "\x1b[2J" + "é" * 300, "x" * 5000
    assert drawn(row_of(one), one, ()).shape[1] == WIDTH_PX


@pytest.mark.parametrize("steps", [0, 1, 6, 7, 20, 99, 100, 5000])
def test_an_axis_names_its_ends_and_is_not_crowded(steps: int) -> None:
    ticks = step_ticks(steps)
    assert (ticks[0], ticks[-1]) == (0, steps)
    assert len(ticks) <= 9
    assert ticks == sorted(set(ticks))


def test_a_line_has_gaps_where_nothing_is_known() -> None:
    values = np.array([0.0, 1.0, np.nan, np.nan, np.nan, np.nan, 1.0, 0.0])
    places = np.arange(8, dtype=np.float64)
    picture = np.full((200, 400, 3), 255, np.uint8)
    Panel("title", [Trace("line", places, values, RED)], 7).draw(picture, 0, 0, 400, 200)
    columns = np.flatnonzero((picture == np.array(RED, np.uint8)).all(-1)[:, :330].any(0))
    left, right = 46, 338
    middle = (left + right) // 2
    assert (columns < middle - 20).any()
    assert (columns > middle + 20).any()
    assert not ((columns > middle - 20) & (columns < middle + 20)).any()
