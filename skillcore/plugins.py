"""Finds the parts that plugins offer, and knows where each came from.

A plugin is a module that an installed distribution names in the entry-point group "skillcore"; what it
implements is in `skillcore.hookspecs`. First-party parts come the same way. `SKILLCORE_PLUGINS=a,b`, or
`plugins: {allow: [a, b]}` in `settings.yaml`, loads those plugins only.

    registry = Registry.discover()
    arm = registry.make("arms", "ur", {"address": "10.0.0.5"}, Context(name="arm"))
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata
from types import ModuleType
from typing import Any, Literal, get_args

import pluggy

from skillcore import hookspecs
from skillcore.allowed import allowed_plugins
from skillcore.config import StrictModel, validate_options
from skillcore.errors import PluginError, SkillcoreError, UnknownNameError, suggest
from skillcore.parts import Context, Part

GROUP = "skillcore"

Kind = Literal["simulations", "arms", "cameras", "representations", "reward_models", "learners", "skills"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_INTERFACES: dict[Kind, str] = {
    "simulations": "skillcore.interfaces.Simulation",
    "arms": "skillcore.interfaces.Arm",
    "cameras": "skillcore.interfaces.Camera",
    "representations": "skillcore.interfaces.Representation",
    "reward_models": "skillcore.interfaces.RewardModel",
    "learners": "skillcore.interfaces.Learner",
    "skills": "skillcore.skill.Skill",
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def singular(kind: str) -> str:
    """One of a kind, as it is called in messages: "reward_models" -> "reward model"."""
    return kind.removesuffix("s").replace("_", " ")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a plugin comes from: its name, its distribution and version, and the file of its module."""

    plugin: str
    distribution: str
    version: str
    file: str

    def __str__(self) -> str:
        return f"plugin {self.plugin!r} of {self.distribution} {self.version}".rstrip()

    @property
    def cure(self) -> str:
        """How to go on without the plugin."""
        if self.distribution == "skillcore":
            return (
                "the installation is damaged (pip install --force-reinstall skillcore); without it: "
                "SKILLCORE_PLUGINS=<names of the plugins to load>"
            )
        return (
            f"uninstall it (pip uninstall {self.distribution}), repair it, or leave {self.plugin!r} out: "
            "SKILLCORE_PLUGINS=<names of the plugins to load>"
        )


@dataclass(frozen=True, slots=True)
class RegisteredPart:
    """A part and where it comes from."""

    kind: Kind
    name: str
    part: Part[Any, Any]
    source: Source

    def make(self, options: StrictModel, context: Context) -> Any:
        """The thing itself, from validated options. It isn't connected yet.

        Raises PluginError if what it needs is not installed, or if its factory fails or makes something else.
        """
        who = f"{singular(self.kind)} {self.name!r} ({self.source})"
        try:
            made = self.part.factory(options, context)
        except ImportError as error:
            is_missing = isinstance(error, ModuleNotFoundError) and error.name
            missing = f"needs the Python module {error.name!r}" if is_missing else f"cannot be imported: {error}"
            cure = self.part.requires or f"see the installation notes of {self.source.distribution}"
            raise PluginError(f"{who} {missing}", cure=cure) from error
        except SkillcoreError:
            raise
        except Exception as error:
            cure = f"report it to the makers of {self.source.distribution}"
            raise PluginError(f"{who} cannot be made: {_told(error)}", cure=cure) from error
        module, _, name = _INTERFACES[self.kind].rpartition(".")
        if not isinstance(made, getattr(import_module(module), name)):
            what = f"{who} was made as {type(made).__name__}, which is no {name}"
            raise PluginError(what, cure=f"derive it from {_INTERFACES[self.kind]}")
        return made


