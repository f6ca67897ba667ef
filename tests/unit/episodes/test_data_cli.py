"""`skill data list`, `verify` and `repair`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from skillcore.cli.data import data_app
from skillcore.episodes import EpisodeStore
from skillcore.errors import EpisodeError
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
    assert lines[0].split() == ["id", "variant", "source", "steps", "outcome", "truth", "started"]
    assert all(len(line.rstrip()) <= 80 for line in lines)
    truth = {1: "yes", 0: "no", -1: "-"}[int(make_episode(0).truth[-1])]
    assert lines[1].split() == [ids[0], "hdmi", "collect", "3", "success", truth, "2025-01-31", "12:34"]
    # A name too long for its column goes on below, and is never cut off.
    assert "".join(line[16:32].strip() for line in lines[2:-1]) == "a_connector_with_a_very_long_name"
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


@pytest.mark.parametrize("command", ["list", "verify", "repair"])
def test_a_folder_without_a_store_is_an_error_for_the_user(tmp_path: Path, command: str) -> None:
    result = _run(command, str(tmp_path))
    assert isinstance(result.exception, EpisodeError)
    assert "there is no episode store" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [(), ("list",), ("verify",), ("repair",)])
def test_every_command_explains_itself(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments, "--help")
    assert result.exit_code == 0
    assert "DIR" in result.output
