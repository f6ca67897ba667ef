"""A mapping: which fields of other tools' data are what in an episode, written as YAML.

Faults name file, line and field; a field that the dataset does not have is told with the nearest that it has.
"""

from __future__ import annotations

from collections.abc import Mapping as Named
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field as Checked
from pydantic import model_validator

from skillcore.config import ANGLE, FREQUENCY, LENGTH, Document, StrictModel, validate, wrong
from skillcore.errors import ConfigError, Fault, suggest
from skillcore.exchange.pictures import MAX_SIDE_PX, Fit, Manner
from skillcore.exchange.source import MAX_WIDTH, Field
from skillcore.exchange.strangers import shown
from skillcore.yamlfile import Place, read_yaml

Column = Annotated[int, Checked(ge=0, lt=MAX_WIDTH)]
Turn = Literal["rotation_vector", "quaternion_xyzw", "quaternion_wxyz", "euler_xyz"]
TURN_WIDTHS: dict[Turn, int] = {"rotation_vector": 3, "quaternion_xyzw": 4, "quaternion_wxyz": 4, "euler_xyz": 3}
ACTION_WIDTH = 4


class Images(StrictModel):
    """The views, in the cell's order. fit: what becomes of images that are not square. size_px: their side then."""

    views: Annotated[tuple[str, ...], Checked(min_length=1, max_length=16)]
    fit: Manner = "crop"
    size_px: Annotated[int, Checked(ge=8, le=MAX_SIDE_PX)] | None = None


class Numbers(StrictModel):
    """Some numbers of a field, each multiplied by `scale`. columns: which; without them all, from the first on."""

    field: str
    columns: tuple[Column, ...] | None = None
    scale: float = 1.0


class Orientation(StrictModel):
    """How the tool is turned, and in which form that is written. Angles are in rad."""

    field: str
    form: Turn
    columns: tuple[Column, ...] | None = None


class PoseFields(StrictModel):
    """The pose of the tool. position: 3 numbers, in m after `scale`. seen_from: the robot's base, or the episode's
    start, as in an episode."""

    position: Numbers
    rotation: Orientation
    seen_from: Literal["base", "start"] = "base"


class ActionFields(StrictModel):
    """What was asked for: 4 numbers x, y, z, yaw, in [-1, 1] after `scale`; `null` where there is no such number.

    frame: along whose axes they are. clip: brings what lies outside of [-1, 1] back in; else it is refused.
    """

    field: str
    columns: Annotated[tuple[Column | None, ...], Checked(min_length=4, max_length=4)] = (0, 1, 2, 3)
    scale: Annotated[tuple[float, ...], Checked(min_length=4, max_length=4)] | float = 1.0
    frame: Literal["tool", "base"] = "tool"
    clip: bool = False


class Motion(StrictModel):
    """Actions are told from how the tool moved between two frames. step_m, turn_step_rad: as in the cell file."""

    step_m: Annotated[float, LENGTH.within(1e-5, 1.0)]
    turn_step_rad: Annotated[float, ANGLE.within(1e-4, 10.0)]


class Success(StrictModel):
    """Success is where the field is above `above`. of: the frame itself, or the next, as in `next.success`."""

    field: str
    above: float = 0.5
    of: Literal["frame", "next"] = "next"


