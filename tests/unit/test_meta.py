"""What must agree with each other: commands, hooks and errors with their documents and their use."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skillcore import errors, hookspecs
from skillcore.cli.app import COMMANDS, load_command, made_command
from skillcore.config import load_yaml
from skillcore.learning.recipe import Recipe, make_brain
from skillcore.parts import ViewShape
from skillcore.plugin_commands import load_plugin_command, plugin_commands
from skillcore.plugins import Registry

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = [path for folder in ("skillcore", "plugins", "skills") for path in sorted((ROOT / folder).rglob("*.py"))]
PLUGINS = sorted([*(ROOT / "plugins").glob("*/plugin.py"), *(ROOT / "skills").glob("*/plugin.py")])
HOOKS = [name for name in vars(hookspecs) if name.startswith("skillcore_")]
BLOCK = re.compile(r"^```(\w+)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


# --- commands ----------------------------------------------------------------------------------------------------

ALL_COMMANDS = [*COMMANDS, *plugin_commands()]


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_each_command_is_shown_in_a_document(name: str) -> None:
    shown = [path.name for path in DOCUMENTS if re.search(rf"^\$ skill {name}\b", path.read_text(), re.MULTILINE)]
    assert shown


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_each_command_and_each_of_its_options_has_help(name: str) -> None:
    if name in COMMANDS:
        command = load_command(name, COMMANDS[name])
    else:
        command = made_command(name, load_plugin_command(name, plugin_commands()[name]))
    for one in (command, *getattr(command, "commands", {}).values()):
        assert one.help, one.name
        without = [option.name for option in one.params if not getattr(option, "help", None) and option.name != "help"]
        assert without == [], one.name


# --- hooks -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hook", HOOKS)
def test_each_hook_is_used_and_documented(hook: str) -> None:
    implemented = [path.parent.name for path in PLUGINS if re.search(rf"^def {hook}\(", path.read_text(), re.MULTILINE)]
    assert implemented
    assert f"| `{hook}` |" in (ROOT / "docs" / "plugins.md").read_text()


def test_no_hook_is_documented_that_is_none() -> None:
    text = "\n".join(path.read_text() for path in DOCUMENTS)
    assert set(re.findall(r"\bskillcore_(?:\w+s)\b(?=`? \||\(\))", text)) <= set(HOOKS)


# --- errors ------------------------------------------------------------------------------------------------------

ERRORS = {
    name: error
    for name, error in vars(errors).items()
    if inspect.isclass(error) and issubclass(error, errors.SkillcoreError)
}


def made_in(path: Path) -> set[str]:
    """Names of all that is called in a file."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    plain = {node.id for node in calls if isinstance(node, ast.Name)}
    return plain | {node.attr for node in calls if isinstance(node, ast.Attribute)}


def test_each_error_is_raised_somewhere() -> None:
    made = set().union(*(made_in(path) for path in SOURCES if path.name != "errors.py"))
    assert set(ERRORS) - {"SkillcoreError"} - made == set()


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    tree: dict[str, tuple[str, int]] = {}
    branch: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"([│├└─ ]*)(\w+Error)\b\s*(\d)?", line)
        if not found:
            continue
        depth = len(found.group(1))
        branch = [one for one in branch if one[0] < depth]
        tree[found.group(2)] = (branch[-1][1] if branch else "Exception", int(found.group(3) or 2))
        branch.append((depth, found.group(2)))
    assert tree == {name: (error.__mro__[1].__name__, error.exit_code) for name, error in ERRORS.items()}


# --- the example of docs/plugins.md ------------------------------------------------------------------------------


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A folder with the files that docs/plugins.md shows."""
    for _, name, text in BLOCK.findall((ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_the_example_plugin_makes_a_representation(example: Path) -> None:
    spec = importlib.util.spec_from_file_location("acme_plugin", example / "acme" / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parts = {name: importlib.import_module(f"skillcore_{name}.plugin") for name in ("daib", "iql")}
    registry = Registry.from_modules({"acme": module, **parts})
    brain = make_brain(load_yaml(example / "recipe.yaml", Recipe), registry, views=ViewShape(2, 16), device="cpu")
    assert brain.perception.code_dim == 2 * 3 * 2 * 2
    images = torch.rand(5, 2, 3, 16, 16)
    code, penalty = brain.perception.representation.encode_with_penalty(images, torch.zeros(5, dtype=torch.long), 0.5)
    assert code.shape == (5, 24)
    torch.testing.assert_close(code[:, 0], images[:, 0, 0, :8, :8].mean((1, 2)))
    assert float(penalty) == 0.0


def test_the_example_suite_passes(example: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(example)]
    done = subprocess.run(
        [*command, "-W", "error", "test_acme.py"], cwd=example, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"\b([5-9]|\d\d+) passed", done.stdout)
