"""README.md and docs/: their commands run, their files validate, their links lead somewhere.

In fenced blocks: `console` lines that begin with `$ skill` are run in the order of the document; a `yaml` block whose
first line is a comment with a file's name is that file, and lies in the folder where they are run.
"""

import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from skillcore.cell_config import load_cell
from skillcore.cli import main
from skillcore.config import StrictModel
from skillcore.plugins import Registry
from skillcore_insertion.library import load_connector

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TAKES_MINUTES = ("learn", "pretrain", "collect", "eval", "run", "bench", "inspect", "export")
NEEDS_SOMEBODY = ("teach",)
NEEDS_A_RUN = ("report", "video")
NEEDS_A_STORE = ("data",)
ONLY_PARSED = TAKES_MINUTES + NEEDS_SOMEBODY + NEEDS_A_RUN + NEEDS_A_STORE
FIRST_COMMAND = "skill learn insertion --connector hdmi"
MAX_LENGTH = 120
NEEDS_DATA = ("exchange.md",)
"""Their `data` commands need datasets, and run in tests/unit/exchange/test_document.py."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# (\w+\.yaml)\n")
_LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@dataclass
class Document:
    """What can be tried of a document: its commands, and the files that it shows."""

    commands: list[list[str]] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)


def read(path: Path) -> Document:
    document = Document()
    for language, block in _FENCE.findall(path.read_text(encoding="utf-8")):
        name = _FILE_NAME.match(block)
        if language == "yaml" and name:
            document.files[name.group(1)] = block
        if language == "console":
            lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
            assert all(line.startswith("skill ") for line in lines), f"{path.name}: only `skill` can be tried: {lines}"
            document.commands += [shlex.split(line)[1:] for line in lines]
    return document


def files_of(kind: str) -> list[tuple[str, str, str]]:
    """The files in all documents that hold a key: document, name, text."""
    return [
        (path.name, name, text)
        for path in DOCUMENTS
        for name, text in read(path).files.items()
        if re.search(rf"^{kind}:", text, re.MULTILINE)
    ]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a checkout, as far as commands can tell, and a home of its own."""
    shutil.copytree(ROOT / "cell_configs", tmp_path / "cell_configs")
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_of_a_document_run(path: Path, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = read(path)
    for name, text in document.files.items():
        (workplace / name).write_text(text, encoding="utf-8")
    for command in document.commands:
        # Also with --help a wrong option is an error.
        parsed = command[0] in ONLY_PARSED or (command[0] == "data" and path.name in NEEDS_DATA)
        arguments = [*command, "--help"] if parsed else command
        assert main(arguments) == 0, f"{path.name}: skill {shlex.join(command)}: {capsys.readouterr().err}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_commands_that_are_not_run_are_right_as_well(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those in blocks of text need a robot, time or a package of the reader's own: their options are tried."""
    for language, block in _FENCE.findall(path.read_text(encoding="utf-8")):
        lines = [line.removeprefix("$ ") for line in block.splitlines()] if language == "text" else []
        for line in (line for line in lines if line.startswith("skill ")):
            command = shlex.split(line, comments=True)[1:]
            assert main([*command, "--help"]) == 0, f"{path.name}: {line}: {capsys.readouterr().err}"


def test_the_documents_hold_commands_to_run() -> None:
    tried = {command[0] for path in DOCUMENTS for command in read(path).commands}
    assert {"cell", "connectors", "plugins", "learn"} <= tried


def test_the_connectors_that_are_shown_validate(workplace: Path) -> None:
    shown = files_of("guides")
    assert {document for document, *_ in shown} >= {"README.md", "connectors.md"}
    for _, name, text in shown:
        (workplace / name).write_text(text, encoding="utf-8")
        assert load_connector(workplace / name).name == name.removesuffix(".yaml")


def test_the_cells_that_are_shown_validate(workplace: Path) -> None:
    shown = files_of("fixture")
    assert {document for document, *_ in shown} >= {"README.md", "cells.md"}
    for _, name, text in shown:
        (workplace / name).write_text(text, encoding="utf-8")
        assert load_cell(name, Registry.discover()).name == name.removesuffix(".yaml")


def test_examples_are_shown_as_they_are() -> None:
    examples = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "examples").glob("*.yaml")}
    assert examples
    shown = read(ROOT / "docs" / "connectors.md").files
    assert {name: shown.get(name) for name in examples} == examples


def test_the_readme_holds_the_two_commands_in_blocks_of_their_own() -> None:
    blocks = [block for _, block in _FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))]
    assert blocks.count(f"pip install -e . && {FIRST_COMMAND}\n") == 1
    assert blocks.count('pip install -e ".[dev]" && pytest\n') == 1


def test_the_first_command_parses() -> None:
    assert main([*shlex.split(FIRST_COMMAND)[1:], "--help"]) == 0


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere_and_lines_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    missing = [link for link in _LINK.findall(text) if "://" not in link and not (path.parent / link).exists()]
    assert missing == []
    # A row of a table cannot be wrapped.
    long = [line for line in text.splitlines() if len(line) > MAX_LENGTH and not line.startswith("|")]
    assert long == []


def test_every_field_of_a_cell_file_is_described() -> None:
    from skillcore.cell_config import CellConfig, Control, Fixture, Safety, Views, Workspace

    text = (ROOT / "docs" / "cells.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    models: dict[str, type[StrictModel]] = {
        "control": Control,
        "views": Views,
        "safety": Safety,
        "fixture": Fixture,
        "": CellConfig,
    }
    names = {(f.alias or n) if not s else f"{s}.{n}" for s, m in models.items() for n, f in m.model_fields.items()}
    names -= {"control", "views", "safety", "fixture", "safety.workspace"}
    names |= {"safety.workspace.min_m", *set(Workspace.model_fields) - {"min_m"}}
    assert [name for name in sorted(names) if not any(f"`{name}`" in row for row in rows)] == []


def test_every_field_of_a_connector_file_is_described() -> None:
    from skillcore_insertion.connector import Connector
    from skillcore_insertion.outlines import (
        Circle,
        Composite,
        DShape,
        PolygonOutline,
        Rectangle,
        RegularPolygon,
        Stadium,
        Trapezoid,
    )
    from skillcore_insertion.pieces import BodyPiece, Detail, Face, Grid, Guide, Rim, Ring, ThreadSpec

    text = (ROOT / "docs" / "connectors.md").read_text(encoding="utf-8")
    parts = (Connector, Guide, BodyPiece, Face, Rim, Detail, ThreadSpec, Grid, Ring)
    outlines = (Rectangle, Circle, RegularPolygon, Stadium, DShape, Trapezoid, PolygonOutline, Composite)
    names = {f.alias or n for model in (*parts, *outlines) for n, f in model.model_fields.items()} - {"kind"}
    names |= {str(model.model_fields["kind"].default) for model in (*outlines, Grid, Ring)}
    assert [name for name in sorted(names) if not re.search(rf"`{name}[`:]", text)] == []
