"""Whether the robot is in remote control: nothing in the stream says so, so the dashboard is asked now and then."""

from __future__ import annotations

import threading

from skillcore_ur.probe import Dashboard, Unreachable

REMOTE_EVERY_S = 0.5


class RemoteWatch:
    """Asks until `end`. remote: the last answer; None where there is none."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self.remote: bool | None = None
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ur-remote-watch", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Asks now."""
        try:
            answer = self._dashboard.ask("is in remote control").lower()
        except Unreachable:
            self.remote = None
        else:
            self.remote = {"true": True, "false": False}.get(answer)

    def end(self) -> None:
        self._ending.set()
        self._thread.join(1.5)

    def _run(self) -> None:
        while not self._ending.wait(REMOTE_EVERY_S):
            self.look()
