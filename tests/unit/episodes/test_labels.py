"""Corrections of labels: kept beside the file, the newest counts, and everything that trains sees it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.episodes import EpisodeStore, ReplayCache, dataset_hash
from skillcore.episodes.labels import SAME_PLACE_M, corrected_labels, said_of
from skillcore.errors import EpisodeError, InputError
from skillcore.types import Episode

Make = Callable[..., Episode]


@pytest.fixture
def practised(folder: Path, make_episode: Make) -> EpisodeStore:
    """A store as practice leaves it: no labels, the reward model took the first trial for a success."""
    store = EpisodeStore(folder)
    for seed, outcome in enumerate(("success", "timeout", "aborted")):
        episode = make_episode(seed, source="practice", outcome=outcome)
        episode.success[:], episode.truth[:] = -1, -1
        episode.reward[:] = 0.0
        episode.reward[-1] = float(outcome == "success")
        store.append(episode)
    return store


def test_a_correction_is_kept_with_who_when_and_what_held_before(practised: EpisodeStore) -> None:
    first, second, _ = (row.id for row in practised.rows())
    practised.relabel(first, False, who=" ada ", why="the latch did not catch")
    practised.relabel(first, True, who="bob")
    practised.relabel(second, True, who="bob")
    kept = practised.corrections()
    assert [(one.number, one.success, one.was, one.was_by, one.who) for one in kept[first]] == [
        (1, False, True, "outcome", "ada"),
        (2, True, False, "correction", "bob"),
    ]
    assert kept[first][0].why == "the latch did not catch"
    assert kept[first][0].when.endswith("+00:00")
    assert [(one.was, one.was_by) for one in kept[second]] == [(False, "outcome")]


def test_the_file_never_changes_and_earlier_corrections_stay(practised: EpisodeStore) -> None:
    row = practised.rows()[0]
    before = practised.path(row.id).read_bytes()
    practised.relabel(row.id, False, who="ada")
    first = (practised.folder / "labels" / f"{row.id}.0001.json").read_bytes()
    practised.relabel(row.id, True, who="ada")
    assert practised.path(row.id).read_bytes() == before
    assert (practised.folder / "labels" / f"{row.id}.0001.json").read_bytes() == first
    assert practised.verify() == []


def test_who_trains_sees_the_newest_label(practised: EpisodeStore) -> None:
    first, second, _ = (row.id for row in practised.rows())
    practised.relabel(first, False, who="ada")
    practised.relabel(second, True, who="ada")
    failed, succeeded = practised.read(first), practised.read(second)
    assert (failed.corrected, failed.terminated, failed.known_success) == (False, False, False)
    assert (failed.success == 0).all()
    assert (failed.reward == 0.0).all()
    assert (succeeded.corrected, succeeded.terminated, succeeded.known_success) == (True, True, True)
    assert succeeded.success[-1] == 1
    assert succeeded.reward[-1] == 1.0
    # What the reward model said stands as it was.
    assert (failed.info.outcome, succeeded.info.outcome) == ("success", "timeout")
    rows = {row.id: row for row in practised.rows()}
    assert [(rows[name].success, rows[name].corrected) for name in (first, second)] == [(0, 0), (1, 1)]
    assert said_of(rows[second]).by == "correction"


def test_a_filter_on_success_goes_by_the_newest_label(practised: EpisodeStore) -> None:
    first, second, third = (row.id for row in practised.rows())
    practised.relabel(second, True, who="ada")
    practised.relabel(third, False, who="ada")
    assert [row.id for row in practised.rows(success=1)] == [second]
    assert [row.id for row in practised.rows(success=[0, 1])] == [second, third]
    assert [row.id for row in practised.rows(success=-1, corrected=-1)] == [first]


def test_caches_and_hashes_made_before_are_found_stale(practised: EpisodeStore) -> None:
    before = ReplayCache.open(practised, size_px=8)
    hashed = practised.dataset_hash()
    places = set(practised.cache_folder.iterdir())
    first = practised.rows()[0].id
    practised.relabel(first, False, who="ada")
    after = ReplayCache.open(practised, size_px=8)
    assert practised.dataset_hash() != hashed
    assert set(practised.cache_folder.iterdir()) != places
    last = int(after.episode_starts[1]) - 1
    assert (before.success[last], after.success[last]) == (-1, 0)
    assert (before.terminated[last - 1], after.terminated[last - 1]) == (True, False)
    assert after.corrected == (False, None, None)
    # The same again comes from the disk, with what was corrected.
    again = ReplayCache.open(EpisodeStore(practised.folder), size_px=8)
    assert again.corrected == after.corrected
    assert ReplayCache.joined([again, before]).corrected == (False, None, None, None, None, None)
    assert again.of_episodes(np.array([2, 0])).corrected == (None, False)
    practised.relabel(first, True, who="ada")
    assert ReplayCache.open(practised, size_px=8).corrected == (True, None, None)


def test_a_dataset_without_corrections_keeps_its_hash(store: EpisodeStore) -> None:
    rows = store.rows()
    assert [row.content for row in rows] == [row.sha256 for row in rows]
    assert dataset_hash(rows) == store.dataset_hash()


@pytest.mark.parametrize(
    ("who", "why", "told"), [("", "", "--who"), ("a" * 101, "", "--who"), ("a", "b" * 2001, "--why")]
)
def test_names_and_reasons_have_bounds(practised: EpisodeStore, who: str, why: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        practised.relabel(practised.rows()[0].id, True, who=who, why=why)
    assert practised.corrections() == {}


def test_an_unknown_episode_is_told(practised: EpisodeStore) -> None:
    with pytest.raises(EpisodeError, match="there is no episode"):
        practised.relabel("000009-01234567", True, who="ada")


Break = Callable[[Path], Any]
BREAKS: dict[str, Break] = {
    "no JSON": lambda path: path.write_text("{"),
    "empty": lambda path: path.write_text(""),
    "a field too many": lambda path: path.write_text(json.dumps({**json.loads(path.read_text()), "x": 1})),
    "a text for a truth": lambda path: path.write_text(path.read_text().replace("true", '"yes"')),
    "another number": lambda path: path.rename(path.with_name(path.name.replace(".0001.", ".0007."))),
    "huge": lambda path: path.write_text(" " * 70_000),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_damaged_correction_is_named_and_can_be_taken_out_of_use(practised: EpisodeStore, how: str) -> None:
    row = practised.rows()[1]
    practised.relabel(row.id, True, who="ada")
    BREAKS[how](practised.folder / "labels" / f"{row.id}.0001.json")
    for use in (practised.rows, lambda: practised.read(row.id)):
        with pytest.raises(EpisodeError, match=f"labels/{row.id}") as caught:
            use()
        assert "skill data repair" in caught.value.cure
    assert [finding.kind for finding in practised.verify()] == ["label"]
    assert [finding.kind for finding in practised.repair().quarantined] == ["label"]
    assert practised.verify() == []
    assert practised.read(row.id).corrected is None


def test_a_correction_goes_out_of_use_with_its_episode(practised: EpisodeStore) -> None:
    row = practised.rows()[1]
    practised.relabel(row.id, True, who="ada")
    practised.path(row.id).write_bytes(b"PAR1")
    assert {finding.kind for finding in practised.repair().quarantined} == {"changed", "label"}
    assert practised.verify() == []
    assert len(list((practised.folder / "quarantine").iterdir())) == 2


def test_a_correction_of_no_episode_here_is_found(practised: EpisodeStore) -> None:
    row = practised.rows()[1]
    practised.relabel(row.id, True, who="ada")
    path = practised.folder / "labels" / f"{row.id}.0001.json"
    path.rename(path.with_name("000077-0123abcd.0001.json"))
    assert [finding.kind for finding in practised.verify()] == ["label"]
    practised.repair()
    assert practised.verify() == []


LABELS = st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=12)


@settings(deadline=None)
@given(LABELS, st.booleans(), st.integers(0, 2**32 - 1))
def test_corrected_labels_say_how_it_ended_and_guess_nothing(labels: list[int], success: bool, seed: int) -> None:
    before = np.array(labels, np.int8)
    pose = np.random.default_rng(seed).uniform(-0.004, 0.004, (len(before), 6)).astype(np.float32)
    after = corrected_labels(before, pose, success=success)
    assert (after.dtype, after.shape) == (np.int8, before.shape)
    if not success:
        assert (after == 0).all()
        return
    assert after[-1] == 1
    # What was labelled a success stays one.
    assert (after[before == 1] == 1).all()
    if before[-1] == 1:
        assert after.tolist() == labels
        return
    assert (after[:-1][before[:-1] != 1] != 1).all()
    away = np.linalg.norm(pose[:, :3] - pose[-1, :3], axis=1)
    assert (after[:-1][(before[:-1] != 1) & (away[:-1] < SAME_PLACE_M)] == -1).all()
    # To say it twice changes nothing more.
    assert corrected_labels(after, pose, success=True).tolist() == after.tolist()
