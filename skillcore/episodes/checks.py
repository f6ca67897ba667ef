"""What a well formed episode is. Checked before one is written, and again after one was read."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, cast

import numpy as np
import pydantic

from skillcore.errors import EpisodeError
from skillcore.storage import in_bytes
from skillcore.types import Episode, EpisodeInfo

MAX_FRAMES = 1_000_000
MAX_VIEWS = 16
MAX_SIDE_PX = 4096
MAX_BYTES = 4 * 2**30
"""Limits on what is written and read: on a file, and on an episode's images when they are decoded."""

WIDTHS = {"pose": 6, "wrench": 6, "action": 4, "executed": 4, "seated_from_tcp": 6}
"""How many numbers a row holds, for fields that hold several."""

OF_STEPS = ("action", "executed", "reward")
OF_FRAMES = ("pose", "wrench", "score", "success", "truth", "seated_from_tcp")

_INFO = pydantic.TypeAdapter(EpisodeInfo)
_INFO_FIELDS = frozenset(item.name for item in dataclasses.fields(EpisodeInfo))


def faults_of(episode: Episode, *, without_images: bool = False) -> list[str]:
    """Everything about an episode that is not as `Episode` promises; empty if it is well formed.

    without_images: it was read without them, and so has no views.
    """
    images = episode.images
    if images.dtype != np.uint8 or images.ndim != 5 or images.shape[-1] != 3:
        return [f"images are {images.dtype} {images.shape}, not uint8 (steps + 1, views, H, W, 3)"]
    frames, views, height_px, width_px, _ = images.shape
    faults = []
    if not 1 <= frames <= MAX_FRAMES or images.nbytes > MAX_BYTES:
        faults.append(f"{frames} frames of {in_bytes(images.nbytes)} are outside 1 ... {MAX_FRAMES}, 4 GiB")
    fewest = 0 if without_images else 1
    if not (fewest <= views <= MAX_VIEWS and 1 <= height_px <= MAX_SIDE_PX and 1 <= width_px <= MAX_SIDE_PX):
        faults.append(f"{views} views of {width_px}x{height_px} pixels are outside 1 ... {MAX_VIEWS}, {MAX_SIDE_PX}")
    misshapen = False
    for name in (*OF_FRAMES, *OF_STEPS):
        values = getattr(episode, name)
        shape = (frames - (name in OF_STEPS),) + ((WIDTHS[name],) if name in WIDTHS else ())
        dtype = np.dtype(np.int8 if name in ("success", "truth") else np.float32)
        if values.dtype != dtype or values.shape != shape:
            faults.append(f"{name} is {values.dtype} {values.shape}, not {dtype} {shape}")
            misshapen = True
    return faults if misshapen else faults + _value_faults(episode) + _info_faults(episode.info)


def _value_faults(episode: Episode) -> list[str]:
    faults = []
    for name in ("pose", "wrench", "action", "executed", "reward"):
        if not np.isfinite(getattr(episode, name)).all():
            faults.append(f"{name} holds values that are not finite")
    # The tolerance is one rounding of a float32 that was scaled and clipped.
    if (np.abs(episode.action) > 1.0 + 1e-6).any():
        faults.append("action holds values outside [-1, 1]")
    score = episode.score[~np.isnan(episode.score)]
    if ((score < 0.0) | (score > 1.0)).any():
        faults.append("score holds values outside [0, 1]")
    if np.isinf(episode.seated_from_tcp).any():
        faults.append("seated_from_tcp holds infinite values")
    for name in ("success", "truth"):
        if not np.isin(getattr(episode, name), (-1, 0, 1)).all():
            faults.append(f"{name} holds values other than 1, 0 and -1")
    return faults


def _info_faults(info: EpisodeInfo) -> list[str]:
    try:
        info_from_json(info_to_json(info))
    except EpisodeError as error:
        return [error.what]
    return []


def info_to_json(info: EpisodeInfo) -> dict[str, Any]:
    """A JSON object that `info_from_json` reads; NumPy's numbers become plain ones. Raises EpisodeError."""
    try:
        text = json.dumps(dataclasses.asdict(info), allow_nan=False, default=_plain_number)
        return cast("dict[str, Any]", json.loads(text))
    except (TypeError, ValueError) as error:
        raise EpisodeError(f"info cannot be saved: {error}", cure="correct what recorded it") from error


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is of type {type(value).__name__}")


def info_from_json(fields: Any) -> EpisodeInfo:
    """The EpisodeInfo in a JSON object. Raises EpisodeError that names each wrong field."""
    unknown = sorted(fields.keys() - _INFO_FIELDS) if isinstance(fields, dict) else []
    if unknown:
        raise EpisodeError(f"info has unknown fields: {', '.join(unknown)}")
    try:
        info = _INFO.validate_json(json.dumps(fields, allow_nan=False), strict=True)
    except pydantic.ValidationError as error:
        faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise EpisodeError("info is not valid: " + "; ".join(faults)) from error
    except (ValueError, RecursionError) as error:
        raise EpisodeError(f"info is not valid: {error}") from error
    # The index holds these as 64 bit integers; a seed may be longer, and is held as text.
    for name, value in (
        ("trial", info.trial or 0),
        ("overruns", info.overruns),
        ("clamps", sum(info.clamps.values())),
    ):
        if abs(value) >= 2**63:
            raise EpisodeError(f"info is not valid: {name} is too large")
    return info
