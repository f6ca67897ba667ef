"""Signals to end a program that has something open."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import contextlib, os, signal, threading
from skillcore.signals import ended_by_signals

first, second = contextlib.ExitStack(), contextlib.ExitStack()
second.callback(print, "stopped", flush=True)
with second:
    first.enter_context(ended_by_signals())
    second.enter_context(ended_by_signals())
    {close}
    os.kill(os.getpid(), signal.SIGTERM)
"""


def ended(close: str) -> tuple[int, str]:
    """How a program ends that gets SIGTERM after this: its exit code and what it printed."""
    command = [sys.executable, "-c", PROGRAM.format(close=close)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return done.returncode, done.stdout


@pytest.mark.parametrize("close", ["pass", "first.close()", "threading.Thread(target=first.close).start()"])
def test_who_is_still_open_is_unwound_whoever_closed_before(close: str) -> None:
    assert ended(close) == (128 + signal.SIGTERM, "stopped\n")


def test_the_last_one_puts_back_what_was_there() -> None:
    assert ended("first.close(); second.pop_all().close()") == (-signal.SIGTERM, "stopped\n")


def test_what_is_handled_already_is_left_alone() -> None:
    own = "signal.signal(signal.SIGTERM, lambda *_: print('mine'))"
    assert ended(own) == (0, "mine\nstopped\n")
