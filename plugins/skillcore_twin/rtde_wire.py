"""RTDE on the wire, version 2: frames, types, and recipes of named values.

A frame is a big-endian size (with its three bytes of header), a type, and the payload.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

VERSION, CONTROLLER_VERSION = ord("V"), ord("v")
OUTPUTS, INPUTS, START, PAUSE, DATA = ord("O"), ord("I"), ord("S"), ord("P"), ord("U")
HEADER = struct.Struct(">HB")
NOT_FOUND, IN_USE = "NOT_FOUND", "IN_USE"

FORMATS = {
    "BOOL": "?",
    "UINT8": "B",
    "UINT32": "I",
    "UINT64": "Q",
    "INT32": "i",
    "DOUBLE": "d",
    "VECTOR3D": "3d",
    "VECTOR6D": "6d",
    "VECTOR6INT32": "6i",
    "VECTOR6UINT32": "6I",
}
"""struct's format of each type."""


def frame(kind: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(HEADER.size + len(payload), kind) + payload


def frames_in(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes the whole frames (kind, payload) out of a buffer. Raises ValueError for what is no frame."""
    while len(buffer) >= HEADER.size:
        size, kind = HEADER.unpack_from(buffer)
        if size < HEADER.size:
            raise ValueError(f"an RTDE frame of {size} bytes")
        if len(buffer) < size:
            return
        payload = bytes(buffer[HEADER.size : size])
        del buffer[:size]
        yield kind, payload


@dataclass(frozen=True, slots=True)
class Recipe:
    """Named values of known types, in one packet."""

    number: int
    names: tuple[str, ...]
    types: tuple[str, ...]

    def pack(self, value_of: Callable[[str], Any]) -> bytes:
        """A data frame's payload."""
        parts = [bytes([self.number])]
        for name, kind in zip(self.names, self.types, strict=True):
            value = value_of(name)
            many = FORMATS[kind][0].isdigit()
            parts.append(struct.pack(">" + FORMATS[kind], *value) if many else struct.pack(">" + FORMATS[kind], value))
        return b"".join(parts)

    def unpack(self, payload: bytes) -> dict[str, Any]:
        """The values of a data frame's payload: those that are there, where a client sends more or fewer."""
        values, offset = {}, 1
        for name, kind in zip(self.names, self.types, strict=True):
            layout = struct.Struct(">" + FORMATS[kind])
            if offset + layout.size > len(payload):
                break
            found = layout.unpack_from(payload, offset)
            values[name] = found[0] if len(found) == 1 else found
            offset += layout.size
        return values


def names_of(payload: bytes) -> tuple[str, ...]:
    """The names in a comma list."""
    return tuple(name for name in payload.decode("ascii", errors="replace").split(",") if name)


def types_reply(kind: int, number: int, types: Sequence[str]) -> bytes:
    """The answer to a recipe."""
    return frame(kind, bytes([number]) + ",".join(types).encode("ascii"))
