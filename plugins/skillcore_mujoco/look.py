"""How a cell looks: surfaces, light, clutter and cameras, drawn from a seed.

One look lasts as long as a connector is installed, as a real cell keeps its background; only the light wanders a little
from episode to episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.solids import Extrusion, Material, Mating

TEXTURE_PX = 256
TEXTURE_M = 0.128
"""The panel's texture repeats after this length."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Light:
    """A lamp far away. direction: (3,) unit vector towards it in the socket frame, so its z is negative."""

    direction: Floats
    ambient: float
    direct: float
    color: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sensor:
    """A camera's ways: the mean grey value it exposes for, gain per channel, darkening towards the corners, blur in
    pixels, noise in grey values, and how far it sits from where it should."""

    brightness: float
    gain: Floats
    vignette: float
    blur_px: float
    noise: float
    mount_offset_m: Floats
    mount_rotation_rad: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Everything that is seen and does not matter.

    panel: (TEXTURE_PX, TEXTURE_PX, 3) float32 in [0, 1]. grain: (TEXTURE_PX, TEXTURE_PX) float32 around 1.
    clutter: bodies on the panel, in the socket frame; they are seen and never touched.
    """

    panel: Floats
    grain: Floats
    panel_z_m: float
    clutter: tuple[Extrusion, ...]
    light: Light
    sensors: tuple[Sensor, ...]
    fingers: Material
    reflection: Floats = field(default_factory=lambda: np.zeros(4, np.float32))


def draw_look(
    rng: np.random.Generator, *, views: int, socket_half_m: tuple[float, float], mount_error: tuple[float, float]
) -> Look:
    """A look for a socket whose housing reaches `socket_half_m` in x and y.

    mount_error: how far the cameras may sit from where they should, in m and in rad, along and about each axis.
    """
    panel_z = float(rng.uniform(0.002, 0.012))
    return Look(
        panel=_panel(rng),
        grain=_grain(rng),
        panel_z_m=panel_z,
        clutter=tuple(_clutter(rng, panel_z, socket_half_m)),
        light=_light(rng),
        sensors=tuple(_sensor(rng, *mount_error) for _ in range(views)),
        fingers=Material(_color(rng, metal=bool(rng.random() < 0.5)), gloss=float(rng.uniform(0.0, 0.6))),
        reflection=rng.normal(0.0, 3.0, 4).astype(np.float32),
    )


def wandered(light: Light, rng: np.random.Generator) -> Light:
    """The light of one episode: a cloud passes, somebody stands in the way."""
    return replace(
        light,
        ambient=light.ambient * float(rng.uniform(0.9, 1.1)),
        direct=light.direct * float(rng.uniform(0.85, 1.15)),
    )


def _light(rng: np.random.Generator) -> Light:
    azimuth, elevation = rng.uniform(0.0, 2 * np.pi), np.radians(rng.uniform(35.0, 80.0))
    direction = np.array(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), -np.sin(elevation)], np.float32
    )
    warmth = rng.normal(0.0, 0.05)
    ambient = float(rng.uniform(0.3, 0.7))
    return Light(
        direction=direction,
        ambient=ambient,
        direct=float(rng.uniform(0.8, 1.2)) - ambient,
        color=np.array([1.0 + warmth, 1.0, 1.0 - warmth], np.float32),
    )


def _sensor(rng: np.random.Generator, error_m: float, error_rad: float) -> Sensor:
    return Sensor(
        brightness=float(rng.uniform(75.0, 140.0)),
        gain=rng.normal(1.0, 0.03, 3).astype(np.float32),
        vignette=float(rng.uniform(0.0, 0.25)),
        blur_px=float(rng.uniform(0.3, 0.7)),
        noise=float(rng.uniform(1.0, 4.0)),
        mount_offset_m=rng.uniform(-error_m, error_m, 3).astype(np.float32),
        mount_rotation_rad=rng.uniform(-error_rad, error_rad, 3).astype(np.float32),
    )


def _color(rng: np.random.Generator, *, metal: bool = False) -> tuple[float, float, float]:
    if metal:
        grey = rng.uniform(0.45, 0.85)
        red, green, blue = np.clip(grey + rng.normal(0.0, 0.03, 3), 0.0, 1.0)
    else:
        hue, saturation, value = rng.uniform(0, 360), rng.beta(1.0, 2.0), rng.uniform(0.08, 0.95)
        pixel = np.array([[[hue, saturation, value]]], np.float32)
        red, green, blue = cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0]
    return float(red), float(green), float(blue)


BENCHES = ("#8d9092", "#b9bbbd", "#d8d6cf", "#efeeea", "#3b3c3f", "#5f6a72", "#4d6b8a", "#3f6f5c", "#b08d62", "#8a6a48")
"""Colours of the benches, mats, boards and sheets that fixtures are mounted on."""


def _bench_color(rng: np.random.Generator) -> Floats:
    """(3,) one of the usual colours, in some other shade; now and then any colour."""
    if rng.random() < 0.15:
        return np.array(_color(rng), np.float32)
    text = BENCHES[int(rng.integers(len(BENCHES)))]
    base = np.array([int(text[index : index + 2], 16) / 255.0 for index in (1, 3, 5)])
    return np.asarray(np.clip(base * rng.uniform(0.7, 1.15) + rng.normal(0.0, 0.03, 3), 0.02, 0.98), np.float32)


def _grain(rng: np.random.Generator) -> Floats:
    noise = rng.normal(0.0, 1.0, (TEXTURE_PX, TEXTURE_PX)).astype(np.float32)
    coarse = cv2.GaussianBlur(noise, (0, 0), 3.0, borderType=cv2.BORDER_REFLECT)
    return np.asarray(1.0 + 0.05 * noise + 0.25 * coarse, dtype=np.float32)


def _panel(rng: np.random.Generator) -> Floats:
    """A board, a cloth, a printed sheet, brushed metal: two colours mixed by a random pattern."""
    first = _bench_color(rng)
    # What is mounted on is duller than what is mounted: most patterns are faint.
    second = first + rng.uniform(0.1, 0.6) ** 1.5 * (_bench_color(rng) - first)
    y, x = np.mgrid[0:TEXTURE_PX, 0:TEXTURE_PX].astype(np.float32) / TEXTURE_PX
    turn = rng.uniform(0.0, np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y
    kind = int(rng.integers(0, 6))
    if kind == 0:
        mix = np.zeros_like(x)
    elif kind == 1:
        mix = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * rng.uniform(3, 20) * along))
    elif kind == 2:
        mix = 0.5 + 0.5 * np.sign(
            np.sin(2 * np.pi * rng.uniform(4, 14) * x) * np.sin(2 * np.pi * rng.uniform(4, 14) * y)
        )
    elif kind == 3:
        blobs = cv2.GaussianBlur(rng.normal(0, 1, x.shape).astype(np.float32), (0, 0), float(rng.uniform(2, 14)))
        mix = 0.5 + 0.5 * np.tanh(rng.uniform(1, 6) * blobs / blobs.std())
    elif kind == 4:
        rows = rng.normal(0, 1, TEXTURE_PX).astype(np.float32)
        mix = 0.5 + 0.15 * np.broadcast_to(rows[:, None], x.shape)
    else:
        mix = np.zeros_like(x)
        for _ in range(int(rng.integers(5, 40))):
            shade = float(rng.uniform(0.3, 1.0))
            a, b = (tuple(int(v) for v in rng.integers(0, TEXTURE_PX, 2)) for _ in range(2))
            if rng.random() < 0.5:
                cv2.line(mix, a, b, (shade,), int(rng.integers(1, 5)))
            else:
                cv2.circle(mix, a, int(rng.integers(2, 20)), (shade,), -1 if rng.random() < 0.5 else 1)
    colors = first + (second - first) * mix[..., None]
    return np.asarray(np.clip(colors, 0.0, 1.0), dtype=np.float32)


def _clutter(rng: np.random.Generator, panel_z_m: float, socket_half_m: tuple[float, float]) -> list[Extrusion]:
    """Blocks, discs, cables and look-alike openings around the socket, lower than its mouth."""
    bodies = []
    for _ in range(int(rng.integers(0, 6))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.004, 0.03)
        size = rng.uniform(0.002, 0.012, 2)
        reach = np.hypot(*size) + away
        center = np.array([np.cos(angle), np.sin(angle)]) * (np.array(socket_half_m) + reach)
        # Few heights, since every one of them begins a layer.
        top = panel_z_m * float(rng.choice([0.1, 0.5, 0.85]))
        corners = 4 if rng.random() < 0.6 else 14
        phase = rng.uniform(0, 2 * np.pi)
        around = phase + np.arange(corners) * 2 * np.pi / corners
        ring = center + np.column_stack([np.cos(around), np.sin(around)]) * size
        metal = bool(rng.random() < 0.3)
        surface = Material(_color(rng, metal=metal), gloss=0.6 if metal else 0.1)
        bodies.append(Extrusion(ring, (top, panel_z_m), surface, collides=False))
        if rng.random() < 0.4:
            dark = Material(_color(rng), gloss=0.0)
            inner = center + 0.6 * (ring - center)
            bodies.append(Extrusion(inner, (top, panel_z_m), dark, collides=False))
    return bodies


def panel_around(mating: Mating, panel_z_m: float) -> Extrusion:
    """The panel that the socket is mounted in, with a gap for the socket's housing."""
    housing = max((part for part in mating.socket if part.z_m[0] < 1e-5), key=_extent)
    half = max(reach_of([housing])) + 0.06
    square = half * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    thickness = max(0.0, *(part.z_m[1] for part in mating.socket)) + 0.002
    surface = Material((0.5, 0.5, 0.5))
    return Extrusion(square, (panel_z_m, panel_z_m + thickness), surface, holes=(housing.outline,))


def _extent(part: Extrusion) -> float:
    return float(np.ptp(part.outline, axis=0).prod())


def reach_of(extrusions: Sequence[Extrusion]) -> tuple[float, float]:
    """How far bodies reach from the axis, in m along x and y."""
    if not extrusions:
        return (0.0, 0.0)
    corners = np.concatenate([np.abs(extrusion.outline) for extrusion in extrusions])
    x, y = corners.max(axis=0)
    return float(x), float(y)
