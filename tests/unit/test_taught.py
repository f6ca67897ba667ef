"""What was taught lies in a file that lasts, holds for the cell and the connector as they were, and is gone by."""

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.cell import open_cell
from skillcore.cell_config import LoadedCell, load_cell
from skillcore.errors import InputError, StorageError
from skillcore.home import home
from skillcore.plugins import Registry
from skillcore.skill import Seat, Skill, Variant
from skillcore.taught import DrawnOut, Taught, entries, faults_of, find, forget, save, with_taught, words
from skillcore.teaching import Lesson, record
from skillcore.types import Pose
from skillcore_insertion.skill import InsertionSkill

pytestmark = pytest.mark.usefixtures("paper")
CELL = """\
schema: 1
name: paper
safety:
  workspace: {min_m: [-0.05, -0.05, -0.05], max_m: [0.05, 0.05, 0.08]}
fixture: {position_m: [0.5, 0.0, 0.1], rotvec_rad: [0, 180 deg, 0]}
simulation: {driver: paper}
arm: {driver: paper}
cameras: {left: {driver: paper}}
"""
DEPTH_M = 0.0115
"""Of the HDMI plug."""


@pytest.fixture
def cell(paper: Any, tmp_path: Path) -> Callable[..., LoadedCell]:
    """The cell, with some of its text replaced by other text."""

    def load(before: str = "", after: str = "", *, file: str = "paper.yaml") -> LoadedCell:
        assert before in CELL
        (tmp_path / file).write_text(CELL.replace(before, after) if before else CELL)
        return load_cell(tmp_path / file, Registry.from_modules({"paper": paper}))

    return load


@pytest.fixture(scope="module")
def skill() -> Skill:
    return InsertionSkill()


@pytest.fixture(scope="module")
def hdmi(skill: Skill) -> Variant:
    return skill.variant("hdmi")


def shown(loaded: LoadedCell, *, x_m: float = 0.004, depth_m: float = DEPTH_M, **more: Any) -> Taught:
    """What somebody has shown beside the fixture."""
    seat = loaded.config.fixture.socket_from_base @ Pose.from_xyz_yaw(x_m, 0.0, depth_m, math.radians(2.0))
    out = DrawnOut(length_m=depth_m + 0.006, along_n=13.9, aside_n=0.8, aside_m=0.0001)
    lesson = Lesson(seat, (seat, seat), 0.0002, 0.001, (out, out))
    options = {"depth_m": depth_m, "depth_from": "connector", "by": "Ann", **more}
    return record("insertion", "hdmi_a", loaded, lesson, **options)


# --- the file ----------------------------------------------------------------------------------------------------


def test_what_was_taught_is_read_again_as_it_was(cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant) -> None:
    loaded = cell()
    taught = shown(loaded)
    path = save(taught)
    assert path == home() / "taught" / "paper" / "insertion-hdmi_a.yaml"
    assert find(loaded, skill, hdmi) == taught
    text = path.read_text()
    assert text.startswith("# Written by `skill teach`")
    for line in ("depth_m: 0.0115", 'taught_by: "Ann"', "position_m: [0.496, ", "approach_axis: ["):
        assert line in text
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_who_taught_when_and_in_which_cell_is_kept(cell: Callable[..., LoadedCell]) -> None:
    loaded = cell()
    taught = shown(loaded, by="")
    assert "@" in taught.taught_by or taught.taught_by == "an unknown user"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d", taught.taught_at)
    assert taught.cell.file == str(loaded.file)
    assert len(taught.cell.file_sha256) == 64
    assert taught.cell.arm == "paper of in-process"
    assert set(taught.cell.sections) == {"fixture", "arm", "simulation"}


def test_names_that_look_like_numbers_stay_names(cell: Callable[..., LoadedCell], skill: Skill) -> None:
    loaded = cell("name: paper", "name: '12e3'")
    taught = shown(loaded).model_copy(update={"variant": "1e5", "taught_by": "2026-01-01"})
    save(taught)
    found = [entry.taught for entry in entries("12e3")]
    assert found == [taught]