class Mapping(StrictModel):
    """What becomes of a dataset's fields. Without pose, wrench or reward there is 0 throughout; without success no
    frame is labelled.

    variant: of all episodes; variants: by the text of their task. Without either the task's text is the variant.
    last_frame: what the data's last frame is. With `repeat` an action was taken in it, and it stands in for the
    observation afterwards too; with `observation` it is the observation after the last action; with `next_obs` the data
    has that by itself.
    """

    schema_version: Literal[1] = Checked(default=1, alias="schema")
    skill: str = "insertion"
    variant: str | None = None
    variants: dict[str, str] | None = None
    cell: str = "imported"
    control_hz: Annotated[float, FREQUENCY.within(0.1, 1000.0)] | None = None
    images: Images
    pose: PoseFields | None = None
    wrench: Numbers | None = None
    action: ActionFields | None = None
    action_from_motion: Motion | None = None
    reward: Numbers | None = None
    success: Success | None = None
    success_at_end: bool = False
    last_frame: Literal["repeat", "observation", "next_obs"] = "repeat"

    @model_validator(mode="after")
    def _fits_together(self) -> Mapping:
        if (self.action is None) == (self.action_from_motion is None):
            raise wrong("needs `action` or `action_from_motion`, and not both", "say where actions come from")
        needs_pose = self.action_from_motion is not None or (self.action is not None and self.action.frame == "base")
        if needs_pose and self.pose is None:
            raise wrong("is missing, and the action cannot be told without it", "add `pose:`", field="pose")
        if self.success is not None and self.success_at_end:
            raise wrong("cannot stand beside `success`", "remove one of them", field="success_at_end")
        if self.variant is not None and self.variants is not None:
            raise wrong("cannot stand beside `variant`", "remove one of them", field="variants")
        return self

    @property
    def fit(self) -> Fit:
        return Fit(self.images.fit, self.images.size_px)

    def places(self) -> list[tuple[Place, str, int | None]]:
        """Where fields of numbers are named: the place, the field, and how many numbers are needed (None: any)."""
        found: list[tuple[Place, str, int | None]] = []
        if self.pose is not None:
            found.append((("pose", "position"), self.pose.position.field, 3))
            found.append((("pose", "rotation"), self.pose.rotation.field, TURN_WIDTHS[self.pose.rotation.form]))
        if self.wrench is not None:
            found.append((("wrench",), self.wrench.field, 6))
        if self.action is not None:
            found.append((("action",), self.action.field, None))
        if self.reward is not None:
            found.append((("reward",), self.reward.field, 1))
        if self.success is not None:
            found.append((("success",), self.success.field, None))
        return found


def load_mapping(path: Path) -> tuple[Mapping, Document]:
    """Reads a mapping. Raises ConfigError with all that is wrong with it."""
    document = read_yaml(path)
    return validate(document, Mapping), document


def check_against(
    mapping: Mapping, document: Document, fields: Named[str, Field], *, rate_hz: float | None, has_after: bool
) -> None:
    """Raises ConfigError with all that does not fit the dataset, each with line and field."""
    faults = [
        *_view_faults(mapping, document, fields),
        *(fault for place, name, width in mapping.places() for fault in _faults(document, fields, place, name, width)),
    ]
    if rate_hz is None and mapping.control_hz is None:
        faults.append(document.fault(("control_hz",), "is missing, and the data do not say it", "add `control_hz: 20`"))
    if rate_hz is not None and mapping.control_hz not in (None, rate_hz):
        reason = f"is {mapping.control_hz:g} Hz, and the data say {rate_hz:g} Hz"
        faults.append(document.fault(("control_hz",), reason, "remove it"))
    if mapping.last_frame == "next_obs" and not has_after:
        cure = "write `repeat`, or `observation`"
        faults.append(document.fault(("last_frame",), "the data have no next_obs", cure))
    if faults:
        raise ConfigError(sorted(faults, key=lambda fault: fault.line or 0))


def _view_faults(mapping: Mapping, document: Document, fields: Named[str, Field]) -> list[Fault]:
    pictures = [name for name, field in fields.items() if field.kind in ("image", "video")]
    faults = []
    for number, name in enumerate(mapping.images.views):
        if name not in pictures:
            kind = "is no image" if name in fields else "is no field of the data"
            cure = suggest(name, [shown(one) for one in pictures]) if pictures else "the data have no images"
            faults.append(document.fault(("images", "views", number), f"{name!r} {kind}", cure))
    return faults


def _faults(document: Document, fields: Named[str, Field], place: Place, name: str, width: int | None) -> list[Fault]:
    numbers = [known for known, field in fields.items() if field.kind == "numbers"]
    if name not in numbers:
        kind = "does not hold plain numbers" if name in fields else "is no field of the data"
        cure = suggest(name, [shown(one) for one in numbers])
        return [document.fault((*place, "field"), f"{name!r} {kind}", cure)]
    has = fields[name].width
    columns = document.at((*place, "columns"))
    if columns is None:
        # An action's columns are the first four.
        needed = ACTION_WIDTH if place == ("action",) else 1 if place == ("success",) else width
        if needed is not None and has != needed and not (place == ("action",) and has > needed):
            reason = f"{name!r} has {fields[name]}, and {needed} are needed"
            return [document.fault((*place, "field"), reason, "name them with `columns:`")]
        return []
    faults = []
    if width is not None and len(columns) != width:
        faults.append(document.fault((*place, "columns"), f"holds {len(columns)} columns", f"{width} are needed"))
    for number, column in enumerate(columns):
        if column is not None and column >= has:
            reason = f"{name!r} has {fields[name]}, so that there is no column {column}"
            faults.append(document.fault((*place, "columns", number), reason, f"count from 0 to {has - 1}"))
    return faults
