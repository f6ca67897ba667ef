"""Cell files: how they are found, read, cross-checked, and described to editors."""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import jsonschema
import numpy as np
import pytest
import yaml
from pydantic import ConfigDict, Field

from skillcore import cell_config
from skillcore.cell_config import CellConfig, Workspace, cell_names, find_cell, load_cell
from skillcore.cell_schema import cell_schema
from skillcore.config import FREQUENCY, LENGTH, StrictModel
from skillcore.errors import ConfigError, Fault, PluginError, UnknownNameError
from skillcore.hookspecs import hookimpl
from skillcore.parts import Part
from skillcore.plugins import Registry

GOOD = """\
schema: 1
name: bench
description: a bench
control: {rate_hz: 10, step_m: 4 mm, turn_step_rad: 0.2}
views: {size_px: 64}
safety:
  workspace: {min_m: [-0.05, -0.05, -0.03], max_m: [0.05, 0.05, 0.10]}
  speed_limit_m_s: 0.25
  turn_speed_limit_rad_s: 3.0
  force_limit_n: 50
  hard_force_limit_n: 90
fixture: {position_m: [0.5, 0.0, 0.1], rotvec_rad: [0, 180 deg, 0]}
arm:
  driver: toy
  address: 10.0.0.5
cameras:
  left: {driver: eye, rate_hz: 15 Hz}
  front: {driver: eye}
"""


class Tool(StrictModel):
    kind: Literal["gripper", "vacuum"] = "gripper"
    length_m: Annotated[float, LENGTH.within(0.0, 0.5)] = 0.1


class ToyArm(StrictModel):
    address: str
    tool: Tool = Tool()


class Eye(StrictModel):
    rate_hz: Annotated[float, FREQUENCY.within(1.0, 90.0)] = 30.0


class World(StrictModel):
    noise: float = Field(default=0.0, ge=0.0)


def parts(**named: type[StrictModel]) -> Mapping[str, Part[Any, Any]]:
    return {name: Part(config, lambda options, context: None, f"A {name}.") for name, config in named.items()}


@pytest.fixture
def registry() -> Registry:
    plugin = SimpleNamespace(
        skillcore_arms=hookimpl(lambda: parts(toy=ToyArm)),
        skillcore_cameras=hookimpl(lambda: parts(eye=Eye)),
        skillcore_simulations=hookimpl(lambda: parts(flat=World)),
    )
    return Registry.from_modules({"toys": plugin})


@pytest.fixture
def cell_file(tmp_path: Path) -> Path:
    path = tmp_path / "bench.yaml"
    path.write_text(GOOD)
    return path


def faults(path: Path, registry: Registry, *changes: tuple[str, str]) -> list[Fault]:
    text = GOOD
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_cell(path, registry)
    assert {fault.file for fault in caught.value.faults} == {str(path)}
    return list(caught.value.faults)


def test_a_good_file_is_loaded_with_its_drivers(cell_file: Path, registry: Registry) -> None:
    cell = load_cell(cell_file, registry)
    assert cell.name == "bench"
    assert cell.config.control.step_m == 0.004
    assert list(cell.cameras) == ["left", "front"]
    assert cell.arm.part.name == "toy"
    assert cell.arm.options == ToyArm(address="10.0.0.5")
    assert cell.cameras["left"].options == Eye(rate_hz=15.0)
    assert cell.simulation is None
    assert [driver.key for driver in cell.drivers()] == ["arm", "left", "front"]
    np.testing.assert_allclose(cell.config.fixture.socket_from_base.rotation[:, 2], [0, 0, -1], atol=1e-12)


def test_a_simulation_is_a_driver_too(cell_file: Path, registry: Registry) -> None:
    cell_file.write_text(GOOD + "simulation: {driver: flat, noise: 0.5}\n")
    cell = load_cell(cell_file, registry)
    assert cell.simulation is not None
    assert cell.simulation.options == World(noise=0.5)
    assert cell.drivers()[0] is cell.simulation


