"""The ray caster against rays that are intersected with boxes exactly."""

from dataclasses import dataclass

import numpy as np
import pytest

from skillcore.interfaces import Shown
from skillcore.solids import Extrusion, Material, Mating
from skillcore.types import Intrinsics, Pose
from skillcore_mujoco.look import TEXTURE_PX, Light, Look, Sensor
from skillcore_mujoco.raycast import (
    Eye,
    Picture,
    RayCaster,
    look_at,
)

SIZE = 64
PANEL_M, HOUSING_M, FLOOR_M = 0.005, 0.012, 0.0075
HOLE_M, PLUG_M = (0.006, 0.004), (0.005, 0.003)
GREY = Material((0.5, 0.5, 0.5))


def rectangle(half_x: float, half_y: float, x: float = 0.0) -> np.ndarray:
    corners = np.array([[-half_x, -half_y], [half_x, -half_y], [half_x, half_y], [-half_x, half_y]])
    return corners + [[x, 0.0]]  # noqa: RUF005


@dataclass(frozen=True)
class Box:
    """low and high: two corners (3,), in the frame of `part`."""

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    part: int


def ring(half: tuple[float, float], hole: tuple[float, float], z: tuple[float, float], part: int) -> list[Box]:
    """The four boxes around a rectangular hole."""
    (x, y), (a, b), (low, high) = half, hole, z
    return [
        Box((-x, -y, low), (-a, y, high), part),
        Box((a, -y, low), (x, y, high), part),
        Box((-a, -y, low), (a, -b, high), part),
        Box((-a, b, low), (a, y, high), part),
    ]


SOCKET_BOXES = [
    *ring((HOUSING_M, HOUSING_M), HOLE_M, (0.0, FLOOR_M), Shown.SOCKET),
    Box((-HOUSING_M, -HOUSING_M, FLOOR_M), (HOUSING_M, HOUSING_M, 0.009), Shown.SOCKET),
    *ring((1.0, 1.0), (HOUSING_M, HOUSING_M), (PANEL_M, 0.02), Shown.OTHER),
]
PLUG_BOX = Box((-PLUG_M[0], -PLUG_M[1], -0.030), (PLUG_M[0], PLUG_M[1], 0.0), Shown.PLUG)
TOOL_BOX = Box((-0.004, 0.008, -0.040), (0.004, 0.012, -0.015), Shown.TOOL)
FINGER = Extrusion(rectangle(0.004, 0.002) + np.array([0.0, 0.010]), (-0.040, -0.015), GREY, collides=False)


@pytest.fixture(scope="module")
def eye() -> Eye:
    pose = look_at(np.array([0.05, -0.02, -0.05]), np.zeros(3), up=np.array([0.0, 0.0, -1.0]))
    return Eye(pose, Intrinsics(SIZE, SIZE, 110.0, 110.0, 0.5 * SIZE, 0.5 * SIZE))


@pytest.fixture(scope="module")
def caster(eye: Eye) -> RayCaster:
    light = Light(np.array([0.5, 0.3, -0.8], np.float32) / np.float32(np.sqrt(0.98)), 0.5, 0.5, np.ones(3, np.float32))
    still = np.zeros(3, np.float32)
    sensor = Sensor(110.0, np.ones(3, np.float32), 0.0, 0.3, 0.0, still, still)
    flat = np.ones((TEXTURE_PX, TEXTURE_PX), np.float32)
    look = Look(np.repeat(flat[..., None], 3, axis=2) * 0.5, flat, PANEL_M, (), light, (sensor,), GREY)
    mating = Mating(
        "box",
        plug=(Extrusion(rectangle(*PLUG_M), (-0.030, 0.0), Material((0.8, 0.2, 0.2))),),
        socket=(
            Extrusion(rectangle(HOUSING_M, HOUSING_M), (0.0, FLOOR_M), GREY, holes=(rectangle(*HOLE_M),)),
            Extrusion(rectangle(HOUSING_M, HOUSING_M), (FLOOR_M, 0.009), Material((0.2, 0.2, 0.8))),
        ),
        depth_m=0.006,
        friction=0.2,
        resistance_n=0.0,
    )
    made = RayCaster(mating, look, (FINGER,), (eye,))
    made.new_episode(Pose.identity(), light, np.random.default_rng(0))
    return made


