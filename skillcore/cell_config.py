"""A cell file: its model, where it is found, and the schema that lets an editor complete it.

    # yaml-language-server: $schema=cell.schema.json        (written by `skill cell schema`)
    schema: 1
    name: sim
    control: {rate_hz: 10, step_m: 4 mm, turn_step_rad: 0.2}
    safety: {workspace: {min_m: [-0.05, -0.05, -0.03], max_m: [0.05, 0.05, 0.10]}}
    fixture: {position_m: [0.5, 0, 0.1], rotvec_rad: [0, 180 deg, 0]}
    simulation: {driver: mujoco}
    arm: {driver: mujoco}
    cameras: {left: {driver: mujoco}}

Each `driver` is a part some plugin offers; the other fields beside it are validated by that part's own model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from skillcore.config import (
    ANGLE,
    FORCE,
    FREQUENCY,
    LENGTH,
    SPEED,
    TURN_SPEED,
    Document,
    StrictModel,
    Triple,
    all_wrong,
    check,
    wrong,
)
from skillcore.errors import ConfigError, Fault, UnknownNameError, suggest
from skillcore.parts import Context
from skillcore.plugins import Kind, RegisteredPart, Registry, singular
from skillcore.types import Pose
from skillcore.yamlfile import Place, read_yaml

DEFAULT_CELL = "sim"

SCHEMA = 1
"""The version of cell files that is read here."""

APPROACH_M = 0.03
"""How far in front of the socket's mouth the workspace must reach, so that a plug can be brought to it."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class Control(StrictModel):
    """What an action means.

    rate_hz: actions a second. step_m, turn_step_rad: the displacement and the turn of an action of 1.
    """

    rate_hz: Annotated[float, FREQUENCY.within(1.0, 100.0)] = 10.0
    step_m: Annotated[float, LENGTH.within(1e-4, 0.05)] = 0.004
    turn_step_rad: Annotated[float, ANGLE.within(1e-3, 1.0)] = 0.2


class Views(StrictModel):
    """How the policy sees. size_px: width and height that each camera's image is brought to."""

    size_px: Annotated[int, Field(ge=16, le=512)] = 64


class Workspace(StrictModel):
    """The box the tool centre point must not leave: corners relative to the fixture, in base axes."""

    min_m: Triple[Annotated[float, LENGTH.within(-1.0, 1.0)]]
    max_m: Triple[Annotated[float, LENGTH.within(-1.0, 1.0)]]

    @model_validator(mode="after")
    def _opens(self) -> Workspace:
        faults = [
            (f"max_m.{index}", f"{high:g} m is not above min_m[{index}], which is {low:g} m", "swap the two")
            for index, (low, high) in enumerate(zip(self.min_m, self.max_m, strict=True))
            if not low < high
        ]
        if faults:
            raise all_wrong(faults)
        return self

    def contains(self, offset_m: Any, *, slack_m: float = 0.0) -> bool:
        """Whether a point (3,) in m, relative to the fixture along the axes of the base, is in the box."""
        offset = np.asarray(offset_m, dtype=np.float64)
        low, high = np.array(self.min_m) - slack_m, np.array(self.max_m) + slack_m
        return bool(np.all(offset >= low) and np.all(offset <= high))

    def nearest_side(self, offset_m: Any) -> tuple[float, str]:
        """How far inside the box such a point is, negative outside, and the side that counts: "+x", "-z", ...

        Outside, it is the side that the point is farthest beyond.
        """
        offset = np.asarray(offset_m, dtype=np.float64)
        inside = {f"-{axis}": float(offset[i] - self.min_m[i]) for i, axis in enumerate("xyz")}
        inside |= {f"+{axis}": float(self.max_m[i] - offset[i]) for i, axis in enumerate("xyz")}
        side = min(inside, key=lambda name: inside[name])
        return inside[side], side


class Safety(StrictModel):
    """The envelope the guard keeps the arm in.

    The guard keeps the force below force_limit_n, and ends the motion above hard_force_limit_n.
    """

    workspace: Workspace
    speed_limit_m_s: Annotated[float, SPEED.within(0.001, 2.0)] = 0.25
    turn_speed_limit_rad_s: Annotated[float, TURN_SPEED.within(0.01, 10.0)] = 3.0
    force_limit_n: Annotated[float, FORCE.within(1.0, 500.0)] = 50.0
    hard_force_limit_n: Annotated[float, FORCE.within(1.0, 1000.0)] = 90.0

    @model_validator(mode="after")
    def _hard_is_above(self) -> Safety:
        if not self.hard_force_limit_n > self.force_limit_n:
            hard, soft = self.hard_force_limit_n, self.force_limit_n
            reason = f"{hard:g} N is not above force_limit_n, which is {soft:g} N"
            raise wrong(reason, "raise it, or lower force_limit_n", field="hard_force_limit_n")
        return self


