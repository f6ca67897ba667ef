"""The kinds of part that a package can be begun for, and the files that it consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from skillcore.errors import UnknownNameError
from skillcore.plugins import KINDS, Kind, singular


@dataclass(frozen=True, slots=True)
class Begun:
    """What is written for a kind of part.

    noun: what the class is called after the maker's name. files: path in the package -> its template and what it is
    for, the files to write code in first; `PACKAGE` in a path is the import package. use: the file that uses the part.
    """

    noun: str
    files: Mapping[str, tuple[str, str]]
    use: str


OPTIONS = "what a cell file may say about it: fields, units, bounds"
PLUGIN = "makes it known to skillcore; imports what is heavy inside the factory"
SUITE = "the contract suite on it: what it must do, promise by promise"

COMMON = {
    "pyproject.toml": ("pyproject.toml.j2", "the package and its entry point"),
    "README.md": ("README.md.j2", "what to do next"),
    ".gitignore": ("gitignore.j2", ""),
    "src/PACKAGE/__init__.py": ("init.py.j2", ""),
    "src/PACKAGE/py.typed": ("empty.j2", ""),
}


def _device(name: str, noun: str, what: str) -> Begun:
    return Begun(
        noun,
        {
            f"src/PACKAGE/{name}.py": (f"{name}/{name}.py.j2", what),
            "src/PACKAGE/options.py": (f"{name}/options.py.j2", OPTIONS),
            "src/PACKAGE/plugin.py": (f"{name}/plugin.py.j2", PLUGIN),
            "tests/test_contract.py": (f"{name}/test_contract.py.j2", SUITE),
            "tests/test_plugin.py": ("test_cell.py.j2", "whether it is installed, and its cell file valid"),
            "cell.yaml": (f"{name}/cell.yaml.j2", "a cell file that uses it"),
        },
        "cell.yaml",
    )


def _learning(name: str, noun: str, what: str) -> Begun:
    return Begun(
        noun,
        {
            f"src/PACKAGE/{name}.py": (f"{name}/{name}.py.j2", what),
            "src/PACKAGE/options.py": (f"{name}/options.py.j2", OPTIONS.replace("cell file", "recipe")),
            "src/PACKAGE/plugin.py": (f"{name}/plugin.py.j2", PLUGIN),
            "tests/test_contract.py": (f"{name}/test_contract.py.j2", SUITE),
            "tests/test_plugin.py": ("test_recipe.py.j2", "whether it is installed, and its recipe valid"),
            "recipe.yaml": (f"{name}/recipe.yaml.j2", "a recipe that uses it"),
        },
        "recipe.yaml",
    )


BEGUN: dict[Kind, Begun] = {
    "simulations": Begun(
        "World",
        {
            "src/PACKAGE/world.py": ("simulation/world.py.j2", "the world: fill in its methods"),
            "src/PACKAGE/arm.py": ("simulation/arm.py.j2", "the arm that lives in it: fill in its methods"),
            "src/PACKAGE/camera.py": ("simulation/camera.py.j2", "the camera that looks at it: fill in its methods"),
            "src/PACKAGE/options.py": ("simulation/options.py.j2", OPTIONS.replace("about it", "about each")),
            "src/PACKAGE/plugin.py": ("simulation/plugin.py.j2", PLUGIN.replace("makes it", "makes them")),
            "tests/test_contract.py": (
                "simulation/test_contract.py.j2",
                SUITE.replace("suite on it", "suites on them").replace("what it", "what they"),
            ),
            "tests/test_plugin.py": ("test_cell.py.j2", "whether they are installed, and the cell file valid"),
            "cell.yaml": ("simulation/cell.yaml.j2", "a cell file that uses them"),
        },
        "cell.yaml",
    ),
    "arms": _device("arm", "Arm", "the driver: fill in its methods"),
    "cameras": _device("camera", "Camera", "the driver: fill in its methods"),
    "representations": _learning("representation", "Representation", "the encoder: fill in its methods"),
    "reward_models": _learning("reward_model", "RewardModel", "the reward model: fill in its methods"),
    "learners": _learning("learner", "Learner", "the learner: fill in its methods"),
    "skills": Begun(
        "Skill",
        {
            "src/PACKAGE/skill.py": ("skill/skill.py.j2", "the skill: fill in its methods"),
            "src/PACKAGE/task.py": ("skill/task.py.j2", "its task: fill in its methods"),
            "src/PACKAGE/environment.py": ("skill/environment.py.j2", "the same for gymnasium"),
            "src/PACKAGE/plugin.py": ("skill/plugin.py.j2", PLUGIN),
            "tests/test_contract.py": ("skill/test_contract.py.j2", SUITE),
            "tests/test_plugin.py": ("skill/test_plugin.py.j2", "whether it is installed"),
        },
        "",
    ),
}


def spelled(kind: Kind) -> str:
    """A kind as it is typed: "reward_models" -> "reward-model"."""
    return singular(kind).replace(" ", "-")


def kind_named(word: str) -> Kind:
    """The kind that is typed so. Raises UnknownNameError with the nearest ones."""
    named = {spelled(kind): kind for kind in KINDS}
    if word not in named:
        raise UnknownNameError("kind of part", word, named, where="--kind")
    return named[word]