def reference(eye: Eye, tcp: Pose, plug: Pose) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth (H, W), part (H, W), and whether the surface is level, by intersecting every ray with every box."""
    camera = eye.intrinsics
    columns = (np.arange(SIZE) + 0.5 - camera.cx_px) / camera.fx_px
    x, y = (grid.ravel() for grid in np.meshgrid(columns, columns))
    rays = np.column_stack([x, y, np.ones_like(x)])
    pose = tcp @ eye.camera_from_tcp
    depth, part, level = np.full(len(rays), np.inf), np.full(len(rays), -1), np.zeros(len(rays), bool)
    frames = [(Pose.identity(), SOCKET_BOXES), (plug, [PLUG_BOX]), (tcp, [TOOL_BOX])]
    for frame, boxes in frames:
        local = frame.inverse() @ pose
        origin, directions = local.position_m, rays @ local.rotation.T
        for box in boxes:
            with np.errstate(divide="ignore"):
                first, second = (np.array(box.low) - origin) / directions, (np.array(box.high) - origin) / directions
            enter, leave = np.minimum(first, second), np.maximum(first, second)
            near = enter.max(axis=1)
            hit = (near < leave.min(axis=1)) & (near > 0.0) & (near < depth)
            depth[hit], part[hit] = near[hit], box.part
            level[hit] = enter[hit].argmax(axis=1) == 2
    shape = (SIZE, SIZE)
    return depth.reshape(shape), part.reshape(shape), level.reshape(shape)


def inner(part: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Pixels that lie in the midst of one surface: at edges, half a pixel decides."""
    smooth = np.zeros(part.shape, bool)
    smooth[1:-1, 1:-1] = True
    for rows, columns in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        smooth &= np.roll(part, (rows, columns), (0, 1)) == part
        smooth &= np.abs(np.roll(depth, (rows, columns), (0, 1)) - depth) < 0.004
    return smooth


@pytest.mark.parametrize(
    "offset",
    [
        (0.0, 0.0, -0.012, 0.0),
        (0.006, -0.004, -0.004, 0.2),
        (-0.01, 0.01, -0.001, -0.3),
        (0.0, 0.0, 0.004, 0.0),
        (0.02, 0.0, 0.004, 0.3),
    ],
)
def test_depth_and_parts_are_those_of_the_boxes(
    caster: RayCaster, eye: Eye, offset: tuple[float, float, float, float]
) -> None:
    tcp = Pose.from_xyz_yaw(*offset)
    picture: Picture = caster.render(tcp, tcp)[0]
    depth, part, level = reference(eye, tcp, tcp)
    assert set(np.unique(part)) >= {Shown.OTHER, Shown.PLUG, Shown.SOCKET, Shown.TOOL}
    error = np.abs(picture.depth_m - depth)
    sure = inner(part, depth)
    assert sure.mean() > 0.6
    assert np.mean(picture.part[sure] == part[sure]) > 0.99
    assert np.mean(picture.part == part) > 0.94
    # Level surfaces are met exactly, but for heights that are rounded; walls at one of the heights that are sampled.
    assert np.quantile(error[sure & level], 0.98) < 0.0002
    assert np.quantile(error[sure & ~level], 0.95) < 0.0025
    assert np.mean((picture.depth_m - depth)[sure]) == pytest.approx(0.0, abs=0.0005)


def test_a_plane_alone_has_the_depth_of_a_plane(caster: RayCaster, eye: Eye) -> None:
    """The panel, with plug and socket out of sight."""
    tcp = Pose.from_xyz_yaw(0.2, 0.2, -0.02, 0.4)
    away = Pose.from_xyz_yaw(0.0, 0.0, -0.5, 0.0)
    picture = caster.render(tcp, away)[0]
    camera = tcp @ eye.camera_from_tcp
    offsets = (np.arange(SIZE) + 0.5 - 0.5 * SIZE) / 110.0
    x, y = np.meshgrid(offsets, offsets)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ camera.rotation.T
    plane = (PANEL_M - camera.position_m[2]) / rays[..., 2]
    seen = picture.part == Shown.OTHER
    assert seen.mean() > 0.7
    assert picture.depth_m[seen] == pytest.approx(plane[seen], abs=1e-4)


def test_the_plug_throws_a_shadow(caster: RayCaster, eye: Eye) -> None:
    """Where the light is blocked on its way to the housing's face, the face is darker."""
    near = Pose.from_xyz_yaw(0.0, 0.0, -0.003, 0.0)
    far = Pose.from_xyz_yaw(0.0, 0.0, -0.2, 0.0)
    with_plug, without = caster.render(near, near)[0], caster.render(near, far)[0]
    face = (with_plug.part == Shown.SOCKET) & (without.part == Shown.SOCKET)
    darker = without.image.astype(int).mean(axis=2) - with_plug.image.astype(int).mean(axis=2)
    assert np.mean(darker[face] > 15.0) > 0.03
    assert np.mean(darker[face] < -15.0) < 0.01
