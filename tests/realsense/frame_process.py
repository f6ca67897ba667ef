"""A frame server in a process of its own, told on stdin what to do: one JSON list a line, method and arguments.

    python frame_process.py ADDRESS

Two cameras, `left` and `right`, that draw another picture every time: noise of a seed, which stands in the first
pixels. Each line is answered with `ok`, or with the error.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from skillcore.errors import SkillcoreError
from skillcore.types import Frame, Image, Intrinsics
from skillcore_twin.frames import FrameServer

SIZE_PX = 64
SEED_BYTES = 4
CAMERAS = ("left", "right")
INTRINSICS = Intrinsics(SIZE_PX, SIZE_PX, 106.0, 107.0, 32.0, 31.0)
DEPTH_M = 0.075


def picture(seed: int) -> Image:
    """(64, 64, 3) uint8; `seed_of` finds the seed in it again."""
    image = np.random.default_rng(seed).integers(0, 256, (SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    image[0, :SEED_BYTES, 0] = np.frombuffer(seed.to_bytes(SEED_BYTES, "big"), np.uint8)
    return image


def seed_of(image: Image) -> int:
    """The seed that a picture was drawn from."""
    return int.from_bytes(image[0, :SEED_BYTES, 0].tobytes(), "big")


class Drawing:
    """What the server's world looks like. Odd seeds are the left camera's."""

    def __init__(self) -> None:
        self.drawn = {"left": 0, "right": 0}

    def frame(self, name: str) -> Frame:
        self.drawn[name] += 1
        depth = np.full((SIZE_PX, SIZE_PX), DEPTH_M, np.float32)
        depth[:, :8] = 0.0
        image = picture(2 * self.drawn[name] + (1 if name == "left" else 0))
        return Frame(image, depth, INTRINSICS, 0.0, self.drawn[name])


def main() -> None:
    server = FrameServer(CAMERAS, Drawing().frame, address=sys.argv[1])
    server.start()
    print("ok", flush=True)
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        try:
            getattr(server, method)(*arguments)
        except SkillcoreError as error:
            print(error.what, flush=True)
        else:
            print("ok", flush=True)
    server.close()


if __name__ == "__main__":
    main()