def test_nothing_taught_leaves_the_fixture(cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant) -> None:
    loaded = cell()
    assert find(loaded, skill, hdmi) is None
    assert with_taught(loaded, None) is loaded
    assert loaded.socket_from_base.position_m == pytest.approx([0.5, 0.0, 0.1])


def test_another_connector_or_cell_has_its_own(cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant) -> None:
    save(shown(cell()))
    assert find(cell(), skill, skill.variant("usb_a")) is None
    assert find(cell("name: paper", "name: other", file="other.yaml"), skill, hdmi) is None


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("schema: 1", "schema: 2", "schema 2 is not known"),
        ("depth_m: 0.0115", "depth_m: 11.5", "11.5"),
        ("depth_m: 0.0115\n", "", "depth_m"),
        ("approach_axis: [", "approach_axis: [0.7, ", "approach_axis"),
        ("", "", "insertion-hdmi_a.yaml"),
    ],
)
def test_a_damaged_file_is_told_with_its_field(
    cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant, before: str, after: str, told: str
) -> None:
    loaded = cell()
    path = save(shown(loaded))
    text = path.read_text()
    assert before in text
    # Without anything to replace, half of the file is lost.
    path.write_text(text.replace(before, after) if before else text[: len(text) // 2])
    with pytest.raises(InputError) as caught:
        find(loaded, skill, hdmi)
    assert "what was taught cannot be used" in caught.value.what
    assert told in caught.value.what
    assert "teach anew: skill teach insertion --connector hdmi_a --cell " in caught.value.cure
    assert caught.value.cure.endswith("--forget")
    assert [entry.taught for entry in entries()] == [None]


def test_an_axis_that_is_not_the_seats_was_edited(cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant) -> None:
    loaded = cell()
    path = save(shown(loaded))
    text = re.sub(r"approach_axis: \[.*\]", "approach_axis: [0.0, 0.1, -0.995]", path.read_text())
    path.write_text(text)
    with pytest.raises(InputError, match="is not the z axis of seat"):
        find(loaded, skill, hdmi)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_home_that_cannot_be_written_to_is_told(cell: Callable[..., LoadedCell]) -> None:
    loaded = cell()
    path = save(shown(loaded))
    path.parent.chmod(0o500)
    try:
        with pytest.raises(StorageError):
            save(shown(loaded))
    finally:
        path.parent.chmod(0o700)


def test_what_is_taught_again_replaces_the_old_whole(
    cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = cell()
    first, second = shown(loaded), shown(loaded, x_m=-0.004)
    save(first)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(StorageError, match="the disk is full"):
            save(second)
    assert find(loaded, skill, hdmi) == first
    save(second)
    assert find(loaded, skill, hdmi) == second


def test_forgetting(cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant) -> None:
    loaded = cell()
    path = save(shown(loaded))
    assert forget("paper", "insertion", "hdmi_a") == path
    assert find(loaded, skill, hdmi) is None
    with pytest.raises(InputError, match="nothing was taught of hdmi_a for cell paper"):
        forget("paper", "insertion", "hdmi_a")


# --- does it still hold? -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("fixture: {position_m: [0.5,", "fixture: {position_m: [0.501,", "`fixture` in "),
        ("arm: {driver: paper}", "arm: {driver: paper, fault: 'slow'}", "`arm` in "),
        ("arm: {driver: paper}", "arm: {driver: stiff}", "`arm` in "),
        ("simulation: {driver: paper}\n", "", "`simulation` in .* was added or taken out"),
        ("min_m: [-0.05, -0.05, -0.05]", "min_m: [-0.05, -0.05, -0.01]", "the seat is 1.5 mm outside the workspace"),
    ],
)
def test_a_cell_that_is_not_what_it_was_must_be_taught_anew(
    cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant, before: str, after: str, told: str
) -> None:
    taught = shown(cell())
    save(taught)
    changed = cell(before, after)
    with pytest.raises(InputError, match=told) as caught:
        find(changed, skill, hdmi, named="my_hdmi.yaml")
    assert f"on {taught.taught_at} no longer holds" in caught.value.what
    assert f"--connector my_hdmi.yaml --cell {changed.file}\n" in caught.value.cure


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("cameras: {left: {driver: paper}}", "cameras: {left: {driver: paper, fault: ''}, right: {driver: paper}}"),
        ("name: paper\n", "name: paper\ncontrol: {step_m: 5 mm}\n"),
        ("position_m: [0.5, 0.0, 0.1]", "position_m: [500 mm, 0, 10 cm]"),
        ("max_m: [0.05, 0.05, 0.08]", "max_m: [0.05, 0.05, 0.09]"),
    ],
)
def test_what_has_nothing_to_do_with_it_may_change(
    cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant, before: str, after: str
) -> None:
    taught = shown(cell())
    save(taught)
    assert find(cell(before, after), skill, hdmi) == taught


