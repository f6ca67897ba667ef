"""Success by touch: what is felt, and what that alone tells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from skillcore.types import PAST, Past
from skillcore_daib.touch import TOUCH_DIM, TouchClassifier, touch_inputs, train_touch


def felt(*, force_n: float, fall_m: float, batch: int = 1) -> NDArray[np.float32]:
    """A tool that presses with `force_n` and sinks by `fall_m` in every step."""
    pose, wrench = np.zeros((batch, 6), np.float32), np.zeros((batch, 6), np.float32)
    wrench[:, 2] = -force_n
    past = Past(pose=np.zeros((batch, PAST, 6), np.float32), wrench=np.repeat(wrench[:, None], PAST, axis=1))
    past["pose"][:, :, 2] = -fall_m * np.arange(1, PAST + 1)
    return touch_inputs(pose, wrench, past)


def test_standing_still_feels_of_nothing() -> None:
    inputs = felt(force_n=0.0, fall_m=0.0)
    assert inputs.shape == (1, TOUCH_DIM)
    assert inputs.dtype == np.float32
    assert not inputs.any()


def test_numbers_are_even_in_size_and_know_the_way_back() -> None:
    inputs = felt(force_n=30.0, fall_m=5e-3)[0]
    assert np.abs(inputs).max() < 6.0
    assert inputs[2] == pytest.approx(-np.arcsinh(10.0))
    # Behind the wrench of now: of each frame before, how far the tool has come since, and the wrench of then.
    moved = inputs[6:].reshape(PAST, 10)[:, 2]
    np.testing.assert_allclose(moved, np.arcsinh(2e3 * 5e-3 * np.arange(1, PAST + 1)), rtol=1e-5)


def test_where_a_trial_began_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    pose, wrench = rng.normal(0.0, 0.01, (2, 3, 6)).astype(np.float32)
    past = Past(
        pose=rng.normal(0.0, 0.01, (3, PAST, 6)).astype(np.float32),
        wrench=rng.normal(0.0, 5.0, (3, PAST, 6)).astype(np.float32),
    )
    aside = np.array([0.01, -0.02, 0.03, 0.0, 0.0, 0.0], np.float32)
    elsewhere = Past(pose=past["pose"] + aside, wrench=past["wrench"])
    np.testing.assert_allclose(
        touch_inputs(pose, wrench, past), touch_inputs(pose + aside, wrench, elsewhere), atol=1e-3
    )


def test_it_learns_that_what_is_pressed_and_does_not_move_has_arrived() -> None:
    rng = np.random.default_rng(0)
    force, fall = rng.uniform(0.0, 40.0, 2000), rng.uniform(0.0, 5e-3, 2000)
    inputs = np.concatenate([felt(force_n=f, fall_m=d) for f, d in zip(force, fall, strict=True)])
    labels = ((force > 15.0) & (fall < 1e-3)).astype(np.float32)
    weights = np.where(labels == 1.0, 1.0 / labels.sum(), 1.0 / (labels == 0.0).sum())
    torch.manual_seed(0)
    classifier = TouchClassifier(128, 0.1)
    train_touch(classifier, inputs, labels, weights, steps=1200, seed=0, device="cpu")
    with torch.no_grad():
        pressed, falling, hovering = (
            float(torch.sigmoid(classifier(torch.from_numpy(felt(force_n=f, fall_m=d)))))
            for f, d in ((35.0, 0.0), (35.0, 4e-3), (1.0, 0.0))
        )
    assert pressed > 0.9
    assert falling < 0.1
    assert hovering < 0.1