class Registry:
    """All parts of all loaded plugins, by kind and name."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], RegisteredPart] = {}
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hookspecs)

    @classmethod
    def discover(cls) -> Registry:
        """Loads the installed plugins that are allowed. Raises PluginError that tells all that is wrong."""
        registry, errors = cls.survey()
        _raise_all(errors)
        return registry

    @classmethod
    def survey(cls) -> tuple[Registry, list[PluginError]]:
        """As `discover`, but leaves out the plugins that are broken, and returns what is wrong with them.

        Raises UnknownNameError if a name that is allowed isn't installed, ConfigError for wrong settings.
        """
        registry, errors = cls(), []
        for name, points in _allowed_entry_points().items():
            sources = [_source_of(point) for point in points]
            if len(points) > 1:
                what = f"two distributions offer a plugin named {name!r}: " + " and ".join(map(_origin, sources))
                cure = "uninstall one of them: pip uninstall " + " or ".join(one.distribution for one in sources)
                errors.append(PluginError(what, cure=cure))
                continue
            try:
                module, source = _load(points[0], sources[0])
                registry._add(module, source)
            except PluginError as error:
                errors.append(error)
        return registry, errors

    @classmethod
    def from_modules(cls, modules: Mapping[str, object]) -> Registry:
        """A registry of plugins that are not installed, for tests: name -> a module or object with hooks."""
        registry, errors = cls(), []
        for name, module in modules.items():
            source = Source(name, "in-process", "", str(getattr(module, "__file__", "") or ""))
            try:
                registry._add(module, source)
            except PluginError as error:
                errors.append(error)
        _raise_all(errors)
        return registry

    def parts(self, kind: Kind | None = None) -> list[RegisteredPart]:
        """The parts of a kind, or of all kinds in their order, by name."""
        chosen = [part for part in self._parts.values() if kind in (None, part.kind)]
        return sorted(chosen, key=lambda part: (KINDS.index(part.kind), part.name))

    def get(self, kind: Kind, name: str, *, where: str = "") -> RegisteredPart:
        """The part of that kind and name. Raises UnknownNameError with the nearest names."""
        found = self._parts.get((kind, name))
        if found is None:
            raise UnknownNameError(singular(kind), name, [part.name for part in self.parts(kind)], where=where)
        return found

    def make(
        self,
        kind: Kind,
        name: str,
        options: Mapping[str, Any] | StrictModel,
        context: Context,
        *,
        where: str = "",
    ) -> Any:
        """Makes a part from options, which are validated by the part's own model unless they are one already.

        where: what the options are called in messages. Raises UnknownNameError, ConfigError, PluginError.
        """
        found = self.get(kind, name, where=where)
        if isinstance(options, StrictModel):
            return found.make(options, context)
        title = where or f"options of {singular(kind)} {name!r}"
        return found.make(validate_options(options, found.part.config, where=title), context)

    def _add(self, plugin: object, source: Source) -> None:
        """Registers a plugin's parts, all or none of them. Raises PluginError."""
        found = dict[tuple[str, str], RegisteredPart]()
        for part in self._parts_of(plugin, source):
            key = (part.kind, part.name)
            other = self._parts.get(key)
            if other is not None:
                what = (
                    f"two plugins offer {_a(singular(part.kind))} named {part.name!r}: "
                    f"{_origin(other.source)} and {_origin(source)}"
                )
                names = dict.fromkeys((other.source.distribution, source.distribution))
                cure = f"uninstall one of them (pip uninstall {' or '.join(names)}), or load only one: "
                raise PluginError(what, cure=cure + "SKILLCORE_PLUGINS=<names of the plugins to load>")
            found[key] = part
        self._parts.update(found)

    def _parts_of(self, plugin: object, source: Source) -> Iterator[RegisteredPart]:
        try:
            self._manager.register(plugin, name=source.plugin)
        except (pluggy.PluginValidationError, ValueError) as error:
            raise PluginError(f"{source} cannot be registered: {error}", cure=source.cure) from error
        callers = self._manager.get_hookcallers(plugin) or []
        known = [f"skillcore_{kind}" for kind in KINDS]
        unknown = sorted(caller.name for caller in callers if caller.name not in known)
        unmarked = sorted(name for name in known if _has_function(plugin, name, callers))
        if unknown:
            what = f"{source} implements hooks that do not exist: {', '.join(unknown)}"
            raise PluginError(what, cure=suggest(unknown[0], known))
        if unmarked or not callers:
            what = f"{source} offers nothing" if not callers else f"{source} has hooks that are not marked"
            which = ", ".join(unmarked) or "its hooks"
            raise PluginError(what, cure=f"put @skillcore.hookspecs.hookimpl on {which}, or {source.cure}")
        for kind in KINDS:
            hook = f"skillcore_{kind}"
            for caller in callers:
                if caller.name != hook:
                    continue
                for implementation in caller.get_hookimpls():
                    if implementation.plugin is plugin:
                        yield from _parts_from_hook(implementation, kind, source)


