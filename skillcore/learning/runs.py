"""Run folders: one for each command that moves an arm, in the home's `runs/`."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skillcore.errors import InputError
from skillcore.home import folder
from skillcore.storage import make_folder_durably, write_json_durably

if TYPE_CHECKING:
    pass

ABOUT, RESULTS = "run.json", "results.json"


def new_run(command: str, skill: str, variant: str, about: dict[str, Any]) -> Path:
    """Makes a run's folder and writes down what it is."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%d-%H%M%S}-{command}-{skill}-{variant.replace('/', '_')}-{secrets.token_hex(2)}"
    place = folder("runs") / name
    make_folder_durably(place)
    write_json_durably(
        place / ABOUT,
        {"command": command, "skill": skill, "variant": variant, "began": now.isoformat(timespec="seconds"), **about},
    )
    return place


def read_run(place: Path) -> dict[str, Any]:
    """What a run is. Raises InputError if the folder is none, or damaged."""
    path = place / ABOUT
    try:
        about: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{place}: is no run: there is no {ABOUT}", cure=f"see {folder('runs')}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged: {error}", cure="begin anew, without --resume") from error
    if not isinstance(about, dict):
        raise InputError(f"{path}: damaged: holds no mapping", cure="begin anew, without --resume")
    return about


def read_results(place: Path) -> dict[str, Any] | None:
    """What came of a run; None while it is not finished. Raises InputError if the file is damaged."""
    path, cure = place / RESULTS, "put back a copy of the file"
    try:
        found: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: damaged: {error}", cure=cure) from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: damaged: holds no mapping", cure=cure)
    return found


def unfinished_run(command: str, wanted: dict[str, Any]) -> Path | None:
    """The newest run of that command that has no results yet and was begun with the settings `wanted`."""
    for place in sorted(folder("runs").glob(f"*-{command}-*"), reverse=True):
        if (place / RESULTS).exists() or not (place / ABOUT).exists():
            continue
        about = read_run(place)
        if all(about.get(name) == value for name, value in wanted.items()):
            return place
    return None
