"""What pydantic finds wrong, told as `skillcore.errors.Fault`s: line, field, reason, cure with names."""

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from skillcore.errors import Fault, suggest
from skillcore.quantities import Quantity, describe
from skillcore.yamlfile import Document, Place

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


def faults_of(error: ValidationError, document: Document, model: type[BaseModel], at: Place) -> list[Fault]:
    """One fault for each thing wrong with the part of the document at `at`, in the order of lines."""
    found = [_Finding(details, document, model, at) for details in error.errors(include_url=False)]
    faults = [fault for finding in _settle_unions(found) for fault in finding.faults()]
    unique = list(dict.fromkeys(faults))
    return sorted(unique, key=lambda fault: fault.line or 0)


class _Finding:
    """One error of pydantic's, with its place in the document and the type that was expected there.

    pydantic's location holds labels of union members between the document's keys; they are told apart here.
    """

    def __init__(self, details: Any, document: Document, model: type[BaseModel], at: Place) -> None:
        self.document = document
        self.kind: str = details["type"]
        self.message: str = details["msg"]
        self.context: Mapping[str, Any] = details.get("ctx", {})
        self.place = at
        self.union: tuple[Place, Sequence[Any]] | None = None
        self.label: object = None
        expected: Sequence[Any] = [model]
        location = details["loc"]
        for index, part in enumerate(location):
            holder = document.at(self.place)
            absent = index == len(location) - 1 and self.kind == "missing"
            if _holds(holder, part) or absent:
                self.owner = expected
                expected = [child for each in expected for child in _children(each, part)]
                self.place = (*self.place, part)
            elif part != "[key]":
                if self.union is None:
                    self.union, self.label = (self.place, expected), part
                expected = _members(expected, part)
        self.expected = expected
        if not location:
            self.owner = expected

    def is_about_shape(self, place: Place) -> bool:
        """Whether the value at `place` is of another type, or another choice, than was expected."""
        about_type = self.kind.endswith(("_type", "_parsing", "_from_float"))
        return self.place == place and (about_type or self.kind in ("literal_error", "enum"))

    def faults(self) -> Iterable[Fault]:
        if self.kind == "skillcore_faults":
            for field, reason, cure in self.context["faults"]:
                parts = field.split(".") if field else []
                path = (int(part) if part.isdecimal() else part for part in parts)
                yield self.document.fault((*self.place, *path), reason, cure)
            return
        place, (reason, cure) = self.place, self._words()
        if self.kind.startswith("union_tag"):
            place = (*place, str(self.context["discriminator"]).strip("'"))
        elif self.kind == "missing" and isinstance(place[-1], int):
            place = place[:-1]
        yield self.document.fault(place, reason, cure)

    def _words(self) -> tuple[str, str]:
        """Reason and cure."""
        context, value = self.context, self.document.at(self.place)
        if self.kind == "missing":
            return self._missing()
        if self.kind == "extra_forbidden":
            names = sorted({name for model in _models(self.owner) for name in field_names(model)})
            within = f" of {'.'.join(map(str, self.place[:-1]))}" if len(self.place) > 1 else ""
            return f"is not a field{within}", suggest(str(self.place[-1]), names) if names else "remove it"
        if self.kind in ("literal_error", "enum"):
            allowed = [str(name) for each in self.expected for name in _choices(each)]
            return f"{describe(value)} is not one of the choices", suggest(str(value), allowed)
        if self.kind == "union_tag_invalid":
            tags = [tag.strip(" '") for tag in str(context["expected_tags"]).split(",")]
            return f"{context['tag']!r} is not one of the choices", suggest(str(context["tag"]), tags)
        if self.kind == "union_tag_not_found":
            tags = sorted({name for model in _models(self.expected) for name in _tags(model)})
            return "is missing; it says which kind this is", suggest("", tags)
        if self.kind in _BOUNDS:
            key, words = _BOUNDS[self.kind]
            return f"{describe(value)} is out of range", f"write {words} {context[key]}"
        if self.kind == "finite_number":
            return "must be a finite number", ""
        if self.kind in ("too_short", "too_long"):
            limit = context.get("min_length", context.get("max_length"))
            side = "at least" if self.kind == "too_short" else "at most"
            return f"holds {context['actual_length']} items", f"{side} {limit} are needed"
        if self.kind == "string_pattern_mismatch":
            cure = f"write text of the form {context['pattern']}"
            return f"{describe(value)} does not have the form that is needed", cure
        if self.kind.endswith(("_type", "_parsing", "_from_float")):
            unquoted = self.kind == "string_type" and isinstance(value, bool | int | float)
            cure = "put quotes around it if it is meant as text" if unquoted else ""
            return f"must be {expects(self.expected)}, and is {describe(value)}", cure
        return self.message.removeprefix("Value error, ").removeprefix("Assertion failed, "), ""

    def _missing(self) -> tuple[str, str]:
        name = self.place[-1]
        if isinstance(name, int):
            given = self.document.at(self.place[:-1])
            return f"must be {expects(self.owner)}, and is {describe(given)}", ""
        return "is missing", f"add `{name}:` with {expects(self.expected)}"


