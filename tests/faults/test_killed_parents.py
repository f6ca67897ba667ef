"""A command that is killed takes the processes along that worked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from skillcore.episodes import EpisodeStore

PATIENCE_S = 60.0
COLLECTING = """
from pathlib import Path
from skillcore.learning.collect import Assignment, collect
if __name__ == "__main__":
    collect(Assignment("insertion", ("sim",), 1, 0, count=10000), Path("store"), workers=2)
"""
JOBS = """
import time
from pathlib import Path
from skillcore.bench.jobs import Job, run_all


def work(job):
    if job.seed == 0:
        return {}
    try:
        time.sleep(600)
    finally:
        Path("stopped").touch()


if __name__ == "__main__":
    jobs = [Job("kind", ("what",), seed) for seed in range(2)]
    run_all(jobs, Path("out"), work, (), workers=2, report=lambda job, done, total: None)
"""


def members(session: int) -> list[int]:
    """The processes of a session that do anything."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            state, _, _, its_session = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_session) == session and state != "Z":
            found.append(int(folder.name))
    return found


def begin(text: str, folder: Path, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """A script in a session of its own."""
    script = folder / "script.py"
    script.write_text(text, encoding="utf-8")
    return subprocess.Popen([sys.executable, str(script)], cwd=folder, start_new_session=True, stderr=stderr)


@pytest.fixture
def sessions() -> Iterator[list[int]]:
    """Sessions of which nothing outlives the test."""
    begun: list[int] = []
    yield begun
    for session in begun:
        for process in members(session):
            os.kill(process, signal.SIGKILL)


def wait_until_gone(session: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while members(session):
        assert time.monotonic() < end, f"still there: {members(session)}"
        time.sleep(0.1)


def kill_at_first(text: str, results: Path, pattern: str, folder: Path, sessions: list[int]) -> None:
    """Kills a script as soon as it has a result, and waits until nothing of its session is left."""
    process = begin(text, folder)
    sessions.append(process.pid)
    while process.poll() is None and not list(results.glob(pattern)):
        time.sleep(0.1)
    process.kill()
    process.wait()
    wait_until_gone(process.pid)


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="sessions are read from /proc")


def test_who_collects_stops_when_the_command_is_killed(tmp_path: Path, sessions: list[int]) -> None:
    kill_at_first(COLLECTING, tmp_path / "store" / "episodes", "*.parquet", tmp_path, sessions)
    # What was saved is whole.
    with EpisodeStore(tmp_path / "store", create=False) as store:
        rows = store.rows()
        assert 0 < len(rows) < 10000
        assert all(store.read(row.id).steps == row.steps for row in rows)


def test_who_evaluates_stops_when_the_command_is_killed(tmp_path: Path, sessions: list[int]) -> None:
    kill_at_first(JOBS, tmp_path / "out" / "results", "*.json", tmp_path, sessions)
    # A job is stopped as by Ctrl-C, so that whatever it moves is stopped too.
    assert (tmp_path / "stopped").exists()
    assert len(list((tmp_path / "out" / "results").glob("*.json"))) == 1


def test_a_job_whose_process_is_killed_is_told_and_the_rest_is_kept(tmp_path: Path, sessions: list[int]) -> None:
    text = JOBS.replace("    try:\n", '    Path("pid").write_text(str(os.getpid()))\n    try:\n', 1)
    process = begin(text.replace("import time\n", "import os\nimport time\n"), tmp_path, stderr=subprocess.PIPE)
    sessions.append(process.pid)
    while process.poll() is None and not (tmp_path / "pid").exists():
        time.sleep(0.1)
    time.sleep(0.5)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert b"DeviceError: a process that ran a job was ended from outside" in said
    wait_until_gone(process.pid)
    assert len(list((tmp_path / "out" / "results").glob("*.json"))) == 1
