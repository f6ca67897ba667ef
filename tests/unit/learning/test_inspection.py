"""Frames to look at a skill by: from cells with and without simulation, and from bundles that stand side by side."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import skillcore_insertion
from skillcore.cell import Cell, open_cell
from skillcore.cell_config import load_cell
from skillcore.episodes import EpisodeStore
from skillcore.errors import InputError
from skillcore.interfaces import Shown
from skillcore.learning.bundles import read_card
from skillcore.learning.inspection import (
    Frames,
    Watched,
    acted_on,
    parent_of,
    recorded,
    successes,
    watch_again,
    watch_policy,
)
from skillcore.learning.perception import Perception
from skillcore.learning.recipe import Brain
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.skill import no_reflex
from skillcore.types import Episode, EpisodeInfo, Observation
from skillcore_daib.options import EncoderOptions
from skillcore_daib.representation import DomainBottleneck
from skillcore_insertion.library import ConnectorLibrary
from skillcore_insertion.task import InsertionTask

SHIPPED = Path(skillcore_insertion.__file__).parent / "pretrained"
CELL = """\
schema: 1
name: paper
control: {{rate_hz: 50, step_m: 1 mm, turn_step_rad: 0.02}}
views: {{size_px: 32}}
safety:
  workspace: {{min_m: [-0.03, -0.03, -0.02], max_m: [0.03, 0.03, 0.04]}}
  force_limit_n: 30
