"""What the simulated cameras deliver: form, depth, variation, and how two set-ups differ."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from skillcore.cell import Cell
from skillcore.interfaces import Shown
from skillcore_insertion.library import ConnectorLibrary
from skillcore_insertion.skill import InsertionSkill
from skillcore_mujoco.options import CameraOptions

LEFT, RIGHT = CameraOptions(azimuth_rad=-0.8), CameraOptions(azimuth_rad=0.8)


def distance(first: Any, second: Any) -> float:
    """Mean difference of two images in grey values."""
    return float(np.abs(first.astype(np.int16) - second.astype(np.int16)).mean())


@pytest.mark.parametrize("size", [16, 45, 64, 256])
def test_images_are_of_the_size_that_was_asked_for(bench: Callable[..., Any], size: int) -> None:
    """256 is more pixels in two views than OpenCV looks up at once."""
    cameras = tuple(CameraOptions(azimuth_rad=side, size_px=size, depth=True) for side in (-0.8, 0.8))
    small = bench(cameras=cameras)
    for camera in small.cameras:
        frame = camera.read(0.2)
        assert frame.image.shape == (size, size, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.std() > 5.0
        assert frame.depth_m.shape == (size, size)
        assert 0.03 < frame.depth_m.min() < frame.depth_m.max() < 0.3


def test_a_large_image_shows_what_a_small_one_shows(bench: Callable[..., Any]) -> None:
    def depth(size: int) -> Any:
        camera = CameraOptions(azimuth_rad=-0.8, size_px=size, depth=True)
        return bench(cameras=(camera,)).cameras[0].read(0.2).depth_m

    coarse, fine = depth(64), depth(512).reshape(64, 8, 64, 8)
    assert np.mean(np.abs(coarse - np.median(fine, axis=(1, 3))) < 0.002) > 0.95


def test_depth_comes_only_on_request(bench: Callable[..., Any]) -> None:
    with_depth = CameraOptions(azimuth_rad=-0.8, depth=True)
    plain, deep = bench(cameras=(LEFT, with_depth)).cameras
    assert plain.read(0.2).depth_m is None
    depth = deep.read(0.2).depth_m
    assert depth.dtype == np.float32
    # The middle of the image is what the camera looks at: the plug's tip, at the distance it was told.
    assert depth[30:34, 30:34].min() == pytest.approx(with_depth.distance_m, abs=0.006)


def test_the_parts_of_the_cell_are_in_view(bench: Callable[..., Any], library: ConnectorLibrary) -> None:
    setup = bench(library.get("hdmi_a").mating(None), cameras=(LEFT, RIGHT))
    for number in range(2):
        part = setup.world.picture(number).part
        for code in (Shown.PLUG, Shown.SOCKET, Shown.TOOL):
            assert np.mean(part == code) > 0.01


def test_the_look_varies_with_its_seed(bench: Callable[..., Any], library: ConnectorLibrary) -> None:
    setup = bench(library.get("hdmi_a").mating(None), cameras=(LEFT, RIGHT))
    images = []
    for seed in range(8):
        setup.world.install(setup.world._mating, seed=seed)
        setup.world.new_episode(seed=0)
        images.append([camera.read(0.2).image for camera in setup.cameras])
    pairs = [(a, b) for a in range(8) for b in range(a)]
    assert np.median([distance(images[a][0], images[b][0]) for a, b in pairs]) > 15.0
    assert min(distance(images[a][0], images[b][0]) for a, b in pairs) > 3.0
    assert all(distance(left, right) > 3.0 for left, right in images)


def test_within_a_look_the_cell_stays_the_same(bench: Callable[..., Any], library: ConnectorLibrary) -> None:
    """Only the light wanders and the noise is new: less than another look changes, and yet no two frames are alike."""
    setup = bench(library.get("hdmi_a").mating(None), cameras=(LEFT,))
    first = setup.cameras[0].read(0.2).image
    setup.world.new_episode(seed=5)
    second = setup.cameras[0].read(0.2).image
    assert 0.0 < distance(first, second) < 15.0


def test_one_moment_has_one_picture(bench: Callable[..., Any]) -> None:
    setup = bench(cameras=(LEFT,))
    first = setup.cameras[0].read(0.2)
    assert np.array_equal(first.image, setup.cameras[0].read(0.2).image)
    setup.world.clock.sleep_until(setup.world.clock.now_s() + 0.1)
    later = setup.cameras[0].read(0.2)
    assert not np.array_equal(first.image, later.image)
    assert later.time_s > first.time_s


@pytest.mark.parametrize("options", [{"elevation_rad": 0.3}, {"elevation_rad": 0.7, "view_m": 0.2}])
def test_a_camera_that_looks_past_the_cell_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="elevation_rad"):
        CameraOptions(**options)
    CameraOptions(elevation_rad=0.4)


def test_two_set_ups_differ(cells: Callable[[str], AbstractContextManager[Cell]], skill: InsertionSkill) -> None:
    """In what they see, and in how firmly they hold their place."""
    images, forces = {}, {}
    for name in ("sim", "sim_b"):
        with cells(name) as cell:
            task = skill.task(cell, skill.variant("hdmi_a"), scenario="I", seed=1, judge=None)
            images[name] = task.reset(seed=2)[0]["images"]
            height = (cell.socket_from_base.inverse() @ cell.state.tcp_from_base).position_m[2]
            down = np.array([0.0, 0.0, 1.0, 0.0], np.float32)
            for _ in range(int(np.ceil(-height / cell.config.control.step_m)) + 4):
                _, _, terminated, _, info = task.step(0.4 * down)
                assert not info["aborted"]
                assert not terminated
            forces[name] = -cell.state.wrench.force_n[2]
    assert all(distance(images["sim"][view], images["sim_b"][view]) > 8.0 for view in range(2))
    # 2 mm into the face: by 10 and by 7 kN/m.
    assert forces["sim"] == pytest.approx(20.0, abs=2.5)
    assert forces["sim_b"] == pytest.approx(14.0, abs=2.0)
