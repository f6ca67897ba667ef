"""Episodes for the tests of their files, their store and their cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.episodes import EpisodeStore
from skillcore.types import Episode, EpisodeInfo

MakeEpisode = Callable[..., Episode]


def _make_episode(
    seed: int = 0, *, steps: int = 3, views: int = 2, height_px: int = 8, width_px: int = 8, **info: Any
) -> Episode:
    """A well formed episode of random content; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    frames = steps + 1

    def floats(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        return rng.uniform(-1.0, 1.0, shape).astype(np.float32)

    fields = {"skill": "insertion", "variant": "hdmi", "cell": "sim", "source": "collect", "outcome": "timeout"}
    seated = floats(frames, 6)
    seated[0] = np.nan
    return Episode(
        info=EpisodeInfo(**(fields | {"seed": seed} | info)),
        images=rng.integers(0, 256, (frames, views, height_px, width_px, 3), np.uint8),
        pose=floats(frames, 6),
        wrench=floats(frames, 6),
        action=floats(steps, 4),
        executed=floats(steps, 4),
        reward=floats(steps),
        score=np.where(rng.random(frames) < 0.5, np.nan, rng.random(frames)).astype(np.float32),
        success=rng.integers(-1, 2, frames).astype(np.int8),
        truth=rng.integers(-1, 2, frames).astype(np.int8),
        seated_from_tcp=seated,
    )


ARRAYS = (
    *("images", "pose", "wrench", "action", "executed", "reward", "score", "success", "truth"),
    "seated_from_tcp",
)


def _assert_same(one: Episode, other: Episode) -> None:
    """Equal bit for bit, so that NaN is equal to itself and -0 is not equal to 0."""
    assert one.info == other.info
    for name in ARRAYS:
        left, right = getattr(one, name), getattr(other, name)
        assert (left.dtype, left.shape) == (right.dtype, right.shape), name
        assert left.tobytes() == right.tobytes(), name


@pytest.fixture(scope="session")
def make_episode() -> MakeEpisode:
    return _make_episode


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Episode, Episode], None]:
    return _assert_same


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "episodes of hdmi"


@pytest.fixture
def store(folder: Path, make_episode: MakeEpisode) -> EpisodeStore:
    """A store of three episodes."""
    store = EpisodeStore(folder)
    for seed in range(3):
        store.append(make_episode(seed))
    return store
