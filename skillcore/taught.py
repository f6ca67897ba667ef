"""Where sockets are, as somebody has shown by hand: one file for each cell, skill and variant, in the home's `taught/`.

    loaded = with_taught(loaded, find(loaded, skill, variant))      # open_cell and Cell.socket_from_base go by it

`skill teach` writes these files; `learn`, `eval` and `run` go by them. What was taught holds for the cell as it was
then: if its arm, its fixture or its simulation is described differently now, or the variant's depth, that is an error
that says so, and nothing falls back to the fixture in silence.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import numpy as np
import yaml
from pydantic import BeforeValidator, Field, model_validator

from skillcore.cell_config import APPROACH_M, Driver, LoadedCell, TaughtSocket
from skillcore.config import ANGLE, FORCE, LENGTH, StrictModel, Triple, load_yaml, wrong
from skillcore.errors import ConfigError, InputError
from skillcore.home import folder
from skillcore.skill import Seat, Skill, Variant
from skillcore.storage import make_folder_durably, storage_faults, write_durably
from skillcore.types import Array, Pose

SCHEMA = 1
"""The version of the files that is written and read here."""
SAME_DEPTH_M = 1e-5
"""Depths that differ by no more are the same."""
_HEADER = "# Written by `skill teach`: where the plug sits, seen from the robot's base. Teach anew, do not edit.\n"

DepthFrom = Literal["connector", "measured"]
Metres = Annotated[float, LENGTH.within(0.0, 1.0)]
Radians = Annotated[float, ANGLE.within(0.0, math.tau)]
Newtons = Annotated[float, FORCE.within(0.0, 1000.0)]


def _known_schema(value: Any) -> Any:
    if isinstance(value, int) and value != SCHEMA:
        raise wrong(f"schema {value} is not known to this skillcore, which reads schema {SCHEMA}", "teach anew")
    return value


class TaughtPose(StrictModel):
    """A pose of the TCP in the base frame: position and rotation vector."""

    position_m: Triple[Annotated[float, LENGTH.within(-10.0, 10.0)]]
    rotvec_rad: Triple[Annotated[float, ANGLE.within(-math.tau, math.tau)]]

    @classmethod
    def of(cls, pose: Pose) -> TaughtPose:
        x, y, z, *turn = np.round(pose.as_vector(), 9).tolist()
        return cls(position_m=(x, y, z), rotvec_rad=(turn[0], turn[1], turn[2]))

    @property
    def pose(self) -> Pose:
        return Pose.from_rotvec(self.position_m, self.rotvec_rad)


class TaughtIn(StrictModel):
    """The cell as it was: its file with its SHA-256, its arm, and a hash of each section that must not change."""

    name: str
    file: str
    file_sha256: str
    arm: str
    sections: dict[str, str]


class DrawnOut(StrictModel):
    """How the plug came out again: how far, how firmly it was held, and how far it strayed from the axis."""

    length_m: Metres
    along_n: Newtons
    aside_n: Newtons
    aside_m: Metres


class Taught(StrictModel):
    """What was shown by hand. seat: the mean of `poses`, which lie at most `spread_m` and `spread_rad` apart.

    approach_axis: the tool's z axis at the seat, in the base frame. depth_m: how far the seat lies beyond the mouth
    along it, which `depth_from` the connector's file says, or somebody has measured.
    """

    schema_version: Annotated[Literal[1], BeforeValidator(_known_schema)] = Field(alias="schema")
    skill: str
    variant: str
    taught_at: str
    taught_by: str
    cell: TaughtIn
    depth_m: Metres
    depth_from: DepthFrom
    seat: TaughtPose
    approach_axis: Triple[float]
    spread_m: Metres
    spread_rad: Radians
    poses: Annotated[tuple[TaughtPose, ...], Field(min_length=1, max_length=100)]
    drawn_out: tuple[DrawnOut, ...]

    @model_validator(mode="after")
    def _axis_is_the_seats(self) -> Taught:
        if not np.allclose(self.approach_axis, self.seat.pose.rotation[:, 2], atol=1e-4):
            raise wrong("is not the z axis of seat", "the file was changed by hand: teach anew", field="approach_axis")
        return self

    @property
    def socket_from_base(self) -> Pose:
        """The middle of the mouth, z into the socket."""
        return self.seat.pose @ Pose.from_xyz_yaw(0.0, 0.0, -self.depth_m, 0.0)


# --- in the box? -------------------------------------------------------------------------------------------------


def check_reach(loaded: LoadedCell, seat: Pose, depth_m: float) -> None:
    """Raises InputError, with figures, if the seat or the way to it is outside the cell's workspace."""
    faults = reach_faults(loaded, seat, depth_m)
    if faults:
        mouth = TaughtPose.of(seat @ Pose.from_xyz_yaw(0.0, 0.0, -depth_m, 0.0))
        position, turn = ([round(value, 5) for value in values] for values in (mouth.position_m, mouth.rotvec_rad))
        raise InputError(
            f"cell {loaded.name}: what was shown leaves the workspace: " + "; ".join(faults),
            cure=f"if the socket is there, write `fixture: {{position_m: {position}, rotvec_rad: {turn}}}` in "
            f"{loaded.file}, see that safety.workspace around it is right, and teach anew",
        )


