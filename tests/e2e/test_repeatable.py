"""Pretraining with the same seed makes the same bundle, bit for bit, whoever of its processes was faster."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from skillcore.episodes import EpisodeStore, ReplayCache
from skillcore.learning.datasets import by_content


def weights_of(bundle: Path) -> dict[str, str]:
    """The hash of each file of weights."""
    files: dict[str, str] = json.loads((bundle / "card.json").read_bytes())["files"]
    return files


def test_the_same_seed_makes_the_same_weights(tiny: Path, make_tiny: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert weights_of(make_tiny(tmp_path / "again")) == weights_of(tiny)


def test_who_saved_first_does_not_matter(tiny: Path, tmp_path: Path) -> None:
    (place, *_) = sorted((tiny.parent / "home" / "datasets").glob("insertion-2x2-*"))
    with EpisodeStore(place, create=False) as store:
        episodes = [store.read(row.id) for row in store.rows()]
    caches = []
    for name, some in (("forth", episodes), ("back", episodes[::-1])):
        with EpisodeStore(tmp_path / name) as store:
            for episode in some:
                store.append(episode)
            caches.append(ReplayCache.open(store, size_px=64, order=by_content))
    assert [info.seed for info in caches[0].infos] == [info.seed for info in caches[1].infos]
    assert (caches[0].images == caches[1].images).all()
    assert (caches[0].pose == caches[1].pose).all()
