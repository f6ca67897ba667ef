"""How many threads torch works on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_lock = threading.Lock()


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Keeps torch to one thread. One observation is too little work for more, and threads that wait for each other
    wait for whatever else the machine does: with two, a tenth of the steps over the twin, which keeps a core busy, came
    late. A process that was forked while torch had threads would even wait for them forever.

    Some of torch's libraries have one number for the whole process, so that two of these take turns.
    """
    if torch.get_num_threads() == 1:
        yield
        return
    with _lock:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
