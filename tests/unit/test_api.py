"""The public surface: what `skillcore` offers by name is what docs/api.md lists, and is documented there."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import skillcore
from skillcore import errors

ROOT = Path(__file__).parents[2]
ERRORS = {name: one for name, one in vars(errors).items() if inspect.isclass(one) and issubclass(one, Exception)}
HEAVY = ("torch", "mujoco", "cv2", "pyarrow", "numpy", "gymnasium", "matplotlib", "shapely", "pydantic")
ARRAYS = re.compile(r"NDArray|\bArray\b|\bImage\b|\bOutline\b|Tensor")


def _make_api() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_api", ROOT / "docs" / "make_api.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


API = _make_api()
CLASSES = [name for name in skillcore.__all__ if inspect.isclass(getattr(skillcore, name))]


# --- the list ----------------------------------------------------------------------------------------------------


def test_the_page_is_what_the_docstrings_say() -> None:
    written = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    told = (
        "the public surface or its docstrings have changed: run `python docs/make_api.py` and look at what it changes"
    )
    assert written == API.page(), told


def test_the_page_lists_every_name_once() -> None:
    listed = API.themed()
    assert sorted(listed) == sorted(skillcore.__all__)
    assert len(set(listed)) == len(listed)


def test_every_name_is_what_its_module_defines() -> None:
    assert sorted(skillcore._HOMES) == sorted(skillcore.__all__)
    for name in skillcore.__all__:
        assert getattr(skillcore, name) is getattr(importlib.import_module(API.home_of(name)), name)
    assert set(skillcore.__all__) <= set(dir(skillcore))


def test_type_checkers_are_told_the_same() -> None:
    tree = ast.parse(Path(skillcore.__file__).read_text(encoding="utf-8"))
    (told,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in told.body if isinstance(node, ast.ImportFrom)]
    found = {name.name: node.module for node in imports for name in node.names}
    assert found == {name: API.home_of(name) for name in skillcore.__all__}


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Poes'"):
        _ = skillcore.Poes  # type: ignore[attr-defined]


def test_it_knows_its_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", skillcore.__version__)


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import sys, skillcore; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


# --- what is said of it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(skillcore.__all__) - set(API.quantities())))
def test_each_name_and_each_member_is_documented(name: str) -> None:
    assert API.doc_of(name), f"skillcore.{name} has no docstring"
    value = getattr(skillcore, name)
    if inspect.isclass(value):
        assert [member for member, text in API.members(value).items() if not text] == []


@pytest.mark.parametrize("name", CLASSES)
def test_each_field_is_explained_and_each_array_has_a_shape(name: str) -> None:
    kind = getattr(skillcore, name)
    text = API.doc_of(name)
    apart = API.members(kind)
    unexplained = [field for field in API.fields(kind) if field not in apart and not re.search(rf"\b{field}\b", text)]
    assert unexplained == []
    annotated = {field: str(kind.__annotations__[field]) for field in API.fields(kind)}
    arrays = [field for field, words in annotated.items() if ARRAYS.search(words) and "Callable" not in words]
    # The shape follows the name, or a list of names, in one sentence.
    shapeless = [
        field for field in arrays if not re.search(rf"\b{field}\b[^.]*?\([\w +*]*[,)]", apart.get(field, text))
    ]
    assert shapeless == []


def _raised(function: Any) -> set[str]:
    """Errors of skillcore that stand behind a `raise` in a function."""
    if not Path(function.__code__.co_filename).is_file():
        return set()  # made by dataclass
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    calls = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {call.func.id for call in calls if isinstance(call.func, ast.Name) and call.func.id in ERRORS}


def _is_told(error: str, text: str) -> bool:
    return any(base.__name__ in text for base in ERRORS[error].__mro__)


@pytest.mark.parametrize("name", [name for name in skillcore.__all__ if callable(getattr(skillcore, name))])
def test_what_is_raised_is_told(name: str) -> None:
    value, text = getattr(skillcore, name), API.doc_of(name)
    functions = {name: value} if inspect.isroutine(value) else {}
    if inspect.isclass(value):
        functions = {
            member: API._function(one)
            for member, one in vars(value).items()
            if inspect.isroutine(API._function(one)) and (not member.startswith("_") or member == "__init__")
        }
    untold = {
        member: error
        for member, function in functions.items()
        if inspect.isfunction(inspect.unwrap(function))
        for error in _raised(inspect.unwrap(function))
        if not _is_told(error, text + (inspect.unwrap(function).__doc__ or ""))
    }
    assert untold == {}


# --- what others write ------------------------------------------------------------------------------------------


def _imports(path: Path) -> list[tuple[str, str]]:
    """(module, name) of all that a file, or a template of one, imports of skillcore; ("x", "") for `import x`."""
    text = path.read_text(encoding="utf-8")
    found = [(module, "") for module in re.findall(r"^[ \t]*import (skillcore[\w.]*)", text, re.MULTILINE)]
    for module, names in re.findall(r"^[ \t]*from (skillcore[\w.]*) import (\([^)]*\)|[^\n]+)", text, re.MULTILINE):
        found += [(module, name) for name in re.findall(r"\w+", names.partition("#")[0])]
    return found


def private_imports(folder: Path) -> list[str]:
    """What the files in a folder import of skillcore and its parts that is not public."""
    found = []
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.py.j2")]):
        for module, name in _imports(path):
            if module.startswith("skillcore.testing"):
                continue
            home = f"skillcore.{skillcore._HOMES[name]}" if name in skillcore._HOMES else ""
            if module not in ("skillcore", home) or (name and not home):
                found.append(f"{path.name}: {module} {name}".rstrip())
    return found


@pytest.mark.parametrize("folder", ["tests/example_skill", "tests/vendor", "skillcore/scaffold/templates"])
def test_what_others_would_write_imports_public_names_only(folder: str) -> None:
    """The example skill, the example vendor's package, and what `skill plugins new` writes."""
    assert len([*(ROOT / folder).rglob("*.py"), *(ROOT / folder).rglob("*.py.j2")]) >= 4
    assert private_imports(ROOT / folder) == []


def test_what_is_not_public_is_found(tmp_path: Path) -> None:
    lines = (
        "import skillcore",
        "from skillcore import Pose",
        "from skillcore.types import Pose",
        "from skillcore.types import rotation_from_rotvec",
        "from skillcore.learning.job import learn",
        "from skillcore_insertion.task import Start",
        "import skillcore.cell",
        "from skillcore.testing import SkillContract",
        "import numpy",
    )
    (tmp_path / "odd.py").write_text("\n".join(lines))
    assert private_imports(tmp_path) == [
        "odd.py: skillcore.cell",
        "odd.py: skillcore.types rotation_from_rotvec",
        "odd.py: skillcore.learning.job learn",
        "odd.py: skillcore_insertion.task Start",
    ]