class Fixture(StrictModel):
    """Where the socket is mounted, seen from the base: the centre of its mouth, its z axis pointing into it.

    rotvec_rad: rotation vector as robot controllers write it; [0, 180 deg, 0] is a socket that opens upwards.
    """

    position_m: Triple[Annotated[float, LENGTH.within(-3.0, 3.0)]]
    rotvec_rad: Triple[Annotated[float, ANGLE.within(-math.tau, math.tau)]]

    @model_validator(mode="after")
    def _turns_once(self) -> Fixture:
        angle = math.hypot(*self.rotvec_rad)
        if angle > math.tau + 1e-3:
            reason = f"turns by {angle:.4g} rad, which is more than once around"
            raise wrong(reason, "write the rotation vector in rad, or its parts as '90 deg'", field="rotvec_rad")
        return self

    @property
    def socket_from_base(self) -> Pose:
        return Pose.from_rotvec(self.position_m, self.rotvec_rad)


class DriverSection(StrictModel):
    """A device: the part that drives it, and that part's own options beside it."""

    model_config = ConfigDict(extra="allow")

    driver: str

    @property
    def options(self) -> dict[str, Any]:
        """The options as they were written."""
        return dict(self.model_extra or {})


def _known_schema(value: Any) -> Any:
    if isinstance(value, int) and value != SCHEMA:
        cure = f"write `schema: {SCHEMA}`; if the file is for a newer skillcore, update skillcore"
        raise wrong(f"schema {value} is not known to this skillcore, which reads schema {SCHEMA}", cure)
    return value


class CellConfig(StrictModel):
    """One cell: an arm, its cameras, and where it may move. cameras: in the order of the policy's views."""

    schema_version: Annotated[Literal[1], BeforeValidator(_known_schema)] = Field(alias="schema")
    name: Name
    description: str = ""
    control: Control = Control()
    views: Views = Views()
    safety: Safety
    fixture: Fixture
    simulation: DriverSection | None = None
    arm: DriverSection
    cameras: Annotated[dict[Name, DriverSection], Field(min_length=1)]

    @model_validator(mode="after")
    def _fits_together(self) -> CellConfig:
        faults = []
        control, safety = self.control, self.safety
        speed, limit = control.step_m * control.rate_hz, safety.speed_limit_m_s
        if speed > limit * (1 + 1e-9):
            reason = f"{control.step_m:g} m at {control.rate_hz:g} Hz is {speed:g} m/s, above safety.speed_limit_m_s"
            cure = f"write at most {limit / control.rate_hz:g}, or raise the limit of {limit:g} m/s"
            faults.append(("control.step_m", reason, cure))
        turn, limit = control.turn_step_rad * control.rate_hz, safety.turn_speed_limit_rad_s
        if turn > limit * (1 + 1e-9):
            reason = (
                f"{control.turn_step_rad:g} rad at {control.rate_hz:g} Hz is {turn:g} rad/s, "
                "above safety.turn_speed_limit_rad_s"
            )
            cure = f"write at most {limit / control.rate_hz:g}, or raise the limit of {limit:g} rad/s"
            faults.append(("control.turn_step_rad", reason, cure))
        outside = self._approach_outside()
        if outside is not None:
            reason = f"the approach to the socket lies outside: {outside} relative to the fixture"
            cure = f"it must hold the socket's mouth and {APPROACH_M * 1e3:g} mm in front of it (its -z axis)"
            faults.append(("safety.workspace", reason, cure))
        if faults:
            raise all_wrong(faults)
        return self

    def _approach_outside(self) -> str | None:
        """A point of the approach that is outside the workspace, if there is one.

        The box is convex, so that it is enough to look at both ends.
        """
        into_socket = self.fixture.socket_from_base.rotation[:, 2]
        for distance in (0.0, APPROACH_M):
            point = -distance * into_socket
            if not self.safety.workspace.contains(point, slack_m=1e-6):
                return "[" + ", ".join(f"{value + 0.0:.3g}" for value in point.round(6)) + "] m"
        return None


# --- finding and loading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Driver:
    """A device of a cell, resolved: `key` is what the file calls it, `options` are valid for `part`."""

    key: str
    part: RegisteredPart
    options: StrictModel

    def make(self, context: Context) -> Any:
        """The device, not connected yet. Raises PluginError."""
        return self.part.make(self.options, context)


