"""Images of strangers: PNG and JPEG, whose sizes are read before anything is decoded; and how they are made to fit."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from skillcore.types import Image

MAX_SIDE_PX = 4096
Manner = Literal["crop", "pad", "keep"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# Start-of-frame markers: of all that JPEG has, without DHT (C4), JPG (C8) and DAC (CC).
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


@dataclass(frozen=True, slots=True)
class Fit:
    """How an image is brought into an episode.

    manner: crop takes the middle square, pad adds black to make a square, keep leaves the sides as they are. size_px:
    the side of the square afterwards, or None to leave it.
    """

    manner: Manner = "crop"
    size_px: int | None = None

    def shape(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Height and width afterwards."""
        if self.size_px is not None:
            return self.size_px, self.size_px
        if self.manner == "keep":
            return height_px, width_px
        side = min(height_px, width_px) if self.manner == "crop" else max(height_px, width_px)
        return side, side

    def __call__(self, image: Image) -> Image:
        """(H, W, 3) uint8 -> the same of another size."""
        height, width = image.shape[:2]
        if self.manner == "crop" and height != width:
            side = min(height, width)
            top, left = (height - side) // 2, (width - side) // 2
            image = image[top : top + side, left : left + side]
        elif self.manner == "pad" and height != width:
            side = max(height, width)
            padded = np.zeros((side, side, 3), np.uint8)
            top, left = (side - height) // 2, (side - width) // 2
            padded[top : top + height, left : left + width] = image
            image = padded
        if self.size_px is not None and image.shape[:2] != (self.size_px, self.size_px):
            larger = image.shape[0] < self.size_px
            manner = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
            image = cv2.resize(image, (self.size_px, self.size_px), interpolation=manner).astype(np.uint8, copy=False)
        return image


def decode_picture(data: bytes, height_px: int, width_px: int) -> Image:
    """The image (H, W, 3) uint8 RGB in PNG or JPEG bytes of the expected size. Raises ValueError that says what is
    wrong: another size, another form, damage, or a part that is missing."""
    if data.startswith(_PNG):
        found = _size_of_png(data)
    elif data.startswith(_JPEG):
        found = _size_of_jpeg(data)
    else:
        raise ValueError("is neither PNG nor JPEG")
    if found != (height_px, width_px):
        raise ValueError(f"is of {found[1]}x{found[0]} pixels, where {width_px}x{height_px} were declared")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as error:
        raise ValueError(f"cannot be decoded: {str(error).strip().splitlines()[0][:100]}") from error
    if image is None or image.shape != (height_px, width_px, 3):
        raise ValueError("cannot be decoded")
    return image.astype(np.uint8, copy=False)


def _size_of_png(data: bytes) -> tuple[int, int]:
    """Height and width, after all chunks were found whole."""
    place, size, ended = 8, (0, 0), False
    while place < len(data) and not ended:
        if place + 12 > len(data):
            raise ValueError("is a PNG that is cut off")
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        if end > len(data):
            raise ValueError("is a PNG that is cut off")
        if zlib.crc32(data[place + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError("is a damaged PNG: a checksum is wrong")
        if place == 8:
            if kind != b"IHDR" or length != 13:
                raise ValueError("is a PNG without a header")
            width, height = struct.unpack_from(">II", data, place + 8)
            size = (height, width)
        ended = kind == b"IEND"
        place = end
    if not ended:
        raise ValueError("is a PNG that is cut off")
    return size


def _size_of_jpeg(data: bytes) -> tuple[int, int]:
    """Height and width in the first frame header."""
    if data.rstrip(b"\0")[-2:] != b"\xff\xd9":
        raise ValueError("is a JPEG that is cut off")
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            break
        marker, length = data[place + 1], struct.unpack_from(">H", data, place + 2)[0]
        if marker == 0xFF:
            place += 1
            continue
        if marker in _FRAMES:
            if place + 9 > len(data):
                break
            height, width = struct.unpack_from(">HH", data, place + 5)
            return int(height), int(width)
        if length < 2 or marker in (0xD8, 0xD9, 0xDA):
            break
        place += 2 + length
    raise ValueError("is a JPEG without a frame header")
