"""Images on their way into a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skillcore.learning.images import NO_AUGMENTATION, Augmentation, as_input

SHAPE = (6, 2, 16, 16, 3)


@pytest.fixture
def images() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_pixel_keeps_its_value_and_place(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    tensor = as_input(images)
    assert tensor.shape == (6, 2, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert float(tensor.min()) == 0.0
    assert float(tensor.max()) == 1.0
    back = np.rint(tensor.permute(0, 1, 3, 4, 2).numpy() * 255.0)
    np.testing.assert_array_equal(back, images)


def test_images_that_may_not_be_written_to_are_copied(
    images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> None:
    before = images.copy()
    images.flags.writeable = False
    Augmentation()(as_input(images), generator())
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("batch", [1, 3, 4, 6])
def test_augmentation_keeps_shape_and_range(
    images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], batch: int
) -> None:
    strong = Augmentation(gain=1.0, tint=0.5, offset=0.5, noise=0.3)
    changed = strong(as_input(images[:batch]), generator())
    assert changed.shape == (batch, 2, 3, 16, 16)
    assert float(changed.min()) == 0.0
    assert float(changed.max()) == 1.0
    assert bool(torch.isfinite(changed).all())


def test_the_same_seed_changes_alike_and_another_one_does_not(
    images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> None:
    first, again, other = (Augmentation()(as_input(images), generator(seed)) for seed in (1, 1, 2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)


def test_no_augmentation_changes_nothing(images: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    plain = as_input(images).clone()
    torch.testing.assert_close(NO_AUGMENTATION(as_input(images), generator()), plain, rtol=0, atol=0)


def test_views_are_moved_as_a_whole_and_not_too_far() -> None:
    dots = torch.zeros(40, 2, 3, 16, 16)
    dots[..., 8, 8] = 1.0
    moved = Augmentation(shift_px=3, gain=0.0, tint=0.0, offset=0.0, noise=0.0)(dots, generator())
    assert torch.equal(moved.sum((-1, -2)), torch.ones(40, 2, 3))
    places = moved[:, :, 0].flatten(2).argmax(2)
    rows, columns = places // 16 - 8, places % 16 - 8
    assert int(rows.abs().max()) <= 3
    assert int(columns.abs().max()) <= 3
    # All channels move together; views and parts of the batch move on their own.
    assert torch.equal(moved[:, :, 0], moved[:, :, 2])
    assert len({(int(row), int(column)) for row, column in zip(rows.flatten(), columns.flatten(), strict=True)}) > 2


def test_each_sample_gets_a_brightness_of_its_own() -> None:
    grey = torch.full((32, 2, 3, 8, 8), 0.4)
    changed = Augmentation(shift_px=0, gain=0.2, tint=0.0, offset=0.0, noise=0.0)(grey, generator())
    levels = changed.mean((1, 2, 3, 4))
    assert len(set(levels.tolist())) > 16
    assert float(levels.std()) == pytest.approx(0.08, rel=0.5)
    # Within a sample nothing but brightness has changed.
    assert float(changed.std((1, 2, 3, 4)).max()) == pytest.approx(0.0, abs=1e-6)
