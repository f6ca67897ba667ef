"""Changes a store again and again, and is killed at a later step each time, until a change ends well.

    python store_changer.py FOLDER OPERATION

A step is whatever the operating system is asked to make, write, rename or remove. Each attempt has a fresh copy of the
same store and is a process of its own, ended by SIGKILL just before its step number 1, 2, 3 ... Another process then
looks at what is left, as the next command would. A line of JSON is printed for each attempt:

    step       the step before which it was killed; null for the one that ended well
    ids        ids of the episodes in the store, in their order
    labels     how many corrections there are
    findings   kinds of what `verify` finds, after the store was opened
    out        what lies in the folder of the new store: episodes of each part, or null if it is not there
    left       what else lies beside it, after the same was done once more and ended well
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from skillcore.episodes import EpisodeStore
from skillcore.episodes.combining import by_share, merge, split
from skillcore.episodes.index import Index

spec = importlib.util.spec_from_file_location("store_writer", Path(__file__).with_name("store_writer.py"))
assert spec is not None
assert spec.loader is not None
writer = importlib.util.module_from_spec(spec)
spec.loader.exec_module(writer)

STEPS = ("open", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def in_a_process(work: Callable[[], None]) -> int:
    """Does the work in a child; returns how that ended, negative for a signal. Libraries start threads, which no fork
    survives, so that nothing is done in the parent."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def make(folder: Path) -> None:
    for name, seeds in (("store", range(4)), ("other", range(10, 12))):
        with EpisodeStore(folder / name) as store:
            rows = store.append_many(writer.make_episode(seed) for seed in seeds)
            store.relabel(rows[1].id, True, who="ada")
    with EpisodeStore(folder / "store") as store:
        store.delete([store.append(writer.make_episode(20)).id])


def die_at(step: int) -> None:
    """From now on step number `step` is not reached alive."""
    counted = itertools.count(1)

    def guarded(name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if (name != "open" or arguments[1] & WRITES) and next(counted) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return do(*arguments, **more)

        return call

    for name in STEPS:
        setattr(os, name, guarded(name, getattr(os, name)))
    Index.change = guarded("change", Index.change)  # type: ignore[method-assign]


def change(operation: str, place: Path) -> None:
    store = EpisodeStore(place / "store", create=False)
    ids = [row.id for row in store.rows()]
    if operation == "delete":
        store.delete(ids[1:3])
    if operation == "restore":
        store.restore()
    if operation == "relabel":
        store.relabel(ids[0], True, who="ada")
    if operation == "merge":
        merge([place / "store", place / "other"], place / "new")
    if operation == "split":
        split(place / "store", place / "new", by_share(store.rows(), 0.5, 0))


def look(place: Path, operation: str, step: int | None) -> None:
    with EpisodeStore(place / "store", create=False) as store:
        told: dict[str, Any] = {"step": step, "ids": [row.id for row in store.rows()]}
        told["labels"] = sum(map(len, store.corrections().values()))
        for row in store.rows():
            store.read(row.id)
        told["findings"] = sorted({finding.kind for finding in store.verify()})
    new = place / "new"
    told["out"] = None
    if new.exists():
        parts = [new] if (new / "index.sqlite").exists() else sorted(new.iterdir())
        told["out"] = [len(EpisodeStore(part, create=False)) for part in parts]
        told["findings"] += [finding.kind for part in parts for finding in EpisodeStore(part).verify()]
    elif operation in ("merge", "split"):
        change(operation, place)
    told["left"] = sorted(path.name for path in place.iterdir() if path.name not in ("store", "other", "new"))
    print(json.dumps(told))


def main(folder: Path, operation: str) -> int:
    assert in_a_process(lambda: make(folder / "made")) == 0
    for step in itertools.count(1):
        place = folder / str(step)
        shutil.copytree(folder / "made", place)

        def attempt(place: Path = place, step: int = step) -> None:
            # What comes before is another command's.
            EpisodeStore(place / "store", create=False).close()
            die_at(step)
            change(operation, place)

        code = in_a_process(attempt)
        killed = code == -signal.SIGKILL
        if not killed and code != 0:
            return 1
        died_at = step if killed else None
        if in_a_process(partial(look, place, operation, died_at)):
            return 1
        shutil.rmtree(place)
        if not killed:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
