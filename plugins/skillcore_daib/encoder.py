"""The convolutional network under every representation: all views through the same filters, joined at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch
from torch import nn

from skillcore.learning.precision import fast_products

HIDDEN = 256
PATCH_PX = 4


class ViewEncoder(nn.Module):
    """Images (batch, views, 3, H, W) in [0, 1] -> hidden features (batch, HIDDEN).

    The first layer looks at patches of 4x4 pixels, which costs half of what overlapping filters do and loses nothing;
    each further one halves the sides. Positions are kept to the end (no pooling): where plug and socket are is what
    matters. GroupNorm, since batches mix many looks and a control step is a batch of one.

    fast: with products in bfloat16 where the machine is quick at them, as in training: half the time.
    """

    def __init__(self, *, views: int, size_px: int, channels: Sequence[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before, side = 3, size_px
        for index, width in enumerate(channels):
            if index == 0:
                convolution, side = nn.Conv2d(before, width, PATCH_PX, stride=PATCH_PX, bias=False), side // PATCH_PX
            else:
                convolution, side = nn.Conv2d(before, width, 3, stride=2, padding=1, bias=False), (side + 1) // 2
            layers += [convolution, nn.GroupNorm(max(1, width // 16), width), nn.ReLU(inplace=True)]
            before = width
        self.views = nn.Sequential(*layers, nn.Flatten())
        self.join = nn.Sequential(nn.Linear(views * before * side * side, HIDDEN), nn.LayerNorm(HIDDEN), nn.ReLU())
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's own stubs lack it

    @property
    def feature_maps(self) -> Mapping[str, nn.Module]:
        """The rectified output of each convolution, (batch * views, channels, rows, columns): `conv1`, `conv2`, ..."""
        rectified = [module for module in self.views if isinstance(module, nn.ReLU)]
        return {f"conv{number}": module for number, module in enumerate(rectified, 1)}

    def forward(self, images: torch.Tensor, *, fast: bool = False) -> torch.Tensor:
        with fast_products(images.device) if fast else nullcontext():
            hidden = self.views((images - 0.5).flatten(0, 1))
            return torch.as_tensor(self.join(hidden.reshape(images.shape[0], -1))).float()
