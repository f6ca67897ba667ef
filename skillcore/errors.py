"""Every error a user can meet, and the exit code it ends with.

SkillcoreError
├── InputError               2  something the user wrote, named or passed is wrong
│   ├── ConfigError          2  one or more faults in a YAML file, each with line and field
│   ├── UnknownNameError     2  a name that nothing answers to; carries the nearest valid names
│   ├── PluginError          2  a plugin that cannot be imported, raises in a hook, or collides with another
│   │   └── NotFilledInError 2  a method of a part that its author has still to write
│   ├── BundleError          2  a bundle that is missing, damaged or made for something else
│   ├── EpisodeError         2  an episode or dataset that is missing, damaged or of another form
│   └── ExportError          2  a bundle that cannot be exported, or not so that the export does the same
├── StorageError             3  the disk is full, read-only or failing
└── DeviceError              3  an arm, a camera or a simulation does not do what it promised
    ├── CellBusyError        3  another process holds the cell
    ├── StaleFrameError      3  a camera delivers no new frame in time
    ├── ArmFaultError        3  the arm's controller reports a fault
    └── SafetyStopError      3  the guard ended the motion: a hard limit was exceeded

Exit code 1 is no error: the command did its work, and the skill did not reach its acceptance gate.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


class SkillcoreError(Exception):
    """Base of all errors that are shown to the user without a traceback.

    `what` says what is wrong and where; `cure` says what to do about it.
    """

    exit_code = 2

    what: str
    cure: str

    def __init__(self, what: str, *, cure: str = "") -> None:
        origin: object = what
        if isinstance(origin, SkillcoreError):
            # gymnasium makes an error of another process anew, from the error itself.
            what, cure = origin.what, origin.cure
        super().__init__(what)
        self.what = what
        self.cure = cure

    def __reduce__(self) -> tuple[Any, ...]:
        """Whatever its constructor asks for, an error can be sent from one process to another."""
        return _revived, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        return f"{self.what}\n  -> {self.cure}" if self.cure else self.what


def _revived(kind: type[SkillcoreError], args: tuple[Any, ...], state: dict[str, Any]) -> SkillcoreError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class InputError(SkillcoreError):
    """Something the user wrote, named or passed is wrong."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a file: where it stands (file, line, dotted name of the field), the reason, and the cure."""

    file: str
    line: int | None
    field: str
    reason: str
    cure: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        where = f"{place}: {self.field}: " if self.field else f"{place}: "
        return where + self.reason + (f"\n  -> {self.cure}" if self.cure else "")


class ConfigError(InputError):
    """One or more faults in a configuration file; all of them are listed at once."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class UnknownNameError(InputError):
    """A name that nothing answers to."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, where: str = "") -> None:
        choices = sorted(known)
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}there is no {kind} named {name!r}", cure=suggest(name, choices))
        self.name = name


class PluginError(InputError):
    """A plugin that cannot be imported, raises in a hook, or collides with another."""


class NotFilledInError(PluginError, NotImplementedError):
    """A method of a part that its author has still to write, in a package that `skill plugins new` began."""


class BundleError(InputError):
    """A bundle that is missing, damaged or made for something else."""


class EpisodeError(InputError):
    """An episode or dataset that is missing, damaged or of another form."""


class ExportError(InputError):
    """A bundle that cannot be exported, or not so that the export does the same."""


class StorageError(SkillcoreError):
    """The disk is full, read-only or failing."""

    exit_code = 3


class DeviceError(SkillcoreError):
    """An arm, a camera or a simulation does not do what it promised."""

    exit_code = 3


class CellBusyError(DeviceError):
    """Another process holds the cell."""


class StaleFrameError(DeviceError):
    """A camera delivers no new frame in time."""


class ArmFaultError(DeviceError):
    """The arm's controller reports a fault."""


class SafetyStopError(DeviceError):
    """The guard ended the motion because a hard limit was exceeded."""


def suggest(name: str, known: Sequence[str]) -> str:
    """Says which valid names come nearest to `name`, or lists them where none is near."""
    if not known:
        return "nothing of that kind is installed"
    lowered = {choice.lower(): choice for choice in known}
    near = difflib.get_close_matches(name.lower(), lowered, n=3, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(lowered[match] for match in near) + "?"
    shown = ", ".join(known[:12])
    return f"one of: {shown}" + (f", ... ({len(known)} in all)" if len(known) > 12 else "")
