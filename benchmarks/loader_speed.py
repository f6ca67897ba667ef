"""Measures how many samples a second training gets: of our replay cache, and of lerobot's loader, on the same episodes.

    python benchmarks/loader_speed.py [--data DIR] [--episodes 40] [--batch 64] [--seconds 10] [--workers 0 2]

Needs the lerobot package (`pip install lerobot`), which brings much along: best in an environment of its own. The
episodes of DIR, an episode store, are exported as a LeRobot dataset, and both loaders then deliver the same samples
from the same disk, in shuffled batches, in one run and turn about: images of all views as float32 in [0, 1], channels
first, pose and wrench, action and reward, as tensors. Without --data, episodes are made up: two views of 64 px with
some texture, 20 steps. Times to begin (building our cache, lerobot's index) are told, and are no part of the figures.
Exit code 1 if we are less than 10 times as fast as lerobot's fastest.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

# Before anything of Hugging Face is imported: it must ask no server for what lies here.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch

from skillcore.episodes import EpisodeStore, ReplayCache
from skillcore.exchange.lerobot_write import write_lerobot
from skillcore.learning.images import as_input
from skillcore.types import Episode, EpisodeInfo

WANTED = 10.0
ROUNDS = 3


def made_up(seed: int, *, steps: int = 20, size_px: int = 64) -> Episode:
    """An episode of made up content: what is in it changes no loader's speed, but PNG must find something to pack."""
    rng = np.random.default_rng(seed)
    frames = steps + 1
    coarse = rng.integers(0, 256, (frames, 2, size_px // 8, size_px // 8, 3)).repeat(8, axis=2).repeat(8, axis=3)
    images = np.clip(coarse + rng.normal(0.0, 3.0, coarse.shape), 0, 255).astype(np.uint8)

    def floats(*shape: int) -> Any:
        return rng.uniform(-1.0, 1.0, shape).astype(np.float32)

    return Episode(
        info=EpisodeInfo("insertion", "made_up", "made_up", seed, "collect", "timeout"),
        images=images,
        pose=floats(frames, 6),
        wrench=floats(frames, 6),
        action=floats(steps, 4),
        executed=floats(steps, 4),
        reward=floats(steps),
        score=np.full(frames, np.nan, np.float32),
        success=np.zeros(frames, np.int8),
        truth=np.full(frames, -1, np.int8),
        seated_from_tcp=np.full((frames, 6), np.nan, np.float32),
    )


Batches = Iterator[dict[str, torch.Tensor]]


def ours(cache: ReplayCache, batch: int) -> Batches:
    """Shuffled batches without end, as `skillcore.learning.training` draws them."""
    rng = np.random.default_rng(0)
    while True:
        frames = rng.integers(0, cache.frames, batch)
        found = cache.observations(frames)
        yield {
            "images": as_input(found["images"]),
            "state": torch.from_numpy(np.concatenate([found["pose"], found["wrench"]], axis=1)),
            "action": torch.from_numpy(cache.action[frames]),
            "reward": torch.from_numpy(cache.reward[frames]),
        }


def theirs(dataset: Any, batch: int, workers: int) -> Batches:
    """Shuffled batches without end, as lerobot's training script makes them."""
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=batch, shuffle=True, num_workers=workers, drop_last=True, persistent_workers=workers > 0
    )
    views = dataset.meta.camera_keys
    while True:
        for found in loader:
            yield {
                "images": torch.stack([found[view] for view in views], dim=1),
                "state": found["observation.state"],
                "action": found["action"],
                "reward": found["next.reward"],
            }


def rate(batches: Batches, seconds: float) -> float:
    """Samples a second, after a first batch that is not counted."""
    next(batches)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        count += len(next(batches)["action"])
    return count / (time.perf_counter() - began)


def timed(doing: str, work: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    done = work()
    print(f"{doing}: {time.perf_counter() - began:.1f} s")
    return done


def main() -> int:
    parser = argparse.ArgumentParser(description="samples a second of both loaders, on the same episodes")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--episodes", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["HF_DATASETS_CACHE"] = f"{scratch}/hugging_face"
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        place = Path(scratch)
        if chosen.data is None:
            with EpisodeStore(place / "made_up") as store:
                store.append_many(made_up(seed) for seed in range(chosen.episodes))
        with EpisodeStore(chosen.data or place / "made_up", create=False) as store:
            rows = store.rows()
            timed("export", lambda: write_lerobot(store, rows, place / "lerobot"))
            size_px = rows[0].height_px
            cache = timed("our cache", lambda: ReplayCache.open(store, size_px=size_px, folder=place / "cache"))
        dataset = timed("lerobot's index", lambda: LeRobotDataset("ours/benchmark", root=place / "lerobot"))
        assert len(dataset) == cache.frames
        mine = ours(cache, chosen.batch)
        others = {workers: theirs(dataset, chosen.batch, workers) for workers in chosen.workers}
        example, other = next(mine), next(others[chosen.workers[0]])
        for name, values in example.items():
            assert (values.dtype, values.shape) == (other[name].dtype, other[name].shape), name
        print(f"{cache.episodes} episodes, {cache.frames} frames, {cache.images.shape[1]} views of {size_px} px")
        print(f"batches of {chosen.batch}, {os.cpu_count()} cores, {chosen.threads} threads")
        rates: dict[str, list[float]] = {}
        for _ in range(ROUNDS):
            # Turn about, so that what else the machine does falls on all.
            rates.setdefault("ours", []).append(rate(mine, chosen.seconds / ROUNDS))
            for workers, batches in others.items():
                rates.setdefault(f"lerobot, {workers} workers", []).append(rate(batches, chosen.seconds / ROUNDS))
    for name, found in rates.items():
        print(f"{name}: {np.median(found):.0f} samples/s (rounds: {', '.join(f'{one:.0f}' for one in found)})")
    fastest = max(float(np.median(found)) for name, found in rates.items() if name != "ours")
    times = float(np.median(rates["ours"])) / fastest
    print(f"ours delivers {times:.1f} times as many samples a second; {WANTED:.0f} are asked for")
    return int(times < WANTED)


if __name__ == "__main__":
    sys.exit(main())
