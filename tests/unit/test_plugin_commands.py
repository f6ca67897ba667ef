"""Commands that plugins bring along: found without an import, allowed like plugins, and told of when broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from skillcore.cli import main
from skillcore.plugin_commands import plugin_commands

COMMAND = """
import typer
app = typer.Typer(help="Do what toys do.", no_args_is_help=True)

@app.callback()
def toy() -> None:
    "Do what toys do."

@app.command("play")
def play() -> None:
    "Play."
    print("plays")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a distribution with commands: name -> "module:attribute"."""
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("SKILLCORE_PLUGINS", raising=False)

    def make(distribution: str, commands: dict[str, str], module: str = "", text: str = COMMAND) -> None:
        site = tmp_path / distribution
        info = site / f"{distribution}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        lines = [f"{name} = {target}" for name, target in commands.items()]
        (info / "entry_points.txt").write_text(
            f"[skillcore]\n{distribution} = nothing\n[skillcore.commands]\n" + "\n".join(lines) + "\n"
        )
        if module:
            (site / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(site))

    return make


def test_a_command_of_a_plugin_is_listed_and_runs(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme", {"toyplay": "acme_toyplay:app"}, "acme_toyplay")
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "toyplay" in shown
    assert "Do what toys do." in shown
    assert main(["toyplay", "play"]) == 0
    assert capsys.readouterr().out == "plays\n"
    assert main(["toyplay", "work"]) == 2


def test_commands_are_allowed_as_plugins_are(
    install, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    install("acme", {"toyplay": "acme_allowed:app"}, "acme_allowed")
    assert "toyplay" in plugin_commands()
    monkeypatch.setenv("SKILLCORE_PLUGINS", "mujoco")
    assert "toyplay" not in plugin_commands()
    assert main(["toyplay", "play"]) == 2
    monkeypatch.setenv("SKILLCORE_PLUGINS", "acme")
    assert list(plugin_commands()) == ["toyplay"]
    monkeypatch.delenv("SKILLCORE_PLUGINS")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "settings.yaml").write_text("plugins: {allow: [mujoco]}\n")
    assert "toyplay" not in plugin_commands()


def test_a_plugin_cannot_take_the_place_of_a_command(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme", {"plugins": "acme_taking:app"}, "acme_taking")
    assert main(["plugins", "--help"]) == 0
    assert "List the parts" in capsys.readouterr().out


def test_a_broken_command_breaks_itself_only(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme", {"toybroken": "acme_broken:app"}, "acme_broken", text="raise ValueError('not today')\n")
    assert main(["--help"]) == 0
    assert "not today" in " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert main(["toybroken"]) == 2
    told = capsys.readouterr().err
    assert "not today" in told
    assert "pip uninstall acme" in told


def test_two_distributions_with_one_command(install, capsys: pytest.CaptureFixture[str]) -> None:
    install("acme", {"toytwice": "acme_first:app"}, "acme_first")
    install("bolt", {"toytwice": "bolt_first:app"}, "bolt_first")
    assert main(["toytwice", "play"]) == 2
    told = capsys.readouterr().err
    assert "acme" in told
    assert "bolt" in told
