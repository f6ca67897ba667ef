"""Recording to the library's own file, and playing from it: the same pixels, intrinsics, numbers and gaps."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.clock import WallClock
from skillcore.errors import DeviceError, StaleFrameError
from skillcore.interfaces import Camera
from skillcore.types import Frame

VIEW = {"crop": {"left_px": 192, "top_px": 112, "width_px": 256, "height_px": 256}, "resize_px": (64, 64)}


def watch(camera: Camera, seconds: float, into: list[Frame] | None = None) -> list[Frame]:
    """Every frame that can be got within a time."""
    frames = [] if into is None else into
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        frame = camera.read(0.2)
        if not frames or frame.sequence != frames[-1].sequence:
            frames.append(frame)
        time.sleep(0.004)
    return frames


@pytest.fixture
def recorded(twin: Any, make_camera: Callable[..., Any], tmp_path: Path) -> tuple[Path, list[Frame], Camera]:
    """A recording with depth, the frames that were seen meanwhile, and the camera, closed."""
    camera = make_camera(twin.serial(), depth=True, record_to=tmp_path / "new" / "folder", **VIEW)
    camera.connect()
    frames = watch(camera, 1.0)
    camera.close()
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name.startswith(f"left-{twin.serial()}-")
    assert file.suffix == ".db3"
    return file, frames, camera


def test_what_was_recorded_is_played(
    recorded: tuple[Path, list[Frame], Camera], make_camera: Callable[..., Any], drawing: Any
) -> None:
    file, seen, _ = recorded
    player = make_camera("", depth=True, play_from=file, **VIEW)
    player.connect()
    began, clock = time.monotonic(), WallClock()
    played = watch(player, 1.5)
    assert player.intrinsics == seen[0].intrinsics == drawing.INTRINSICS
    originals = {drawing.seed_of(frame.image): frame for frame in seen}
    both = [frame for frame in played if drawing.seed_of(frame.image) in originals]
    assert len(both) >= 5
    for frame in both:
        original = originals[drawing.seed_of(frame.image)]
        np.testing.assert_array_equal(frame.image, original.image)
        np.testing.assert_array_equal(frame.depth_m, original.depth_m)
    # It is played as fast as it was recorded, again and again, with young frames and growing numbers.
    assert all(first.sequence < second.sequence for first, second in pairwise(played))
    seeds = [drawing.seed_of(frame.image) for frame in played]
    rise = next((index for index, pair in enumerate(pairwise(seeds)) if pair[1] < pair[0]), 0)
    spent = (seeds[rise] - seeds[0]) / 2 / 30.0
    assert 0.2 < spent < 1.5, "the recording began anew within the time it was watched"
    assert -0.05 < clock.now_s() - played[-1].time_s < time.monotonic() - began


def test_a_recording_is_of_its_camera(
    recorded: tuple[Path, list[Frame], Camera], twin: Any, make_camera: Callable[..., Any]
) -> None:
    file, _, _ = recorded
    make_camera(twin.serial(), play_from=file).connect()
    with pytest.raises(DeviceError, match=f"was recorded by camera {twin.serial()}, not 128422271234"):
        make_camera("128422271234", play_from=file).connect()
    with pytest.raises(DeviceError, match="size_px: this camera has no colour stream of 848x480"):
        make_camera("", play_from=file, size_px=(848, 480)).connect()


def test_each_start_records_into_a_file_of_its_own(twin: Any, make_camera: Callable[..., Any], tmp_path: Path) -> None:
    camera = make_camera(twin.serial(), record_to=tmp_path)
    for _ in range(2):
        camera.connect()
        camera.read(0.2)
    camera.close()
    assert len(list(tmp_path.glob("*.db3"))) == 2


def test_a_gap_is_played_as_a_gap(
    twin: Any, make_camera: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skillcore_realsense.stream.STALL_S", 4.0)  # so that the gap gets into one file
    camera = make_camera(twin.serial(), record_to=tmp_path)
    camera.connect()
    time.sleep(0.3)
    twin.tell("freeze", "left")
    time.sleep(1.2)
    twin.tell("restore", "left")
    time.sleep(0.6)
    camera.close()
    monkeypatch.setattr("skillcore_realsense.stream.STALL_S", 0.4)
    player = make_camera("", play_from=next(tmp_path.iterdir()))
    player.connect()
    until_s = time.monotonic() + 20.0
    before: list[Frame] = []
    with pytest.raises(StaleFrameError, match="the recording has a gap here") as told:
        watch(player, 20.0, before)
    assert "played on by itself" in told.value.cure
    while True:
        assert time.monotonic() < until_s
        try:
            after = player.read(0.2).sequence
            break
        except StaleFrameError:
            continue
    assert after > before[-1].sequence + 15, (
        "it goes on behind the gap, where the camera's numbers had gone on; it does not begin anew"
    )
    assert player.restarts == 0


def test_what_cannot_be_played_is_told(make_camera: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "left-1.db3").write_bytes(b"no recording")
    with pytest.raises(DeviceError, match="cannot be played") as told:
        make_camera("", play_from=tmp_path / "left-1.db3").connect()
    assert ".db3" in told.value.cure
    with pytest.raises(DeviceError, match="there is no file") as told:
        make_camera("", play_from=tmp_path / "left-2.db3").connect()
    assert "left-1.db3" in told.value.cure


def test_a_folder_that_cannot_be_made_is_told(twin: Any, make_camera: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DeviceError, match=r"record_to: .*file"):
        make_camera(twin.serial(), record_to=tmp_path / "file" / "folder").connect()
