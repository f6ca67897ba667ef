"""Success by touch: force and torque, and how the tool moved under them.

A camera of 64 pixels does not see the last millimetre, but it can be felt: a plug that is pressed and moves no more
has met something, and what it has met yields, tilts and slides differently from a seat. Nothing of it depends on how
a connector looks, so that it carries over to connectors that were never seen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from skillcore.learning.perception import WRENCH_SCALE, evened_wrench
from skillcore.learning.training import Sampler
from skillcore.types import PAST, Past

MOTION = 4
WRENCH = 6
TOUCH_DIM = WRENCH + PAST * (MOTION + WRENCH)
MOTION_SCALE = np.array([2e3, 2e3, 2e3, 50.0], np.float32)
BATCH = 256
LEARNING_RATE = 1e-3


def touch_inputs(pose: NDArray[np.float32], wrench: NDArray[np.float32], past: Past) -> NDArray[np.float32]:
    """(batch, TOUCH_DIM): wrenches now and before, and how far the tool has come since then.

    pose, wrench: (batch, 6). Each number is about as large as the others: distances as asinh(mm / 0.5), turns as
    asinh(50 rad), wrenches as `evened_wrench` has them.
    """
    moved = (pose[:, np.newaxis] - past["pose"])[:, :, [0, 1, 2, 5]] * MOTION_SCALE
    before = np.concatenate([np.arcsinh(moved), evened_wrench(past["wrench"])], axis=2)
    return np.concatenate([evened_wrench(wrench), before.reshape(len(pose), -1)], axis=1).astype(np.float32)


class TouchInputs(nn.Module):
    """`touch_inputs` in torch: pose, wrench (batch, 6), past pose and past wrench (batch, PAST, 6) -> (batch,
    TOUCH_DIM)."""

    wrench_scale: torch.Tensor
    motion_scale: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("wrench_scale", torch.from_numpy(WRENCH_SCALE))
        self.register_buffer("motion_scale", torch.from_numpy(MOTION_SCALE))

    def forward(
        self, pose: torch.Tensor, wrench: torch.Tensor, past_pose: torch.Tensor, past_wrench: torch.Tensor
    ) -> torch.Tensor:
        moved = pose.unsqueeze(1) - past_pose
        moved = torch.cat([moved[:, :, :3], moved[:, :, 5:]], dim=2) * self.motion_scale
        before = torch.cat([torch.asinh(moved), torch.asinh(past_wrench / self.wrench_scale)], dim=2)
        return torch.cat([torch.asinh(wrench / self.wrench_scale), before.flatten(1)], dim=1)


class TouchClassifier(nn.Module):
    """(batch, TOUCH_DIM) -> logits (batch,)."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(TOUCH_DIM, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 1),
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.layers(inputs)).squeeze(1)


def train_touch(
    classifier: TouchClassifier,
    inputs: NDArray[np.float32],
    labels: NDArray[np.float32],
    weights: NDArray[np.float64],
    *,
    steps: int,
    seed: int,
    device: str,
    told: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Trains on rows of `inputs` (n, TOUCH_DIM), drawn as often as `weights` (n,) say."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    rows, targets = torch.from_numpy(inputs).to(device), torch.from_numpy(labels).to(device)
    sampler = Sampler(weights)
    optimizer = torch.optim.AdamW(classifier.parameters(), lr=LEARNING_RATE, weight_decay=1e-2, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    classifier.train()
    for step in range(steps):
        chosen = torch.from_numpy(sampler.draw(rng, BATCH)).to(device)
        # Sensors differ between cells, so a little noise keeps the classifier from reading too much into them.
        felt = rows[chosen] * (1.0 + 0.05 * torch.randn(BATCH, TOUCH_DIM, device=rows.device))
        loss = functional.binary_cross_entropy_with_logits(classifier(felt), targets[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if step % 100 == 99 or step + 1 == steps:
            told(step + 1, float(loss.detach()))
    classifier.eval()
