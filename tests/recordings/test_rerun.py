"""Rerun recordings, read back with the SDK's own reader."""

from __future__ import annotations

import resource
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rerun.chunk import RrdReader

from skillcore.errors import InputError, StorageError
from skillcore.reports.recorded_run import RecordedRun
from skillcore.reports.rerun_file import record_rerun, require_rerun

MakeRun = Callable[..., RecordedRun]


def read(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Of each entity its columns, those of its timelines too, in the order of `step`."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for chunk in RrdReader(path).stream().to_chunks():
        if not chunk.is_static:
            found[chunk.entity_path] += chunk.to_record_batch().to_pylist()
    return {
        entity: {name: [row.get(name) for row in sorted(rows, key=lambda row: row["step"])] for name in rows[0]}
        for entity, rows in found.items()
        if "step" in rows[0]
    }


def scalars(columns: dict[str, list[Any]]) -> list[float]:
    return [value for (value,) in columns["Scalars:scalars"]]


def test_everything_of_an_episode_is_in_it(make_run: MakeRun) -> None:
    run = make_run({"zero-shot": ["timeout"], "acceptance": ["success", "wrong"]})
    written = record_rerun(run)
    assert written.path == run.folder / "rerun" / "run.rrd"
    assert written.size == written.path.stat().st_size
    assert [entry.recording_id for entry in RrdReader(written.path).recordings()] == ["run"]
    assert len(RrdReader(written.path).blueprints()) == 1
    found = read(written.path)
    trials = [trial for part in run.parts.values() for trial in part]
    with run.store as store:
        episodes = [store.read(trial.episode_id) for trial in trials]
    frames = sum(episode.steps + 1 for episode in episodes)
    left = found["/views/left"]
    assert left["step"] == list(range(frames))
    assert left["trial"] == [1] * 5 + [2] * 5 + [3] * 5
    assert [value.total_seconds() for value in left["time"][4:7]] == pytest.approx([0.4, 0.5, 0.6])
    seen = cv2.imdecode(np.array(found["/views/right"]["EncodedImage:blob"][6][0], np.uint8), cv2.IMREAD_COLOR_RGB)
    assert (seen == episodes[1].images[1, 1]).all()
    pose = np.array(found["/base/start/tcp"]["Transform3D:translation"]).reshape(-1, 3)
    assert pose == pytest.approx(np.concatenate([episode.pose[:, :3] for episode in episodes]))
    turned = np.array(found["/base/start/tcp"]["Transform3D:quaternion"]).reshape(-1, 4)
    assert np.linalg.norm(turned, axis=1) == pytest.approx(np.ones(frames))
    assert 2.0 * turned[:, :3] == pytest.approx(np.concatenate([one.pose[:, 3:] for one in episodes]), abs=1e-4)
    assert np.array(found["/base/start"]["Transform3D:translation"]).reshape(-1, 3) == pytest.approx(
        np.tile([0.5, 0.0, 0.1], (3, 1))
    )
    assert scalars(found["/wrench/torque_z"]) == pytest.approx(np.concatenate([one.wrench[:, 5] for one in episodes]))
    assert scalars(found["/executed/yaw"]) == pytest.approx(np.concatenate([one.executed[:, 3] for one in episodes]))
    # An action stands at the frame that it led to.
    assert found["/action/x"]["step"] == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14]
    assert scalars(found["/reward/score"]) == pytest.approx(np.concatenate([one.score for one in episodes]))
    assert set(scalars(found["/reward/threshold"])) == {0.7}
    assert scalars(found["/outcome/claimed"]) == [0.0, 1.0, 1.0]
    assert scalars(found["/outcome/truth"]) == [0.0, 1.0, 0.0]
    assert found["/outcome/log"]["step"] == [4, 9, 14]
    assert found["/outcome/log"]["TextLog:text"][2] == [
        "after practice, trial 2: not inserted, reward model wrong: it took this for success"
    ]


def test_what_is_not_known_is_left_out(make_run: MakeRun) -> None:
    run = make_run({"run": ["success?"]})
    found = read(record_rerun(run).path)
    assert "/outcome/truth" not in found
    assert scalars(found["/outcome/claimed"]) == [1.0]


def test_on_a_full_disk_nothing_is_left(make_run: MakeRun) -> None:
    run = make_run({"run": ["success"] * 20})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            record_rerun(run)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((run.folder / "rerun").iterdir()) == []


def test_without_the_extra_the_command_to_install_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(InputError) as caught:
        require_rerun()
    assert caught.value.cure == "pip install 'skillcore[rerun]'"
