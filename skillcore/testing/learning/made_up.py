"""Made-up data to learn from, small and of any seed."""

from __future__ import annotations

import numpy as np

from skillcore.episodes import ReplayCache
from skillcore.learning.replay import Transitions
from skillcore.types import Episode, EpisodeInfo

VIEWS, SIZE_PX, DOMAINS = 2, 16, 3
FEATURES = 6
STEPS = 5


def made_up_transitions(seed: int, count: int = 64, feature_dim: int = FEATURES) -> Transitions:
    """Steps at random, some of which reach a goal."""
    rng = np.random.default_rng(seed)
    rewards = (rng.random(count) < 0.2).astype(np.float32)
    return Transitions(
        rng.normal(size=(count, feature_dim)).astype(np.float32),
        rng.uniform(-1.0, 1.0, (count, 4)).astype(np.float32),
        rewards,
        rng.normal(size=(count, feature_dim)).astype(np.float32),
        1.0 - rewards,
    )


def made_up_data(seed: int, variants: int = DOMAINS, each: int = 4, unknown: int = 0) -> ReplayCache:
    """Labelled episodes whose images brighten towards success, which comes in the last two frames.

    unknown: so many variants' frames are marked as unknown (-1) where they are successes.
    """
    rng = np.random.default_rng(seed)
    episodes = []
    frames = STEPS + 1
    success = (np.arange(frames) >= STEPS - 1).astype(np.int8)
    for number in range(variants * each):
        light = 20 + 30 * np.arange(frames)[:, None, None, None, None]
        images = (light + rng.integers(0, 20, (frames, VIEWS, SIZE_PX, SIZE_PX, 3))).astype(np.uint8)
        told = np.where(success == 1, -1, 0).astype(np.int8) if number % variants < unknown else success
        way = np.zeros((frames, 6), np.float32)
        way[:, 2] = 2e-3 * np.maximum(0, STEPS - 1 - np.arange(frames))
        pose = np.zeros((frames, 6), np.float32)
        pose[:, 2] = way[0, 2] - way[:, 2]
        info = EpisodeInfo(
            skill="made up",
            variant=f"variant_{number % variants}",
            cell="nowhere",
            seed=number,
            source="collect",
            outcome="timeout",
        )
        wrench = rng.normal(0.0, 1.0, (frames, 6)).astype(np.float32)
        flat = np.zeros(frames, np.float32)
        acted = rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32)
        rewards = success[1:].astype(np.float32)
        episodes.append(
            Episode(
                info=info,
                images=images,
                pose=pose,
                wrench=wrench,
                action=acted,
                executed=acted,
                reward=rewards,
                score=flat,
                success=told,
                truth=success,
                seated_from_tcp=way,
            )
        )
    return ReplayCache.from_episodes(episodes)
