"""The time a cell of real devices lives by."""

import time


class WallClock:
    """Real time, as a `skillcore.interfaces.Clock`: the same for all parts of one process, from no fixed start."""

    def now_s(self) -> float:
        """Seconds of the system's monotonic clock."""
        return time.monotonic()

    def sleep_until(self, time_s: float) -> None:
        """Returns when `now_s()` has reached `time_s`, at once if it has already."""
        while (left := time_s - time.monotonic()) > 0.0:
            time.sleep(left)
