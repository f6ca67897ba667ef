"""Hindsight: where a trial succeeded tells how wrong the way was estimated on the way there.

The socket stays where it is during a trial. So once the reward model has taken a trial for a success, the pose it ended
at is the pose of success, and every earlier frame of the trial gets a label that nobody had to give: where success lay,
seen from the TCP. From these labels the estimate is corrected for this one installation, with its cameras, its light
and its plug: residual sideways error = B phi, with phi the estimate itself and the code's main directions, by ridge
regression. Relabelling with what was reached is after Andrychowicz et al. 2017 (arXiv:1707.01495).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from skillcore.errors import BundleError
from skillcore.learning.perception import Perception, decoded_way, encoded_sideways
from skillcore.learning.replay import Transitions
from skillcore.learning.weights import load_tensors, save_tensors

CORRECTION = "correction.safetensors"
DIRECTIONS = 16
SVD_ROWS = 4000
FRAMES_AN_EPISODE = 4.0
"""Frames of one trial are much alike: together they count as so many."""
RIDGE = 8.0
BIAS_RIDGE = 1.0
NEAR_MM = 6.0
"""Errors farther out matter less; they are weighed down beyond this distance."""

Floats = NDArray[np.float64]


class WayCorrection:
    """Corrects the estimated way sideways, from successes. Without any it changes nothing.

    way, pose: where the estimate and the pose stand in a feature vector. mean, axes: (code_dim,) and (code_dim,
    directions), what is taken from the code and along which directions it is read.
    """

    def __init__(self, way: slice, pose: slice, mean: Floats, axes: Floats) -> None:
        self._way, self._pose = way, pose
        self._mean, self._axes = mean, axes
        self._coefficients: Floats | None = None

    @classmethod
    def for_prior(cls, perception: Perception, prior: NDArray[np.float32]) -> Self:
        """Reads the code along the directions in which it varies most in `prior` (n, feature_dim), all alike long."""
        code = prior[:: max(1, len(prior) // SVD_ROWS), : perception.code_dim].astype(np.float64)
        mean, axes = np.zeros(perception.code_dim), np.zeros((perception.code_dim, 0))
        if len(code) > DIRECTIONS:
            mean = code.mean(0)
            _, scale, rows = np.linalg.svd(code - mean, full_matrices=False)
            spread = np.maximum(scale / np.sqrt(len(code) - 1), 1e-6)
            axes = (rows[:DIRECTIONS] / spread[:DIRECTIONS, None]).T
        return cls(perception.way_columns, perception.pose_columns, mean, axes)

    def save(self, folder: Path) -> None:
        """Writes it into an existing folder. Raises StorageError."""
        arrays = {"mean": self._mean, "axes": self._axes}
        if self._coefficients is not None:
            arrays["coefficients"] = self._coefficients
        save_tensors(folder / CORRECTION, {name: torch.from_numpy(array) for name, array in arrays.items()})

    @classmethod
    def load(cls, perception: Perception, folder: Path) -> Self:
        """Reads what `save` wrote. Raises BundleError if it does not fit."""
        path = folder / CORRECTION
        tensors = {name: np.asarray(tensor.double().numpy(), np.float64) for name, tensor in load_tensors(path).items()}
        mean, axes, found = tensors.get("mean"), tensors.get("axes"), tensors.get("coefficients")
        fits = mean is not None and axes is not None and mean.shape == (perception.code_dim,)
        if mean is None or axes is None or not fits or axes.ndim != 2 or len(axes) != len(mean):
            raise BundleError(f"{path}: does not fit its perception", cure="use another bundle, or make it anew")
        if found is not None and found.shape != (3 + axes.shape[1], 2):
            raise BundleError(f"{path}: its shapes do not fit", cure="use another bundle, or make it anew")
        correction = cls(perception.way_columns, perception.pose_columns, mean, axes)
        correction._coefficients = found
        return correction

    def fit(self, trials: Sequence[Transitions]) -> None:
        """Learns from all trials so far; only those that ended in success have something to tell."""
        size = 3 + self._axes.shape[1]
        gram = np.diag([BIAS_RIDGE, *[RIDGE] * (size - 1)]).astype(np.float64)
        product = np.zeros((size, 2))
        successes = 0
        for trial in trials:
            if not len(trial) or trial.continues[-1] > 0.0:
                continue
            successes += 1
            inputs, estimate_mm = self._inputs(trial.features)
            true_mm = self._true_mm(trial)
            weight = 1.0 / (1.0 + (np.hypot(*true_mm.T) / NEAR_MM) ** 2)
            weight *= FRAMES_AN_EPISODE / weight.sum()
            gram += (inputs * weight[:, None]).T @ inputs
            product += (inputs * weight[:, None]).T @ (true_mm - estimate_mm)
        self._coefficients = np.linalg.solve(gram, product) if successes else None

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, feature_dim) -> the same with a corrected way."""
        if self._coefficients is None or not len(features):
            return features
        inputs, estimate_mm = self._inputs(features)
        corrected = features.copy()
        start = self._way.start
        corrected[:, start : start + 2] = encoded_sideways(estimate_mm + inputs @ self._coefficients)
        return corrected

    def transitions(self, raw: Transitions) -> Transitions:
        """Transitions with corrected features."""
        return Transitions(self(raw.features), raw.actions, raw.rewards, self(raw.next_features), raw.continues)

    def _inputs(self, features: NDArray[np.float32]) -> tuple[Floats, Floats]:
        """(n, 3 + directions) what the correction depends on, and the estimated sideways way (n, 2) in mm."""
        estimate_mm = 1e3 * decoded_way(features[:, self._way])[:, :2].astype(np.float64)
        code = (features[:, : len(self._mean)] - self._mean) @ self._axes
        return np.concatenate([np.ones((len(features), 1)), estimate_mm / 5.0, code / 3.0], axis=1), estimate_mm

    def _true_mm(self, trial: Transitions) -> Floats:
        """(n, 2) where success lay sideways, in the tool's axes of each frame."""
        pose = trial.features[:, self._pose].astype(np.float64)
        end = trial.next_features[-1, self._pose].astype(np.float64)
        yaw = pose[:, 3] / 5.0
        away_mm = 10.0 * (end[:2] - pose[:, :2])
        cosine, sine = np.cos(yaw), np.sin(yaw)
        return np.column_stack(
            [cosine * away_mm[:, 0] + sine * away_mm[:, 1], -sine * away_mm[:, 0] + cosine * away_mm[:, 1]]
        )
