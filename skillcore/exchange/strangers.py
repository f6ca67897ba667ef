"""Files of a dataset that came from a stranger: paths that stay inside, sizes that are checked first.

Everything here raises EpisodeError that says what was wrong with the file, without the dataset's own folder in it.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from skillcore.errors import EpisodeError
from skillcore.storage import in_bytes, storage_error, there

MAX_JSON_BYTES = 256 * 2**20
MAX_LINE_BYTES = 16 * 2**20
MAX_LINES = 1_000_000

_PLACE = re.compile(r"\{(\w+)(?::0?([1-9])d)?\}")


class StrangersFolder:
    """The folder of a dataset. The folder itself may be a link, since the user named it; nothing in it may."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    def has(self, name: str) -> bool:
        """Whether there is anything of this name, sound or not."""
        path = self.folder / _inside(name)
        return there(path) or path.is_symlink()

    def file(self, name: str, *, limit: int) -> Path:
        """The path of a regular file of at most `limit` bytes. name: relative, with `/`."""
        path = self.folder
        parts = _inside(name).parts
        for depth, part in enumerate(parts):
            path = path / part
            try:
                found = path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                raise EpisodeError(f"{shown(name)} is missing") from None
            except OSError as error:
                raise storage_error("read", path, error) from error
            if stat.S_ISLNK(found.st_mode):
                link = PurePosixPath(*parts[: depth + 1]).as_posix()
                raise EpisodeError(
                    f"{shown(link)} is a symbolic link, which may lead anywhere",
                    cure="if you trust it, copy the dataset with `cp -rL`, and import the copy",
                )
        if not stat.S_ISREG(found.st_mode):
            raise EpisodeError(f"{shown(name)} is no regular file")
        if found.st_size > limit:
            raise EpisodeError(f"{shown(name)} has {in_bytes(found.st_size)}, and {in_bytes(limit)} are the limit")
        return path

    def json(self, name: str) -> dict[str, Any]:
        """The object in a JSON file."""
        path = self.file(name, limit=MAX_JSON_BYTES)
        try:
            text = path.read_bytes()
        except OSError as error:
            raise storage_error("read", path, error) from error
        return _object(text, shown(name))

    def json_lines(self, name: str) -> Iterator[dict[str, Any] | EpisodeError]:
        """The objects in a file that holds one a line; for a line that is none, the error that says so."""
        path = self.file(name, limit=MAX_JSON_BYTES)
        try:
            with path.open("rb") as file:
                number = 0
                while line := file.readline(MAX_LINE_BYTES + 1):
                    number += 1
                    if len(line) > MAX_LINE_BYTES or number > MAX_LINES:
                        raise EpisodeError(f"{shown(name)} has more or longer lines than a dataset needs")
                    if line.strip():
                        try:
                            found: dict[str, Any] | EpisodeError = _object(line, f"{shown(name)}, line {number}")
                        except EpisodeError as error:
                            found = error
                        yield found
        except OSError as error:
            raise storage_error("read", path, error) from error


def expand(pattern: str, values: Mapping[str, int | str]) -> str:
    """A path of a pattern such as `data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet`.

    No `str.format`, which follows attributes and indices of what it is given.
    """

    def value(match: re.Match[str]) -> str:
        name, width = match.group(1), match.group(2)
        if name not in values:
            raise EpisodeError(f"the path {shown(pattern)} asks for {name!r}, which datasets do not have")
        found = values[name]
        if width is None:
            return str(found)
        if not isinstance(found, int):
            raise EpisodeError(f"the path {shown(pattern)} asks for {name} as a number")
        return f"{found:0{int(width)}d}"

    rest = _PLACE.sub("", pattern)
    if "{" in rest or "}" in rest:
        raise EpisodeError(f"the path {shown(pattern)} has braces that are not understood")
    return _PLACE.sub(value, pattern)


def shown(name: str) -> str:
    """A name from a stranger, for a message: short, and without what would steer a terminal."""
    text = "".join(character if character.isprintable() else "?" for character in str(name))
    return text if len(text) <= 120 else f"{text[:117]}..."


def damaged(what: str, error: BaseException) -> EpisodeError:
    """The EpisodeError for what a library says of a stranger's file."""
    text = (str(error).splitlines() or [""])[0][:150] or type(error).__name__
    return EpisodeError(f"{shown(what)} is damaged: {shown(text)}")


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or ":" in name
    if outside or not path.parts:
        raise EpisodeError(f"the path {shown(name)!r} leads out of the dataset's folder")
    if len(name) > 1000:
        raise EpisodeError(f"the path {shown(name)} is longer than a path can be")
    return path


def _object(text: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EpisodeError(f"{where} is not JSON: {str(error).splitlines()[0][:100]}") from error
    if not isinstance(value, dict):
        raise EpisodeError(f"{where} holds no JSON object")
    return value
