"""Hindsight labels agree with the poses' algebra; the adapter learns from successes, and changes only the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from skillcore.learning.adaptation import Hindsight, WayAdapter
from skillcore.learning.perception import Perception, decoded_way, encoded_way
from skillcore.types import Episode, EpisodeInfo, Pose
from skillcore_daib.options import EncoderOptions
from skillcore_daib.representation import DomainBottleneck

SIZE = 16


def perception() -> Perception:
    torch.manual_seed(0)
    options = EncoderOptions(channels=(8, 8), code_dim=8)
    return Perception(DomainBottleneck(options, views=2, size_px=SIZE, domains=0, adversary_weight=None, beta=None))


def episode(rng: np.random.Generator, *, succeeded: bool, steps: int = 6) -> Episode:
    """A walk to the place of success; where the bright bar is tells how far away that is in x."""
    way = rng.uniform(-8e-3, 8e-3, 3) * np.linspace(1.0, 0.0, steps + 1)[:, None]
    pose = np.zeros((steps + 1, 6), np.float32)
    pose[:, :3] = way[0] - way
    images = np.full((steps + 1, 2, SIZE, SIZE, 3), 40, np.uint8)
    for frame, x in enumerate(way[:, 0]):
        left = round(6.0 + 700.0 * x)
        images[frame, :, :, left : left + 4] = 220
    info = EpisodeInfo(
        skill="s", variant="v", cell="c", seed=0, source="practice", outcome="success" if succeeded else "timeout"
    )
    # Each begins elsewhere, and all of them lead to the same place.
    info.start_from_base = (*(-way[0]).tolist(), 0.0, 0.0, 0.0)
    flat = np.zeros(steps + 1, np.float32)
    return Episode(
        info=info,
        images=images,
        pose=pose,
        wrench=np.zeros((steps + 1, 6), np.float32),
        action=np.zeros((steps, 4), np.float32),
        executed=np.zeros((steps, 4), np.float32),
        reward=flat[1:],
        score=flat,
        success=np.full(steps + 1, -1, np.int8),
        truth=np.full(steps + 1, -1, np.int8),
        seated_from_tcp=np.full((steps + 1, 6), np.nan, np.float32),
    )


def placed(rng: np.random.Generator, *, succeeded: bool, seat: Pose) -> tuple[Episode, list[Pose]]:
    """A trial from a start of its own, and where its TCP was in the base frame; success ends at `seat`."""
    start = Pose.from_xyz_yaw(*rng.uniform(-0.01, 0.01, 3), rng.uniform(-0.2, 0.2))
    poses = [Pose.from_xyz_yaw(*rng.uniform(-0.01, 0.01, 3), rng.uniform(-0.2, 0.2)) for _ in range(7)]
    if succeeded:
        poses[-1] = start.inverse() @ seat
    trial = episode(rng, succeeded=succeeded)
    trial.pose[:] = [pose.as_vector() for pose in poses]
    trial.info.start_from_base = tuple(start.as_vector().tolist())  # type: ignore[assignment]
    return trial, [start @ pose for pose in poses]


def labels_of(trials: list[Episode]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    seen = Hindsight()
    for trial in trials:
        seen.add(trial)
    labels = seen.labels(np.array([trial.terminated for trial in trials]))
    np.testing.assert_array_equal(seen.images, np.concatenate([trial.images for trial in trials]))
    return labels


def test_labels_are_the_place_of_success_seen_from_each_pose() -> None:
    rng = np.random.default_rng(0)
    seats = ((0.5, 0.1), (0.501, 0.14), (0.502, 0.18))
    left, middle, right = (Pose.from_xyz_yaw(x, 0.1, 0.2, yaw) for x, yaw in seats)
    trials = [
        placed(rng, succeeded=True, seat=left),
        placed(rng, succeeded=False, seat=left),
        placed(rng, succeeded=True, seat=middle),
        placed(rng, succeeded=True, seat=right),
    ]
    labels = labels_of([trial for trial, _ in trials])
    wanted = [
        (pose.inverse() @ seat).as_vector()
        for (_, poses), seat in zip(trials, (left, middle, middle, right), strict=True)
        for pose in poses
    ]
    np.testing.assert_allclose(labels[0], encoded_way(np.stack(wanted).astype(np.float32)), atol=2e-3)
    assert labels[1][0] > labels[1][8]


def test_successes_teach_where_success_lies() -> None:
    seeing, rng = perception(), np.random.default_rng(0)
    adapter = WayAdapter(seeing)
    for _ in range(20):
        adapter.add(episode(rng, succeeded=True))
    assert not adapter.active
    adapter.learn(rng, np.ones(20, np.bool_), steps=200)
    assert adapter.active
    test = episode(rng, succeeded=True)
    raw = seeing.features(test.observation(slice(None)))  # type: ignore[arg-type]
    corrected = adapter.corrected(raw, test.images)
    columns = seeing.way_columns
    # Success lies where all trials end: in the origin.
    true_x = -(test.pose[:, 0] + test.start_from_base.position_m[0])
    before, after = (np.abs(decoded_way(one[:, columns])[:, 0] - true_x).mean() for one in (raw, corrected))
    assert after < 0.75 * before
    changed = np.flatnonzero((raw != corrected).any(0))
    assert set(changed) <= set(range(columns.start, columns.stop))


@pytest.mark.parametrize("fixes_yaw", [True, False])
def test_where_success_fixes_no_yaw_its_estimate_stays(fixes_yaw: bool) -> None:
    seeing, rng = perception(), np.random.default_rng(0)
    adapter = WayAdapter(seeing)
    for _ in range(20):
        trial = episode(rng, succeeded=True)
        # Each ends turned by a third of a radian from where it began.
        trial.pose[:, 5] = np.linspace(0.0, 0.35, len(trial.pose))
        adapter.add(trial)
    adapter.learn(rng, np.ones(20, np.bool_), fixes_yaw=fixes_yaw, steps=200)
    test = episode(rng, succeeded=True)
    raw = seeing.features(test.observation(slice(None)))  # type: ignore[arg-type]
    corrected = adapter.corrected(raw, test.images)
    changed = float(np.abs(corrected - raw)[:, seeing.way_columns][:, 3].mean())
    assert (changed > 0.5) is fixes_yaw
    assert (changed < 0.1) is not fixes_yaw


def test_it_goes_on_after_a_reload(tmp_path: Path) -> None:
    seeing, rng = perception(), np.random.default_rng(0)
    first, second = WayAdapter(seeing), WayAdapter(seeing)
    trial = episode(rng, succeeded=True)
    first.add(trial)
    first.learn(np.random.default_rng(1), np.array([True]), steps=3)
    first.save(tmp_path)
    second.load(tmp_path)
    second.add(trial)
    for adapter in (first, second):
        adapter.learn(np.random.default_rng(2), np.array([True]), steps=3)
    features = np.zeros((len(trial.images), seeing.feature_dim), np.float32)
    np.testing.assert_array_equal(first.corrected(features, trial.images), second.corrected(features, trial.images))


@pytest.mark.parametrize("resumable", [True, False])
def test_what_was_never_active_writes_nothing(tmp_path: Path, resumable: bool) -> None:
    WayAdapter(perception()).save(tmp_path, resumable=resumable)
    assert not list(tmp_path.iterdir())
