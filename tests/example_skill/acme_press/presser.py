"""The scripted policy that shows how it is done, and what it looks like where it is not."""

from __future__ import annotations

import numpy as np

from skillcore import Control, Truth

CENTRED_M = 0.0015
ASTRAY_STEPS = 6


class Presser:
    """Over the cap, then down. One action of five is drawn at random, and two episodes of five begin with some presses
    beside the cap: a reward model must have seen those too."""

    def __init__(self, control: Control, rng: np.random.Generator) -> None:
        self._step_m = control.step_m
        self._rng = rng
        self._astray = ASTRAY_STEPS if rng.random() < 0.4 else 0
        angle = rng.uniform(-np.pi, np.pi)
        self._aside_m = rng.uniform(0.004, 0.018) * np.array([np.cos(angle), np.sin(angle)])

    def act(self, truth: Truth) -> np.ndarray:
        """An action (4,) in [-1, 1], given where the TCP would be at success, seen from the TCP."""
        rng = self._rng
        if truth.success:
            # Presses on, or lets go a little.
            return np.array([*rng.normal(0.0, 0.05, 2), rng.uniform(-1.0, 1.0), 0.0], np.float32)
        if rng.random() < 0.2:
            return rng.uniform(-1.0, 1.0, 4).astype(np.float32)
        x, y, _ = truth.seated_from_tcp.position_m
        if self._astray > 0:
            self._astray -= 1
            x, y = x + self._aside_m[0], y + self._aside_m[1]
        down = 1.0 if np.hypot(x, y) < CENTRED_M else 0.0
        return np.clip([x / self._step_m, y / self._step_m, down, 0.0], -1.0, 1.0).astype(np.float32)
