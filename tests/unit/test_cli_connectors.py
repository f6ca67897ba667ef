"""`skill connectors`: the list, its filters, and what is shown and drawn of one connector."""

import json
import os
import resource
import subprocess
import sys
from collections import Counter
from pathlib import Path

import cv2
import pytest
import yaml

from skillcore.cli import main
from skillcore_insertion.drawing import SIZE_PX, draw_text
from skillcore_insertion.library import PACKAGED, ConnectorLibrary

NOT_NEEDED = ("torch", "mujoco", "pyarrow", "pandas", "matplotlib")


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def only_insertion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLCORE_PLUGINS", "insertion")


def in_files() -> dict[str, dict[str, object]]:
    """What the connector files say, read by other means than skillcore's."""
    return {path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in PACKAGED.glob("*.yaml")}


# --- list --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("only_insertion")
def test_the_list_holds_every_connector_and_its_totals(capsys: pytest.CaptureFixture[str]) -> None:
    files = in_files()
    assert main(["connectors", "list"]) == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].split() == ["name", "title", "family", "split"]
    for line, (name, file) in zip(lines[1:-1], sorted(files.items()), strict=True):
        assert line.split()[0] == name
        assert str(file["title"]) in line
        assert line.split()[-2:] == [file["family"], str(file["split"]).replace("_", "-")]
    splits = Counter(file["split"] for file in files.values())
    families = {file["family"] for file in files.values()}
    assert lines[-1] == (
        f"{len(files)} connectors ({splits['train']} train, {splits['held_out']} held-out) of {len(families)} families"
    )
    assert told.err == ""


@pytest.mark.usefixtures("only_insertion")
@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (["--split", "train"], {"split": "train"}),
        (["--split", "held-out"], {"split": "held_out"}),
        (["--split", "held_out"], {"split": "held_out"}),
        (["--family", "usb"], {"family": "usb"}),
        (["--split", "train", "--family", "usb"], {"split": "train", "family": "usb"}),
    ],
)
def test_filters_leave_what_they_name(
    options: list[str], wanted: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [
        name for name, file in sorted(in_files().items()) if all(file[key] == value for key, value in wanted.items())
    ]
    assert expected
    assert main(["connectors", "list", "--json", *options]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == expected
    assert main(["connectors", "list", *options]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == expected


@pytest.mark.usefixtures("only_insertion")
def test_filters_that_leave_nothing_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "list", "--family", "hdmi", "--split", "train"]) == 0
    assert capsys.readouterr().out == "no connector is of that split and that family\n"
    assert main(["connectors", "list", "--family", "hdmi", "--split", "train", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.usefixtures("only_insertion")
def test_the_list_for_programs_knows_the_aliases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "list", "--json", "--family", "hdmi"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == {
        "name": "hdmi_a",
        "title": "HDMI type A",
        "family": "hdmi",
        "split": "held_out",
        "aliases": ["hdmi"],
    }


@pytest.mark.usefixtures("only_insertion")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["list", "--family", "hdm"], "there is no family named 'hdm'\n  -> did you mean hdmi?"),
        (["list", "--split", "test"], "there is no split named 'test'\n  -> one of: held-out, train"),
        (["show", "hdmii"], "there is no connector named 'hdmii'\n  -> did you mean hdmi or"),
        (["show", "nothing.yaml"], "nothing.yaml: there is no such file"),
    ],
)
def test_wrong_names_are_bad_input_with_the_nearest_ones(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connectors", *arguments]) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


def test_without_the_skill_there_are_no_connectors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SKILLCORE_PLUGINS", "mujoco")
    assert main(["connectors", "list"]) == 2
    assert "there is no skill named 'insertion'" in capsys.readouterr().err


def test_the_list_is_fast_and_imports_nothing_it_does_not_need() -> None:
    code = (
        "import sys\nfrom skillcore.cli import main\ncode = main(['connectors', 'list'])\n"
        f"print([name for name in {NOT_NEEDED!r} if name in sys.modules], code)\n"
    )
    # The processor's time and not the clock's, since this machine may be busy with something else.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-W", "error", "-c", code]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "[] 0"
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.5


# --- show --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("only_insertion")
@pytest.mark.parametrize("name", ["hdmi_a", "hdmi", "HDMI"])
def test_a_connector_is_shown_by_name_and_alias(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "show", name]) == 0
    out = capsys.readouterr().out
    assert out == draw_text(ConnectorLibrary().get("hdmi_a"), 80) + "\n"
    assert "polygon 13.90 x 4.45 mm" in out


@pytest.mark.usefixtures("only_insertion")
def test_a_connector_of_a_file_is_shown_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (PACKAGED / "usb_c.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("USB type C\n", "My own plug\n").replace("usb_c", "mine"))
    assert main(["connectors", "show", "mine.yaml", "--png", "mine.png"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("My own plug   (mine)\n")
    assert out.endswith("\nwrote mine.png\n")
    image = cv2.imread(str(tmp_path / "mine.png"))
    assert image is not None
    assert image.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    assert image.min() < 100


@pytest.mark.usefixtures("only_insertion")
def test_a_file_with_faults_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (PACKAGED / "usb_c.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(text.replace("depth_mm: 6.65", "depth_mm: 6650").replace("family:", "famly:"))
    assert main(["connectors", "show", "mine.yaml"]) == 2
    told = capsys.readouterr().err
    for words in ("mine.yaml:5: famly:", "depth_mm:"):
        assert words in told


@pytest.mark.usefixtures("only_insertion")
def test_a_drawing_that_cannot_be_written_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["connectors", "show", "hdmi", "--png", "no/such/folder.png"]) == 3
    assert "no/such/folder.png: the drawing cannot be written" in capsys.readouterr().err
