"""The home folder, and the lock that keeps a cell to one process."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from skillcore import home as home_module
from skillcore.errors import CellBusyError, ConfigError, StorageError
from skillcore.home import SUBFOLDERS, cell_lock, folder, home
from skillcore.settings import Settings, load_settings


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_variable_names_the_home_which_need_not_exist(own_home: Path) -> None:
    assert home() == own_home
    assert not own_home.exists()


def test_the_home_is_absolute_and_knows_the_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKILLCORE_HOME", "near")
    assert home() == tmp_path / "near"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SKILLCORE_HOME", "~/cells")
    assert home() == tmp_path / "cells"
    monkeypatch.setenv("SKILLCORE_HOME", "~surely_nobody/cells")
    with pytest.raises(StorageError, match="cannot be told"):
        home()


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_it_is_the_users_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, value: str | None
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    if value is None:
        monkeypatch.delenv("SKILLCORE_HOME")
    else:
        monkeypatch.setenv("SKILLCORE_HOME", value)
    assert home().name == "skillcore"
    assert tmp_path in home().parents


@pytest.mark.parametrize("name", SUBFOLDERS)
def test_folders_are_made_when_asked_for(own_home: Path, name: home_module.Subfolder) -> None:
    assert folder(name) == own_home / name
    assert folder(name).is_dir()


def test_a_home_that_cannot_be_made_is_told_with_a_cure(own_home: Path) -> None:
    own_home.write_text("in the way")
    with pytest.raises(StorageError, match="cannot make") as caught:
        folder("runs")
    assert "SKILLCORE_HOME" in caught.value.cure
    assert caught.value.exit_code == 3


def test_a_home_on_a_file_system_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", "/proc/skillcore")
    with pytest.raises(StorageError, match=r"cannot make /proc/skillcore/runs"):
        folder("runs")


def test_a_home_that_cannot_be_written_to(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Root may write anywhere, so what the system says is put in its mouth.
    monkeypatch.setattr(os, "access", lambda *_args: False)
    with pytest.raises(StorageError, match="cannot write to") as caught:
        folder("runs")
    assert "permissions" in caught.value.cure


# --- the lock ----------------------------------------------------------------------------------------------------

HOLDER = textwrap.dedent(
    """
    import sys
    from skillcore.home import cell_lock
    with cell_lock(sys.argv[1], command="skill learn insertion"):
        print("held", flush=True)
        sys.stdin.read()
    """
)


@contextmanager
def held_by_another(cell: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-W", "error", "-c", HOLDER, cell]
    environment = {**os.environ, "PYTHONPATH": str(Path(home_module.__file__).parents[1])}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()
            process.wait(10)


def test_a_second_process_is_told_who_holds_the_cell_and_since_when() -> None:
    with held_by_another("sim") as process:
        with pytest.raises(CellBusyError) as caught, cell_lock("sim"):
            pytest.fail("two processes hold one cell")
        assert f"cell 'sim' is held by process {process.pid} (`skill learn insertion`) since 20" in caught.value.what
        assert f"kill -INT {process.pid}" in caught.value.cure
        assert caught.value.exit_code == 3
        with cell_lock("other"):
            pass


def test_the_lock_ends_with_a_killed_process() -> None:
    with held_by_another("sim") as process:
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        note = folder("locks") / "sim.json"
        assert str(process.pid) in note.read_text()
        with cell_lock("sim"):
            assert str(os.getpid()) in note.read_text()
        assert not note.exists()


def test_the_lock_ends_when_the_other_is_done() -> None:
    with held_by_another("sim") as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(10) == 0
        with cell_lock("sim"):
            pass


def test_one_process_cannot_hold_a_cell_twice_and_may_hold_it_again() -> None:
    before = time.monotonic()
    with cell_lock("sim", command="first"), pytest.raises(CellBusyError, match="first"), cell_lock("sim"):
        pytest.fail("held twice")
    assert time.monotonic() - before < 0.4, "it was waited for"
    with cell_lock("sim"):
        pass


def test_the_lock_is_freed_by_an_error() -> None:
    with pytest.raises(KeyboardInterrupt), cell_lock("sim"):
        raise KeyboardInterrupt
    with cell_lock("sim"):
        pass


@pytest.mark.parametrize("note", [None, "", "{}", "[1]", '{"pid": "x"}', "\xff"])
def test_a_lock_without_a_readable_note_is_still_a_lock(note: str | None) -> None:
    with cell_lock("sim"):
        path = folder("locks") / "sim.json"
        path.unlink()
        if note is not None:
            path.write_bytes(note.encode("latin-1"))
        with pytest.raises(CellBusyError, match="is held by another process"), cell_lock("sim"):
            pytest.fail("held twice")


@pytest.mark.parametrize("name", ["../../evil", "a/b", "a b", "\u00fc" * 20])
def test_a_name_never_leads_out_of_the_folder(name: str, own_home: Path) -> None:
    with cell_lock(name):
        made = [path for path in own_home.rglob("*") if path.is_file()]
        assert made
        assert {path.parent for path in made} == {own_home / "locks"}


def test_a_lock_that_cannot_be_made_is_a_fault_of_storage(own_home: Path) -> None:
    (folder("locks") / "sim.lock").mkdir()
    with pytest.raises(StorageError, match="cannot lock"), cell_lock("sim"):
        pytest.fail("held without a lock")


def test_a_note_that_cannot_be_written_frees_the_lock(own_home: Path) -> None:
    obstacle = folder("locks") / "sim.new"
    obstacle.mkdir()
    with pytest.raises(StorageError, match="cannot write"), cell_lock("sim"):
        pytest.fail("held without a note")
    obstacle.rmdir()
    with cell_lock("sim"):
        pass


# --- settings ----------------------------------------------------------------------------------------------------


def test_settings_need_not_exist(own_home: Path) -> None:
    assert load_settings() == Settings()
    assert load_settings().plugins.allow is None


def test_settings_are_read_and_checked(own_home: Path) -> None:
    own_home.mkdir()
    path = own_home / "settings.yaml"
    path.write_text("plugins:\n  allow: [mujoco]\n")
    assert load_settings().plugins.allow == ["mujoco"]
    path.write_text("plugins:\n  allow: mujoco\n")
    with pytest.raises(ConfigError, match=r"settings\.yaml:2: plugins\.allow: must be a list, each text"):
        load_settings()