def test_the_order_of_cameras_is_that_of_the_file(cell_file: Path, registry: Registry) -> None:
    keys = ["z", "a", "m", "b"]
    cameras = "".join(f"  {key}: {{driver: eye}}\n" for key in keys)
    cell_file.write_text(GOOD[: GOOD.index("  left:")] + cameras)
    assert list(load_cell(cell_file, registry).cameras) == keys


def test_limits_have_defaults_and_the_workspace_has_none(cell_file: Path, registry: Registry) -> None:
    short = "\n".join(line for line in GOOD.splitlines() if "limit" not in line and "control" not in line)
    cell_file.write_text(short)
    assert load_cell(cell_file, registry).config == load_cell_from(GOOD, cell_file, registry).config
    found = faults(
        cell_file, registry, ("  workspace: {min_m: [-0.05, -0.05, -0.03], max_m: [0.05, 0.05, 0.10]}\n", "")
    )
    assert [(fault.field, fault.reason) for fault in found] == [("safety.workspace", "is missing")]


def load_cell_from(text: str, path: Path, registry: Registry) -> cell_config.LoadedCell:
    path.write_text(text)
    return load_cell(path, registry)


@pytest.mark.parametrize(
    ("change", "line", "field", "reason", "cure"),
    [
        (("schema: 1", "schema: 2"), 1, "schema", "schema 2 is not known", "update skillcore"),
        (("schema: 1\n", ""), 1, "schema", "is missing", "add `schema:`"),
        (("name: bench", "name: my bench"), 2, "name", "does not have the form", ""),
        (("views:", "veiws:"), 5, "veiws", "is not a field", "did you mean views?"),
        (("step_m: 4 mm", "step_m: 4"), 4, "control.step_m", "4 m is more than", "'4 mm'"),
        (("step_m: 4 mm", "stepm: 4"), 4, "control.stepm", "is not a field of control", "did you mean step_m"),
        (
            ("step_m: 4 mm", "step_m: 30 mm"),
            4,
            "control.step_m",
            "0.3 m/s, above safety.speed_limit_m_s",
            "at most 0.025",
        ),
        (
            ("turn_step_rad: 0.2", "turn_step_rad: 0.4"),
            4,
            "control.turn_step_rad",
            "4 rad/s, above safety.turn_speed_limit_rad_s",
            "at most 0.3",
        ),
        (("-0.03]", "0.2]"), 7, "safety.workspace.max_m[2]", "0.1 m is not above min_m[2]", "swap"),
        (("0.10]", "0.02]"), 7, "safety.workspace", "[0, 0, 0.03] m", "30 mm in front"),
        (("[-0.05, -0.05, -0.03]", "[0.01, -0.05, -0.03]"), 7, "safety.workspace", "[0, 0, 0] m", "socket's mouth"),
        (
            ("hard_force_limit_n: 90", "hard_force_limit_n: 50"),
            11,
            "safety.hard_force_limit_n",
            "not above",
            "raise it",
        ),
        (("[0, 180 deg, 0]", "[4, 4, 4]"), 12, "fixture.rotvec_rad", "more than once around", "'90 deg'"),
        (("[0, 180 deg, 0]", "[0, 180, 0]"), 12, "fixture.rotvec_rad[1]", "180 rad is more", "'180 deg'"),
        (("[0.5, 0.0, 0.1]", "[500, 0.0, 0.1]"), 12, "fixture.position_m[0]", "500 m is more", "'500 mm'"),
        (("driver: toy", "driver: tow"), 14, "arm.driver", "there is no arm named 'tow'", "did you mean toy?"),
        (("  driver: toy\n", ""), 13, "arm.driver", "is missing", "add `driver:`"),
        (("address:", "adress:"), 15, "arm.adress", "is not a field of arm", "did you mean address?"),
        (("15 Hz", "15 m"), 17, "cameras.left.rate_hz", "'15 m' is a length", "Hz"),
        (("left: {driver: eye, rate_hz: 15 Hz}", "left: 3"), 17, "cameras.left", "must be a section", ""),
        (("left:", "left eye:"), 17, "cameras.left eye", "does not have the form", ""),
        (("front: {driver: eye}", "front: {driver: toy}"), 18, "cameras.front.driver", "no camera named 'toy'", "eye"),
    ],
)
def test_a_fault_names_its_place(
    cell_file: Path, registry: Registry, change: tuple[str, str], line: int, field: str, reason: str, cure: str
) -> None:
    found = [fault for fault in faults(cell_file, registry, change) if fault.field == field]
    (fault,) = found
    assert fault.line == line
    assert reason in fault.reason
    assert cure in fault.cure


