"""The lerobot package itself opens and iterates what is exported. Runs where lerobot is installed: it is too heavy to
be asked for by tests (`pip install lerobot`, in an environment of its own)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.episodes import EpisodeStore
from skillcore.exchange.lerobot_write import write_lerobot

# What lerobot and its dependencies warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def dataset_class() -> Any:
    pytest.importorskip("lerobot")
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    return LeRobotDataset


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No network, and a cache of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.usefixtures("offline")
def test_lerobot_reads_every_frame(dataset_class: Any, store: EpisodeStore, tmp_path: Path) -> None:
    import torch

    write_lerobot(store, store.rows(), tmp_path / "out", task="insert the {variant} plug")
    dataset = dataset_class(repo_id="ours/insertion", root=tmp_path / "out")
    assert (dataset.num_episodes, dataset.num_frames, dataset.fps) == (4, 18, 10)
    assert dataset.meta.camera_keys == ["observation.images.view_0", "observation.images.view_1"]
    start = 0
    for row in store.rows():
        episode = store.read(row.id)
        for frame in range(episode.steps + 1):
            item = dataset[start + frame]
            assert item["task"] == f"insert the {row.variant} plug"
            assert int(item["frame_index"]) == frame
            assert float(item["timestamp"]) == pytest.approx(frame / 10)
            state = np.concatenate([episode.pose[frame], episode.wrench[frame]])
            np.testing.assert_array_equal(item["observation.state"].numpy(), state)
            image = (item["observation.images.view_1"] * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
            np.testing.assert_array_equal(image, episode.images[frame, 1])
            if frame < episode.steps:
                np.testing.assert_array_equal(item["action"].numpy(), episode.action[frame])
                assert float(item["next.reward"]) == float(episode.reward[frame])
            assert bool(item["next.done"]) == (frame >= episode.steps - 1)
        start += episode.steps + 1
    np.testing.assert_allclose(
        dataset.meta.stats["action"]["mean"],
        np.mean([dataset[index]["action"].numpy() for index in range(18)], axis=0),
        atol=1e-6,
    )


@pytest.mark.usefixtures("offline")
def test_lerobot_makes_batches_chunks_and_selections(dataset_class: Any, store: EpisodeStore, tmp_path: Path) -> None:
    import torch

    write_lerobot(store, store.rows(), tmp_path / "out")
    chunks = {"action": [0.0, 0.1, 0.2], "observation.images.view_0": [-0.1, 0.0]}
    dataset = dataset_class(repo_id="ours/insertion", root=tmp_path / "out", delta_timestamps=chunks)
    batch = next(iter(torch.utils.data.DataLoader(dataset, batch_size=4, shuffle=False)))
    assert batch["action"].shape == (4, 3, 4)
    assert batch["observation.images.view_0"].shape == (4, 2, 3, 16, 16)
    # The first episode has three frames, so that the third frame's chunk ends beyond it.
    assert batch["action_is_pad"][2].tolist() == [False, True, True]
    some = dataset_class(repo_id="ours/insertion", root=tmp_path / "out", episodes=[1, 3])
    assert some.num_frames == 4 + 6
    assert {int(some[index]["episode_index"]) for index in range(10)} == {1, 3}


@pytest.mark.usefixtures("offline")
def test_lerobots_policies_know_the_features(dataset_class: Any, store: EpisodeStore, tmp_path: Path) -> None:
    from lerobot.datasets.utils import dataset_to_policy_features

    write_lerobot(store, store.rows(), tmp_path / "out")
    dataset = dataset_class(repo_id="ours/insertion", root=tmp_path / "out")
    features = {name: feature.type.name for name, feature in dataset_to_policy_features(dataset.features).items()}
    assert features == {
        "observation.images.view_0": "VISUAL",
        "observation.images.view_1": "VISUAL",
        "observation.state": "STATE",
        "action": "ACTION",
    }


@pytest.mark.usefixtures("offline")
def test_lerobot_reads_the_frames_of_videos(dataset_class: Any, store: EpisodeStore, tmp_path: Path) -> None:
    import torchvision

    if not hasattr(torchvision.io, "VideoReader"):
        pytest.skip("this torchvision reads no videos with PyAV; lerobot asks for an older one")
    write_lerobot(store, store.rows(), tmp_path / "out", pictures="video")
    dataset = dataset_class(repo_id="ours/insertion", root=tmp_path / "out", video_backend="pyav")
    # Noise is what H.264 keeps least; which frame it is shows all the same.
    frames = [store.read(row.id).images[:, 0] for row in store.rows()]
    originals = np.concatenate(frames).astype(np.float64)
    for index in (0, 2, 3, 11, 17):
        image = dataset[index]["observation.images.view_0"].permute(1, 2, 0).numpy() * 255
        distances = np.abs(originals - image).mean(axis=(1, 2, 3))
        assert int(np.argmin(distances)) == index