def reach_faults(loaded: LoadedCell, seat: Pose, depth_m: float) -> list[str]:
    """Where the seat or the way to it is outside the cell's workspace.

    seat: the TCP's pose when seated. The way begins `APPROACH_M` in front of the mouth; the box is convex.
    """
    workspace, fixture = loaded.config.safety.workspace, np.array(loaded.config.fixture.position_m)
    faults = []
    for name, back_m in (("the seat", 0.0), (f"{APPROACH_M * 1e3:.0f} mm in front of the mouth", depth_m + APPROACH_M)):
        offset = seat.position_m - back_m * seat.rotation[:, 2] - fixture
        inside, side = workspace.nearest_side(offset)
        if inside < -1e-6:
            beyond = f"{-inside * 1e3:.1f} mm outside the workspace on its {side} side"
            faults.append(f"{name} is {beyond}, {in_mm(offset)} from the fixture")
    return faults


def in_mm(offset_m: Array) -> str:
    """A vector in m for a person to read."""
    return "[" + ", ".join(f"{value * 1e3 + 0.0:.1f}" for value in np.round(offset_m, 4)) + "] mm"


def apart(first: Pose, second: Pose) -> tuple[float, float]:
    """How far two poses are apart, in m, and turned against each other, in rad."""
    between = first.inverse() @ second
    return float(np.linalg.norm(between.position_m)), float(np.linalg.norm(between.rotvec_rad))


# --- writing -----------------------------------------------------------------------------------------------------


def taught_in(loaded: LoadedCell) -> TaughtIn:
    """The cell as it is. Raises StorageError if its file cannot be read."""
    with storage_faults("read", loaded.file):
        digest = hashlib.sha256(loaded.file.read_bytes()).hexdigest()
    source = loaded.arm.part.source
    return TaughtIn(
        name=loaded.name,
        file=str(loaded.file.resolve()),
        file_sha256=digest,
        arm=f"{loaded.arm.part.name} of {source.distribution}",
        sections=_sections(loaded),
    )


def _sections(loaded: LoadedCell) -> dict[str, str]:
    """A hash of each section of the cell file that decides what a pose in the base frame means."""
    sections: dict[str, Any] = {"fixture": loaded.config.fixture.model_dump(mode="json")}
    sections |= {driver.key: _told(driver) for driver in (loaded.arm, loaded.simulation) if driver is not None}
    return {name: _digest(value) for name, value in sections.items()}


def _told(driver: Driver) -> Any:
    # Only what the file says: a default that a later version changes or adds is no change of the cell.
    return {"driver": driver.part.name, **driver.options.model_dump(mode="json", exclude_unset=True)}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def save(taught: Taught) -> Path:
    """Writes the file, so that it survives a power cut. Raises StorageError."""
    path = _path(taught.cell.name, taught.skill, taught.variant)
    make_folder_durably(path.parent)
    told = taught.model_dump(mode="json", by_alias=True)
    text = yaml.dump(_quoted(told), Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=110)
    write_durably(path, (_HEADER + text).encode())
    return path


class _Quoted(str):
    """A text that is written in quotes, so that no reader takes it for a number."""


class _Dumper(yaml.SafeDumper):
    """Writes a file of ours."""


_Dumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')
)


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _quoted(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_quoted(one) for one in value]
    return _Quoted(value) if isinstance(value, str) else value


