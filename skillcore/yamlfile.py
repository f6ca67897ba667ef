"""YAML text -> plain values, each with the line it stands on; everything doubtful in the text is a fault.

Only PyYAML's safe loader is used, and of what it knows only what a configuration needs: no tags, no text that
turns into a date or a number in base 60, no key twice. Numbers with an exponent (`4e-3`) are numbers, as in
YAML 1.2.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from skillcore.errors import ConfigError, Fault, suggest

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40

Place = tuple[str | int, ...]
"""The way from the top of a document to a value: keys of mappings and indices of lists."""

_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,17}|0x[0-9a-fA-F]{1,15})")
_FLOAT = re.compile(r"[-+]?([0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"([-+]?)\.(?:(inf)|nan)", re.IGNORECASE)
_EXPONENT = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+")


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says, and where.

    data: made of dict, list, str, int, float, bool and None.
    lines: a value's place -> the line of its key or list item.
    """

    file: str
    data: Any
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, place: Place) -> int | None:
        """The line of a value, or of the nearest thing around it that has one."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)

    def at(self, place: Place) -> Any:
        """The value at a place; None where there is none."""
        value = self.data
        for part in place:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def fault(self, place: Place, reason: str, cure: str = "") -> Fault:
        return Fault(self.file, self.line(place), dotted(place), reason, cure)


def dotted(place: Place) -> str:
    """A place as it is written in messages: `fixture.position_m[2]`."""
    words = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return words.removeprefix(".")


def read_yaml(path: Path) -> Document:
    """Reads and parses a file. Raises ConfigError, also when the file is missing or unreadable."""
    return parse_yaml(_read(path), str(path))


def _read(path: Path) -> bytes:
    try:
        if path.is_file():
            with path.open("rb") as stream:
                return stream.read(MAX_BYTES + 1)
        if path.is_dir():
            reason, cure = "is a folder, and a file is needed", _files_in(path)
        elif path.exists():
            reason, cure = "is not a regular file", ""
        elif path.parent.is_dir():
            names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
            reason, cure = "there is no such file", suggest(path.name, sorted(names)) if names else ""
        else:
            reason, cure = "there is no such file", f"there is no folder {str(path.parent)!r} either"
    except (OSError, ValueError) as error:
        reason, cure = f"cannot be read: {error}", "check the path and its permissions"
    raise ConfigError([Fault(str(path), None, "", reason, cure)])


def _files_in(folder: Path) -> str:
    names = sorted(entry.name for entry in folder.iterdir() if entry.suffix in (".yaml", ".yml"))
    return suggest("", names) if names else "it holds no YAML file"


def parse_yaml(text: str | bytes, file: str) -> Document:
    """Parses one YAML document. `file` is its name in messages. Raises ConfigError with all that is wrong."""
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        cure = "a configuration is a few kB of text; is this the right file?"
        raise ConfigError([Fault(file, None, "", "is larger than 1 MB", cure)])
    try:
        decoded = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([Fault(file, line, "", "is not UTF-8 text", "save the file as UTF-8")]) from None
    root, fault = _compose(decoded, file)
    if fault is not None:
        raise ConfigError([fault])
    if root is None:
        raise ConfigError([Fault(file, None, "", "is empty", "write the fields it needs")])
    builder = _Builder(file)
    data = builder.value(root, ())
    if builder.faults:
        raise ConfigError(sorted(builder.faults, key=lambda fault: fault.line or 0))
    return Document(file, data, builder.lines)


class _TooLarge(yaml.MarkedYAMLError):
    """More nodes, or more levels of them, than any configuration has."""


class _Loader(yaml.SafeLoader):
    """The safe loader, with bounds on what it builds."""

    nodes = 0
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.nodes += 1
        self.depth += 1
        if self.nodes > MAX_NODES or self.depth > MAX_DEPTH:
            what = f"nested deeper than {MAX_DEPTH} levels" if self.depth > MAX_DEPTH else "too much content"
            raise _TooLarge(problem=what, problem_mark=self.get_mark())
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str, file: str) -> tuple[yaml.Node | None, Fault | None]:
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        return loader.get_single_node(), None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"holds a character that is not text (code {error.character})"
        return None, Fault(file, line, "", reason, "remove it")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason, cure = _in_plain_words(error)
        return None, Fault(file, mark.line + 1 if mark else None, "", reason, cure)
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # PyYAML lets escapes for characters that do not exist through to `chr`.
        last = loader.line + 1 if loader is not None else None
        return None, Fault(file, last, "", f"cannot be read as YAML: {error}", "correct this line")


def _in_plain_words(error: yaml.MarkedYAMLError) -> tuple[str, str]:
    problem = error.problem or "cannot be read as YAML"
    if isinstance(error, _TooLarge):
        return problem, "a configuration is far smaller; is this the right file?"
    if "'\\t'" in problem:
        return "a tab stands where YAML wants spaces", "indent with spaces only"
    if "single document" in f"{error.context} {problem}":
        return "a second document begins here", "remove the line with ---"
    if "undefined alias" in problem:
        return f"{problem}", "name it with & further up, or write the value here"
    if "mapping values are not allowed" in problem:
        return (
            "a colon stands where none is expected",
            "check the indentation, and quote texts that hold ': '",
        )
    if "could not find expected ':'" in problem:
        return "a key without a colon", "write it as `key: value`"
    if "expected <block end>" in problem:
        return (
            f"the indentation or a bracket is wrong: {problem}",
            "fields of one section start in one column",
        )
    return f"is not YAML: {problem}", "check indentation, brackets and quotes around here"


class _Builder:
    """Turns nodes into values, and notes where they stand and what is wrong with them."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.faults: list[Fault] = []
        self.lines: dict[Place, int] = {}
        self._count = 0
        self._open: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._count += 1
        if self._count > MAX_NODES:
            if self._count == MAX_NODES + 1:
                self._fault(node, place, "repeats its parts too often (& and *)", "write out what is needed")
            return None
        if id(node) in self._open:
            self._fault(node, place, "holds itself (& and *)", "write out what is needed")
            return None
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        wanted = f"{_TAG}map" if isinstance(node, yaml.MappingNode) else f"{_TAG}seq"
        if node.tag != wanted:
            self._refuse_tag(node, place)
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, place)
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        written: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == f"{_TAG}merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            key = self._key(key_node, place)
            if key is None:
                continue
            if key in written:
                reason = f"is given twice, on lines {written[key]} and {line}"
                self.faults.append(Fault(self.file, line, dotted((*place, key)), reason, "remove one of them"))
                continue
            written[key] = line
            self.lines.setdefault((*place, key), line)
            result[key] = self.value(value_node, (*place, key))
        for other in merged:
            # What is merged in (<<: *name) gives way to what is written here.
            values = self.value(other, place)
            if isinstance(values, dict):
                result = {**result, **{key: value for key, value in values.items() if key not in result}}
            elif self._count <= MAX_NODES:
                self._fault(other, place, "only a section can be merged in with <<", "name a section after it")
        return result

    def _key(self, node: yaml.Node, place: Place) -> str | None:
        if isinstance(node, yaml.ScalarNode) and node.tag in (f"{_TAG}str", f"{_TAG}value"):
            key = self._text(node, place)
            if isinstance(key, str):
                return key
            return None
        if isinstance(node, yaml.ScalarNode) and node.tag.startswith(_TAG):
            kind = node.tag.removeprefix(_TAG)
            words = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing"}
            reads = words.get(kind, "a " + kind)
            reason = f"the key {node.value!r} is read by YAML as {reads}, and a key must be text"
            self._fault(node, place, reason, f'write "{node.value}" in quotes')
        else:
            self._fault(node, place, "a key must be text", "write `name: value`")
        return None

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if kind in ("str", "value", "timestamp"):
            if node.style is None and _EXPONENT.fullmatch(text):
                return float(text)
            return self._text(node, place)
        if kind == "null":
            return None
        if kind == "bool" and text.lower() in yaml.SafeLoader.bool_values:
            return yaml.SafeLoader.bool_values[text.lower()]
        if kind == "int" and _INT.fullmatch(text):
            return int(text.replace("_", ""), 16 if "0x" in text else 10)
        if kind == "float" and (match := _SPECIAL.fullmatch(text)):
            return float(match[1] + (match[2] or "nan"))
        if kind == "float" and _FLOAT.fullmatch(text):
            return float(text.replace("_", ""))
        if kind in ("bool", "int", "float"):
            shown = text if len(text) <= 40 else text[:37] + "..."
            odd = "is too large a number" if text.lstrip("+-").isdigit() and text.lstrip("+-")[0] != "0" else ""
            reason = f"{shown!r} {odd or 'is an unusual way to write a number in YAML'}"
            self._fault(node, place, reason, "write a plain decimal number, or put quotes around what is text")
        else:
            self._refuse_tag(node, place)
        return None

    def _text(self, node: yaml.ScalarNode, place: Place) -> str | None:
        try:
            node.value.encode()
        except UnicodeEncodeError:
            reason = "holds half of a character (\\ud800 to \\udfff)"
            self._fault(node, place, reason, "write the character itself")
            return None
        return str(node.value)

    def _refuse_tag(self, node: yaml.Node, place: Place) -> None:
        shown = node.tag.replace(_TAG, "!!")[:60]
        self._fault(node, place, f"the tag {shown} is not allowed here", "remove it, and write a plain value")

    def _fault(self, node: yaml.Node, place: Place, reason: str, cure: str) -> None:
        self.faults.append(Fault(self.file, node.start_mark.line + 1, dotted(place), reason, cure))
