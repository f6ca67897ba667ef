"""`skill collect`: what is handed on to those who collect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from skillcore.cli import main
from skillcore.learning import collect


@pytest.fixture
def assigned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was to be collected."""
    found: list[Any] = []
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(collect, "collect", lambda assignment, place, **_: found.append(assignment))
    return found


@pytest.mark.parametrize("name", ["my.yaml", "my.yml", "./my.yaml"])
def test_a_connector_file_is_collected_on_itself(name: str, assigned: list[Any]) -> None:
    import skillcore_insertion
    from skillcore_insertion.skill import InsertionSkill

    packaged = Path(skillcore_insertion.__file__).parent / "connectors" / "usb_a.yaml"
    Path(name).write_text(packaged.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["collect", "insertion", "--connector", name, "--connector", "hdmi"]) == 0
    assert assigned[0].names == (name, InsertionSkill().variant("hdmi").name)


def test_a_number_of_connectors_beside_named_ones_is_refused(
    assigned: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["collect", "insertion", "--connector", "hdmi", "--connectors", "3"]) == 2
    assert "--connectors says how many are drawn" in capsys.readouterr().err
    assert assigned == []


def test_no_device_is_asked_for_where_no_network_takes_part(assigned: list[Any]) -> None:
    assert main(["collect", "insertion", "--connector", "hdmi", "--device", "cpu"]) == 2
