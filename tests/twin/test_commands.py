"""`skill twin`, as a user types it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillcore.cli import main
from skillcore.errors import InputError
from skillcore_twin import client

ADDRESS = "127.0.0.43"
CELL = f"""\
schema: 1
name: bench
safety: {{workspace: {{min_m: [-0.05, -0.05, -0.06], max_m: [0.05, 0.05, 0.08]}}}}
fixture: {{position_m: [0.4, 0.1, 0.12], rotvec_rad: [180 deg, 0, 0]}}
arm:
  driver: ur
  address: {ADDRESS}
  model: ur10e
  tcp: {{position_m: [0, 0, 120 mm]}}
  payload: {{mass_kg: 2.0, cog_m: [0, 0, 40 mm]}}
  watchdog_hz: 2
  stale_s: 1.0
cameras: {{left: {{driver: mujoco}}}}
"""


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("SKILLCORE_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bench.yaml").write_text(CELL)
    yield
    for note in client.running():
        client.stop(note)


def says(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What the command prints, stdout and stderr together."""
    assert main(["twin", *arguments]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_the_life_of_a_twin(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no twin runs" in says(capsys, "status")
    told = says(capsys, "start", "bench.yaml", "--connector", "usb_a")
    assert f"a ur10e runs on {ADDRESS}" in told
    assert "skill learn insertion --connector usb_a --cell bench.yaml" in told
    assert f"--address {ADDRESS}" in says(capsys, "start", "--address", ADDRESS, code=2)
    (state,) = json.loads(says(capsys, "status", "--json"))
    # The world's socket is where the cell has its fixture, and the tool 20 mm above it.
    assert state["tcp_from_base"][:3] == pytest.approx([0.4, 0.1, 0.14], abs=1e-3)
    assert state["model"] == "ur10e"
    assert "remote control" in says(capsys, "status")

    assert "stream_frozen" in says(capsys, "fault")
    assert "did you mean slider_zero" in says(capsys, "fault", "slider_zeero", code=2)
    assert "does not last" in says(capsys, "fault", "protective_stop", "--for", "2 s", code=2)
    assert "--after" in says(capsys, "fault", "slider_zero", "--after", "3 mm", code=2)
    assert "in 100 s, for 2 s" in says(capsys, "fault", "slider_zero", "--after", "100 s", "--for", "2")
    assert says(capsys, "fault", "--random", "--seed", "2", "--times", "3", "--within", "90 s").count(":") == 3
    assert "slider_zero: cleared" in says(capsys, "fault", "--clear")
    assert "there was none" in says(capsys, "fault", "slider_zero", "--clear")
    assert "not in freedrive" in says(capsys, "guide", code=2)

    # Nobody but a person unlocks what stands with no program on it.
    says(capsys, "fault", "protective_stop")
    assert "unlock it as on the pendant: skill twin fault --clear" in says(capsys, "status")
    assert "protective_stop: cleared" in says(capsys, "fault", "--clear")
    assert "safety NORMAL" in says(capsys, "status")
    assert "there was none" in says(capsys, "fault", "--clear")

    note = client.the_twin(None)
    assert note.pid == state_pid(ADDRESS)
    with pytest.raises(InputError, match="not allowed"):
        client.ask(client.Note(note.address, note.pid, note.port, "guessed"), {"do": "stop"})
    os.kill(note.pid, signal.SIGSTOP)  # a twin that hangs is ended all the same
    assert "stopped" in says(capsys, "stop")
    assert "no twin runs" in says(capsys, "stop", code=2)
    assert "stopped" not in says(capsys, "stop", "--all")


def state_pid(address: str) -> int:
    """As noted in the home, where only the user can read it."""
    path = client.note_of(address)
    assert path.stat().st_mode & 0o077 == 0
    return int(json.loads(path.read_text())["pid"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--address", "192.168.1.5"), "no loopback address"),
        (("--address", "localhost"), "no loopback address"),
        (("--address", ADDRESS, "--model", "ur7"), "model of a robot"),
        (("--address", ADDRESS, "--connector", "hdmj"), "hdmi"),
        (("sim",), "driver: mujoco"),
    ],
)
def test_what_cannot_be_started_says_why(
    arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = says(capsys, "start", *arguments, code=2)
    assert words in told
    assert "Traceback" not in told
    assert client.running() == []


def test_a_note_of_a_twin_that_has_died_is_no_twin() -> None:
    client.Note(ADDRESS, 2**22 - 1, 1, "none").write()
    assert client.running() == []
    assert not client.note_of(ADDRESS).exists()