def test_faults_of_the_file_and_of_all_drivers_are_told_at_once(cell_file: Path, registry: Registry) -> None:
    found = faults(
        cell_file,
        registry,
        ("step_m: 4 mm", "step_m: 40 mm"),
        ("0.2}", "0.9}"),
        ("0.10]", "0.01]"),
        ("address:", "tool: {kind: gripr}\n  adress:"),
        ("{driver: eye}", "{driver: eyes}"),
    )
    assert [(fault.line, fault.field) for fault in found] == [
        (4, "control.step_m"),
        (4, "control.turn_step_rad"),
        (7, "safety.workspace"),
        (13, "arm.address"),
        (15, "arm.tool.kind"),
        (16, "arm.adress"),
        (19, "cameras.front.driver"),
    ]
    assert found[4].cure == "did you mean gripper?"


def test_an_empty_section_of_cameras(cell_file: Path, registry: Registry) -> None:
    cell_file.write_text(GOOD[: GOOD.index("cameras:")] + "cameras: {}\n")
    with pytest.raises(ConfigError, match="cameras: holds 0 items"):
        load_cell(cell_file, registry)


def test_a_speed_at_the_limit_is_within_it(cell_file: Path, registry: Registry) -> None:
    cell = load_cell_from(GOOD.replace("4 mm", "25 mm").replace("0.2}", "0.3}"), cell_file, registry)
    assert cell.config.control.step_m * cell.config.control.rate_hz == 0.25


def test_a_half_turn_that_was_rounded_up_is_a_rotation(cell_file: Path, registry: Registry) -> None:
    assert load_cell_from(GOOD.replace("180 deg", "3.1416"), cell_file, registry)


def test_what_lies_in_a_workspace() -> None:
    box = Workspace(min_m=(-0.1, -0.1, -0.1), max_m=(0.1, 0.1, 0.2))
    assert box.contains([0.1, 0.0, 0.2])
    assert not box.contains([0.0, 0.0, 0.21])
    assert box.contains([0.0, 0.0, 0.21], slack_m=0.02)
    assert not box.contains([0.0, np.nan, 0.0])


# --- finding -----------------------------------------------------------------------------------------------------


def test_a_name_is_looked_for_here_and_then_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry
) -> None:
    monkeypatch.chdir(tmp_path)
    packaged = tmp_path / "package"
    (packaged / "cell_configs").mkdir(parents=True)
    (packaged / "cell_configs" / "sim.yaml").write_text(GOOD)
    (packaged / "cell_configs" / "other.yaml").write_text(GOOD)
    monkeypatch.setattr(cell_config, "__file__", str(packaged / "cell_config.py"))
    assert find_cell("sim") == packaged / "cell_configs" / "sim.yaml"
    (tmp_path / "cell_configs").mkdir()
    (tmp_path / "cell_configs" / "sim.yaml").write_text(GOOD)
    assert find_cell("sim") == Path("cell_configs/sim.yaml")
    assert set(cell_names()) == {"sim", "other"}
    with pytest.raises(UnknownNameError) as caught:
        load_cell("smi", registry)
    assert caught.value.cure == "did you mean sim?"


def test_what_looks_like_a_path_is_a_path(registry: Registry, tmp_path: Path) -> None:
    for text in ("cells/a", "a.yaml", "a.yml"):
        assert find_cell(text) == Path(text)
    assert find_cell(Path("a")) == Path("a")
    with pytest.raises(ConfigError, match="there is no such file"):
        load_cell(str(tmp_path / "a.yaml"), registry)


