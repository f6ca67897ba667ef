"""The Enter key of the person at this terminal, asked for without waiting."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from skillcore.errors import InputError

_CURE = "run the command in a terminal (over SSH: `ssh -t`), with nothing piped into it"


class Keyboard:
    """Raises InputError unless standard input is a terminal: somebody must be there."""

    def __init__(self) -> None:
        if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
            raise InputError("somebody must press Enter here, and standard input is no terminal", cure=_CURE)
        self._descriptor = sys.stdin.fileno()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within the block nothing that is typed is shown, and what was typed before it is no answer."""
        with _told_if_gone():
            before = termios.tcgetattr(self._descriptor)
            quiet = [*before[:3], before[3] & ~(termios.ECHO | termios.ECHONL), *before[4:]]
            termios.tcsetattr(self._descriptor, termios.TCSAFLUSH, quiet)
        try:
            yield
        finally:
            with suppress(OSError, termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, before)

    def pressed(self, timeout_s: float) -> bool:
        """Whether Enter is pressed within that time. Raises InputError if the terminal has gone, or after Ctrl-D."""
        with _told_if_gone():
            if not select.select([self._descriptor], [], [], timeout_s)[0]:
                return False
            typed = os.read(self._descriptor, 4096)
        if not typed:
            raise InputError("nobody answers: standard input has ended", cure=_CURE)
        return b"\n" in typed


@contextmanager
def _told_if_gone() -> Iterator[None]:
    try:
        yield
    except (OSError, termios.error) as error:
        raise InputError(f"nobody answers: the terminal has gone ({error})", cure=_CURE) from error


@contextmanager
def not_suspended() -> Iterator[None]:
    """Ctrl-Z does nothing within: a process that is suspended watches no arm."""
    before = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
