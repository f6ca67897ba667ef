"""The pointing figure: shares that can be counted by hand, and intervals that hold what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from skillcore.interfaces import Shown
from skillcore.learning.pointing import Estimate, area, estimate, mating_parts, pointing


def test_the_share_on_plug_and_socket_is_counted() -> None:
    shown = np.full((2, 2, 4, 4), Shown.OTHER, np.uint8)
    shown[0, 0, 0, :] = Shown.PLUG
    shown[0, 1, 1, :2] = Shown.SOCKET
    shown[0, 1, 3, :] = Shown.TOOL
    parts = mating_parts(shown)
    assert parts.sum() == 6
    np.testing.assert_allclose(area(parts), [6 / 32, 0.0])
    maps = np.zeros((2, 2, 2, 4, 4), np.float32)
    maps[0, 0, 0, 0, 0] = 0.75
    maps[0, 0, 1, 3, 3] = 0.25
    maps[1, 0] = 1.0 / 32
    found = pointing(maps, parts)
    np.testing.assert_allclose(found[:, 0], [0.75, 0.0])
    # Without any saliency there is no share.
    assert np.isnan(found[:, 1]).all()


def test_even_saliency_reaches_the_area_and_no_more() -> None:
    rng = np.random.default_rng(0)
    parts = rng.random((5, 2, 8, 8)) < 0.3
    maps = np.full((5, 1, 2, 8, 8), 1.0 / 128, np.float32)
    np.testing.assert_allclose(pointing(maps, parts)[:, 0], area(parts), rtol=1e-5)


def test_an_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        lengths = rng.integers(4, 20, 8)
        episode = np.repeat(np.arange(8), lengths)
        values = 0.5 + np.repeat(rng.normal(0.0, 0.1, 8), lengths) + rng.normal(0.0, 0.03, len(episode))
        found = estimate(values, episode)
        hits += found.low <= 0.5 <= found.high
    assert 0.92 < hits / 2000 < 0.975


def test_frames_of_one_episode_count_as_one() -> None:
    values = np.array([0.2] * 50 + [0.6] * 50)
    few = estimate(values, np.repeat([0, 1], 50))
    many = estimate(values, np.arange(100))
    assert few.value == many.value == pytest.approx(0.4)
    assert few.high - few.low > 10 * (many.high - many.low)
    # Two episodes say next to nothing; a share ends at 0 and 1.
    assert (few.low, few.high) == (0.0, 1.0)
    assert estimate(values, np.repeat([0, 1], 50), bounded=False).low < 0.0


def test_what_is_not_known_is_left_out_and_said() -> None:
    found = estimate(np.array([0.5, math.nan, 0.7]), np.array([0, 0, 1]))
    assert (found.frames, found.episodes) == (2, 2)
    alone = estimate(np.array([0.5, 0.6]), np.array([3, 3]))
    assert str(alone) == "55% (one episode: no interval)"
    assert alone.as_json() == {"value": 0.55, "low": None, "high": None, "frames": 2, "episodes": 1}
    nothing = estimate(np.array([math.nan]), np.array([0]))
    assert str(nothing) == "no frame"
    assert nothing.as_json()["value"] is None
    assert str(Estimate(0.5, 0.4, 0.6, 100, 9)) == "50% (95 % interval 40% to 60%)"