def test_another_depth_is_another_connector_unless_it_was_measured(cell: Callable[..., LoadedCell]) -> None:
    loaded = cell()
    deeper = Seat(DEPTH_M + 0.001)
    assert faults_of(shown(loaded), loaded, deeper) == ["its depth was 11.5 mm and is 12.5 mm"]
    assert faults_of(shown(loaded, depth_from="measured"), loaded, deeper) == []
    assert faults_of(shown(loaded), loaded, None) == []


def test_a_cell_of_the_same_name_in_another_file_is_named(
    cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant
) -> None:
    first = cell()
    save(shown(first))
    other = cell("position_m: [0.5,", "position_m: [0.6,", file="copy.yaml")
    with pytest.raises(InputError, match=re.escape(f"it was taught for {first.file}")):
        find(other, skill, hdmi)


# --- what becomes of it ------------------------------------------------------------------------------------------


def test_an_open_cell_has_its_socket_there_and_its_box_where_it_was(cell: Callable[..., LoadedCell]) -> None:
    loaded = cell()
    with open_cell(loaded) as before:
        box = before.guard.envelope
    taught = shown(loaded)
    save(taught)
    with open_cell(with_taught(loaded, taught)) as opened:
        local = loaded.config.fixture.socket_from_base.inverse() @ opened.socket_from_base
        assert local.position_m == pytest.approx([0.004, 0.0, 0.0], abs=1e-8)
        assert local.yaw_rad == pytest.approx(math.radians(2.0))
        assert np.array_equal(opened.guard.envelope.min_m, box.min_m)
        assert np.array_equal(opened.guard.envelope.max_m, box.max_m)


def test_a_task_begins_where_it_was_taught(cell: Callable[..., LoadedCell], skill: Skill, hdmi: Variant) -> None:
    loaded = cell()
    taught = shown(loaded, x_m=0.015)
    starts = []
    with open_cell(with_taught(loaded, taught)) as opened:
        task = skill.task(opened, hdmi, scenario="I", seed=0, judge=None)
        for number in range(20):
            task.prepare(np.random.default_rng(number))
            starts.append((taught.seat.pose.inverse() @ opened.state.tcp_from_base).position_m)
    heights = -DEPTH_M - np.array(starts)[:, 2]
    assert np.all((heights > 0.005 - 1e-9) & (heights < 0.012 + 1e-9))
    assert np.hypot(*np.array(starts)[:, :2].T).max() < 0.010 + 1e-9
    assert np.abs(np.mean(starts, axis=0)[:2]).max() < 0.004


def test_a_line_says_what_was_taught(cell: Callable[..., LoadedCell]) -> None:
    loaded = cell()
    taught = shown(loaded)
    told = words(taught, loaded)
    assert told.startswith(f"taught {taught.taught_at[:10]}")
    assert told.endswith("by Ann, 2 times within 0.20 mm; 4.0 mm and 2.0 deg from the fixture of the cell file")
