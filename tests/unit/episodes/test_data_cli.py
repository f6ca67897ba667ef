"""`skill data`: its commands print what they found and did, and end with the exit code that says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from skillcore.cli.data import data_app
from skillcore.episodes import EpisodeStore
from skillcore.errors import EpisodeError, InputError, UnknownNameError
from skillcore.types import Episode

Make = Callable[..., Episode]


@pytest.fixture
def folder(tmp_path: Path, make_episode: Make) -> Path:
    folder = tmp_path / "store"
    with EpisodeStore(folder) as store:
        store.append(make_episode(0, started_at="2025-01-31T12:34:56+00:00", outcome="success"))
        store.append(make_episode(1, variant="a_connector_with_a_very_long_name", source="acceptance"))
    return folder


def _run(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(data_app, arguments)


def test_list_shows_a_table_of_80_columns(folder: Path, make_episode: Make) -> None:
    with EpisodeStore(folder) as store:
        ids = [row.id for row in store.rows()]
    result = _run("list", str(folder))
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].split() == ["id", "variant", "source", "steps", "outcome", "label", "truth", "started"]
    assert all(len(line.rstrip()) <= 80 for line in lines)
    answer = {1: "yes", 0: "no", -1: "-"}
    label, truth = (answer[int(labels[-1])] for labels in (make_episode(0).success, make_episode(0).truth))
    assert lines[1].split() == [ids[0], "hdmi", "collect", "3", "success", label, truth, "2025-01-31"]
    # A name too long for its column goes on below, and is never cut off.
    wide = lines[0].index("source") - 16
    assert "".join(line[16 : 16 + wide].strip() for line in lines[2:-1]) == "a_connector_with_a_very_long_name"
    assert "acceptance" in result.output
    assert lines[-1].startswith("2 episodes, 6 steps, ")


def test_list_filters_and_prints_json(folder: Path) -> None:
    result = _run("list", str(folder), "--json", "--variant", "hdmi", "--source", "collect", "--source", "run")
    found = json.loads(result.output)
    assert (found["episodes"], found["steps"]) == (1, 3)
    assert found["rows"][0]["variant"] == "hdmi"
    with EpisodeStore(folder) as store:
        assert found["dataset_hash"] == store.dataset_hash(variant="hdmi")


def test_list_of_an_empty_store(tmp_path: Path) -> None:
    EpisodeStore(tmp_path / "empty").close()
    assert _run("list", str(tmp_path / "empty")).output == "0 episodes, 0 steps, 0 B\n"


def test_names_from_files_do_not_steer_the_terminal(folder: Path, make_episode: Make) -> None:
    with EpisodeStore(folder) as store:
        store.append(make_episode(2, variant="\x1b[2J[red]x"))
    result = _run("list", str(folder))
    assert "?[2J[red]x" in result.output
    assert "\x1b" not in result.output


def test_verify_and_repair_say_what_they_found_and_did(folder: Path) -> None:
    assert _run("verify", str(folder)).output == "sound\n"
    with EpisodeStore(folder) as store:
        row = store.rows()[0]
    path = folder / "episodes" / f"{row.id}.parquet"
    path.write_bytes(path.read_bytes()[:100])
    (folder / "episodes" / ".x.parquet.12345678.tmp").write_bytes(b"half")

    result = _run("verify", str(folder))
    assert result.exit_code == 2
    assert result.output.splitlines() == [
        f"episodes/{row.id}.parquet: the file is not what was saved: its SHA-256 has changed",
        "episodes/.x.parquet.12345678.tmp: left by an interrupted write",
        "not sound: 2 findings",
        f"  -> skill data repair {folder}",
    ]
    result = _run("repair", str(folder))
    assert result.exit_code == 0
    assert result.output.splitlines() == [
        f"episodes/{row.id}.parquet: moved to quarantine/: the file is not what was saved: its SHA-256 has changed",
        "1 leftovers of interrupted writes: removed",
        "done: 1 episodes",
    ]
    assert _run("verify", str(folder)).exit_code == 0
    assert _run("repair", str(folder)).output == "nothing to repair: 1 episodes\n"


def test_repair_makes_a_damaged_index_anew(folder: Path) -> None:
    (folder / "index.sqlite").write_text("not a database")
    result = _run("verify", str(folder))
    assert result.exit_code == 2
    assert result.output.startswith("index.sqlite: the index is damaged: ")
    assert "index.sqlite: made anew from the files" in _run("repair", str(folder)).output
    assert _run("verify", str(folder)).output == "sound\n"


ALL = {
    "list": (),
    "verify": (),
    "repair": (),
    "stats": (),
    "show": ("--episode", "1"),
    "relabel": ("--episode", "1", "--success", "yes"),
    "delete": ("--episode", "1", "--yes"),
    "restore": (),
    "split": ("--share", "0.5", "--out", "new"),
    "merge": ("other", "--out", "new"),
}
"""Every command, with what it needs besides a folder."""


@pytest.mark.parametrize("command", ALL)
def test_a_folder_without_a_store_is_an_error_for_the_user(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run(command, str(tmp_path), *ALL[command])
    assert isinstance(result.exception, EpisodeError)
    assert "there is no episode store" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [(), *((command,) for command in ALL)])
def test_every_command_explains_itself(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments, "--help")
    assert result.exit_code == 0
    assert "DIR" in result.output


# --- one episode, and all of them -------------------------------------------------------------------------------


def _ids(folder: Path) -> list[str]:
    with EpisodeStore(folder) as store:
        return [row.id for row in store.rows()]


def test_an_episode_is_shown_and_drawn(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = _ids(folder)[0]
    result = _run("show", str(folder), "--episode", "0")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == f"hdmi, episode {first}"
    assert all(len(line.rstrip()) <= 80 for line in lines if line[:4].strip().isdigit() or line.startswith("step"))
    # A row for each of the four frames.
    assert [line.split()[0] for line in lines if line[:4].strip().isdigit()] == ["0", "1", "2", "3"]
    assert (tmp_path / f"episode-{first}.png").read_bytes().startswith(b"\x89PNG")
    result = _run("show", str(folder), "--episode", first[-5:], "--png", "mine.png")
    assert "picture: mine.png" in result.output
    assert (tmp_path / "mine.png").exists()


def test_a_long_episode_is_shown_in_part_unless_all_is_asked_for(
    tmp_path: Path, make_episode: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with EpisodeStore(tmp_path / "store") as store:
        store.append(make_episode(0, steps=100))
    some = _run("show", "store", "--episode", "0").output
    assert "27 of 101 frames; --all shows every one" in some
    assert "frames; --all" not in _run("show", "store", "--episode", "0", "--all").output


def test_an_episode_as_json_has_its_history_and_draws_nothing(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert _run("relabel", str(folder), "--episode", "1", "--success", "no", "--who", "ada").exit_code == 0
    told = json.loads(_run("show", str(folder), "--episode", "1", "--json").output)
    assert told["info"]["source"] == "acceptance"
    assert [one["who"] for one in told["corrections"]] == ["ada"]
    assert list(tmp_path.glob("*.png")) == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ("7", "there is no episode '7'"),
        ("0000", "may mean 2 episodes"),
        ("zz", "there is no episode"),
        ("", "there is"),
    ],
)
def test_an_episode_that_nobody_can_tell_is_an_error(
    tmp_path: Path, make_episode: Make, wanted: str, told: str
) -> None:
    with EpisodeStore(tmp_path / "store") as store:
        store.append_many(make_episode(seed) for seed in (1, 2, 3))
        # 0000 is number 0, and a part of all ids.
        store.delete([store.rows()[0].id])
    result = _run("show", str(tmp_path / "store"), "--episode", wanted)
    assert isinstance(result.exception, EpisodeError)
    assert told in str(result.exception)


def test_statistics_count_what_is_there(folder: Path) -> None:
    assert _run("relabel", str(folder), "--episode", "0", "--success", "yes", "--who", "ada").exit_code == 0
    told = json.loads(_run("stats", str(folder), "--json").output)
    assert (told["episodes"], told["steps"], told["frames"]) == (2, 6, 8)
    assert told["corrected"] == 1
    assert told["corrections"] == {"ada": 1}
    assert told["sources"] == {"acceptance": 1, "collect": 1} or told["sources"] == {"collect": 1, "acceptance": 1}
    assert {one["name"] for one in told["variants"]} == {"hdmi", "a_connector_with_a_very_long_name"}
    assert [one["name"] for one in told["actions"]] == ["x", "y", "z", "yaw"]
    with EpisodeStore(folder) as store:
        asked = [store.read(row.id).action for row in store.rows()]
        assert told["dataset_hash"] == store.dataset_hash()
    assert told["actions"][0]["least"] == pytest.approx(min(float(one[:, 0].min()) for one in asked))
    files = sum(path.stat().st_size for path in (folder / "episodes").iterdir())
    assert told["disk"]["episodes"] == files
    text = _run("stats", str(folder)).output
    assert "2 episodes, 6 steps, 8 frames" in text
    assert "corrected    1 labels; corrections by ada 1" in text


# --- changes ----------------------------------------------------------------------------------------------------


def test_a_corrected_label_is_marked_and_told(folder: Path) -> None:
    first = _ids(folder)[0]
    result = _run("relabel", str(folder), "--episode", "0", "--success", "no", "--who", "ada", "--why", "loose")
    assert result.exit_code == 0
    assert result.output.startswith(f"{first}: success no (it was ")
    assert "by ada, correction 1" in result.output
    listed = _run("list", str(folder)).output
    assert "no*" in listed
    assert "* corrected by a person" in listed
    with EpisodeStore(folder) as store:
        (kept,) = store.corrections()[first]
    assert (kept.who, kept.why, kept.success) == ("ada", "loose", False)


def test_without_a_name_the_user_of_the_machine_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    assert "by grace, correction 1" in _run("relabel", str(folder), "--episode", "0", "--success", "yes").output


def test_several_are_relabelled_only_if_all_are_known(folder: Path) -> None:
    result = _run("relabel", str(folder), "--episode", "0", "--episode", "77", "--success", "yes", "--who", "ada")
    assert isinstance(result.exception, EpisodeError)
    with EpisodeStore(folder) as store:
        assert store.corrections() == {}


def test_several_are_relabelled_only_if_all_can_be(folder: Path) -> None:
    first, second, *_ = _ids(folder)
    with EpisodeStore(folder) as store:
        store.relabel(second, True, who="ada")
    path = folder / "labels" / f"{second}.0001.json"
    kept = path.read_bytes()
    result = _run("relabel", str(folder), "--episode", "0", "--episode", "1", "--success", "yes", "--who", 101 * "x")
    assert isinstance(result.exception, InputError)
    path.write_text("damaged")
    with EpisodeStore(folder) as store, pytest.raises(EpisodeError, match="damaged"):
        store.relabel_many([first, second], False, who="ada")
    path.write_bytes(kept)
    with EpisodeStore(folder) as store:
        assert {name: len(own) for name, own in store.corrections().items()} == {second: 1}


def test_deleting_asks_unless_told_otherwise(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _ids(folder)
    result = _run("delete", str(folder), "--connector", "hdmi")
    assert isinstance(result.exception, InputError)
    assert "nobody to ask" in str(result.exception)
    runner = CliRunner(env={"COLUMNS": "80"})
    monkeypatch.setattr("skillcore.cli.data_changes._can_ask", lambda: True)
    result = runner.invoke(data_app, ["delete", str(folder), "--connector", "hdmi"], input="n\n")
    assert (result.exit_code, _ids(folder)) == (0, before)
    assert "Delete 1 episode of 2?" in result.output
    assert "nothing was deleted" in result.output
    result = runner.invoke(data_app, ["delete", str(folder), "--connector", "hdmi"], input="y\n")
    assert (result.exit_code, _ids(folder)) == (0, before[1:])
    assert before[0] in result.output
    assert f"skill data restore {folder}" in result.output
    result = _run("restore", str(folder))
    assert (result.exit_code, _ids(folder)) == (0, before)
    assert "brought back 1 episode" in result.output


def test_what_is_deleted_fits_everything_that_was_given(folder: Path) -> None:
    result = _run("delete", str(folder), "--connector", "hdmi", "--source", "acceptance", "--yes")
    assert "no episode fits" in str(result.exception)
    assert "nothing says which episodes" in str(_run("delete", str(folder), "--yes").exception)
    result = _run("delete", str(folder), "--outcome", "success", "--yes", "--erase")
    assert "deleted 1 episode" in result.output
    assert "restore" not in result.output
    assert "no deleted episode" in str(_run("restore", str(folder)).exception)


def test_a_store_of_a_run_is_told_of(tmp_path: Path, make_episode: Make) -> None:
    (tmp_path / "run.json").write_text("{}")
    with EpisodeStore(tmp_path / "episodes") as store:
        store.append(make_episode(0))
    result = _run("delete", str(tmp_path / "episodes"), "--episode", "0", "--yes")
    assert "this store is of a run" in result.output + result.stderr
    result = _run("list", str(tmp_path))
    assert f"did you mean {tmp_path / 'episodes'}?" in str(result.exception)


def test_stores_are_split_and_joined(folder: Path, tmp_path: Path) -> None:
    parts = tmp_path / "parts"
    result = _run("split", str(folder), "--share", "0.5", "--seed", "3", "--out", str(parts))
    assert result.exit_code == 0
    assert f"1 episodes in {parts / 'train'}" in result.output
    result = _run("merge", str(parts / "train"), str(parts / "validation"), "--out", str(tmp_path / "both"))
    assert result.exit_code == 0
    assert f"joined 2 stores: 2 episodes in {tmp_path / 'both'}" in result.output
    assert sorted(_ids(tmp_path / "both")) == _ids(folder)
    result = _run("split", str(folder), "--by-connector", "--out", str(tmp_path / "each"))
    assert "1 episodes in " in result.output
    for wrong in ((), ("--share", "0.5", "--by-connector"), ("--share", "1.5")):
        assert isinstance(_run("split", str(folder), *wrong, "--out", str(tmp_path / "no")).exception, InputError)


def test_a_connector_that_the_store_has_none_of_is_told_with_the_nearest(folder: Path) -> None:
    result = _run("list", str(folder), "--connector", "hdmy")
    assert isinstance(result.exception, UnknownNameError)
    assert "there is no connector named 'hdmy'" in result.exception.what
    assert "hdmi" in result.exception.cure
