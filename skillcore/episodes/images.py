"""Images as PNG bytes and back, bit for bit. Bytes are not trusted: sizes and checksums are read first."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.types import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB_8_BIT = (
    8,
    2,
    0,
    0,
    0,
)  # bit depth, colour type, compression, filter, interlace: what `encode_png` writes


def encode_png(image: Image) -> bytes:
    """PNG bytes of an image (H, W, 3) uint8 RGB. Raises ValueError if it cannot be coded."""
    coded, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not coded:
        raise ValueError("the image cannot be coded as PNG")
    return bytes(data)


def decode_png(data: bytes, height_px: int, width_px: int) -> Image:
    """The image (H, W, 3) uint8 RGB in PNG bytes that `encode_png` wrote.

    Raises ValueError that says what is wrong. Nothing larger than the expected size is ever decoded: a few
    kilobytes of PNG can declare an image of many gigabytes.
    """
    _check_chunks(data, height_px, width_px)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None or image.shape != (height_px, width_px, 3):
        raise ValueError("the pixels of a PNG cannot be decoded")
    pixels: NDArray[np.uint8] = image.astype(np.uint8, copy=False)
    return pixels


def _check_chunks(data: bytes, height_px: int, width_px: int) -> None:
    """Walks over the chunks: IHDR of the right size, IDATs, IEND, all with the right checksum."""
    if data[:8] != _SIGNATURE:
        raise ValueError("an image is not PNG")
    kinds: list[bytes] = []
    place = 8
    while place < len(data):
        if place + 12 > len(data):
            raise ValueError("a PNG is cut off")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            raise ValueError("a PNG is cut off")
        if kind not in (b"IHDR", b"IDAT", b"IEND"):
            raise ValueError(f"a PNG holds an unexpected chunk {kind!r}")
        if zlib.crc32(data[place + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError(f"a PNG is damaged: the checksum of its {kind.decode()} chunk is wrong")
        if kind == b"IHDR":
            _check_header(data[place + 8 : end - 4], height_px, width_px)
        kinds.append(kind)
        place = end
    if kinds[:1] != [b"IHDR"] or kinds[-1:] != [b"IEND"] or set(kinds[1:-1]) != {b"IDAT"}:
        raise ValueError("a PNG is incomplete")


def _check_header(header: bytes, height_px: int, width_px: int) -> None:
    if len(header) != 13:
        raise ValueError("a PNG has a header of the wrong length")
    width, height, *kind = struct.unpack(">IIBBBBB", header)
    if tuple(kind) != _RGB_8_BIT:
        raise ValueError("a PNG is not of 8 bit RGB")
    if (height, width) != (height_px, width_px):
        raise ValueError(f"a PNG is of {width}x{height} pixels, where {width_px}x{height_px} were declared")
