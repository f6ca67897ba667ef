"""The connectors that come with the skill, one YAML file each, and those a user describes in files of the same form."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from skillcore.config import load_yaml, parse_yaml
from skillcore.errors import InputError, UnknownNameError
from skillcore_insertion.connector import Connector

PACKAGED = Path(__file__).parent / "connectors"
INDEXED = ("name", "title", "aliases", "family", "split")
_TOP_LINE = re.compile(rf"^({'|'.join(INDEXED)}):(?=\s)")

Split = Literal["train", "held_out"]


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a connector before its file is read in full."""

    name: str
    title: str
    family: str
    split: str
    aliases: tuple[str, ...]
    path: Path


class ConnectorLibrary:
    """Connectors by name. Files are validated one by one, when they are asked for.

    folder: where the YAML files lie, each named as its connector.
    """

    def __init__(self, folder: Path = PACKAGED) -> None:
        self.folder = folder
        self._loaded: dict[Path, Connector] = {}

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """What each connector is, by name, from the head of its file. Raises InputError where two share a name."""
        entries = {path.stem: _entry(path) for path in sorted(self.folder.glob("*.yaml"))}
        taken: dict[str, str] = {}
        for entry in entries.values():
            for name in (entry.name, *entry.aliases):
                if name.lower() in taken:
                    raise InputError(
                        f"{entry.path}: the name {name!r} is taken by {taken[name.lower()]}.yaml",
                        cure="give every connector and every alias a name of its own",
                    )
                taken[name.lower()] = entry.name
        return entries

    def names(self) -> list[str]:
        """The names of all connectors, in alphabetical order."""
        return sorted(self.entries)

    def aliases(self) -> dict[str, str]:
        """Every other name a connector goes by, and the name it stands for."""
        return {alias: entry.name for entry in self.entries.values() for alias in entry.aliases}

    def get(self, name_or_path: str | Path) -> Connector:
        """A connector by name, by alias (upper or lower case), or by the path of a YAML file.

        Raises UnknownNameError for a name that nothing answers to, ConfigError for a file that is not right.
        """
        if isinstance(name_or_path, Path) or re.search(r"[/\\]|\.ya?ml$", name_or_path):
            return load_connector(Path(name_or_path))
        known = {name.lower(): name for name in self.entries} | {
            alias.lower(): name for alias, name in self.aliases().items()
        }
        name = known.get(name_or_path.strip().lower().replace("-", "_"))
        if name is None:
            raise UnknownNameError("connector", name_or_path, [*self.names(), *self.aliases()])
        path = self.entries[name].path
        if path not in self._loaded:
            self._loaded[path] = load_connector(path)
        return self._loaded[path]

    def by_split(self, split: Split) -> list[str]:
        """The names of the connectors that are trained on, or of those held out for tests, in alphabetical order."""
        return sorted(entry.name for entry in self.entries.values() if entry.split == split)

    def __iter__(self) -> Iterator[Connector]:
        """All connectors, read in full, by name."""
        return (self.get(name) for name in self.names())

    def __len__(self) -> int:
        return len(self.entries)


def load_connector(path: Path) -> Connector:
    """Reads one connector file. Raises ConfigError with all that is wrong in it."""
    return load_yaml(path, Connector)


def _entry(path: Path) -> Entry:
    """Reads the lines that name a connector and skips the rest, which is much faster."""
    head = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if _TOP_LINE.match(line))
    data = parse_yaml(head, str(path)).data if head else {}
    name, title, family, split = (_text(data.get(field)) for field in ("name", "title", "family", "split"))
    aliases = tuple(_text(alias) for alias in data.get("aliases") or ())
    if name != path.stem or not all((title, family, split, *aliases)):
        load_connector(path)
        raise InputError(
            f"{path}: the connector's name is not the file's, or one of {', '.join(INDEXED)} runs over several lines",
            cure=f"write `name: {path.stem}`, and each of these fields on one line",
        )
    return Entry(name, title, family, split, aliases, path)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