def forget(cell: str, skill: str, variant: str) -> Path:
    """Deletes what was taught. Raises InputError if nothing was."""
    path = _path(cell, skill, variant)
    with storage_faults("delete", path):
        try:
            path.unlink()
        except FileNotFoundError:
            raise InputError(
                f"nothing was taught of {variant} for cell {cell}", cure=f"skill teach {skill} --list shows what was"
            ) from None
    return path


# --- reading -----------------------------------------------------------------------------------------------------


def find(loaded: LoadedCell, skill: Skill, variant: Variant, *, named: str = "") -> Taught | None:
    """What was taught of a variant for a cell; None if nothing was. named: what the user calls the variant.

    Raises InputError if the file is damaged, or the cell or the variant is not what it was then.
    """
    path = _path(loaded.name, skill.name, variant.name)
    if not path.exists():
        return None
    cure = _commands(loaded, skill.name, named or variant.name)
    taught = _read(path, cure)
    faults = faults_of(taught, loaded, skill.seat(variant))
    if faults:
        when = f"{path}: what was taught of {variant.name} on {taught.taught_at} no longer holds: "
        whose = "" if taught.cell.file == str(loaded.file.resolve()) else f" (it was taught for {taught.cell.file})"
        raise InputError(when + "; ".join(faults) + whose, cure=cure)
    return taught


def with_taught(loaded: LoadedCell, taught: Taught | None) -> LoadedCell:
    """The cell with the socket where it was taught; the cell as it is for None."""
    if taught is None:
        return loaded
    path = _path(loaded.name, taught.skill, taught.variant)
    return replace(loaded, taught=TaughtSocket(taught.socket_from_base, taught.taught_at, path))


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in `taught/`. taught: what it says, or None if it is damaged; `fault` says how."""

    path: Path
    taught: Taught | None
    fault: str = ""


def entries(cell: str = "") -> Iterator[Entry]:
    """All that was taught, or all of one cell, by cell and variant."""
    for path in sorted(folder("taught").glob(f"{quote(cell, safe='') or '*'}/*.yaml")):
        try:
            yield Entry(path, _read(path, ""))
        except InputError as error:
            yield Entry(path, None, error.what)


def _path(cell: str, skill: str, variant: str) -> Path:
    name = f"{quote(skill, safe='')}-{quote(variant, safe='')}.yaml"
    return folder("taught") / quote(cell, safe="") / name


def _read(path: Path, cure: str) -> Taught:
    try:
        return load_yaml(path, Taught)
    except ConfigError as error:
        raise InputError(f"what was taught cannot be used:\n{error}", cure=cure) from error


def faults_of(taught: Taught, loaded: LoadedCell, seat: Seat | None) -> list[str]:
    """Why what was taught does not hold for a cell and, if `seat` is given, for the variant as it is now."""
    before, now = taught.cell.sections, _sections(loaded)
    faults = [
        f"`{name}` in {loaded.file} " + ("has changed" if name in before and name in now else "was added or taken out")
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    if seat is not None and taught.depth_from == "connector" and abs(seat.depth_m - taught.depth_m) > SAME_DEPTH_M:
        faults.append(f"its depth was {taught.depth_m * 1e3:g} mm and is {seat.depth_m * 1e3:g} mm")
    return faults + reach_faults(loaded, taught.seat.pose, taught.depth_m)


def _commands(loaded: LoadedCell, skill: str, variant: str) -> str:
    command = f"skill teach {skill} --connector {variant} --cell {loaded.file}"
    return f"teach anew: {command}\n     or go by the fixture of the cell file: {command} --forget"


def words(taught: Taught, loaded: LoadedCell) -> str:
    """A line on what was taught: when, by whom, how exactly, and how far from the cell file's fixture."""
    moved, turned = apart(loaded.config.fixture.socket_from_base, taught.socket_from_base)
    often = "once" if len(taught.poses) == 1 else f"{len(taught.poses)} times within {taught.spread_m * 1e3:.2f} mm"
    return (
        f"taught {taught.taught_at[:16].replace('T', ' ')} by {taught.taught_by}, {often}; "
        f"{moved * 1e3:.1f} mm and {math.degrees(turned):.1f} deg from the fixture of the cell file"
    )