def test_the_default_cell_can_be_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_cell(cell_config.DEFAULT_CELL).is_file()


@pytest.mark.parametrize("name", sorted(cell_names()))
def test_the_cells_that_come_along_are_right(name: str) -> None:
    document = yaml.safe_load(cell_names()[name].read_text())
    assert CellConfig.model_validate_json(json.dumps(document)).name == name


# --- schema ------------------------------------------------------------------------------------------------------


def is_valid(schema: dict[str, Any], text: str) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(yaml.safe_load(text)))


def test_the_schema_is_one_and_takes_what_is_loaded(registry: Registry) -> None:
    schema = cell_schema(registry)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert is_valid(schema, GOOD)
    assert is_valid(schema, GOOD + "simulation: {driver: flat, noise: 0.5}\n")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema: 1", "schema: 2"),
        ("views:", "veiws:"),
        ("4 mm", "4 kg"),
        ("4 mm", "4"),
        ("driver: toy", "driver: tow"),
        ("  driver: toy\n", ""),
        ("address:", "adress:"),
        ("address: 10.0.0.5", "address: 3"),
        ("address:", "tool: {kind: gripr}\n  address:"),
        ("15 Hz", "15 m"),
        ("{driver: eye}", "{driver: toy}"),
        ("left:", "left eye:"),
        ("rotvec_rad: [0, 180 deg, 0]", "rotvec_rad: [0, 180 deg]"),
    ],
)
def test_the_schema_refuses_what_is_refused(registry: Registry, cell_file: Path, old: str, new: str) -> None:
    assert not is_valid(cell_schema(registry), GOOD.replace(old, new))
    assert faults(cell_file, registry, (old, new))


def test_the_schema_completes_the_options_of_the_driver(registry: Registry) -> None:
    schema = cell_schema(registry)
    options = schema["$defs"]["arms.toy"]
    assert set(options["properties"]) == {"driver", "address", "tool"}
    assert options["properties"]["tool"]["$ref"] == "#/$defs/arms.toy.Tool"
    assert "arms.toy.Tool" in schema["$defs"]
    assert schema["$defs"]["arm"]["properties"]["driver"]["enum"] == ["toy"]


def test_a_schema_without_simulations_refuses_them() -> None:
    plugin = SimpleNamespace(
        skillcore_arms=hookimpl(lambda: parts(toy=ToyArm)), skillcore_cameras=hookimpl(lambda: parts(eye=Eye))
    )
    schema = cell_schema(Registry.from_modules({"toys": plugin}))
    jsonschema.Draft202012Validator.check_schema(schema)
    assert is_valid(schema, GOOD)
    assert not is_valid(schema, GOOD + "simulation: {driver: flat}\n")


def test_options_that_have_no_schema_are_told_with_their_plugin() -> None:
    class Odd(StrictModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        thing: SimpleNamespace | None = None

    plugin = SimpleNamespace(skillcore_arms=hookimpl(lambda: parts(odd=Odd)))
    with pytest.raises(PluginError, match="options of arm 'odd' have no schema") as caught:
        cell_schema(Registry.from_modules({"odds": plugin}))
    assert "'odds'" in caught.value.what


def test_a_model_of_itself_has_a_schema() -> None:
    schema = cell_schema(
        Registry.from_modules({"trees": SimpleNamespace(skillcore_arms=hookimpl(lambda: parts(tree=Tree)))})
    )
    jsonschema.Draft202012Validator.check_schema(schema)
    document = copy.deepcopy(yaml.safe_load(GOOD))
    document["arm"] = {"driver": "tree", "below": {"below": {}}}
    validator = jsonschema.Draft202012Validator(schema)
    assert not [error for error in validator.iter_errors(document) if error.path and error.path[0] == "arm"]
    document["arm"]["below"]["over"] = 1
    assert [error for error in validator.iter_errors(document) if error.path and error.path[0] == "arm"]


class Tree(StrictModel):
    below: "Tree | None" = None
