"""The process that reads a stranger's dataset, apart from the one that the user talks to: `python -m` this module.

Libraries that unpack Parquet, HDF5, video and images are large and written in C. What a hostile file does to them here
ends this process, at worst, and costs the episode that was being read. Its memory is limited, it has no terminal, and
it talks in lines of JSON:

    -> {"source": "/data/set"}
    <- {"form": "LeRobot v3.0", "rate_hz": 10.0, "names": [...], "fields": {...}, "has_after": false, "ours": true}
    -> {"mapping": {...} or null, "store": "/out", "origin": "/data/set", "first": 0}
    <- {"begun": 0}
    <- {"kept": 0}   or   {"refused": 0, "what": "...", "cure": "..."}
    <- {"ended": true}

An error of the whole is {"failed": "...", "kind": "...", "cure": "..."}.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import IO, Any

MEMORY_BYTES = 4 * 2**30
"""How much memory reading may take, beside what the libraries themselves need."""


def main() -> int:
    """Talks to the process that began this one."""
    # What a C library prints must not get between the lines of JSON.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from skillcore.errors import SkillcoreError

    try:
        _serve(sys.stdin, answers)
    except SkillcoreError as error:
        _say(answers, failed=error.what, kind=type(error).__name__, cure=error.cure)
    except MemoryError:
        _say(answers, failed="reading it needs more memory than it may take", kind="EpisodeError", cure="")
    return 0


def _say(answers: IO[str], **words: Any) -> None:
    answers.write(json.dumps(words) + "\n")
    answers.flush()


def _serve(questions: IO[str], answers: IO[str]) -> None:
    asked = json.loads(questions.readline())
    _limit_memory()
    source = open_source(Path(asked["source"]))
    fields = {name: dataclasses.asdict(field) for name, field in source.fields.items()}
    _say(
        answers,
        form=source.form,
        rate_hz=source.rate_hz,
        names=list(source.names),
        fields=fields,
        has_after=source.has_after,
        ours=source.ours is not None,
    )
    line = questions.readline()
    if line:
        _read_all(source, json.loads(line), answers)


def open_source(path: Path) -> Any:
    """The dataset at a path, by what lies there. Raises EpisodeError, InputError for a package that is missing."""
    from skillcore.errors import EpisodeError
    from skillcore.storage import there

    if there(path) and path.is_dir():
        from skillcore.exchange.lerobot_read import LeRobotSource

        return LeRobotSource(path)
    if path.is_file():
        from skillcore.exchange.robomimic import RobomimicSource

        return RobomimicSource(path)
    raise EpisodeError("there is no such folder or file")


def _limit_memory() -> None:
    """Lets this process have so much more memory than it has now, where the system can limit that."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - no file that anybody made
            used = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        wanted = used + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def _read_all(source: Any, asked: dict[str, Any], answers: IO[str]) -> None:
    from skillcore.episodes import EpisodeStore
    from skillcore.errors import EpisodeError
    from skillcore.exchange.convert import convert, restore, wanted_of, wanted_of_ours
    from skillcore.exchange.mapping import Mapping

    mapping = None if asked["mapping"] is None else Mapping.model_validate_json(json.dumps(asked["mapping"]))
    wanted = wanted_of_ours(source.fields) if mapping is None else wanted_of(mapping)
    with EpisodeStore(Path(asked["store"])) as store:
        for number in range(asked["first"], len(source.names)):
            _say(answers, begun=number)
            try:
                raw = _read(source, number, wanted)
                if mapping is None:
                    episode, corrections = restore(raw, source.ours)
                else:
                    rate = source.rate_hz
                    episode, corrections = convert(raw, mapping, rate_hz=rate, origin=asked["origin"]), ()
                store.append(episode, corrections)
            except EpisodeError as error:
                _say(answers, refused=number, what=error.what, cure=error.cure)
            except MemoryError:
                _say(answers, refused=number, what="it needs more memory than reading it may take", cure="")
            else:
                _say(answers, kept=number)
    _say(answers, ended=True)


def _read(source: Any, number: int, wanted: Any) -> Any:
    """One episode. A file that cannot be read costs no other episode: only what cannot be written ends an import."""
    from skillcore.errors import EpisodeError, StorageError

    try:
        return source.read(number, wanted)
    except StorageError as error:
        raise EpisodeError(error.what, cure=error.cure) from error


if __name__ == "__main__":
    sys.exit(main())
