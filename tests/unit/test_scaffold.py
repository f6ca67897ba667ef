"""`skill plugins new`: names and folders that it refuses, and that it writes all of a package or nothing."""

from __future__ import annotations

import ast
import errno
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from skillcore.cell_config import load_cell
from skillcore.cli import main
from skillcore.errors import InputError, NotFilledInError, PluginError, SkillcoreError, UnknownNameError
from skillcore.parts import not_filled_in
from skillcore.plugins import KINDS, Kind, Registry, singular
from skillcore.scaffold.kinds import BEGUN, COMMON, kind_named, spelled
from skillcore.scaffold.names import MOST, names_for
from skillcore.scaffold.write import _bounds, begin_package


@pytest.fixture(autouse=True)
def _workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("SKILLCORE_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- kinds and names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_typed_in_the_singular(kind: str) -> None:
    word = singular(kind).replace(" ", "-")
    assert kind_named(word) == kind
    assert spelled(kind_named(word)) == word


@pytest.mark.parametrize(
    ("word", "nearest"),
    [("amr", "arm"), ("camra", "camera"), ("reward_model", "reward-model"), ("Learners", "learner")],
)
def test_another_kind_is_answered_with_the_nearest(word: str, nearest: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnknownNameError) as caught:
        kind_named(word)
    assert nearest in caught.value.cure
    assert main(["plugins", "new", "acme-thing", "--kind", word]) == 2
    assert f"there is no kind of part named {word!r}" in capsys.readouterr().err
    assert not Path("acme-thing").exists()


def test_everything_is_called_after_one_name() -> None:
    names = names_for("acme-six-arm", "arms")
    assert (names.name, names.package, names.made, names.variable) == (
        "acme-six-arm",
        "acme_six_arm",
        "AcmeSixArm",
        "ACME_SIX_ARM",
    )
    assert names_for("acme", "reward_models").made == "AcmeRewardModel"
    assert names_for("acme-reward-model", "reward_models").made == "AcmeRewardModel"
    assert names_for("acme-simulation", "simulations").made == "AcmeWorld"
    assert names_for("charm", "arms").made == "CharmArm"


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("Acme Arm", "write acme-arm"),
        ("acme_arm", "write acme-arm"),
        ("6acme", "write acme"),
        ("acme--arm", "write acme-arm"),
        ("../acme", "write acme"),
        ("acme/arm", "write acme-arm"),
        ("acme\n", "write acme"),
        ("{{ 7 * 7 }}", "write for instance acme-arm"),
        ("", "write for instance acme-arm"),
        ("äöü", "write for instance acme-arm"),
        ("a" * (MOST + 1), "write " + "a" * MOST),
        ("arm", "acme-arm"),
        ("skillcore-acme", "your own name"),
        ("test", "acme-test"),
        ("tester-arm", "acme-tester-arm"),
        ("pyyaml", "pyyaml-arm"),
        ("pillow", "pillow-arm"),
        ("json", "json-arm"),
        ("class", "class-arm"),
        ("numpy", "numpy-arm"),
        ("mujoco", "mujoco-arm"),
        ("iql", "iql-arm"),
    ],
)
def test_a_name_that_cannot_be_is_answered_with_one_that_can(
    name: str, cure: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = files_in(tmp_path)
    with pytest.raises(InputError) as caught:
        names_for(name, "arms")
    assert cure in caught.value.cure
    assert main(["plugins", "new", "--kind", "arm", "--", name]) == 2
    assert "error:" in capsys.readouterr().err
    assert files_in(tmp_path) == before


def test_a_part_of_that_name_is_not_offered_twice() -> None:
    with pytest.raises(InputError, match=r"plugin 'ur' of skillcore|a plugin named 'ur' is installed already"):
        names_for("ur", "arms")
    with pytest.raises(InputError, match="offers representation 'vib' already") as caught:
        names_for("vib", "representations")
    assert "vib-representation" in caught.value.cure


# --- what is written ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_whole(kind: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    chosen = kind_named(singular(kind).replace(" ", "-"))
    assert main(["plugins", "new", "acme-part", "--kind", spelled(chosen)]) == 0
    told = capsys.readouterr().out
    folder = tmp_path / "acme-part"
    wanted = {path.replace("PACKAGE", "acme_part") for path in (*BEGUN[chosen].files, *COMMON)}
    assert set(files_in(folder)) == wanted
    assert all(path in told for path in wanted if path.endswith(("plugin.py", "test_contract.py", "README.md")))
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["name"] == "acme-part"
    assert project["project"]["entry-points"]["skillcore"] == {"acme-part": "acme_part.plugin"}
    for path in folder.rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "{{" not in text.replace("{{ name }}", ""), path
            assert "{%" not in text, path
            assert text == "" or text.endswith("\n")
        if path.suffix == ".py":
            ast.parse(path.read_text(encoding="utf-8"))
    assert [line.split()[0] for line in told[told.index("next:") :].splitlines()] == ["next:", "skill", "pytest"]


@pytest.mark.parametrize("name", ["on", "off", "yes", "no", "true", "false", "null", "y", "n"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "skills"])
def test_a_name_that_yaml_takes_for_something_else_stays_a_name(name: str, kind: Kind, tmp_path: Path) -> None:
    begin_package(names_for(name, kind), kind, tmp_path / "package")
    told = yaml.safe_load((tmp_path / "package" / BEGUN[kind].use).read_text(encoding="utf-8"))
    used = [one for one in _values(told) if one == name]
    assert len(used) >= (2 if kind in ("arms", "cameras", "simulations") else 1)
    assert not [one for one in _values(told) if one is None or isinstance(one, bool)]


def _values(told: Any) -> list[Any]:
    if isinstance(told, dict):
        return [value for one in told.values() for value in _values(one)]
    return [value for one in told for value in _values(one)] if isinstance(told, list) else [told]


def test_a_new_skill_is_an_environment_too(tmp_path: Path) -> None:
    begin_package(names_for("acme-stamp", "skills"), "skills", tmp_path / "package")
    project = tomllib.loads((tmp_path / "package" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (target,) = project["entry-points"]["skillcore.environments"].values()
    module, _, name = target.partition(":")
    file = tmp_path / "package" / "src" / Path(*module.split(".")).with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    (made,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    assert ast.unparse(made.bases[0]) == "SkillEnv"


def test_a_long_name_makes_no_long_lines(tmp_path: Path) -> None:
    name = "a" * (MOST // 2) + "-" + "b" * (MOST - MOST // 2 - 1)
    for kind in KINDS:
        begin_package(names_for(name, kind), kind, tmp_path / kind)
    long = [
        f"{path}: {line}"
        for path in tmp_path.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if len(line) > 120
    ]
    assert long == []


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "acme-arm").mkdir()
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to("nowhere")
    for place in ("acme-arm", "file", "link"):
        assert main(["plugins", "new", "acme-arm", "--kind", "arm", "--out", place]) == 2
        told = capsys.readouterr().err
        assert f"{place} is there already" in told
        assert "--out" in told
    assert files_in(tmp_path) == {"file": b"kept"}


def test_a_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = Path.write_text, []

    def write(self: Path, *arguments: object, **options: object) -> int:
        written.append(self)
        if len(written) == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "write_text", write)
    assert main(["plugins", "new", "acme-arm", "--kind", "arm", "--out", "here"]) == 3
    assert len(written) == 5
    assert [path.name for path in tmp_path.iterdir() if path.name != "home"] == []


def test_its_cell_file_is_valid_but_for_what_is_not_installed(tmp_path: Path) -> None:
    begin_package(names_for("acme-arm", "arms"), "arms", tmp_path / "acme-arm")
    with pytest.raises(SkillcoreError) as caught:
        load_cell(tmp_path / "acme-arm" / "cell.yaml", Registry.discover())
    (complaint,) = caught.value.what.splitlines()[:1]
    assert "arm.driver: there is no arm named 'acme-arm'" in complaint


@pytest.mark.parametrize(
    ("version", "bounds"), [("0.1.0", ">=0.1,<0.2"), ("0.12.3", ">=0.12,<0.13"), ("1.2.0", ">=1.2,<2")]
)
def test_it_asks_for_the_skillcore_it_was_made_with(version: str, bounds: str) -> None:
    assert _bounds(version) == bounds


# --- what is not filled in ---------------------------------------------------------------------------------------


class Half:
    """A part of which something is missing."""

    def read(self) -> None:
        raise not_filled_in()


def test_what_is_not_filled_in_says_which_and_where() -> None:
    with pytest.raises(NotFilledInError) as caught:
        Half().read()
    error = caught.value
    assert error.what == "Half.read is not filled in yet"
    line = Half.read.__code__.co_firstlineno
    assert f"{__file__}, line {line}" in error.cure
    assert isinstance(error, PluginError)
    assert isinstance(error, NotImplementedError)
