"""Images on their way into a network: conversion and augmentation, a whole batch at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


def as_input(images: NDArray[np.uint8], device: torch.device | str = "cpu") -> torch.Tensor:
    """(batch, views, H, W, 3) uint8 -> (batch, views, 3, H, W) float32 in [0, 1].

    The memory keeps its order, which is what convolutions call channels-last and run fastest on.
    """
    # Read-only arrays (a cache mapped into memory) cannot be shared with torch; indexing has copied them anyway.
    array = images if images.flags.writeable else images.copy()
    return scaled(torch.from_numpy(array).to(device))


def scaled(images: torch.Tensor) -> torch.Tensor:
    """The same of a tensor."""
    return images.float().div_(255.0).permute(0, 1, 4, 2, 3)


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is changed at random in training images, so that a network relies on none of it.

    shift_px: each view is moved by up to so many pixels, as if its camera were mounted a little differently; plug and
    socket move together, so labels stay true. gain, offset: brightness of a sample, and tint of its channels.
    noise: standard deviation of noise on every pixel. Values are shares of the full range.
    """

    shift_px: int = 1
    gain: float = 0.2
    tint: float = 0.06
    offset: float = 0.06
    noise: float = 0.01

    def __call__(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """(batch, views, 3, H, W) float in [0, 1] -> the same shape, changed in place where that is possible."""
        batch, views = images.shape[:2]
        device = images.device

        def normal(*shape: int) -> torch.Tensor:
            # Drawn on the CPU whatever the device, so that a seed means the same everywhere.
            return torch.randn(shape, generator=generator).to(device)

        gain = 1.0 + self.gain * normal(batch, 1, 1, 1, 1) + self.tint * normal(batch, 1, 3, 1, 1)
        images.mul_(gain).add_(self.offset * normal(batch, views, 1, 1, 1))
        if self.noise:
            # One picture of noise for all samples: each of them is seen with another one in every batch.
            images.add_(self.noise * normal(1, *images.shape[1:]))
        if self.shift_px:
            images = self._shifted(images, generator)
        return images.clamp_(0.0, 1.0)

    def _shifted(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Moves quarters of the batch and each view on its own; edges are filled with what leaves on the other side."""
        reach = self.shift_px
        parts = []
        for quarter in images.chunk(4):
            moves = torch.randint(-reach, reach + 1, (quarter.shape[1], 2), generator=generator).tolist()
            parts.append(
                torch.stack(
                    [
                        torch.roll(quarter[:, view], (int(dy), int(dx)), dims=(-2, -1))
                        for view, (dy, dx) in enumerate(moves)
                    ],
                    dim=1,
                )
            )
        return torch.cat(parts)


NO_AUGMENTATION = Augmentation(shift_px=0, gain=0.0, tint=0.0, offset=0.0, noise=0.0)
