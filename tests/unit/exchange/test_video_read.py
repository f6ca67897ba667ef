"""Videos of strangers: every frame at its time, or a reason."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.errors import EpisodeError, InputError
from skillcore.exchange.video_read import read_video

av: Any = pytest.importorskip("av")
SIDE_PX = 32


def film(
    path: Path, frames: Sequence[int], *, side_px: int = SIDE_PX, form: str = "mp4", encoder: str = "libx264"
) -> Path:
    """A video with frames at these places, 10 a second, each grey as its place says."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(encoder, rate=10, options={"g": "4"})
        stream.width = stream.height = side_px
        stream.pix_fmt = "yuv420p"
        for place in frames:
            frame = av.VideoFrame.from_ndarray(np.full((side_px, side_px, 3), 10 * place, np.uint8), format="rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def seen(path: Path, *, start_s: float = 0.0, frames: int = 6, size: tuple[int, int] = (SIDE_PX, SIDE_PX)) -> list[int]:
    """The places of the frames that were read."""
    found: dict[int, int] = {}

    def keep(number: int, image: Any) -> None:
        assert image.shape == (*size, 3)
        found[number] = round(float(image.mean()) / 10)

    read_video(path, path.name, start_s=start_s, frames=frames, rate_hz=10.0, size_px=size, keep=keep)
    assert list(found) == list(range(frames))
    return list(found.values())


def test_frames_are_found_from_any_start(tmp_path: Path) -> None:
    path = film(tmp_path / "film.mp4", range(20))
    assert seen(path) == [0, 1, 2, 3, 4, 5]
    # Behind a key frame that lies before it.
    assert seen(path, start_s=0.7) == [7, 8, 9, 10, 11, 12]
    assert seen(path, start_s=1.9, frames=1) == [19]


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1", "libvpx-vp9", "mpeg4"])
def test_every_codec_that_datasets_come_in_is_read(tmp_path: Path, encoder: str) -> None:
    """LeRobot writes AV1 if nobody says otherwise, H.264 and H.265 where somebody does."""
    if encoder not in av.codecs_available:
        pytest.skip(f"this av was built without {encoder}")
    path = film(tmp_path / "film.mp4", range(20), side_px=64, encoder=encoder)
    assert seen(path, size=(64, 64)) == [0, 1, 2, 3, 4, 5]
    assert seen(path, start_s=1.3, size=(64, 64)) == [13, 14, 15, 16, 17, 18]


@pytest.mark.parametrize(
    ("frames", "start_s", "reason"),
    [
        ([0, 1, 2, 4, 5, 6], 0.0, r"has no frame at 0\.300 s: frames are missing"),
        (range(4), 0.0, "ends after 4 of 6 frames: frames are missing"),
        (range(20), 5.0, "frames are missing"),
        (range(20), float("nan"), "cannot begin at nan s"),
        (range(20), -1.0, "cannot begin at -1"),
    ],
)
def test_a_frame_that_is_missing_is_told(tmp_path: Path, frames: Sequence[int], start_s: float, reason: str) -> None:
    with pytest.raises(EpisodeError, match=reason):
        seen(film(tmp_path / "film.mp4", frames), start_s=start_s)


def test_another_size_than_declared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="is of 64x64 pixels, where 32x32 were declared"):
        seen(film(tmp_path / "film.mp4", range(6), side_px=64))


def test_what_is_no_mp4_is_not_guessed(tmp_path: Path) -> None:
    secret = film(tmp_path / "secret.mp4", range(6))
    for number, data in enumerate(
        (
            b"",
            b"no video",
            f"ffconcat version 1.0\nfile '{secret}'\n".encode(),
            f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n".encode(),
            film(tmp_path / "film.mkv", range(6), form="matroska").read_bytes(),
            secret.read_bytes()[:600],
        )
    ):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(data)
        with pytest.raises(EpisodeError, match=rf"^{number}\.mp4 is damaged: [A-Z][a-z ]+$"):
            seen(path)


def test_a_missing_package_is_answered_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = film(tmp_path / "film.mp4", range(6))
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(InputError, match=r"pip install 'skillcore\[exchange\]'"):
        seen(path)
