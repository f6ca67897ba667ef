"""What a cell file may say about a RealSense camera."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from skillcore.config import FREQUENCY, TIME, StrictModel, all_wrong

TWIN_SERIAL = re.compile(r"twin-(?P<address>[0-9.]{7,15})-(?P<camera>[A-Za-z0-9][A-Za-z0-9_-]{0,63})")
"""The serial number of a twin's camera: where the twin is, and what its cell calls the camera."""

FRAMES_KEPT = 1.5
"""How many frames must fit into the maximum age, so that a frame that comes a little late is none that is missing."""

WidthPx = Annotated[int, Field(ge=16, le=1920)]
HeightPx = Annotated[int, Field(ge=16, le=1200)]


class Crop(StrictModel):
    """The part of the image that is delivered; left and top count from the upper left corner."""

    left_px: Annotated[int, Field(ge=0, le=1904)]
    top_px: Annotated[int, Field(ge=0, le=1184)]
    width_px: WidthPx
    height_px: HeightPx


class RealSenseOptions(StrictModel):
    """A RealSense camera, known by its serial number.

    serial: as printed on the camera and listed when a wrong one is given; `twin-127.0.0.2-left` is the camera `left` of
    the twin at that address. size_px, rate_hz: the colour stream, width first. depth: whether depth is delivered too,
    as seen by the colour camera; depth_size_px: its own stream, as large as the colour stream if not given.
    crop, then resize_px (width first): what becomes of the image.
    exposure_s, white_balance_k: `auto`, or the value they are locked to. max_age_s: frames older than this are not
    delivered, whatever the reader would take. restarts: how often a stream that stands still is started again within a
    minute. record_to: a folder; each start of the stream records into a new file there, in the library's own format.
    play_from: such a file, played again and again instead of a camera; exposure and white balance are as recorded.
    """

    serial: Annotated[str, Field(max_length=100)] = ""
    size_px: tuple[WidthPx, HeightPx] = (640, 480)
    rate_hz: Annotated[float, FREQUENCY.within(10.0, 90.0)] = 30.0
    depth: bool = False
    depth_size_px: tuple[WidthPx, HeightPx] | None = None
    crop: Crop | None = None
    resize_px: tuple[WidthPx, HeightPx] | None = None
    exposure_s: Literal["auto"] | Annotated[float, TIME.within(1e-5, 0.2)] = "auto"
    white_balance_k: Literal["auto"] | Annotated[int, Field(ge=1000, le=20000)] = "auto"
    max_age_s: Annotated[float, TIME.within(0.05, 2.0)] = 0.2
    restarts: Annotated[int, Field(ge=0, le=10)] = 3
    record_to: Path | None = None
    play_from: Path | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> RealSenseOptions:
        faults = [*self._serial_faults(), *self._crop_faults()]
        if self.depth_size_px is not None and not self.depth:
            faults.append(("depth_size_px", "there is no depth stream", "write `depth: true`, or leave it out"))
        least = FRAMES_KEPT / self.rate_hz
        if self.max_age_s < least:
            reason = f"{self.max_age_s:g} s is too short for frames that are {1.0 / self.rate_hz:.3f} s apart"
            faults.append(("max_age_s", reason, f"write at least {least:.2f} s, or raise rate_hz"))
        if self.record_to is not None and self.play_from is not None:
            faults.append(("record_to", "what is played from a file is not recorded again", "leave one of the two out"))
        if self.exposure_s != "auto" and self.exposure_s > 1.0 / self.rate_hz:
            reason = f"{self.exposure_s:g} s is longer than the time between two frames, {1.0 / self.rate_hz:.3f} s"
            faults.append(("exposure_s", reason, f"write at most {1e3 / self.rate_hz:.0f} ms, or lower rate_hz"))
        if faults:
            raise all_wrong(faults)
        return self

    def _serial_faults(self) -> list[tuple[str, str, str]]:
        if not self.serial:
            if self.play_from is not None:
                return []
            cure = "write the number on the camera, in quotes; given a wrong one, `skill cell check` lists all"
            return [("serial", "is missing", cure)]
        if not self.serial.startswith("twin-"):
            return []
        form = "write twin-ADDRESS-CAMERA, such as twin-127.0.0.2-left"
        match = TWIN_SERIAL.fullmatch(self.serial)
        if match is None:
            return [("serial", f"{self.serial!r} is no serial number of a twin's camera", form)]
        try:
            address = ipaddress.IPv4Address(match["address"])
        except ValueError:
            return [("serial", f"{match['address']!r} is no address", form)]
        if not address.is_loopback:
            return [("serial", f"{address} is no loopback address, and a twin has no other", form)]
        return []

    def _crop_faults(self) -> list[tuple[str, str, str]]:
        crop, faults = self.crop, []
        if crop is None:
            return []
        for name, start, length, size in (
            ("width_px", crop.left_px, crop.width_px, self.size_px[0]),
            ("height_px", crop.top_px, crop.height_px, self.size_px[1]),
        ):
            if start + length > size:
                reason = f"the crop ends at pixel {start + length}, and the image at {size}"
                most = size - start
                cure = f"write at most {most}" if most >= 16 else "let the crop begin further left or further up"
                faults.append((f"crop.{name}", reason, cure))
        return faults
