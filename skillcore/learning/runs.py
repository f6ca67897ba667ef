"""Run folders: one for each command that moves an arm, in the home's `runs/`."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from skillcore.errors import InputError, StorageError
from skillcore.home import folder
from skillcore.storage import is_held, make_folder_durably, write_json_durably

ABOUT, RESULTS, LOCK = "run.json", "results.json", "run.lock"
LOOKING_S = 2.0
"""Who only looks whether a run is going on holds its lock for less than this."""


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


@contextlib.contextmanager
def working_on(place: Path) -> Iterator[None]:
    """Shows other processes that this one works on a run. They see it end however it ends: the lock is the operating
    system's.

    Raises InputError if another process works on it, StorageError if the lock cannot be made.
    """
    path = place / LOCK
    # A soft lock would outlive a killed process.
    lock = filelock.FileLock(path, timeout=LOOKING_S, fallback_to_soft=False, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        what = f"{place}: another process works on this run"
        raise InputError(what, cure=f"wait until it has ended, or end it; `fuser {path}` finds it") from None
    except (OSError, NotImplementedError, RuntimeError) as error:
        raise StorageError(f"cannot lock {path}: {error}", cure="use a home on a disk that knows locks") from error
    try:
        yield
    finally:
        lock.release()


def is_worked_on(place: Path) -> bool:
    """Whether a process is at work on a run just now."""
    return is_held(place / LOCK)


def read_run(place: Path) -> dict[str, Any]:
    """What a run is. Raises InputError if the folder is none, or damaged."""
    about = read_mapping(place / ABOUT, cure="begin anew, without --resume")
    if about is None:
        raise InputError(f"{place}: is no run: there is no {ABOUT}", cure=f"see {folder('runs')}")
    return about


def read_results(place: Path) -> dict[str, Any] | None:
    """What came of a run; None while it is not finished. Raises InputError if the file is damaged."""
    return read_mapping(place / RESULTS, cure="put back a copy of the file")


def read_mapping(path: Path, *, cure: str = "") -> dict[str, Any] | None:
    """What a JSON file of a run says; None where there is none. Raises InputError if it is damaged."""
    try:
        found: Any = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged: {error}", cure=cure) from error
    if not isinstance(found, dict):
        raise InputError(f"{path}: damaged: holds no mapping", cure=cure)
    return found


def unfinished_run(command: str, wanted: dict[str, Any], say: Callable[[str], None]) -> Path | None:
    """The newest run of that command that has no results yet and was begun with the settings `wanted`. say: is told of
    runs that are damaged, which are passed over; and, where there is none, how one of the same variant differs."""
    nearest: tuple[Path, list[str]] | None = None
    for place in sorted(folder("runs").glob(f"*-{command}-*"), reverse=True):
        if (place / RESULTS).exists() or not (place / ABOUT).exists():
            continue
        try:
            about = read_run(place)
        except InputError as error:
            say(f"passed over: {error.what}")
            continue
        other = [line for name, value in wanted.items() for line in _differences(name, about.get(name), value)]
        if not other:
            return place
        alike = all(about.get(name) == wanted.get(name) for name in ("skill", "variant"))
        if alike and (nearest is None or len(other) < len(nearest[1])):
            nearest = place, other
    if nearest is not None:
        say(f"{nearest[0]} is unfinished, and was begun otherwise: {'; '.join(nearest[1])}")
    return None


def check_unchanged(place: Path, now: dict[str, Any]) -> None:
    """Raises InputError that lists what a run noted otherwise than it is `now`: half of a run on one cell and half on
    another would say nothing about either."""
    about = read_run(place)
    changed = [line for name in now for line in _differences(name, about.get(name), now[name])]
    if changed:
        cure = "put back what was changed, or begin anew, without --resume"
        raise InputError(f"{place}: was begun otherwise: " + "; ".join(changed), cure=cure)


def _differences(name: str, noted: Any, now: Any) -> list[str]:
    if isinstance(noted, dict) and isinstance(now, dict):
        keys = sorted(noted.keys() | now.keys())
        return [line for key in keys for line in _differences(f"{name}.{key}", noted.get(key), now.get(key))]
    return [] if noted == now else [f"{name} was {noted}, and is {now}"]
