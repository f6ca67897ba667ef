"""A first mapping for a dataset, to be looked through by a person: what its names suggest, and all fields beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from skillcore.exchange.bring_in import Description
from skillcore.exchange.source import Field

_POSITIONS = ("obs/robot0_eef_pos", "observation.eef_pos", "observation.ee_pos")
_TURNS = {"obs/robot0_eef_quat": "quaternion_xyzw", "observation.eef_quat": "quaternion_xyzw"}
_REWARDS = ("next.reward", "reward", "rewards")
_SUCCESSES = ("next.success", "is_success", "success", "next.done", "dones")


def draft_of(found: Description) -> str:
    """The YAML text."""
    fields = found.fields
    numbers = {name: field for name, field in fields.items() if field.kind == "numbers"}
    views = [name for name, field in fields.items() if field.kind in ("image", "video")]
    lines = [
        f"# A mapping of {found.form} with {len(found.names)} episodes. It is guessed from names: look through it.",
        "# The fields of the data:",
        *(f"#   {_quoted(name)}: {field}{_labels(field)}" for name, field in fields.items()),
        "schema: 1",
        "skill: insertion",
        "cell: imported",
        "# variant: usb_a              # of all episodes; without it, the text of an episode's task",
        "control_hz: 10                # the data do not say it" if found.rate_hz is None else "",
        "images:",
        f"  views: [{', '.join(_quoted(name) for name in views)}]",
        "  fit: crop                   # the middle square; or pad, keep",
        "  size_px: 64                 # as the cell's views",
        *_pose(numbers),
        *_action(numbers),
        *_label("reward", _REWARDS, numbers),
        *_label("success", _SUCCESSES, numbers),
        f"last_frame: {'next_obs' if found.has_after else 'repeat'}",
    ]
    return "\n".join(line for line in lines if line) + "\n"


def _quoted(name: str) -> str:
    plain = name.replace("_", "").replace(".", "").replace("/", "").isalnum() and name[0].isalpha() and name.isascii()
    # JSON's strings are YAML's.
    return (
        name
        if plain and name not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
        else json.dumps(name)
    )


def _labels(field: Field) -> str:
    return f" ({', '.join(field.names)})".replace("\n", " ") if field.names else ""


def _first(names: Sequence[str], numbers: dict[str, Field], width: int) -> str | None:
    return next((name for name in names if name in numbers and numbers[name].width == width), None)


def _pose(numbers: dict[str, Field]) -> list[str]:
    position = _first(_POSITIONS, numbers, 3)
    turn = _first(list(_TURNS), numbers, 4)
    if position and turn:
        return [
            "pose:",
            f"  position: {{field: {position}}}",
            f"  rotation: {{field: {turn}, form: {_TURNS[turn]}}}",
            "  seen_from: base",
        ]
    state = next((name for name, field in numbers.items() if "state" in name and field.width >= 6), None)
    if state is None:
        return ["# pose: the data have no field that looks like one"]
    return [
        "# pose:                       # if these are numbers of the tool's pose",
        f"#   position: {{field: {_quoted(state)}, columns: [0, 1, 2]}}",
        f"#   rotation: {{field: {_quoted(state)}, columns: [3, 4, 5], form: rotation_vector}}",
        "#   seen_from: base",
    ]


def _action(numbers: dict[str, Field]) -> list[str]:
    name = next((name for name in ("action", "actions") if name in numbers), None)
    if name is None:
        return ["# action: the data have no field that looks like one"]
    width = numbers[name].width
    # Six or seven are commonly a displacement, a rotation vector and a gripper.
    columns = [0, 1, 2, 5] if width in (6, 7) else [number if number < width else None for number in range(4)]
    told = ", ".join("null" if column is None else str(column) for column in columns)
    return [
        "action:",
        f"  field: {_quoted(name)}",
        f"  columns: [{told}]       # x, y, z, yaw",
        "  scale: 1                    # so that all lie in [-1, 1]",
        f"  frame: {'base' if width in (6, 7) and _first(_POSITIONS, numbers, 3) else 'tool'}",
    ]


def _label(key: str, names: Sequence[str], numbers: dict[str, Field]) -> list[str]:
    name = _first(names, numbers, 1)
    return [f"{key}: {{field: {_quoted(name)}}}"] if name else []
