"""Event files, read back by TensorBoard itself; and what is left after kills and on a full disk."""

from __future__ import annotations

import contextlib
import math
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from skillcore.errors import StorageError
from skillcore.learning.evaluate import TrialResult
from skillcore.learning.job import Together
from skillcore.reports.event_file import EventFile, crc32c
from skillcore.reports.tensorboard import EventWriter

with warnings.catch_warnings():
    # What TensorBoard imports may be out of date; it is no part of what is tested.
    warnings.simplefilter("ignore")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Steps and values of each tag, as TensorBoard sees them."""
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    found.Reload()
    return {tag: [(one.step, one.value) for one in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def result(number: int, *, claimed: bool = True, truth: bool | None = True, **more: Any) -> TrialResult:
    fields = {"steps": 9, "peak_force_n": 31.5, "clamps": 2, "overruns": 0, "aborted": ""} | more
    return TrialResult(number, claimed, truth, **fields)


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# --- the file ----------------------------------------------------------------------------------------------------


def test_the_checksum_is_the_one_of_the_standard() -> None:
    # RFC 3720, B.4
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(bytes(range(32))) == 0x46DD794E


def test_tensorboard_reads_what_was_written(tmp_path: Path) -> None:
    with EventFile(tmp_path / "events.out.tfevents.1") as file:
        file.write(1, {"a/b": 0.5, "c": -3.0})
        file.write(300, {"a/b": math.inf})
    assert read(tmp_path) == {"a/b": [(1, 0.5), (300, math.inf)], "c": [(1, -3.0)]}


def test_it_is_flushed_after_each_step(tmp_path: Path) -> None:
    with EventFile(tmp_path / "events.out.tfevents.1") as file:
        file.write(7, {"a": 1.0})
        assert read(tmp_path) == {"a": [(7, 1.0)]}


def test_what_stands_in_it_is_not_written_twice(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.1"
    for values in ({"a": 1.0}, {"a": 2.0, "b": 3.0}):
        with EventFile(path) as file:
            file.write(1, values)
            file.write(1, values)
    assert read(tmp_path) == {"a": [(1, 1.0)], "b": [(1, 3.0)]}


@pytest.mark.parametrize("lost", [1, 3, 11, 15, 30])
def test_half_a_record_at_the_end_is_cut_off(tmp_path: Path, lost: int) -> None:
    path = tmp_path / "events.out.tfevents.1"
    with EventFile(path) as file:
        file.write(1, {"a": 1.0})
        file.write(2, {"a": 2.0})
    path.write_bytes(path.read_bytes()[:-lost])
    with EventFile(path) as file:
        assert file.seen == {("a", 1)}
        file.write(2, {"a": 5.0})
    assert read(tmp_path) == {"a": [(1, 1.0), (2, 5.0)]}


@pytest.mark.parametrize("content", [b"", b"\0", b"nonsense" * 40])
def test_a_file_of_something_else_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "events.out.tfevents.1"
    path.write_bytes(content)
    with EventFile(path) as file:
        file.write(1, {"a": 1.0})
    assert read(tmp_path) == {"a": [(1, 1.0)]}


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    with EventFile(tmp_path / "events.out.tfevents.1") as file, files_of_at_most(100):
        file.write(1, {"a": 1.0})
        with pytest.raises(StorageError, match="cannot write"):
            file.write(2, {"a" * 100: 1.0})


# --- what is told of a run ---------------------------------------------------------------------------------------


def test_each_trial_leaves_its_figures(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as events:
        told = Together(events)
        told.stage("zero-shot", 2, ())
        told.trial(result(0), {})
        told.trial(result(1, claimed=True, truth=False, peak_force_n=40.0), {})
        told.stage("practice", 4, ())
        for number in range(4):
            told.trial(result(number, claimed=False, truth=number == 3), {"critic_loss": 0.1 * number})
    found = read(tmp_path / "events")
    assert found["zero-shot/success"] == [(1, 1.0), (2, 0.0)]
    assert found["zero-shot/claimed"] == [(1, 1.0), (2, 1.0)]
    assert found["zero-shot/success_of_last_20"] == [(1, 1.0), (2, 0.5)]
    assert found["zero-shot/taken_for_success_wrongly"] == [(1, 0.0), (2, 1.0)]
    assert found["zero-shot/peak_force_n"] == [(1, 31.5), (2, 40.0)]
    assert found["zero-shot/steps"] == [(1, 9.0), (2, 9.0)]
    assert found["practice/success_not_seen"] == [(1, 0.0), (2, 0.0), (3, 0.0), (4, 1.0)]
    # Of four trials, the third is acted without noise.
    assert found["practice/check_success"] == [(3, 0.0)]
    assert [step for step, _ in found["learner/critic_loss"]] == [1, 2, 3, 4]
    assert found["learner/critic_loss"][3][1] == pytest.approx(0.3)


def test_nothing_is_said_of_mistakes_that_nobody_knows_of(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as events:
        events.stage("run", 1, ())
        events.trial(result(0, truth=None), {})
    found = read(tmp_path / "events")
    assert found["run/success"] == [(1, 1.0)]
    assert not [tag for tag in found if "wrongly" in tag or "not_seen" in tag]


def test_a_run_that_goes_on_has_each_trial_once(tmp_path: Path) -> None:
    results = [result(number, claimed=number % 2 == 0) for number in range(5)]
    with EventWriter(tmp_path) as events:
        events.stage("practice", 5, ())
        for one in results[:2]:
            events.trial(one, {"loss": float(one.number)})
    # The third was saved, and the process killed before it was told of.
    with EventWriter(tmp_path) as events:
        events.stage("practice", 5, results[:3])
        for one in results[3:]:
            events.trial(one, {"loss": float(one.number)})
    found = read(tmp_path / "events")
    assert [step for step, _ in found["practice/success"]] == [1, 2, 3, 4, 5]
    assert [value for _, value in found["practice/claimed"]] == [1.0, 0.0, 1.0, 0.0, 1.0]
    assert found["practice/success_not_seen"][-1] == (5, 2.0)
    # What the learner said of the third is lost; what it said before and after is not.
    assert found["learner/loss"] == [(1, 0.0), (2, 1.0), (4, 3.0), (5, 4.0)]


def test_a_full_disk_ends_the_events_and_nothing_else(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as events:
        events.stage("run", 100, ())
        with files_of_at_most(2000):
            for number in range(30):
                events.trial(result(number), {})
        assert "the file would be larger than is allowed here" in events.problem
        events.trial(result(30), {})
    steps = [step for step, _ in read(tmp_path / "events")["run/success"]]
    assert 1 < len(steps) < 30
    assert steps == list(range(1, len(steps) + 1))


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("a file in its place")
    with EventWriter(tmp_path) as events:
        assert "cannot open" in events.problem
        events.stage("run", 1, ())
        events.trial(result(0), {})
