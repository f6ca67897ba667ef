"""The training loop that everything with images in it shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skillcore.episodes import ReplayCache
from skillcore.learning.images import Augmentation, as_input

Frames = NDArray[np.int64]
Loss = Callable[[torch.Tensor, Frames, float], torch.Tensor]
"""(images (batch, views, 3, H, W), frames (batch,), share of the training done) -> the loss, ()."""


class Progress(Protocol):
    """Is told how far something has come."""

    def __call__(self, done: int, total: int, figures: dict[str, float], /) -> None: ...


def silent(done: int, total: int, figures: dict[str, float], /) -> None:
    """Tells nobody."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """steps: how many gradient steps of `batch` frames. The learning rate rises over 2 % of them, then falls to 0."""

    steps: int
    batch: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2

    def rate(self, step: int) -> float:
        rising = min(1.0, (step + 1) / max(1.0, 0.02 * self.steps))
        return self.learning_rate * rising * 0.5 * (1.0 + math.cos(math.pi * step / self.steps))


class Sampler:
    """Draws rows as often as their weights (n,) say."""

    def __init__(self, weights: NDArray[np.float64]) -> None:
        self._cumulated = np.cumsum(weights / weights.sum())

    def draw(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """(count,) row numbers, with repetitions."""
        drawn = np.searchsorted(self._cumulated, rng.random(count), side="right")
        # Rounding may leave the last sum a little below 1.
        return np.minimum(drawn, len(self._cumulated) - 1)


def train_on_images(
    modules: Sequence[nn.Module | None],
    data: ReplayCache,
    frames: Frames,
    loss: Loss,
    *,
    schedule: Schedule,
    seed: int,
    device: str = "cpu",
    augmentation: Augmentation | None = None,
    weights: NDArray[np.float64] | None = None,
    progress: Progress = silent,
) -> None:
    """Trains `modules` on batches drawn from `frames` with AdamW; `weights` (frames,) say how likely each is drawn."""
    module = nn.ModuleList([one for one in modules if one is not None]).to(device)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    augmentation = augmentation or Augmentation()
    optimizer = torch.optim.AdamW(
        _grouped(module.parameters(), schedule.weight_decay), lr=schedule.learning_rate, fused=True
    )
    sampler = None if weights is None else Sampler(weights)
    module.train()
    smooth = math.nan
    for step in range(schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        if sampler is None:
            chosen = frames[rng.integers(0, len(frames), schedule.batch)]
        else:
            chosen = frames[sampler.draw(rng, schedule.batch)]
        # Sorted rows are read from a memory map in one sweep.
        chosen = np.sort(chosen)
        images = augmentation(as_input(data.images[chosen], device), generator)
        value = loss(images, chosen, step / schedule.steps)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        now = float(value.detach())
        smooth = now if math.isnan(smooth) else smooth + 0.02 * (now - smooth)
        if step % 20 == 19 or step + 1 == schedule.steps:
            progress(step + 1, schedule.steps, {"loss": smooth})
    module.eval()


def _grouped(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay; biases and the scales of normalisations do not."""
    every = [parameter for parameter in parameters if parameter.requires_grad]
    return [
        {"params": [one for one in every if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in every if one.ndim <= 1], "weight_decay": 0.0},
    ]


def domains_of(data: ReplayCache) -> tuple[NDArray[np.int64], int]:
    """(frames,) which domain each frame is of, and how many there are; a domain is one variant on one cell."""
    names = [f"{info.variant} on {info.cell}" for info in data.infos]
    known = {name: number for number, name in enumerate(sorted(set(names)))}
    of_episode = np.array([known[name] for name in names], dtype=np.int64)
    return of_episode[data.episode], len(known)
