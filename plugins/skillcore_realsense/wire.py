"""What a twin's frame server and a software camera say to each other, and the camera's side of it.

A twin is a process that plays a whole cell on a loopback address; its cameras stream on port 29990. The protocol:

    message     4 bytes, big endian: the length of a header, at most 16384; the header, a JSON object in UTF-8;
                then raw bytes, as many as the header's kind implies
    greeting    server, once:   {"twin": 1, "cameras": [card, ...]}: those that are plugged in
    card        {"name", "model", "usb", "width_px", "height_px", "rates_hz", "fx_px", "fy_px", "cx_px", "cy_px",
                "picture_px": [w, h], "place_px": [left, top, w, h], "depth": whether it has depth}
    request     client, once:   {"camera": name, "rate_hz": one of its rates, "depth": whether it is wanted}
    frame       server, again and again: {"number": grows, "time_s": seconds of the Unix clock at the exposure}, then
                w * h * 3 bytes RGB, then, if wanted, w * h * 2 bytes: depth in 0.1 mm, uint16, little endian, 0 where
                it is unknown

A twin draws only what a cell looks at: a picture of `picture_px` stands at `place_px` in the camera's full image, each
of its pixels as a square of whole pixels there. The rest of the full image is grey. Intrinsics are of the full image;
pixel i spans i to i + 1. The server hangs up when the camera is unplugged.

Nothing that arrives is believed: lengths are bounded before memory is asked for, headers are validated by a strict
model, and what does not fit ends the connection with a WireError that says why.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from skillcore.config import StrictModel, wrong
from skillcore.types import Image

PORT = 29990
MAX_HEADER_BYTES = 16384
DEPTH_UNIT_M = 0.0001
MOST_PX = 2048

Side = Annotated[int, Field(ge=1, le=MOST_PX)]
Edge = Annotated[int, Field(ge=0, le=MOST_PX)]
Focal = Annotated[float, Field(gt=1.0, lt=100000.0)]
Centre = Annotated[float, Field(ge=0.0, le=MOST_PX)]
CameraName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class WireError(Exception):
    """What a frame server sent is not what was agreed on, or it hung up. Told as part of a DeviceError."""


class Card(StrictModel):
    """A camera as the twin introduces it."""

    name: CameraName
    model: Annotated[str, Field(max_length=64)]
    usb: Annotated[str, Field(pattern=r"^[0-9]\.[0-9]{1,2}$")]
    width_px: Side
    height_px: Side
    rates_hz: Annotated[tuple[Annotated[int, Field(ge=1, le=120)], ...], Field(min_length=1, max_length=8)]
    fx_px: Focal
    fy_px: Focal
    cx_px: Centre
    cy_px: Centre
    picture_px: tuple[Side, Side]
    place_px: tuple[Edge, Edge, Side, Side]
    depth: bool

    @model_validator(mode="after")
    def _fits(self) -> Card:
        left, top, width, height = self.place_px
        if left + width > self.width_px or top + height > self.height_px:
            raise wrong("the picture's place lies outside of the image", field="place_px")
        if width != self.zoom * self.picture_px[0] or height != self.zoom * self.picture_px[1]:
            raise wrong("the picture's place is no whole multiple of the picture", field="place_px")
        return self

    @property
    def zoom(self) -> int:
        """How many pixels of the full image a pixel of the picture is wide."""
        return max(1, self.place_px[2] // self.picture_px[0])


class Greeting(StrictModel):
    """The first thing a frame server says."""

    twin: Literal[1]
    cameras: Annotated[tuple[Card, ...], Field(max_length=16)]


class FrameHeader(StrictModel):
    """What comes before the pixels."""

    number: Annotated[int, Field(ge=0, lt=2**53)]
    time_s: Annotated[float, Field(ge=0.0, lt=1e11)]


ModelT = TypeVar("ModelT", bound=StrictModel)


def send(connection: socket.socket, header: Mapping[str, Any]) -> None:
    """Sends a message without raw bytes."""
    text = json.dumps(header).encode()
    connection.sendall(len(text).to_bytes(4, "big") + text)


def receive(connection: socket.socket, model: type[ModelT]) -> ModelT:
    """The next header. Raises WireError, and OSError as sockets do."""
    length = int.from_bytes(_exactly(connection, 4), "big")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise WireError(f"a header of {length} bytes was announced, and at most {MAX_HEADER_BYTES} are allowed")
    text = bytes(_exactly(connection, length))
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        found = _told(first)
        raise WireError(f"a header is not as agreed: {place + ': ' if place else ''}{found}") from None


def receive_pixels(connection: socket.socket, card: Card, *, depth: bool) -> tuple[Image, NDArray[np.uint16] | None]:
    """The picture that follows a frame's header, (h, w, 3) uint8, and its depth, (h, w) uint16 in 0.1 mm."""
    width, height = card.picture_px
    image = np.frombuffer(_exactly(connection, width * height * 3), np.uint8).reshape(height, width, 3)
    if not depth:
        return image, None
    return image, np.frombuffer(_exactly(connection, width * height * 2), "<u2").reshape(height, width)


def _told(first: Any) -> str:
    """One complaint of pydantic's in words, also where it holds several of ours."""
    faults = first.get("ctx", {}).get("faults")
    return "; ".join(f"{field}: {reason}" for field, reason, _ in faults) if faults else str(first["msg"])


def _exactly(connection: socket.socket, length: int) -> bytearray:
    """So many bytes; waits for all of them as long as the socket's timeout allows between two pieces."""
    received = bytearray(length)
    view, have = memoryview(received), 0
    while have < length:
        got = connection.recv_into(view[have:])
        if got == 0:
            raise WireError("the twin hung up")
        have += got
    return received


def full_image(card: Card, picture: NDArray[Any], grey: int) -> NDArray[Any]:
    """The camera's full image with the picture at its place, and `grey` around it."""
    left, top, width, height = card.place_px
    full = np.full((card.height_px, card.width_px, *picture.shape[2:]), grey, picture.dtype)
    full[top : top + height, left : left + width] = picture.repeat(card.zoom, axis=0).repeat(card.zoom, axis=1)
    return full
