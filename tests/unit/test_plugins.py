"""Plugins: how they are found and allowed, where parts come from, and what is said of a plugin that is broken."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from skillcore import hookspecs, interfaces
from skillcore.config import StrictModel
from skillcore.errors import ArmFaultError, ConfigError, PluginError, UnknownNameError
from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore.plugins import KINDS, Kind, Registry, singular


class Options(StrictModel):
    level: int = 1


class ToyRepresentation(interfaces.Representation):
    """The smallest thing of a kind whose interface is checked."""

    feature_dim = 1

    def __init__(self, options: Options, context: Context) -> None:
        self.options, self.context = options, context

    @property
    def module(self) -> Any:
        return None

    def encode(self, images: Any) -> Any:
        return images

    def encode_with_penalty(self, images: Any, domains: Any, progress: float) -> Any:
        return images, domains


def part(factory: Any = ToyRepresentation, **changes: Any) -> Part[Any, Any]:
    return Part(**{"config": Options, "factory": factory, "summary": "A toy.", **changes})


def plugin(kind: Kind = "representations", **parts: Any) -> SimpleNamespace:
    return SimpleNamespace(**{f"skillcore_{kind}": hookimpl(lambda: parts)})


def registry_of(**plugins: Any) -> Registry:
    return Registry.from_modules(plugins)


def error_of(**plugins: Any) -> PluginError:
    with pytest.raises(PluginError) as caught:
        Registry.from_modules(plugins)
    return caught.value


# --- hooks -------------------------------------------------------------------------------------------------------

HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("skillcore_")}


def test_each_kind_has_a_hook_and_each_hook_a_kind() -> None:
    assert [f"skillcore_{kind}" for kind in KINDS] == list(HOOKS)


@pytest.mark.parametrize("name", HOOKS)
def test_each_hook_is_explained_and_takes_nothing(name: str) -> None:
    words = inspect.getdoc(HOOKS[name]) or ""
    assert len(words.splitlines()) == 1
    assert words.endswith(".")
    assert not inspect.signature(HOOKS[name]).parameters


@pytest.mark.parametrize("kind", KINDS)
def test_each_hook_registers_parts_of_its_kind(kind: Kind) -> None:
    registry = registry_of(toys=plugin(kind, toy=part()))
    assert [(found.kind, found.name) for found in registry.parts()] == [(kind, "toy")]
    assert registry.get(kind, "toy").part.summary == "A toy."
    assert registry.parts(kind) == registry.parts()
    for other in set(KINDS) - {kind}:
        assert registry.parts(other) == []


def test_kinds_have_names_for_messages() -> None:
    assert [singular(kind) for kind in KINDS] == [
        "simulation",
        "arm",
        "camera",
        "representation",
        "reward model",
        "learner",
        "skill",
    ]


# --- getting and making ------------------------------------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    registry = registry_of(toys=plugin("reward_models", cautious=part(), bold=part()))
    with pytest.raises(UnknownNameError) as caught:
        registry.get("reward_models", "cautius", where="recipe.yaml")
    assert caught.value.what == "recipe.yaml: there is no reward model named 'cautius'"
    assert caught.value.cure == "did you mean cautious?"
    with pytest.raises(UnknownNameError, match="nothing of that kind is installed"):
        registry.get("arms", "cautious")


def test_making_validates_the_options_and_hands_over_the_context() -> None:
    registry = registry_of(toys=plugin(toy=part()))
    context = Context(name="it")
    made = registry.make("representations", "toy", {"level": 3}, context)
    assert made.options == Options(level=3)
    assert made.context is context
    assert registry.make("representations", "toy", Options(level=4), context).options.level == 4
    with pytest.raises(ConfigError, match="options of representation 'toy': levle: is not a field"):
        registry.make("representations", "toy", {"levle": 3}, context)
    with pytest.raises(ConfigError, match=r"recipe\.yaml: level: must be a whole number"):
        registry.make("representations", "toy", {"level": "3"}, context, where="recipe.yaml")


def test_a_missing_sdk_is_answered_with_the_command_that_installs_it() -> None:
    def needs_sdk(_options: Options, _context: Context) -> None:
        import surely_not_installed  # type: ignore[import-not-found] # noqa: F401

    registry = registry_of(
        toys=plugin("arms", toy=part(needs_sdk, requires="pip install skillcore[toy]"), bare=part(needs_sdk))
    )
    with pytest.raises(PluginError) as caught:
        registry.make("arms", "toy", {}, Context())
    assert caught.value.what == "arm 'toy' (plugin 'toys' of in-process) needs the Python module 'surely_not_installed'"
    assert caught.value.cure == "pip install skillcore[toy]"
    with pytest.raises(PluginError, match="installation notes of in-process"):
        registry.make("arms", "bare", {}, Context())


def test_a_module_that_is_there_and_cannot_be_imported_is_not_called_missing() -> None:
    def old(_options: Options, _context: Context) -> None:
        from json import surely_no_such_name  # type: ignore[attr-defined] # noqa: F401

    with pytest.raises(PluginError, match="cannot be imported: cannot import name 'surely_no_such_name'"):
        registry_of(toys=plugin("arms", toy=part(old))).make("arms", "toy", {}, Context())


def test_a_factory_that_fails_is_told_with_its_plugin() -> None:
    def fail(_options: Options, _context: Context) -> None:
        raise ValueError("no good")

    def refuse(_options: Options, _context: Context) -> None:
        raise ArmFaultError("will not", cure="ask again")

    registry = registry_of(toys=plugin("arms", fails=part(fail), refuses=part(refuse)))
    with pytest.raises(
        PluginError, match=r"arm 'fails' \(plugin 'toys' of in-process\) cannot be made: ValueError: no"
    ):
        registry.make("arms", "fails", {}, Context())
    with pytest.raises(ArmFaultError, match="will not"):
        registry.make("arms", "refuses", {}, Context())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_made_must_be_of_its_kind(kind: Kind) -> None:
    registry = registry_of(toys=plugin(kind, toy=part(lambda options, context: "a text")))
    with pytest.raises(PluginError, match="was made as str, which is no") as caught:
        registry.make(kind, "toy", {}, Context())
    assert re.search(r"derive it from skillcore\.(interfaces|skill)\.", caught.value.cure)


# --- plugins that are wrong --------------------------------------------------------------------------------------


def raising(error: BaseException) -> SimpleNamespace:
    def hook() -> Mapping[str, Any]:
        raise error

    return SimpleNamespace(skillcore_arms=hookimpl(hook))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (raising(ValueError("not\n today")), "fails in skillcore_arms: ValueError: not today"),
        (raising(SystemExit(1)), "fails in skillcore_arms: SystemExit: 1"),
        (raising(RecursionError()), "fails in skillcore_arms: RecursionError"),
        (SimpleNamespace(skillcore_arms=hookimpl(lambda: None)), "skillcore_arms returned a NoneType"),
        (SimpleNamespace(skillcore_arms=hookimpl(lambda: [part()])), "skillcore_arms returned a list"),
        (plugin("arms", toy=3), "'toy' is an int, and must be a skillcore.parts.Part"),
        (plugin("arms", toy=ToyRepresentation), "must be a skillcore.parts.Part"),
        (SimpleNamespace(skillcore_arms=hookimpl(lambda: {3: part()})), "3 is no name for a part"),
        (plugin("arms", **{"a b": part()}), "'a b' is no name for a part"),
        (plugin("arms", toy=part(config=dict)), "the config of 'toy' must be a subclass of skillcore.config"),
        (plugin("arms", toy=part(factory=3)), "the factory of 'toy' cannot be called"),
        (plugin("arms", toy=part(summary="")), "'toy' needs a summary of one line"),
        (plugin("arms", toy=part(summary="a\nb")), "'toy' needs a summary of one line"),
        (SimpleNamespace(skillcore_arm=hookimpl(lambda: {})), "hooks that do not exist: skillcore_arm"),
        (SimpleNamespace(skillcore_arms=lambda: {}), "offers nothing"),
        (SimpleNamespace(), "offers nothing"),
        (SimpleNamespace(skillcore_arms=hookimpl(lambda robot: {})), "cannot be registered"),
        (SimpleNamespace(skillcore_arms=hookimpl(lambda: (yield), wrapper=True)), "is a wrapper"),
    ],
)
def test_a_broken_plugin_is_told_with_hook_and_reason(broken: Any, words: str) -> None:
    error = error_of(broken=broken)
    assert words in error.what
    assert "plugin 'broken' of in-process" in error.what
    assert error.cure
    assert error.exit_code == 2


def test_an_unknown_hook_is_answered_with_the_nearest() -> None:
    assert error_of(a=SimpleNamespace(skillcore_arm=hookimpl(lambda: {}))).cure.startswith(
        "did you mean skillcore_arms"
    )


def test_a_hook_without_its_mark_is_found_beside_one_with_it() -> None:
    half = SimpleNamespace(skillcore_arms=hookimpl(lambda: {"toy": part()}), skillcore_cameras=lambda: {})
    error = error_of(half=half)
    assert "hooks that are not marked" in error.what
    assert "hookimpl on skillcore_cameras" in error.cure


def test_a_config_must_not_use_the_name_that_cell_files_use() -> None:
    class Taken(StrictModel):
        driver: str = ""

    assert "field named 'driver'" in error_of(toys=plugin("arms", toy=part(config=Taken))).what


def test_ctrl_c_is_not_a_fault_of_the_plugin() -> None:
    with pytest.raises(KeyboardInterrupt):
        Registry.from_modules({"slow": raising(KeyboardInterrupt())})


def test_all_broken_plugins_are_told_at_once_with_their_causes() -> None:
    error = error_of(one=raising(ValueError("first")), two=raising(TypeError("second")))
    assert "ValueError: first" in error.what
    assert "TypeError: second" in error.what
    assert isinstance(error.__cause__, ExceptionGroup)
    assert [type(each.__cause__) for each in error.__cause__.exceptions] == [ValueError, TypeError]


def test_two_plugins_in_one_process_with_one_name_for_a_part() -> None:
    error = error_of(first=plugin("arms", toy=part()), second=plugin("arms", toy=part()))
    assert "two plugins offer an arm named 'toy'" in error.what
    assert "'first'" in error.what
    assert "'second'" in error.what


def test_one_name_may_serve_several_kinds() -> None:
    both = SimpleNamespace(
        skillcore_arms=hookimpl(lambda: {"toy": part()}), skillcore_cameras=hookimpl(lambda: {"toy": part()})
    )
    assert len(registry_of(both=both).parts()) == 2


# --- installed plugins -------------------------------------------------------------------------------------------

PLUGIN = """
from skillcore.config import StrictModel
from skillcore.hookspecs import hookimpl
from skillcore.parts import Part

