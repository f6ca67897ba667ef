"""Bundles: what is saved comes back, what is damaged is named, and nothing half written is taken for a bundle."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.episodes import ReplayCache
from skillcore.errors import BundleError, InputError, StorageError
from skillcore.learning.adaptation import WayAdapter
from skillcore.learning.bundles import (
    CARD,
    PRETRAINED,
    PRIOR,
    Card,
    find_bundle,
    load_bundle,
    new_card,
    newest,
    next_folder,
    read_card,
    save_bundle,
)
from skillcore.learning.recipe import Brain, Recipe, make_brain
from skillcore.learning.replay import Transitions
from skillcore.parts import ViewShape
from skillcore.plugins import Registry
from skillcore.storage import sha256_of
from skillcore.types import Episode

SMALL = {"channels": [8, 8], "code_dim": 8}
RECIPE = Recipe.model_validate(
    {
        "representation": {"name": "vib", "options": SMALL},
        "learner": {"name": "iql", "options": {"hidden": 16}},
        "reward_model": {"name": "daib", "options": {"representation": "erm", "representation_options": SMALL}},
    }
)
VIEWS = ViewShape(2, 16)
REGISTRY = Registry.discover()


def make() -> Brain:
    return make_brain(RECIPE, REGISTRY, views=VIEWS, device="cpu")


def card(**changes: Any) -> Card:
    fields = {"skill": "insertion", "recipe": RECIPE, "views": 2, "size_px": 16, "control": {"rate_hz": 10.0}}
    return new_card(**{**fields, "reward": {"threshold": 0.75}, **changes})


def some_prior(dim: int, count: int = 30) -> Transitions:
    rng = np.random.default_rng(0)
    vectors = rng.normal(0.0, 1.0, (count + 1, dim)).astype(np.float16).astype(np.float32)
    actions = rng.uniform(-1.0, 1.0, (count, 4)).astype(np.float16).astype(np.float32)
    rewards = (np.arange(count) % 10 == 9).astype(np.float32)
    return Transitions(vectors[:-1], actions, rewards, vectors[1:], 1.0 - rewards)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as it was saved."""
    folder = tmp_path_factory.mktemp("bundles") / "0001"
    brain = make()
    save_bundle(folder, card(), brain, some_prior(brain.perception.feature_dim))
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    return Path(shutil.copytree(pristine, tmp_path / "bundle"))


def load(folder: Path) -> Any:
    return load_bundle(folder, REGISTRY, device="cpu")


