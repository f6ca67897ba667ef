"""Images of the cell by ray casting: first hits, shadows, shading, and what a sensor makes of it.

All views are cast together. What is rigid to the cameras (the fingers) is cast once an episode; the plug's rays are
limited to the pixels it can appear in; the shadows that socket and clutter throw are baked once a look. Vectors are
kept as (3, n): numpy then works on whole rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skillcore.interfaces import Shown
from skillcore.solids import Extrusion, Material, Mating
from skillcore.types import Array, Image, Intrinsics, Pose
from skillcore_mujoco.layers import EMPTY, LayerStack, Lines, nearest
from skillcore_mujoco.look import TEXTURE_M, TEXTURE_PX, Light, Look, Sensor, panel_around, reach_of

Floats = NDArray[np.float32]

PANEL = 1
SOCKET_CELL_M, PLUG_CELL_M = 0.0002, 0.00015
SOCKET_HALF_WIDTH_M = 0.06
SAMPLE_M, PLUG_SAMPLE_M = 0.001, 0.0007
HIDDEN_Z_M = -0.045
"""Wrist cameras look down past what is farther behind the tip than this."""
BAKED_PX = 176


@dataclass(frozen=True, slots=True, eq=False)
class Eye:
    """A camera on the tool. Its z axis looks ahead, x to the image's right, y down."""

    camera_from_tcp: Pose
    intrinsics: Intrinsics


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """What a view shows: image (H, W, 3) uint8; depth_m (H, W) float32; part (H, W) uint8, what it is, a `Shown`."""

    image: Image
    depth_m: Floats
    part: Image


class _Palette:
    """Numbers for materials, as the layers store them, and their properties by number."""

    def __init__(self) -> None:
        self._numbers: dict[Material, int] = {}
        self.color = np.zeros((3, 256), np.float32)
        self.gloss = np.zeros(256, np.float32)
        self.grain = np.zeros(256, np.float32)
        self._next = PANEL + 1

    def number(self, material: Material) -> int:
        if material not in self._numbers:
            number = self._next
            self._next = min(255, number + 1)
            self._numbers[material] = number
            self.color[:, number], self.gloss[number] = material.color, material.gloss
            self.grain[number] = {"plain": 0.25, "brushed": 0.6, "speckled": 1.0}[material.texture]
        return self._numbers[material]

    def numbers(self, extrusions: Sequence[Extrusion]) -> list[int]:
        return [self.number(extrusion.material) for extrusion in extrusions]