class Options(StrictModel):
    pass

@hookimpl
def skillcore_arms():
    return {"NAME": Part(Options, lambda options, context: None, "A toy arm.")}
"""

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Makes throw-away distributions that importlib finds, and hides those that are really installed."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SKILLCORE_PLUGINS", raising=False)
    modules: list[str] = []
    real = sys.modules["importlib.metadata"].entry_points

    def only_ours(**selection: str) -> Any:
        return [point for point in real(**selection) if point.dist and str(point.dist.locate_file("")) == str(site)]

    monkeypatch.setattr("skillcore.plugins.metadata.entry_points", only_ours)

    def write(distribution: str, name: str, source: str, *, version: str = "1.0", module: str = "") -> Path:
        module = module or f"throwaway_{name}"
        info = site / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[skillcore]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(source)
        modules.append(module)
        return site / f"{module}.py"

    yield write
    for module in modules:
        sys.modules.pop(module, None)


def test_parts_of_an_installed_plugin_say_where_they_come_from(install: Install) -> None:
    file = install("acme-robots", "acme", PLUGIN.replace("NAME", "acme_6"), version="2.1")
    (found,) = Registry.discover().parts()
    source = found.source
    assert (found.kind, found.name) == ("arms", "acme_6")
    assert (source.plugin, source.distribution, source.version) == ("acme", "acme-robots", "2.1")
    assert Path(source.file) == file


def test_without_an_allow_list_all_are_loaded(install: Install) -> None:
    install("one", "one", PLUGIN.replace("NAME", "one"))
    install("two", "two", PLUGIN.replace("NAME", "two"))
    assert [found.name for found in Registry.discover().parts("arms")] == ["one", "two"]


def test_the_variable_allows_some(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("one", "one", PLUGIN.replace("NAME", "one"))
    install("two", "two", "raise RuntimeError('never imported')")
    monkeypatch.setenv("SKILLCORE_PLUGINS", " one ,")
    assert [found.name for found in Registry.discover().parts()] == ["one"]
    assert "throwaway_two" not in sys.modules
    monkeypatch.setenv("SKILLCORE_PLUGINS", "oen")
    with pytest.raises(UnknownNameError, match="SKILLCORE_PLUGINS: there is no plugin named 'oen'") as caught:
        Registry.discover()
    assert caught.value.cure == "did you mean one?"


def test_the_settings_allow_some_and_the_variable_goes_first(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("one", "one", PLUGIN.replace("NAME", "one"))
    install("two", "two", PLUGIN.replace("NAME", "two"))
    (tmp_path / "home").mkdir()
    settings = tmp_path / "home" / "settings.yaml"
    settings.write_text("plugins: {allow: [two]}\n")
    assert [found.name for found in Registry.discover().parts()] == ["two"]
    settings.write_text("plugins: {allow: []}\n")
    assert Registry.discover().parts() == []
    settings.write_text("plugins: {alow: []}\n")
    with pytest.raises(ConfigError, match=r"settings\.yaml:1: plugins\.alow: is not a field of plugins"):
        Registry.discover()
    settings.write_text("plugins: {allow: [three]}\n")
    with pytest.raises(UnknownNameError, match=r"settings\.yaml: plugins\.allow: there is no plugin named 'three'"):
        Registry.discover()
    monkeypatch.setenv("SKILLCORE_PLUGINS", "one")
    assert [found.name for found in Registry.discover().parts()] == ["one"]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("raise RuntimeError('bad day')", "RuntimeError: bad day"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("import surely_not_installed", "ModuleNotFoundError: No module named 'surely_not_installed'"),
        ("def broken(:", "SyntaxError"),
        ("class Odd(BaseException): pass\nraise Odd('x')", "Odd: x"),
    ],
)
def test_a_plugin_that_cannot_be_imported(install: Install, source: str, told: str) -> None:
    install("bad-robots", "bad", source, version="0.9")
    install("good-robots", "good", PLUGIN.replace("NAME", "good"))
    with pytest.raises(PluginError) as caught:
        Registry.discover()
    assert caught.value.what.startswith("plugin 'bad' of bad-robots 0.9 cannot be imported: ")
    assert told in caught.value.what
    assert "pip uninstall bad-robots" in caught.value.cure
    assert "leave 'bad' out" in caught.value.cure
    registry, errors = Registry.survey()
    assert [found.name for found in registry.parts()] == ["good"]
    assert len(errors) == 1


def test_ctrl_c_during_an_import_goes_through(install: Install) -> None:
    install("slow", "slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        Registry.discover()


def test_two_distributions_with_one_name_for_a_part(install: Install) -> None:
    first = install("acme-robots", "acme", PLUGIN.replace("NAME", "six"), version="2.1")
    second = install("other-robots", "other", PLUGIN.replace("NAME", "six"), version="0.3")
    with pytest.raises(PluginError) as caught:
        Registry.discover()
    for words in (
        "two plugins offer an arm named 'six'",
        "acme-robots 2.1",
        "other-robots 0.3",
        str(first),
        str(second),
    ):
        assert words in caught.value.what
    assert "pip uninstall acme-robots or other-robots" in caught.value.cure


def test_two_distributions_with_one_name_for_a_plugin(install: Install) -> None:
    install("acme-robots", "acme", PLUGIN.replace("NAME", "six"))
    install("fake-robots", "acme", PLUGIN.replace("NAME", "seven"), module="throwaway_fake")
    with pytest.raises(PluginError, match="two distributions offer a plugin named 'acme'") as caught:
        Registry.discover()
    assert "acme-robots 1.0" in caught.value.what
    assert "fake-robots 1.0" in caught.value.what
    assert "throwaway_fake" not in sys.modules


def test_a_broken_plugin_registers_nothing(install: Install) -> None:
    install("acme", "acme", PLUGIN.replace("NAME", "six"))
    both = PLUGIN.replace("NAME", "seven") + "\n@hookimpl\ndef skillcore_cameras():\n    raise ValueError\n"
    install("half", "half", both)
    registry, errors = Registry.survey()
    assert [found.name for found in registry.parts()] == ["six"]
    assert "skillcore_cameras" in errors[0].what


def test_a_damaged_installation_of_skillcore_is_not_answered_with_uninstalling_it() -> None:
    from skillcore.plugins import Source

    cure = Source("mujoco", "skillcore", "1.0", "x").cure
    assert "uninstall" not in cure
    assert "--force-reinstall" in cure


def test_a_module_is_a_plugin_too() -> None:
    module = ModuleType("throwaway")
    exec(PLUGIN.replace("NAME", "toy"), module.__dict__)
    assert Registry.from_modules({"toys": module}).get("arms", "toy").source.plugin == "toys"
