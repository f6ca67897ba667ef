"""Makes gymnasium know the environments of installed skills, whichever of the two is imported first.

A distribution names a `gymnasium.Env` in the entry-point group "skillcore.environments", under the name and version
that it has behind "skillcore/":

    [project.entry-points."skillcore.environments"]
    Insertion-v0 = "skillcore_insertion.environment:InsertionEnv"

Those of distributions whose plugins may not be loaded (`SKILLCORE_PLUGINS`, `settings.yaml`) are left out. Nothing of
it is imported before somebody calls `gymnasium.make`. And gymnasium is not imported for it either, which
takes longer than `skill --help` may: where it is not there yet, it is waited for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, NoReturn

GROUP = "skillcore.environments"
NAMESPACE = "skillcore"
_HOST = "gymnasium"


def environments() -> dict[str, Any]:
    """What is registered: id -> "module:class", or for an id that two distributions offer what raises PluginError."""
    from skillcore.allowed import allowed_points

    offered = {f"{NAMESPACE}/{name}": points for name, points in allowed_points(GROUP).items()}
    return {name: found[0].value if len(found) == 1 else _collision(name, found) for name, found in offered.items()}


def register_environments() -> None:
    """Registers all of them that gymnasium does not know yet. What is wrong is warned of: gymnasium belongs to others
    too, who must be able to import it."""
    import gymnasium

    from skillcore.errors import SkillcoreError

    try:
        offered = environments()
    except SkillcoreError as error:
        warnings.warn(f"no environment of skillcore is registered: {error}", stacklevel=2)
        return
    for name, target in offered.items():
        if name in gymnasium.registry:
            continue
        try:
            gymnasium.register(name, entry_point=target)
        except gymnasium.error.Error as error:
            owners = " and ".join(_owners(name))
            warnings.warn(f"environment {name!r} of {owners} cannot be registered: {error}", stacklevel=2)


def register_when_imported() -> None:
    """Registers now if gymnasium is there, else as soon as it has been imported."""
    if getattr(sys.modules.get(_HOST), "registry", None) is not None:
        register_environments()
    else:
        sys.meta_path.insert(0, _Await())


class _Await(MetaPathFinder):
    """Finds nothing itself: it has what the others find register the environments when it has been imported."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _HOST:
            return None
        others = [finder for finder in sys.meta_path if finder is not self]
        specs = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((found for found in specs if found is not None), None)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            # Who only asks where gymnasium is gets a spec too, and executes nothing.
            if self in sys.meta_path:
                sys.meta_path.remove(self)
                register_environments()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def _owners(name: str) -> list[str]:
    from skillcore.allowed import allowed_points, owner_of

    return [owner_of(point) for point in allowed_points(GROUP)[name.removeprefix(f"{NAMESPACE}/")]]


def _collision(name: str, points: Sequence[Any]) -> Any:
    from skillcore.allowed import owner_of

    owners = [owner_of(point) for point in points]

    def refuse(**options: Any) -> NoReturn:
        from skillcore.errors import PluginError

        raise PluginError(
            f"two distributions offer an environment {name!r}: " + " and ".join(owners),
            cure="uninstall one of them: pip uninstall " + " or ".join(owners),
        )

    return refuse