class RayCaster:
    """Renders one installed connector as seen by a set of eyes."""

    def __init__(self, mating: Mating, look: Look, fingers: Sequence[Extrusion], eyes: Sequence[Eye]) -> None:
        palette = _Palette()
        self._look = look
        self._palette = palette
        self._panel_channels = [np.ascontiguousarray(look.panel[..., channel]) for channel in range(3)]
        bodies = (*look.clutter, *mating.socket)
        self._socket = LayerStack(
            [panel_around(mating, look.panel_z_m), *bodies],
            [PANEL, *palette.numbers(bodies)],
            half_width_m=SOCKET_HALF_WIDTH_M,
            cell_m=SOCKET_CELL_M,
            sample_m=SAMPLE_M,
        )
        half = max(0.012, 1.05 * max(reach_of(mating.plug)))
        self._plug = LayerStack(
            mating.plug,
            palette.numbers(mating.plug),
            half_width_m=half,
            cell_m=max(PLUG_CELL_M, half / 200),
            sample_m=PLUG_SAMPLE_M,
            from_z_m=HIDDEN_Z_M,
        )
        self._fingers = LayerStack(
            fingers,
            palette.numbers(fingers),
            half_width_m=max(0.03, 1.05 * max(reach_of(fingers))),
            cell_m=0.0003,
            sample_m=0.001,
            from_z_m=HIDDEN_Z_M,
        )
        self._part_of = np.full(256, Shown.OTHER, np.uint8)
        self._part_of[palette.numbers(mating.socket)] = Shown.SOCKET
        mouth = [e for e in mating.socket if e.z_m[0] < 1e-5]
        self._mouth_half_m = np.array(reach_of(mouth), np.float32) - 0.0005
        self._baked = self._bake_shadows(look)
        self._is_exposed = False
        self._aim(eyes, look.sensors)
        self._finger_hits = self._fingers.first_hit(Lines.through(self._origins, self._directions))
        self._finger_depth = (self._finger_hits.z_m - self._origins[2]) / self._directions[2]

    def _aim(self, eyes: Sequence[Eye], sensors: Sequence[Sensor]) -> None:
        """Rays of all views in the TCP frame, mounting errors included."""
        directions, origins, exposures = [], [], []
        for eye, sensor in zip(eyes, sensors, strict=True):
            camera = eye.intrinsics
            error = Pose.from_rotvec(sensor.mount_offset_m, sensor.mount_rotation_rad)
            pose = eye.camera_from_tcp @ error
            columns = (np.arange(camera.width_px) + 0.5 - camera.cx_px) / camera.fx_px
            rows = (np.arange(camera.height_px) + 0.5 - camera.cy_px) / camera.fy_px
            x, y = (grid.ravel() for grid in np.meshgrid(columns, rows))
            # Rays are as long as the camera's z axis is: the distance along them is the depth.
            directions.append(pose.rotation @ np.stack([x, y, np.ones_like(x)]))
            origins.append(np.repeat(pose.position_m[:, None], len(x), axis=1))
            radius = np.hypot(x / np.abs(x).max(), y / np.abs(y).max()) / np.sqrt(2.0)
            exposures.append(255.0 * (1.0 - sensor.vignette * radius**2) * sensor.gain[:, None])
        self._shapes = [(eye.intrinsics.height_px, eye.intrinsics.width_px) for eye in eyes]
        self._blocks = _blocks_of_four(self._shapes)
        self._directions = np.concatenate(directions, axis=1).astype(np.float32)
        self._origins = np.concatenate(origins, axis=1).astype(np.float32)
        self._exposure = np.concatenate(exposures, axis=1).astype(np.float32)

    def _bake_shadows(self, look: Look) -> Floats:
        """How much direct light reaches the panel, (BAKED_PX, BAKED_PX), 0 to 1."""
        axis = (np.arange(BAKED_PX) + 0.5) / BAKED_PX * (2 * SOCKET_HALF_WIDTH_M) - SOCKET_HALF_WIDTH_M
        x, y = np.meshgrid(axis, axis)
        points = np.stack([x, y, np.full_like(x, look.panel_z_m)]).reshape(3, -1).astype(np.float32)
        lines = Lines.through(points, look.light.direction[:, None])
        limit = np.full(len(lines), look.panel_z_m - 1e-4, np.float32)
        lit = 1.0 - self._socket.blocks(lines, limit).reshape(BAKED_PX, BAKED_PX).astype(np.float32)
        return np.asarray(cv2.GaussianBlur(lit, (0, 0), 1.2), dtype=np.float32)

    def new_episode(self, plug_from_tcp: Pose, light: Light, rng: np.random.Generator) -> None:
        """Learns how the plug sits in the fingers, and so which pixels it can appear in."""
        self._light = light
        lines = Lines.through(*_seen_from(plug_from_tcp, self._origins, self._directions))
        possible = np.flatnonzero(self._plug.may_touch(lines))
        shows_plug = np.zeros(len(lines), np.uint8)
        shows_plug[possible] = self._plug.first_hit(lines.take(possible)).material != EMPTY
        near, start = [], 0
        for height, width in self._shapes:
            rows = slice(start, start + height * width)
            start += height * width
            mask = shows_plug[rows].reshape(height, width)
            # Two pixels are what a tilt in the fingers can shift the plug by.
            near.append(cv2.dilate(mask, np.ones((5, 5), np.uint8)).ravel())
        self._plug_pixels = np.flatnonzero(np.concatenate(near))
        levels = [np.full(h * w, s.noise) for (h, w), s in zip(self._shapes, self._look.sensors, strict=True)]
        noise = rng.normal(0.0, 1.0, (3, len(lines))) * np.concatenate(levels)
        # One sheet of noise, laid on at another place for every frame: as good as new, and free.
        self._noise = np.concatenate([noise, noise], axis=1).astype(np.float32)
        self._noise_shifts = rng.integers(0, len(lines), 997)
        self._frames = 0
        if not self._is_exposed:
            self._is_exposed = True
            self._expose()

    def _expose(self) -> None:
        """Sets the views' exposure as a camera does by itself: to a middling brightness of what it sees at first."""
        above = Pose.from_xyz_yaw(0.0, 0.0, -0.015, 0.0)
        start = 0
        for picture, sensor in zip(self.render(above, above), self._look.sensors, strict=True):
            rows = slice(start, start + picture.depth_m.size)
            start = rows.stop
            level = max(1.0, float(picture.image.mean()))
            self._exposure[:, rows] *= np.clip(sensor.brightness / level, 0.4, 4.0)

    def render(self, tcp_from_socket: Pose, plug_from_socket: Pose) -> list[Picture]:
        """Pictures of all views for the poses of tool and plug."""
        rotation = tcp_from_socket.rotation.astype(np.float32)
        directions = rotation @ self._directions
        origins = rotation @ self._origins + tcp_from_socket.position_m.astype(np.float32)[:, None]

        fingers = self._finger_hits
        material, wall, depth = fingers.material.copy(), fingers.wall.copy(), self._finger_depth.copy()
        heading = fingers.heading + _turn_code(tcp_from_socket)
        part = (material != EMPTY).view(np.uint8) * np.uint8(Shown.TOOL)

        pixels = self._plug_pixels
        rays = _seen_from(plug_from_socket, _columns(origins, pixels), _columns(directions, pixels))
        hits = self._plug.first_hit(Lines.through(*rays))
        reach = (hits.z_m - rays[0][2]) / rays[1][2]
        hidden = (material.take(pixels) != EMPTY) & (reach > depth.take(pixels))
        seen = np.flatnonzero((hits.material != EMPTY) & ~hidden)
        at = pixels.take(seen)
        material[at], wall[at], depth[at] = hits.material.take(seen), hits.wall.take(seen), reach.take(seen)
        heading[at] = hits.heading.take(seen) + _turn_code(plug_from_socket)
        part[at] = Shown.PLUG

        # Whatever stands on the ground lies beyond the mouth's plane: only what has passed it can be hidden.
        tip_z = origins[2].take(at) + depth.take(at) * directions[2].take(at)
        behind = np.full(len(material), -np.inf, np.float32)
        behind[material == EMPTY] = np.inf
        behind[at] = np.where(tip_z > 0.0, tip_z, -np.inf)
        rest = np.flatnonzero(behind > 0.0)
        rays = _columns(origins, rest), _columns(directions, rest)
        hits = self._socket.first_hit(Lines.through(*rays))
        missed = hits.material == EMPTY
        hits.material[missed], hits.z_m[missed] = PANEL, self._look.panel_z_m
        nearer = np.flatnonzero(hits.z_m < behind.take(rest))
        rest, rays, hits = rest.take(nearer), (_columns(rays[0], nearer), _columns(rays[1], nearer)), hits.take(nearer)
        reach = (hits.z_m - rays[0][2]) / rays[1][2]
        material[rest], wall[rest], heading[rest], depth[rest] = hits.material, hits.wall, hits.heading, reach
        part[rest] = self._part_of.take(hits.material)

        # Shadows are soft: one of the ground's pixels in each block of two by two speaks for all of them.
        speaker = np.full(len(material), -1)
        block = self._blocks.take(rest)
        speaker[block] = np.arange(len(rest))
        speakers = np.flatnonzero(speaker >= 0)
        sample = speaker.take(speakers)
        speaker[speakers] = np.arange(len(speakers))
        ground = _columns(rays[0], sample) + reach.take(sample) * _columns(rays[1], sample)
        lit = np.ones(len(material), np.float32)
        lit[rest] = self._lit(ground, tcp_from_socket, plug_from_socket).take(speaker.take(block))
        points = origins + depth * directions
        color = self._shade(material, points, directions, wall, heading, lit)
        return self._develop(color, depth, part)

    def _lit(self, points: Floats, tcp_from_socket: Pose, plug_from_socket: Pose) -> Floats:
        """How much direct light reaches points (3, n) of the ground: shadows of socket, cavity, plug and fingers."""
        lit = np.ones(points.shape[1], np.float32)
        low = np.flatnonzero(points[2] > self._look.panel_z_m - 1e-4)
        scale = np.float32(BAKED_PX / (2 * SOCKET_HALF_WIDTH_M))
        middle = np.float32(0.5 * BAKED_PX - 0.5)
        lit[low] = _sample(self._baked, points[0].take(low) * scale + middle, points[1].take(low) * scale + middle)
        half_x, half_y = self._mouth_half_m
        in_cavity = np.flatnonzero((points[2] > 0.0003) & (np.abs(points[0]) < half_x) & (np.abs(points[1]) < half_y))
        lit[in_cavity] = 1.0 / (1.0 + points[2].take(in_cavity) / np.float32(0.003))
        to_light = self._light.direction[:, None]
        for stack, pose in ((self._plug, plug_from_socket), (self._fingers, tcp_from_socket)):
            local, towards = _seen_from(pose, points, to_light)
            lines = Lines.through(local, towards)
            near = np.flatnonzero(stack.may_touch(lines))
            if len(near):
                shaded = stack.blocks(lines.take(near), local[2].take(near) - np.float32(2e-4))
                lit[near[shaded]] *= 0.1
        return lit

    def _shade(
        self,
        material: NDArray[np.uint8],
        points: Floats,
        directions: Floats,
        wall: NDArray[np.bool_],
        heading: NDArray[np.uint8],
        lit: Floats,
    ) -> Floats:
        """RGB (3, n), 1 for white: diffuse and mirrored light."""
        palette, look, light = self._palette, self._look, self._light
        scale = np.float32(TEXTURE_PX / TEXTURE_M)
        u, v = (points[0] + np.float32(0.37) * points[2]) * scale, points[1] * scale
        grain = _sample(look.grain, u, v)
        grain -= 1.0
        grain *= _by_code(palette.grain, material)
        grain += 1.0
        on_panel = np.flatnonzero(material == PANEL)
        u, v = u.take(on_panel), v.take(on_panel)
        color = np.empty((3, len(material)), np.float32)
        for channel, surface, panel in zip(color, palette.color, self._panel_channels, strict=True):
            channel[:] = _by_code(surface, material)
            channel[on_panel] = _sample(panel, u, v)

        light_x, light_y, light_z = light.direction
        normal_x, normal_y = _by_code(_COSINES, heading) * wall, _by_code(_SINES, heading) * wall
        normal_z = wall.astype(np.float32) - np.float32(1.0)
        facing = normal_x * light_x + normal_y * light_y + normal_z * light_z
        diffuse = np.maximum(facing, np.float32(0.0)) * lit
        diffuse *= light.direct
        diffuse += light.ambient * (1.0 + 0.25 * normal_z)

        # A mirrored ray d - 2 (d n) n meets a smooth made-up surrounding, brighter above than below.
        ray_x, ray_y, ray_z = directions
        twice = 2.0 * (ray_x * normal_x + ray_y * normal_y + ray_z * normal_z)
        mirrored_z = ray_z - twice * normal_z
        a, b, c, d = look.reflection
        phase = a * (ray_x - twice * normal_x) + b * (ray_y - twice * normal_y) + c * mirrored_z + d
        surroundings = 0.55 - 0.3 * mirrored_z + 0.35 * np.sin(phase)
        gloss = _by_code(palette.gloss, material)
        brightness = diffuse * (1.0 - 0.6 * gloss) + gloss * np.maximum(surroundings, 0.0) * (0.3 + 0.7 * lit)
        brightness *= grain
        for channel, tint in zip(color, light.color, strict=True):
            channel *= brightness
            channel *= tint
        return color

    def _develop(self, color: Floats, depth: Floats, part: NDArray[np.uint8]) -> list[Picture]:
        """What the sensors make of the light that reaches them."""
        shift = int(self._noise_shifts[self._frames % len(self._noise_shifts)])
        self._frames += 1
        color *= self._exposure
        pictures, start = [], 0
        for (height, width), sensor in zip(self._shapes, self._look.sensors, strict=True):
            rows = slice(start, start + height * width)
            channels = [
                cv2.GaussianBlur(channel[rows].reshape(height, width), (3, 3), sensor.blur_px)
                + noise[shift + start : shift + start + height * width].reshape(height, width)
                for channel, noise in zip(color, self._noise, strict=True)
            ]
            image = np.clip(cv2.merge(channels), 0.0, 255.0).astype(np.uint8)
            pictures.append(Picture(image, depth[rows].reshape(height, width), part[rows].reshape(height, width)))
            start += height * width
        return pictures


