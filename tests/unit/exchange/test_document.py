"""docs/exchange.md: its commands run in their order, and it describes every field of a mapping."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.exchange import mapping

DOCUMENT = Path(__file__).parents[3] / "docs" / "exchange.md"
MakeDataset = Callable[..., Path]


def test_the_commands_run(
    store: EpisodeStore,
    make_lerobot: MakeDataset,
    make_robomimic: MakeDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert store.folder == tmp_path / "recorded"
    make_robomimic(tmp_path / "team.hdf5")
    make_lerobot(tmp_path / "team_lerobot")
    for block, name in re.findall(r"^```yaml\n(# (\w+\.yaml)\n.*?)^```$", text, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(block)
    commands = re.findall(r"^\$ skill (.*)$", text, re.MULTILINE)
    assert len(commands) >= 8
    for command in commands:
        assert main(shlex.split(command)) == 0, f"skill {command}: {capsys.readouterr()}"
    with EpisodeStore(tmp_path / "from_lerobot", create=False) as taken:
        assert {(row.variant, row.source) for row in taken.rows()} == {("usb_a", "import")}


def test_each_field_of_a_mapping_is_described() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    names: set[str] = set()
    for model in vars(mapping).values():
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == mapping.__name__:
            names |= {field.alias or name for name, field in model.model_fields.items()}
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b`?", text)] == []
