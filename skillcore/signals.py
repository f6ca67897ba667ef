"""What a signal to end does to a program that has an arm open: it unwinds, so that the arm is stopped."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

ENDING = (signal.SIGTERM, signal.SIGHUP)

_holders: set[object] = set()
"""Who wants to be ended so. They may leave in any order: the handlers stay until the last is gone."""


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP raise SystemExit(128 + number) in the main thread, where they would kill the program.

    Signals that are ignored (nohup) or handled already are left as they are. Python lets only the main thread handle
    signals: outside of it nothing is changed, and a signal kills the program unless the main thread calls this too.
    """
    holder = object()
    _holders.add(holder)
    try:
        _set_handlers()
        yield
    finally:
        _holders.discard(holder)
        _set_handlers()


def _set_handlers() -> None:
    # What was opened in the main thread may be closed in another, by the garbage collector for instance.
    if threading.current_thread() is threading.main_thread():
        was, becomes = (signal.SIG_DFL, _end) if _holders else (_end, signal.SIG_DFL)
        for number in ENDING:
            if signal.getsignal(number) is was:
                signal.signal(number, becomes)


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