def _settle_unions(found: Sequence[_Finding]) -> list[_Finding]:
    """Of the complaints of a union's members, those of the member that was meant, or one about all."""
    settled = [finding for finding in found if finding.union is None]
    places = dict.fromkeys(finding.union[0] for finding in found if finding.union is not None)
    for place in places:
        members: dict[object, list[_Finding]] = {}
        for finding in found:
            if finding.union is not None and finding.union[0] == place:
                members.setdefault(finding.label, []).append(finding)
        # A member was meant if the value has its shape, so that the complaint is not about the value's type.
        meant = [group for group in members.values() if not any(one.is_about_shape(place) for one in group)]
        if meant:
            fewest = min(meant, key=len)
            settled += fewest
            continue
        first = next(iter(members.values()))[0]
        assert first.union is not None
        first.kind, first.expected = "union_type", first.union[1]
        settled.append(first)
    return settled


def _holds(holder: object, part: object) -> bool:
    if isinstance(holder, Mapping):
        return part in holder
    return isinstance(holder, list | tuple) and isinstance(part, int) and part < len(holder)


# --- what a type annotation says ----------------------------------------------------------------------------


def field_names(model: type[BaseModel]) -> list[str]:
    """The names of a model's fields as they stand in a file."""
    return [field.alias or name for name, field in model.model_fields.items()]


def expects(annotations: Sequence[Any]) -> str:
    """What a value of one of these types looks like, in words."""
    words = list(dict.fromkeys(_expects(flat) for each in annotations for flat in _flatten(each)))
    return " or ".join(word for word in words if word != "nothing") or "empty"


def _expects(annotation: Any) -> str:
    for note in _notes(annotation):
        if isinstance(note, Quantity):
            return note.expects()
    plain = _plain(annotation)
    origin, arguments = get_origin(plain), get_args(plain)
    if plain is type(None):
        return "nothing"
    choices = _choices(plain)
    if choices:
        return "one of " + ", ".join(str(choice) for choice in choices)
    if origin is tuple and Ellipsis not in arguments:
        return f"a list of {len(arguments)}, each {expects(arguments)}"
    if origin in (list, tuple, set, frozenset) or (isinstance(origin, type) and issubclass(origin, Sequence)):
        return f"a list, each {expects([each for each in arguments if each is not Ellipsis])}"
    if origin is dict or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "a section of names"
    if isinstance(plain, type):
        for kind, words in (
            (bool, "true or false"),
            (int, "a whole number"),
            (float, "a number"),
            (str, "text"),
            (PurePath, "a path"),
        ):
            if issubclass(plain, kind):
                return words
        if issubclass(plain, BaseModel):
            names = field_names(plain)
            return "a section" + (f" with {', '.join(names)}" if names else "")
    return f"a {getattr(plain, '__name__', plain)}"


def _notes(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _flatten(annotation: Any) -> list[Any]:
    """The members of a union, or the one type."""
    plain = _plain(annotation)
    if get_origin(plain) in (Union, types.UnionType):
        return [flat for member in get_args(plain) for flat in _flatten(member)]
    return [annotation]


def _models(annotations: Iterable[Any]) -> list[type[BaseModel]]:
    plain = [_plain(flat) for each in annotations for flat in _flatten(each)]
    return [each for each in plain if isinstance(each, type) and issubclass(each, BaseModel)]


def _choices(annotation: Any) -> list[Any]:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return list(get_args(plain))
    if isinstance(plain, type) and issubclass(plain, Enum):
        return [member.value for member in plain]
    if get_origin(plain) in (Union, types.UnionType):
        return [choice for member in get_args(plain) for choice in _choices(member)]
    return []


def _tags(model: type[BaseModel]) -> list[str]:
    """The values that literal fields of a model can take: what tells it from others in a union."""
    return [str(choice) for field in model.model_fields.values() for choice in _choices(field.annotation)]


def _members(annotations: Sequence[Any], label: object) -> list[Any]:
    """Those members of unions that pydantic calls `label`; all of them if none is."""
    flat = [member for each in annotations for member in _flatten(each)]
    named = [model for model in _models(flat) if model.__name__ == label or label in _tags(model)]
    return list(named) or flat


def _children(annotation: Any, part: object) -> list[Any]:
    """The types a value's key or index `part` can have."""
    children: list[Any] = []
    for flat in _flatten(annotation):
        plain = _plain(flat)
        arguments = get_args(plain)
        if isinstance(plain, type) and issubclass(plain, BaseModel):
            fields = plain.model_fields.items()
            children += [_annotation(field) for name, field in fields if part in (name, field.alias)]
        elif isinstance(part, int) and get_origin(plain) is tuple and Ellipsis not in arguments:
            children += arguments[part : part + 1]
        elif arguments:
            children += [arguments[-1] if arguments[-1] is not Ellipsis else arguments[0]]
    return children


def _annotation(field: FieldInfo) -> Any:
    notes = tuple(field.metadata)
    return typing.Annotated[(field.annotation, *notes)] if notes else field.annotation
