"""Runs made by hand, and Chromium without a window to look at their reports."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.bench.jobs import Job
from skillcore.episodes import EpisodeStore
from skillcore.types import Episode, EpisodeInfo

MakeEpisode = Callable[..., Episode]
MakeRun = Callable[..., Path]
SEAT_Z = 0.09
SOCKET = {"from_base": [0.5, 0.0, 0.1, np.pi, 0.0, 0.0], "depth_m": 0.01}


def make_episode(
    source: str = "acceptance",
    trial: int = 0,
    *,
    outcome: str = "timeout",
    truth: int = 0,
    ways_mm: Any = None,
    forces_n: Any = None,
    steps: int = 10,
    score: float = 0.1,
    **info: Any,
) -> Episode:
    """A trial in a socket whose mouth is at (0.5, 0, 0.1) m in the base's frame, upward, and 10 mm deep.

    ways_mm: (frames, 2) of the last frames, how far inside of the mouth and how far beside its middle. forces_n: in the
    last frames. truth: of the last frame; the others are no success where it is known.
    """
    frames = steps + 1
    ways = np.zeros((frames, 2))
    ways[:, 0] = -12.0
    forces = np.zeros(frames)
    if outcome == "success" or truth == 1:
        ways[-1, 0] = 10.0
    if ways_mm is not None:
        ways[-len(ways_mm) :] = ways_mm
    if forces_n is not None:
        forces[-len(forces_n) :] = forces_n
    # The tool looks down as the socket's z axis does: 12 mm in front of the mouth is where it starts.
    pose = np.zeros((frames, 6), np.float32)
    pose[:, 2] = (ways[:, 0] + 12.0) / 1000.0
    pose[:, 0] = ways[:, 1] / 1000.0
    wrench = np.zeros((frames, 6), np.float32)
    wrench[:, 2] = -forces
    told = np.full(frames, 0 if truth >= 0 else -1, np.int8)
    told[-1] = truth
    rng = np.random.default_rng(trial)
    fields: dict[str, Any] = {
        "skill": "insertion",
        "variant": "hdmi_a",
        "cell": "sim",
        "seed": trial,
        "source": source,
        "outcome": outcome,
        "trial": trial,
        "scenario": "I",
        "started_at": f"2026-05-04T10:{trial // 4:02d}:{15 * (trial % 4):02d}+00:00",
        "peak_force_n": float(forces.max()) + 5.0,
        "clamps": {"workspace": 0, "speed": 2, "turn_speed": 0},
        "start_from_base": (0.5, 0.0, 0.112, float(np.pi), 0.0, 0.0),
    }
    reward = np.zeros(steps, np.float32)
    reward[-1:] = float(outcome == "success")
    return Episode(
        info=EpisodeInfo(**(fields | info)),
        images=rng.integers(0, 255, (frames, 2, 16, 16, 3), np.uint8),
        pose=pose,
        wrench=wrench,
        action=np.zeros((steps, 4), np.float32),
        executed=np.zeros((steps, 4), np.float32),
        reward=reward,
        score=np.full(frames, score, np.float32),
        success=np.full(frames, -1, np.int8),
        truth=told,
        seated_from_tcp=np.full((frames, 6), np.nan, np.float32),
    )


@pytest.fixture(name="make_episode", scope="session")
def make_episode_fixture() -> MakeEpisode:
    """Makes one trial; see `make_episode`."""
    return make_episode


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a run's folder of episodes; `results`: what is in results.json, None for a run that is not finished."""

    def make(
        episodes: list[Episode], *, results: dict[str, Any] | None, name: str = "run", card: Any = None, **about: Any
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        fields = {
            "command": "learn",
            "skill": "insertion",
            "variant": "hdmi_a",
            "title": "HDMI type A",
            "began": "2026-05-04T09:59:00+00:00",
            "cell": "/cells/sim.yaml",
            "seed": 7,
            "bundle": str(tmp_path / "bundle"),
            "typed": "skill learn insertion --connector hdmi",
            "plan": {"scenario": "I", "zero_shot": 5, "practice": 60, "acceptance": 20},
            "socket": SOCKET,
            "limits": {"force_n": 40.0, "hard_force_n": 100.0},
        }
        (folder / "run.json").write_text(json.dumps(fields | about))
        if results is not None:
            (folder / "results.json").write_text(json.dumps(results))
        with EpisodeStore(folder / "episodes") as store:
            store.append_many(episodes)
        if card is not None:
            (tmp_path / "bundle").mkdir(exist_ok=True)
            (tmp_path / "bundle" / "card.json").write_text(json.dumps(card))
        return folder

    return make


CARD = {
    "schema": 1,
    "skill": "insertion",
    "variant": "hdmi_a",
    "created": "2026-05-04T10:20:00+00:00",
    "recipe": {},
    "views": 2,
    "size_px": 16,
    "control": {"rate_hz": 10.0},
    "reward": {"threshold": 0.68, "agreement": "2 of 3 frames", "chosen": "lowest with 1% false positives"},
    "parent": "0001 of pretraining",
    "packages": {"python": "3.11.7", "torch": "2.13.0"},
    "files": {"learner.safetensors": "ab" * 32, "perception.safetensors": "cd" * 32},
}


@pytest.fixture
def whole_run(make_run: MakeRun) -> Path:
    """A finished run with failures of every kind."""
    beside = [[0.0, 3.0]] * 4
    tests = [make_episode("zero-shot", number, truth=0, ways_mm=beside, forces_n=[30.0] * 4) for number in range(5)]
    practice = [
        make_episode("practice", number, outcome="success", truth=1, forces_n=[20.0])
        if number % 3
        else make_episode("practice", number, ways_mm=[[5.0, 0.2]] * 4, forces_n=[38.0] * 4)
        for number in range(60)
    ]
    acceptance = [make_episode("acceptance", number, outcome="success", truth=1) for number in range(16)]
    acceptance += [
        make_episode("acceptance", 16, outcome="success", truth=0, ways_mm=[[8.0, 0.1]], score=0.9),
        make_episode("acceptance", 17, truth=1),
        make_episode("acceptance", 18, outcome="aborted", note="the arm reports a fault: <b>protective</b> stop"),
        make_episode("acceptance", 19, ways_mm=[[1.0, 0.2], [3.0, 0.2], [5.0, 0.2], [7.0, 0.2]]),
    ]
    results = {"gate": 0.9, "accepted": False, "scenario": "I"}
    return make_run([*tests, *practice, *acceptance], results=results, card=CARD)


# --- Chromium ------------------------------------------------------------------------------------------------------

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Browser:
    """Chromium without a window, told what to do through two pipes (the DevTools protocol)."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._to = os.pipe()
        self._from, to_write = os.pipe()
        # Chromium reads from descriptor 3 and writes to 4; ours must not lie there already.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_read, to_write)]
        connected = 'exec 3<&"$1" 4>&"$2"; shift 2; exec "$@"'
        self._process = subprocess.Popen(
            [
                "bash",
                "-c",
                connected,
                "bash",
                *map(str, ends),
                program,
                *FLAGS,
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_read, to_write, *ends):
            os.close(end)
        self._left = b""
        self._number = 0
        self._session: str | None = None
        self.requests: list[str] = []
        target = next(one for one in self("Target.getTargets")["targetInfos"] if one["type"] == "page")
        self._session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        self("Page.enable")
        self("Network.enable")

    def __call__(self, method: str, **params: Any) -> Any:
        """Sends a command and waits for what it returns."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            more = os.read(self._from, 2**20)
            assert more, "Chromium has ended"
            self._left += more
        text, self._left = self._left.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        return message

    def open(self, page: Path, *, width_px: int, dark: bool = False) -> None:
        """Opens a file as in a window of this width; as on a phone, where that is narrow."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self("Emulation.setEmulatedMedia", features=scheme)
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width_px,
            height=900,
            deviceScaleFactor=1,
            mobile=width_px < 600,
        )
        self.requests.clear()
        self("Page.navigate", url=page.as_uri())
        while self._read().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        return self("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def screenshot(self, path: Path) -> Path:
        """The whole page as a PNG."""
        shot = self("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def pdf(self, wide_in: float = 8.27, high_in: float = 11.69) -> bytes:
        """The page as it is printed, on A4 where nothing else is asked for."""
        return base64.b64decode(
            self("Page.printToPDF", paperWidth=wide_in, paperHeight=high_in, preferCSSPageSize=True)["data"]
        )

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        os.close(self._to)
        os.close(self._from)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium; what needs it is skipped where it is not installed."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    opened = Browser(program, tmp_path_factory.mktemp("chromium"))
    yield opened
    opened.close()


# --- evaluations ---------------------------------------------------------------------------------------------------


@pytest.fixture
def write_result() -> Callable[..., None]:
    """Writes what a job of an evaluation has found."""

    def write(out: Path, job: Job, **found: Any) -> None:
        (out / "results").mkdir(exist_ok=True, parents=True)
        (out / "results" / f"{job.name}.json").write_text(json.dumps(found))

    return write
