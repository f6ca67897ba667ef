"""Environments on a cell that is real, as far as they can tell: opened once, and left with the arm stopped."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from skillcore.errors import CellBusyError, InputError

STILL = np.zeros(4, np.float32)


def make(**options: Any) -> gymnasium.Env[Any, Any]:
    return gymnasium.make("skillcore/Insertion-v0", cell="bench.yaml", **options)


def is_closed(log: list[str]) -> bool:
    """Whether the arm was stopped first, then everything closed, the arm last."""
    return log[-1] == "arm closed" and "stop" in log and log.index("stop") < log.index("right closed")


def test_the_truth_of_a_real_cell_is_refused(paper: Any) -> None:
    with pytest.raises(InputError, match="cell bench is real, and nothing in it knows the truth"):
        make(reward="truth")


def test_what_nobody_knows_is_not_told(paper: Any) -> None:
    env = make()
    _, info = env.reset(seed=1)
    assert sorted(info) == ["aborted", "executed", "score"]
    env.close()


def test_nothing_is_connected_before_the_first_reset(paper: Any) -> None:
    env = make()
    assert paper.MADE == {}
    env.reset(seed=1)
    assert "connect" in paper.MADE["arm"].calls
    env.close()
    assert is_closed(paper.LOG)


def test_a_real_cell_is_open_once(paper: Any) -> None:
    first, second = make(), make()
    first.reset(seed=1)
    with pytest.raises(CellBusyError, match="held by process") as told:
        second.reset(seed=1)
    assert "num_envs=1" in str(told.value)
    first.step(STILL)
    first.close()
    second.reset(seed=1)
    second.close()


@pytest.mark.filterwarnings("ignore:.*ERROR:UserWarning")  # how gymnasium logs what it raises then
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of forks
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_several_on_a_real_cell_are_refused_with_a_reason(paper: Any, mode: str) -> None:
    kwargs = {"context": "fork"} if mode == "async" else {}
    envs = gymnasium.make_vec(
        "skillcore/Insertion-v0", num_envs=2, vectorization_mode=mode, vector_kwargs=kwargs, cell="bench.yaml"
    )
    with pytest.raises(CellBusyError) as told:
        envs.reset(seed=1)
    assert "a real cell has one arm" in str(told.value)
    assert "num_envs=1" in told.value.cure
    envs.close(terminate=True) if mode == "async" else envs.close()


def test_one_of_several_is_allowed(paper: Any) -> None:
    envs = gymnasium.make_vec("skillcore/Insertion-v0", num_envs=1, vectorization_mode="sync", cell="bench.yaml")
    envs.reset(seed=1)
    envs.step(STILL[np.newaxis])
    envs.close()
    assert is_closed(paper.LOG)


def test_the_garbage_collector_closes_it(paper: Any) -> None:
    env = make()
    env.reset(seed=1)
    del env
    gc.collect()
    assert is_closed(paper.LOG)
    again = make()
    again.reset(seed=1)
    again.close()


def test_another_thread_may_close_it(paper: Any) -> None:
    env = make()
    opening = threading.Thread(target=env.reset, kwargs={"seed": 1})
    opening.start()
    opening.join()
    env.close()
    assert is_closed(paper.LOG)
    again = make()
    again.reset(seed=1)
    again.close()


def test_an_exception_in_a_step_or_a_reset_stops_the_arm(paper: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make()
    env.reset(seed=1)
    paper.LOG.clear()
    paper.MADE["arm"].broken = "interrupt"
    with pytest.raises(KeyboardInterrupt):
        env.step(STILL)
    assert "stop" in paper.LOG
    paper.LOG.clear()

    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(paper.MADE["arm"], "move_to", interrupted)
    with pytest.raises(KeyboardInterrupt):
        env.reset(seed=1)
    assert "stop" in paper.LOG
    env.close()


def test_what_opens_half_is_closed_again(paper: Any, home: Path) -> None:
    text = (
        (home.parent / "bench.yaml")
        .read_text()
        .replace("right: {driver: paper}", "right: {driver: paper, fault: connect}")
    )
    (home.parent / "bench.yaml").write_text(text)
    env = make()
    with pytest.raises(Exception, match="1 of 3 devices did not open"):
        env.reset(seed=1)
    assert "arm closed" in paper.LOG
    assert not list((home / "locks").glob("*.json"))


def test_a_step_lasts_a_whole_period_however_late_it_is_called(paper: Any) -> None:
    env = make()
    env.reset(seed=1)
    env.step(STILL)
    time.sleep(0.3)
    began = time.monotonic()
    env.step(STILL)
    assert time.monotonic() - began >= 0.09
    env.close()


@pytest.mark.parametrize(
    ("ending", "code"),
    [("pass", 0), ("raise ValueError('a mistake of the user')", 1), ("import time; time.sleep(100)", 128 + 15)],
)
def test_however_a_program_ends_the_arm_is_stopped(paper: Any, home: Path, life: str, ending: str, code: int) -> None:
    command = [sys.executable, "-W", "error", "-u", "-c", f"{life}\nprint('open')\n{ending}\n"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline() == "open\n"
        if code > 128:
            program.send_signal(signal.SIGTERM)
        words, errors = program.stdout.read().removeprefix("at the end: "), program.stderr.read()
    assert program.returncode == code, errors
    assert is_closed([word.replace("_", " ") for word in words.replace(" closed", "_closed").split()])
    assert not list((home / "locks").glob("*.json"))


def test_a_process_that_was_forked_leaves_the_arm_alone(paper: Any, life: str) -> None:
    forked = """
import os
child = os.fork()
if child == 0:
    paper_devices.LOG.clear()
    env.close()
    del env
    print("in the fork:", paper_devices.LOG, flush=True)
    os._exit(0)
os.waitpid(child, 0)
env.step(env.action_space.sample())
"""
    # From Python 3.12 on, a fork of a process with threads, such as a library's, is a DeprecationWarning.
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", life + forked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "in the fork: []"


def test_a_process_of_multiprocessing_stops_its_arm_at_its_end(paper: Any, home: Path, life: str) -> None:
    """It ends without what `atexit` calls."""
    before, made = life.split("env = ")
    program = f"""{before}
import multiprocessing, multiprocessing.util
def work():
    env = {made.replace(chr(10), chr(10) + "    ")}
    multiprocessing.util.Finalize(None, lambda: print("in it:", *paper_devices.LOG, flush=True), exitpriority=0)
    sys.modules["kept"] = env
process = multiprocessing.get_context("fork").Process(target=work)
process.start()
process.join()
sys.exit(process.exitcode)
"""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    words = done.stdout.splitlines()[0].removeprefix("in it: ")
    assert is_closed([word.replace("_", " ") for word in words.replace(" closed", "_closed").split()])
    assert not list((home / "locks").glob("*.json"))