@dataclass(frozen=True, slots=True, eq=False)
class TaughtSocket:
    """Where the socket of one variant is, as somebody has shown by hand; see `skillcore.taught`. file: what says so."""

    socket_from_base: Pose
    taught_at: str
    file: Path


@dataclass(frozen=True, slots=True)
class LoadedCell:
    """A cell `file` that is right in itself: what it says (`config`), with the drivers of simulation (None for a real
    cell), arm and cameras, in the order of the views.

    taught: where the socket is, if that was taught for what is to be done in the cell; the fixture of the cell file
    says it otherwise. The workspace lies around the fixture, whatever was taught.
    """

    file: Path
    config: CellConfig
    simulation: Driver | None
    arm: Driver
    cameras: Mapping[str, Driver]
    taught: TaughtSocket | None = None

    @property
    def name(self) -> str:
        """As the cell file has it."""
        return self.config.name

    @property
    def socket_from_base(self) -> Pose:
        """Where the socket is."""
        return self.config.fixture.socket_from_base if self.taught is None else self.taught.socket_from_base

    def drivers(self) -> list[Driver]:
        """All of them, in the order in which they are opened."""
        first = [self.simulation] if self.simulation else []
        return [*first, self.arm, *self.cameras.values()]


def load_cell(path_or_name: str | Path, registry: Registry) -> LoadedCell:
    """Loads a cell from a file, or by the name of a file in one of `cell_folders()`.

    Raises UnknownNameError if no cell has that name, ConfigError with all faults of the file and of its
    drivers' options at once.
    """
    path = find_cell(path_or_name)
    document = read_yaml(path)
    config, faults = check(document, CellConfig)
    drivers: dict[Place, Driver] = {}
    for place, kind in _driver_places(document):
        driver, more = _resolve(document, place, kind, registry)
        faults += more
        if driver is not None:
            drivers[place] = driver
    if config is None or faults:
        raise ConfigError(sorted(dict.fromkeys(faults), key=lambda fault: fault.line or 0))
    cameras = {key: drivers["cameras", key] for key in config.cameras}
    return LoadedCell(path, config, drivers.get(("simulation",)), drivers[("arm",)], cameras)


def cell_folders() -> list[Path]:
    """Where cells are looked for by name: `cell_configs` here, and the cells that come with skillcore."""
    package = Path(__file__).resolve().parent
    folders = [Path("cell_configs"), package / "cell_configs", package.parent / "cell_configs"]
    return [folder for folder in folders if folder.is_dir()]


def cell_names() -> dict[str, Path]:
    """All cells that can be named, with their files. A cell here goes before a packaged one of that name."""
    found: dict[str, Path] = {}
    for folder in cell_folders():
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def find_cell(path_or_name: str | Path) -> Path:
    """The file of a cell. What looks like a path is one, even if there is none. Raises UnknownNameError."""
    text = str(path_or_name)
    looks_like_path = "/" in text or "\\" in text or text.endswith((".yaml", ".yml"))
    if isinstance(path_or_name, Path) or looks_like_path:
        return Path(path_or_name)
    names = cell_names()
    if text not in names:
        raise UnknownNameError("cell", text, names, where="cell_configs")
    return names[text]


def _driver_places(document: Document) -> list[tuple[Place, Kind]]:
    """Where the drivers stand in a cell file, as far as it has the form of one."""
    places: list[tuple[Place, Kind]] = [(("arm",), "arms")]
    if document.at(("simulation",)) is not None:
        places.append((("simulation",), "simulations"))
    cameras = document.at(("cameras",))
    places += [(("cameras", key), "cameras") for key in cameras] if isinstance(cameras, Mapping) else []
    return places


def _resolve(document: Document, place: Place, kind: Kind, registry: Registry) -> tuple[Driver | None, list[Fault]]:
    """The driver named at a place, and what is wrong with its name or options."""
    name = document.at((*place, "driver"))
    if not isinstance(name, str):
        return None, []  # the cell's own model complains
    names = [part.name for part in registry.parts(kind)]
    if name not in names:
        reason = f"there is no {singular(kind)} named {name!r}"
        return None, [document.fault((*place, "driver"), reason, suggest(name, names))]
    part = registry.get(kind, name)
    options, faults = check(document, part.part.config, at=place, without=("driver",))
    if options is None:
        return None, faults
    return Driver(str(place[-1]), part, cast(StrictModel, options)), []
