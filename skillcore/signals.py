"""What a signal to end does to a program that has an arm open: it unwinds, so that the arm is stopped."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Makes SIGTERM and SIGHUP raise SystemExit(128 + number) in the main thread, where they would kill the program.

    Signals that are ignored (nohup) or handled already are left as they are. Outside of the main thread, where Python
    lets nobody handle signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    replaced = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in replaced:
        signal.signal(number, end)
    try:
        yield
    finally:
        # What was opened in the main thread may be closed in another, by the garbage collector for instance.
        if threading.current_thread() is threading.main_thread():
            for number in replaced:
                if signal.getsignal(number) is end:
                    signal.signal(number, signal.SIG_DFL)
