"""When a frame was exposed, by the cell's clock, and how frames are numbered across restarts."""

from __future__ import annotations

import time

WINDOW_S = 5.0
"""The clock of a camera may drift against ours by 1 part in 10000: what a frame takes is learned anew so often."""


class FrameClock:
    """Tells how old a frame is from its time stamp.

    A stamp of the host's own clock is taken at its word. Of a clock of the camera's own, or of a recording, only the
    pace is known: the frame that came fastest within the last seconds is taken to have come at once.
    """

    def __init__(self) -> None:
        self._least: list[float] = []
        self._window_began_s = 0.0
        self._last_stamp_s = -1.0

    def age_s(self, stamp_s: float, *, of_host: bool) -> float:
        """Seconds since the exposure of a frame that arrived just now; never below 0."""
        if of_host:
            return max(0.0, time.time() - stamp_s)
        now = time.monotonic()
        took = now - stamp_s
        if stamp_s < self._last_stamp_s or not self._least:  # it began anew
            self._least, self._window_began_s = [took], now
        elif now - self._window_began_s > WINDOW_S:
            self._least, self._window_began_s = [self._least[-1], took], now
        else:
            self._least[-1] = min(self._least[-1], took)
        self._last_stamp_s = stamp_s
        return max(0.0, took - min(self._least))


class FrameNumbers:
    """The camera's own frame numbers, made to grow where a stream or a recording begins anew."""

    def __init__(self) -> None:
        self._base = 0
        self._last = -1

    def sequence(self, number: int) -> int:
        """What a new frame with this number of the camera's is called here."""
        if self._base + number <= self._last:
            self._base = self._last + 1 - number
        self._last = self._base + number
        return self._last
