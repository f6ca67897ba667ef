"""Event files as TensorBoard reads them, with scalars by tag and step: written, and read to go on with one.

A file is a chain of records: length (8 bytes), masked CRC-32C of these, content, masked CRC-32C of it; all little
endian. A content is the protocol buffer `Event` of TensorFlow, of which these fields are used:

    Event    1 wall_time double, 2 step int64, 3 file_version string, 5 summary Summary
    Summary  1 value, repeated: Value
    Value    1 tag string, 2 simple_value float

This form has been the same since 2015. Writing it here is less than a package would bring along, a full disk is an
error that the caller gets instead of a thread's traceback, and a file that ends in half a record is put right.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from skillcore.storage import storage_faults

NAME = "events.out.tfevents.0000000000.skillcore"
"""TensorBoard takes for an event file what has `tfevents` in its name, and reads several of a folder by their names."""
VERSION = b"brain.Event:2"
MOST_BYTES = 1 << 20
"""A record that says it is longer is damaged."""

_DOUBLE, _BYTES, _FLOAT, _VARINT = 1, 2, 5, 0


class EventFile:
    """A file of scalars that is open for writing. Use it in a `with` block.

    seen: tags and steps that the file holds. Opening goes on behind the last whole record; the rest is cut off.
    Raises StorageError where the disk fails, in every method.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seen: set[tuple[str, int]] = set()
        with storage_faults("open", path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("r+b" if path.exists() else "w+b")
            end = 0
            for content, end in _records(self._file.read()):  # noqa: B007 - where the last whole record ends
                step, scalars = read_event(content)
                self.seen.update((tag, step) for tag in scalars)
            self._file.truncate(end)
            self._file.seek(end)
        if not end:
            self._append(_number(1, _DOUBLE, struct.pack("<d", time.time())) + _text(3, VERSION))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Appends scalars of one step, whole or not at all, and flushes them. What the file holds already is left
        out."""
        fresh = {tag: value for tag, value in scalars.items() if (tag, step) not in self.seen}
        if not fresh:
            return
        values = b"".join(
            _text(1, _text(1, tag.encode()) + _number(2, _FLOAT, struct.pack("<f", value)))
            for tag, value in fresh.items()
        )
        now = _number(1, _DOUBLE, struct.pack("<d", time.time()))
        self._append(now + _number(2, _VARINT, _varint(step)) + _text(5, values))
        self.seen.update((tag, step) for tag in fresh)

    def _append(self, content: bytes) -> None:
        length = struct.pack("<Q", len(content))
        record = length + _masked_crc(length) + content + _masked_crc(content)
        with storage_faults("write", self._path):
            self._file.write(record)
            self._file.flush()

    def close(self) -> None:
        """May be called twice."""
        with storage_faults("write", self._path):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_event(content: bytes) -> tuple[int, dict[str, float]]:
    """Step and scalars of an `Event`. What is damaged or of another kind counts as empty."""
    step, scalars = 0, {}
    try:
        for field, value in _fields(content):
            if field == 2 and isinstance(value, int):
                step = value
            elif field == 5 and isinstance(value, bytes):
                for inner, one in _fields(value):
                    if inner == 1 and isinstance(one, bytes):
                        parts = dict(_fields(one))
                        tag, number = parts.get(1), parts.get(2)
                        if isinstance(tag, bytes) and isinstance(number, bytes) and len(number) == 4:
                            scalars[tag.decode()] = float(struct.unpack("<f", number)[0])
    except (IndexError, ValueError):
        return 0, {}
    return step, scalars


def _records(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The whole records at the beginning of a file, each with the place where it ends."""
    place = 0
    while len(data) >= place + 12:
        head = data[place : place + 8]
        length = int(struct.unpack("<Q", head)[0])
        end = place + 12 + length + 4
        if data[place + 8 : place + 12] != _masked_crc(head) or length > MOST_BYTES or len(data) < end:
            return
        content = data[place + 12 : end - 4]
        if data[end - 4 : end] != _masked_crc(content):
            return
        yield content, end
        place = end


# --- protocol buffers ----------------------------------------------------------------------------------------------


def _number(field: int, kind: int, encoded: bytes) -> bytes:
    return _varint(field << 3 | kind) + encoded


def _text(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Of a number from 0 on: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _fields(content: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: numbers of fixed size as their bytes. Raises IndexError, ValueError if damaged."""
    place = 0
    while place < len(content):
        key, place = _read_varint(content, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _read_varint(content, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, place = _read_varint(content, place)
        elif kind in (_DOUBLE, _FLOAT):
            length = 8 if kind == _DOUBLE else 4
        else:
            raise ValueError(f"there is no wire type {kind}")
        if place + length > len(content):
            raise IndexError("a field is longer than its message")
        yield key >> 3, content[place : place + length]
        place += length


def _read_varint(content: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
        shift += 7


# --- CRC-32C (Castagnoli), as RFC 3720 has it ----------------------------------------------------------------------


def _crc_table() -> tuple[int, ...]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
        table.append(number)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc32c(data: bytes) -> int:
    """The checksum of some bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked_crc(data: bytes) -> bytes:
    """Rotated and shifted, so that a checksum over checksums stays one."""
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