def _parts_from_hook(implementation: pluggy.HookImpl, kind: Kind, source: Source) -> Iterator[RegisteredPart]:
    """Calls one hook of one plugin, so that whatever it does wrong can be told of it alone."""
    hook = f"skillcore_{kind}"
    if implementation.hookwrapper or implementation.wrapper:
        raise PluginError(f"{source}: {hook} is a wrapper, and must return a mapping", cure=source.cure)
    try:
        parts = implementation.function()
        items = list(parts.items()) if isinstance(parts, Mapping) else None
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also of a plugin that calls sys.exit()
        raise PluginError(f"{source} fails in {hook}: {_told(error)}", cure=source.cure) from error
    if items is None:
        what = f"{source}: {hook} returned {_a(type(parts).__name__)}"
        raise PluginError(f"{what}, and must return a mapping from name to Part", cure=source.cure)
    for name, part in items:
        complaint = _complaint(name, part)
        if complaint:
            raise PluginError(f"{source}: {hook}: {complaint}", cure=source.cure)
        yield RegisteredPart(kind, name, part, source)


def _complaint(name: object, part: object) -> str:
    """What is wrong with a part that a plugin offers; nothing if it is well."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        return f"{name!r} is no name for a part: letters, digits, and _ - . after the first"
    if not isinstance(part, Part):
        return f"{name!r} is {_a(type(part).__name__)}, and must be a skillcore.parts.Part"
    if not (isinstance(part.config, type) and issubclass(part.config, StrictModel)):
        return f"the config of {name!r} must be a subclass of skillcore.config.StrictModel"
    if "driver" in part.config.model_fields:
        return f"the config of {name!r} has a field named 'driver', which a cell file uses for the part's name"
    if not callable(part.factory):
        return f"the factory of {name!r} cannot be called"
    if not isinstance(part.summary, str) or not part.summary.strip() or "\n" in part.summary:
        return f"{name!r} needs a summary of one line"
    return ""


def _has_function(plugin: object, name: str, callers: Iterable[pluggy.HookCaller]) -> bool:
    """Whether a plugin has a function that is called like a hook and not marked as one."""
    return inspect.isroutine(getattr(plugin, name, None)) and name not in {caller.name for caller in callers}


# --- entry points -------------------------------------------------------------------------------------------


def _allowed_entry_points() -> dict[str, list[metadata.EntryPoint]]:
    """The entry points that may be loaded, by name; more than one where distributions collide."""
    installed: dict[str, list[metadata.EntryPoint]] = {}
    for point in metadata.entry_points(group=GROUP):
        installed.setdefault(point.name, []).append(point)
    where, chosen = allowed_plugins()
    allowed = sorted(installed) if chosen is None else chosen
    for name in allowed:
        if name not in installed:
            raise UnknownNameError("plugin", name, installed, where=where)
    return {name: installed[name] for name in dict.fromkeys(allowed)}


def _source_of(point: metadata.EntryPoint, module: ModuleType | None = None) -> Source:
    distribution = point.dist
    name, version = (distribution.name, distribution.version) if distribution else ("unknown", "")
    return Source(point.name, name, version, str(getattr(module, "__file__", None) or point.value))


def _load(point: metadata.EntryPoint, source: Source) -> tuple[ModuleType, Source]:
    """Imports a plugin's module. Raises PluginError."""
    try:
        module = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # also of a plugin that calls sys.exit()
        raise PluginError(f"{source} cannot be imported: {_told(error)}", cure=source.cure) from error
    return module, _source_of(point, module if isinstance(module, ModuleType) else sys.modules.get(point.module))


def _origin(source: Source) -> str:
    return f"{source.distribution} {source.version}".rstrip() + f" ({source.plugin!r}, {source.file})"


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"


def _raise_all(errors: list[PluginError]) -> None:
    """Raises one error that tells them all, with the causes kept for `--debug`."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise PluginError("\n".join(map(str, errors))) from ExceptionGroup("plugins that fail", errors)