fixture: {{position_m: [0.5, 0.0, 0.1], rotvec_rad: [0, 180 deg, 0]}}
{simulation}
arm: {{driver: paper}}
cameras: {{left: {{driver: paper}}, right: {{driver: paper}}}}
"""
STEPS = 4
TEMPLATE = EpisodeInfo(skill="insertion", variant="hdmi_a", cell="paper", seed=0, source="", outcome="timeout")


class Never:
    """Takes nothing for success."""

    def start(self) -> None:
        """Nothing to do."""

    def judge(self, observation: Observation) -> tuple[float, bool]:
        return 0.1, False


@contextmanager
def opened(paper: Any, folder: Path, *, simulated: bool) -> Iterator[tuple[Cell, InsertionTask]]:
    path = folder / "paper.yaml"
    path.write_text(CELL.format(simulation="simulation: {driver: paper}" if simulated else ""))
    mating = ConnectorLibrary().get("hdmi").mating(np.random.default_rng(0))
    with open_cell(load_cell(path, Registry.from_modules({"paper": paper}))) as cell:
        yield cell, InsertionTask(cell, mating, max_steps=STEPS, judge=Never())


def brain() -> Brain:
    options = EncoderOptions(channels=(8, 8), code_dim=8)
    made = DomainBottleneck(options, views=2, size_px=32, domains=0, adversary_weight=None, beta=None)
    perception = Perception(made)
    context = Context(feature_dim=perception.feature_dim)
    learner = Registry.discover().make("learners", "iql", {"hidden": 16}, context)
    return Brain(perception, learner, None)  # type: ignore[arg-type]  # nobody asks it


def watched_on(paper: Any, folder: Path, *, simulated: bool) -> list[Watched]:
    with opened(paper, folder, simulated=simulated) as (_, task), EpisodeStore(folder / "episodes") as store:
        found = watch_policy(task, brain(), TEMPLATE, frames=10, seed=0, store=store, reflex=no_reflex)
        assert len(store) == len(found)
    assert paper.LOG.count("stop") >= 1
    return found


def test_a_real_arm_moves_once_and_nobody_knows_what_is_shown(paper: Any, tmp_path: Path) -> None:
    (only,) = watched_on(paper, tmp_path, simulated=False)
    assert only.episode.steps == STEPS
    assert only.shown is None


def test_a_simulation_goes_on_until_there_are_frames_enough(paper: Any, tmp_path: Path) -> None:
    found = watched_on(paper, tmp_path, simulated=True)
    assert len(found) == 3
    # This one cannot tell what its pixels show.
    assert all(one.shown is None for one in found)
    frames = Frames.of(found, acted_on, 10)
    assert len(frames) == 10
    assert frames.shown is None
    assert frames.step.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]
    assert frames.episode.tolist() == [0] * 4 + [1] * 4 + [2] * 2
    np.testing.assert_array_equal(frames.observations["images"][5], found[1].episode.images[1])


def test_what_is_shown_is_cut_as_images_are(paper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part = np.zeros((48, 64), np.uint8)
    part[:, :8] = Shown.TOOL
    part[:24, 8:56] = Shown.PLUG
    part[24:, 8:56] = Shown.SOCKET

    def told(simulation: object) -> tuple[NDArray[np.uint8], ...]:
        return part, part

    monkeypatch.setattr(paper.PaperWorld, "shown", told)
    with opened(paper, tmp_path, simulated=True) as (cell, _):
        shown = cell.shown()
    assert shown is not None
    assert shown.shape == (2, 32, 32)
    assert (shown[:, :16] == Shown.PLUG).all()
    assert (shown[:, 16:] == Shown.SOCKET).all()


def test_another_episode_than_the_recorded_one_is_noticed(
    paper: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = np.full((48, 64), Shown.PLUG, np.uint8)
    monkeypatch.setattr(paper.PaperWorld, "shown", lambda world: (part, part))
    with opened(paper, tmp_path, simulated=True) as (_, task), EpisodeStore(tmp_path / "episodes") as store:
        (first, *_) = watch_policy(task, brain(), TEMPLATE, frames=1, seed=0, store=store, reflex=no_reflex)
        assert first.shown is not None
        judge = task.judge
        other = replace(first.episode, images=np.full_like(first.episode.images, 7))
        assert watch_again(task, other).shown is None
        assert task.judge is judge
        assert [one.info.seed for one in recorded(store)] == [first.episode.info.seed]


def test_success_is_the_truth_or_else_the_last_claim(make_labelled_episode: Any) -> None:
    episode: Episode = make_labelled_episode(1)
    assert successes(episode).tolist() == np.flatnonzero(episode.truth == 1).tolist() != []
    episode.truth[:] = -1
    assert successes(episode).tolist() == []
    claimed: Episode = make_labelled_episode(1, outcome="success")
    claimed.truth[:] = -1
    assert successes(claimed).tolist() == [claimed.steps]


def test_an_empty_run_is_told_of(tmp_path: Path) -> None:
    with EpisodeStore(tmp_path) as store, pytest.raises(InputError, match="holds no episode to look at"):
        next(recorded(store))


# --- where a bundle came from --------------------------------------------------------------------------------------


def bundle(place: Path, **changes: Any) -> Path:
    """A card that differs from the shipped one; its weights are not asked for."""
    place.mkdir(parents=True)
    shutil.copy(SHIPPED / "card.json", place)
    card = json.loads((place / "card.json").read_bytes())
    (place / "card.json").write_text(json.dumps(card | changes))
    return place


def test_the_bundle_that_practice_began_from_is_found(tmp_path: Path) -> None:
    practised = bundle(tmp_path / "insertion/hdmi_a/0001", variant="hdmi_a", parent="pretrained of pretraining")
    assert parent_of(practised, read_card(practised), tmp_path, SHIPPED) == SHIPPED
    assert parent_of(practised, read_card(practised), tmp_path, None) is None
    assert parent_of(SHIPPED, read_card(SHIPPED), tmp_path, SHIPPED) is None
    # Of the same name, and with another perception: of another pretraining.
    others = read_card(SHIPPED).files | {"perception.safetensors": 64 * "0"}
    bundle(tmp_path / "insertion/pretrained/0001", files=others)
    again = bundle(tmp_path / "insertion/hdmi_a/0002", variant="hdmi_a", parent="0001 of pretraining")
    assert parent_of(again, read_card(again), tmp_path, SHIPPED) is None
    further = bundle(tmp_path / "insertion/hdmi_a/0003", variant="hdmi_a", parent="0001 of hdmi_a")
    assert parent_of(further, read_card(further), tmp_path, SHIPPED) == practised
