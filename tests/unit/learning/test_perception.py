"""Perception: how the way is written as numbers, what a feature vector holds, and that it learns and lasts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from skillcore.episodes import ReplayCache
from skillcore.errors import BundleError
from skillcore.learning.perception import (
    ESTIMATE_DIM,
    PROPRIOCEPTION_DIM,
    Perception,
    decoded_way,
    encoded_way,
    proprioception,
)
from skillcore.learning.training import Schedule
from skillcore_daib.options import EncoderOptions
from skillcore_daib.representation import DomainBottleneck


def make(seed: int = 0, channels: tuple[int, ...] = (8, 8)) -> Perception:
    torch.manual_seed(seed)
    options = EncoderOptions(channels=channels, code_dim=8)
    return Perception(DomainBottleneck(options, views=2, size_px=16, domains=0, adversary_weight=None, beta=None))


def test_a_way_that_was_encoded_decodes_to_itself() -> None:
    rng = np.random.default_rng(0)
    way = np.zeros((200, 6), np.float32)
    way[:, :3] = rng.uniform(-0.05, 0.05, (200, 3))
    way[:, 3:5] = 0.3
    way[:, 5] = rng.uniform(-1.0, 1.0, 200)
    np.testing.assert_allclose(decoded_way(encoded_way(way)), way[:, [0, 1, 2, 5]], rtol=1e-4, atol=1e-7)


def test_the_encoding_is_fine_near_the_goal_and_has_an_end() -> None:
    way = np.zeros((4, 6), np.float32)
    way[:, 0] = 0.0, 0.0001, 0.0101, 5.0
    way[3, 5] = -9.0
    encoded = encoded_way(way)
    np.testing.assert_allclose(encoded[:, 0], np.arcsinh([0.0, 0.1, 10.1, 60.0]), rtol=1e-5)
    assert encoded[3, 3] == pytest.approx(np.arcsinh(-60.0))
    # Whatever a network says, the way stays finite.
    assert np.abs(decoded_way(np.full((1, 4), 1e6, np.float32))).max() < 10.0


def test_pose_and_wrench_are_scaled_and_their_order_is_kept() -> None:
    pose = np.array([[0.01, -0.02, 0.03, 9.0, 9.0, 0.2]], np.float32)
    wrench = np.array([[3.0, 0.0, -3.0, 0.05, 0.0, -0.05]], np.float32)
    felt = proprioception({"images": np.zeros((1, 2, 16, 16, 3), np.uint8), "pose": pose, "wrench": wrench})
    one = float(np.arcsinh(1.0))
    np.testing.assert_allclose(felt, [[1.0, -2.0, 3.0, 1.0, one, 0.0, -one, one, 0.0, -one]], rtol=1e-5)
    assert felt.dtype == np.float32


def test_features_are_code_then_way_then_pose_and_wrench(offline: ReplayCache) -> None:
    perception = make()
    observations = offline.observations(np.arange(5))
    features = perception.features(observations)
    assert perception.feature_dim == 8 + ESTIMATE_DIM + PROPRIOCEPTION_DIM
    assert features.shape == (5, perception.feature_dim)
    assert features.dtype == np.float32
    images = torch.from_numpy(observations["images"]).float().div(255.0).permute(0, 1, 4, 2, 3)
    with torch.no_grad():
        code = perception.representation.encode(images)
        way = perception.module.way(code)
    np.testing.assert_allclose(features[:, :8], code.numpy(), atol=1e-5)
    np.testing.assert_allclose(features[:, perception.way_columns], way.numpy(), atol=1e-5)
    np.testing.assert_array_equal(features[:, 12:], proprioception(observations))
    np.testing.assert_allclose(perception.estimate(observations["images"]), way.numpy(), atol=1e-5)


def test_it_learns_the_way_from_images(offline: ReplayCache) -> None:
    perception = make()
    observations = offline.observations(np.arange(offline.frames))
    wanted = encoded_way(offline.seated_from_tcp)

    def error() -> float:
        return float(np.abs(perception.features(observations)[:, perception.way_columns] - wanted)[:, :2].mean())

    before, told = error(), []
    perception.fit(
        offline,
        schedule=Schedule(150, batch=32, learning_rate=3e-3),
        seed=0,
        progress=lambda done, total, figures: told.append(figures["loss"]),
    )
    assert error() < 0.5 * before
    assert told[-1] < told[0]


def test_frames_whose_way_is_unknown_are_not_learned_from(make_cache: Callable[..., ReplayCache]) -> None:
    data = make_cache([("hdmi", "sim"), ("usb", "sim")])
    way = data.seated_from_tcp.copy()
    way[::2] = np.nan
    data.seated_from_tcp = way
    told: list[float] = []
    perception = make()
    perception.fit(
        data,
        schedule=Schedule(20, batch=32),
        seed=0,
        progress=lambda done, total, figures: told.append(figures["loss"]),
    )
    assert np.isfinite(told).all()
    assert np.isfinite(perception.features(data.observations(np.arange(4)))).all()


def test_what_was_saved_sees_alike(offline: ReplayCache, tmp_path: Path) -> None:
    first, second = make(0), make(1)
    observations = offline.observations(np.arange(6))
    assert not np.array_equal(first.features(observations), second.features(observations))
    first.save(tmp_path)
    second.load(tmp_path)
    np.testing.assert_array_equal(first.features(observations), second.features(observations))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    make().save(tmp_path)
    with pytest.raises(BundleError, match=r"perception\.safetensors: made for another network: .* is \(256, 64\), "):
        make(channels=(8, 16)).load(tmp_path)