_COSINES = np.cos(np.arange(256) * (np.pi / 128.0)).astype(np.float32)
_SINES = np.sin(np.arange(256) * (np.pi / 128.0)).astype(np.float32)


def _by_code(table: Floats, codes: NDArray[np.uint8]) -> Floats:
    """table[codes] for a table (256,) and codes (n,)."""
    return np.asarray(cv2.LUT(codes[None], table)[0], dtype=np.float32)


def _sample(texture: Floats, x: Floats, y: Floats) -> Floats:
    """The texture's values (n,) at pixels x, y (n,); it repeats beyond its edges."""
    if len(x) == 0:
        return x
    return np.asarray(nearest(texture, x[None], y[None], cv2.BORDER_WRAP)[0], dtype=np.float32)


def _columns(vectors: Floats, which: NDArray[np.intp]) -> Floats:
    """Some columns of (3, n); taken row by row, which is several times faster than at once."""
    return np.stack([row.take(which) for row in vectors])


def _blocks_of_four(shapes: Sequence[tuple[int, int]]) -> NDArray[np.intp]:
    """For every pixel of all views, a number that it shares with its neighbours in a block of two by two."""
    numbers, start = [], 0
    for height, width in shapes:
        rows, columns = np.mgrid[0:height, 0:width] // 2
        numbers.append((start + rows * ((width + 1) // 2) + columns).ravel())
        start += height * width
    return np.concatenate(numbers)


def _turn_code(pose: Pose) -> np.uint8:
    """A pose's turn about z in the units of `Hits.heading`."""
    return np.uint8(round(pose.yaw_rad * 128.0 / np.pi) & 255)


def _seen_from(frame: Pose, points: Floats, directions: Floats) -> tuple[Floats, Floats]:
    """Points and directions (3, n) as seen from a frame that is given where they are given."""
    rotation = frame.rotation.T.astype(np.float32)
    offset = (rotation @ frame.position_m).astype(np.float32)
    return rotation @ points - offset[:, None], rotation @ directions


def look_at(position_m: Array, target_m: Array, up: Array) -> Pose:
    """Pose of a camera at `position_m` that looks at `target_m`, the image's up side towards `up`."""
    ahead = (target_m - position_m) / np.linalg.norm(target_m - position_m)
    right = np.cross(ahead, up)
    right /= np.linalg.norm(right)
    return Pose(np.asarray(position_m, dtype=np.float64), np.column_stack([right, np.cross(ahead, right), ahead]))