def edit_card(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    content = json.loads((folder / CARD).read_bytes())
    change(content)
    (folder / CARD).write_text(json.dumps(content))


# --- there and back ----------------------------------------------------------------------------------------------


def test_what_was_saved_comes_back(offline: ReplayCache, tmp_path: Path) -> None:
    brain, folder = make(), tmp_path / "new" / "0001"
    prior = some_prior(brain.perception.feature_dim)
    observations = offline.observations(np.arange(5))
    saved = save_bundle(folder, card(figures={"success": 0.5}), brain, prior)
    found = load(folder)
    assert found.card == saved == read_card(folder)
    assert set(saved.files) == {path.name for path in folder.iterdir()} - {CARD}
    assert saved.files == {name: sha256_of(folder / name) for name in saved.files}
    assert saved.packages["skillcore"]
    features = brain.perception.features(observations)
    np.testing.assert_array_equal(found.brain.perception.features(observations), features)
    seen = observations, offline.past(np.arange(5))
    np.testing.assert_array_equal(found.brain.reward_model.score(*seen), brain.reward_model.score(*seen))
    for one in features:
        acted = found.brain.learner.act(one, explore=None)
        np.testing.assert_array_equal(acted, brain.learner.act(one, explore=None))
    assert found.brain.reward_model.threshold == 0.75
    for name in ("features", "actions", "rewards", "next_features", "continues"):
        np.testing.assert_array_equal(getattr(found.prior, name), getattr(prior, name), err_msg=name)


def test_neighbouring_steps_share_their_vectors(pristine: Path) -> None:
    import safetensors.numpy

    assert len(safetensors.numpy.load_file(pristine / PRIOR)["vectors"]) == 31


def test_without_offline_data_there_is_none(tmp_path: Path) -> None:
    save_bundle(tmp_path / "0001", card(), make(), None)
    assert len(load(tmp_path / "0001").prior) == 0


def test_what_practice_made_of_the_estimate_travels_along(
    offline: ReplayCache, make_labelled_episode: Callable[..., Episode], tmp_path: Path
) -> None:
    brain = make()
    brain.adapter = WayAdapter(brain.perception)
    brain.adapter.add(make_labelled_episode(0, outcome="success"))
    brain.adapter.learn(np.random.default_rng(0), np.array([True]), steps=3)
    save_bundle(tmp_path / "0001", card(), brain, None)
    observations = offline.observations(np.arange(5))
    features = brain.perception.features(observations)
    adapted = brain.adapted(features, observations["images"])
    assert not np.array_equal(adapted, features)
    found = load(tmp_path / "0001").brain
    np.testing.assert_array_equal(found.adapted(features, observations["images"]), adapted)


# --- damage ------------------------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def rehashed(folder: Path, name: str) -> None:
    """Lets the card agree with what a file holds now."""
    edit_card(folder, lambda content: content["files"].update({name: sha256_of(folder / name)}))


def told_of(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        load(folder)
    assert caught.value.cure
    return caught.value.what


WEIGHTS = ("perception.safetensors", "learner.safetensors", "classifier_0.safetensors", PRIOR, "touch.safetensors")


def test_the_files_of_a_bundle_are_known(pristine: Path) -> None:
    assert {path.name for path in pristine.iterdir()} == {CARD, *WEIGHTS}


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert told_of(folder) == f"{folder / name}: the file is missing"


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("damage", [flip, cut])
def test_a_changed_file_is_named(folder: Path, name: str, damage: Callable[[Path], None]) -> None:
    damage(folder / name)
    assert told_of(folder).startswith(f"{folder / name}: damaged: its SHA-256 is ")


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_file_that_was_cut_before_it_was_hashed_is_named(folder: Path, name: str) -> None:
    cut(folder / name)
    rehashed(folder, name)
    assert told_of(folder).startswith(f"{folder / name}: damaged: ")


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_file_of_another_content_is_named(folder: Path, name: str) -> None:
    other = WEIGHTS[(WEIGHTS.index(name) + 1) % len(WEIGHTS)]
    shutil.copy(folder / other, folder / name)
    rehashed(folder, name)
    assert str(folder / name) in told_of(folder)


def test_weights_that_the_card_does_not_know_are_not_used(folder: Path) -> None:
    edit_card(folder, lambda content: content["files"].pop("learner.safetensors"))
    assert told_of(folder) == f"{folder / 'learner.safetensors'}: is not named in {CARD}"


def test_a_folder_without_a_card_is_no_bundle(folder: Path, tmp_path: Path) -> None:
    (folder / CARD).unlink()
    assert told_of(folder) == f"{folder}: is no bundle: there is no {CARD}"
    assert told_of(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: is no bundle: there is no {CARD}"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda content: content.update(schema=2), "schema: "),
        (lambda content: content.pop("skill"), "skill: "),
        (lambda content: content.update(colour="red"), "colour: "),
        (lambda content: content.update(views="two"), "views: "),
        (lambda content: content.update(reward={}), "reward: "),
        (lambda content: content.update(reward={"threshold": "high"}), "reward: "),
        (lambda content: content.update(reward={"threshold": None}), "reward: "),
        (lambda content: content.update(size_px=0), "size_px: "),
        (lambda content: content.update(views=-1), "views: "),
    ],
)
def test_a_wrong_field_of_a_card_is_named(folder: Path, change: Callable[[dict[str, Any]], Any], told: str) -> None:
    edit_card(folder, change)
    assert told_of(folder).startswith(f"{folder / CARD}: damaged: {told}")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_card_that_is_none_is_named(folder: Path, content: bytes) -> None:
    (folder / CARD).write_bytes(content)
    assert told_of(folder).startswith(f"{folder / CARD}: damaged: ")


def test_a_card_that_is_far_too_large_is_not_read(folder: Path) -> None:
    with (folder / CARD).open("r+b") as file:
        file.truncate(100_000_000)
    assert told_of(folder) == f"{folder / CARD}: is far too large for a card"


@pytest.mark.parametrize("name", ["../secret.safetensors", "/etc/passwd", "a\\b", ".hidden", "..", ""])
def test_a_card_may_not_name_files_outside(folder: Path, name: str) -> None:
    edit_card(folder, lambda content: content["files"].update({name: "0" * 64}))
    assert told_of(folder) == f"{folder / CARD}: names a file outside: {name!r}"


def test_a_card_for_another_network_is_refused(folder: Path) -> None:
    def wider(content: dict[str, Any]) -> None:
        content["recipe"]["learner"]["options"]["hidden"] = 32

    edit_card(folder, wider)
    assert told_of(folder).startswith(f"{folder / 'learner.safetensors'}: made for another network: ")


@pytest.mark.parametrize(
    ("part", "choice", "told"),
    [
        ("learner", {"name": "iqll", "options": {}}, "there is no learner named 'iqll'"),
        ("learner", {"name": "iql", "options": {"hiden": 3}}, "hiden"),
        ("representation", {"name": "vob", "options": {}}, "there is no representation named 'vob'"),
    ],
)
def test_a_card_that_names_unknown_parts_is_named(folder: Path, part: str, choice: dict[str, Any], told: str) -> None:
    edit_card(folder, lambda content: content["recipe"].update({part: choice}))
    what = told_of(folder)
    assert what.startswith(f"{folder / CARD}: ")
    assert told in what


# --- writing -----------------------------------------------------------------------------------------------------


def test_a_full_disk_leaves_no_card_and_the_bundle_before_it(
    pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = tmp_path / "insertion" / "hdmi_a"
    shutil.copytree(pristine, shelf / "0001")
    before = {path.name: path.read_bytes() for path in (shelf / "0001").iterdir()}
    brain, write, room = make(), os.write, 0

    def write_until_full(descriptor: int, data: Any) -> int:
        nonlocal room
        if room <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = write(descriptor, data[:room])
        room -= done
        return done

    monkeypatch.setattr(os, "write", write_until_full)
    size = sum(len(data) for data in before.values())
    for share in (0.0, 0.2, 0.5, 0.9, 0.999):
        room = int(share * size)
        folder = next_folder(tmp_path, "insertion", "hdmi_a")
        with pytest.raises(StorageError, match="the disk is full"):
            save_bundle(folder, card(), brain, some_prior(brain.perception.feature_dim))
        assert not (folder / CARD).exists()
        assert not [path for path in folder.iterdir() if path.suffix == ".tmp"]
        assert newest(tmp_path, "insertion", "hdmi_a") == shelf / "0001"
    monkeypatch.undo()
    assert {path.name: path.read_bytes() for path in (shelf / "0001").iterdir()} == before
    load(shelf / "0001")


def test_new_bundles_lie_beside_those_before_them(pristine: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        folder = next_folder(tmp_path, "insertion", "my/plug")
        assert folder.name == f"{number:04d}"
        assert folder.parent.parent == tmp_path / "insertion"
        shutil.copytree(pristine, folder)
    assert newest(tmp_path, "insertion", "my/plug") == folder


def test_the_bundle_that_is_found(pristine: Path, tmp_path: Path) -> None:
    def found(wanted: str = "", shipped: Path | None = None) -> Path:
        return find_bundle(tmp_path, "insertion", wanted, "hdmi_a", shipped)

    with pytest.raises(InputError, match="there is no bundle for insertion") as caught:
        found(shipped=tmp_path / "not there")
    assert caught.value.cure == "make one: skill pretrain insertion"
    assert found(shipped=pristine) == pristine
    common = Path(shutil.copytree(pristine, next_folder(tmp_path, "insertion", PRETRAINED)))
    assert found(shipped=pristine) == common
    own = Path(shutil.copytree(pristine, next_folder(tmp_path, "insertion", "hdmi_a")))
    assert found(shipped=pristine) == own
    assert found("elsewhere", shipped=pristine) == Path("elsewhere")
