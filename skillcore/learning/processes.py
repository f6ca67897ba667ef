"""Processes beside this one, which collect, practise or train."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext


def process_context() -> ForkServerContext | SpawnContext:
    """How such processes are begun: forked, where that can be done, from one that has imported what they all need and
    done nothing else. To import torch anew in each takes seconds, and pretraining begins some four times; to fork a
    process that has used torch may hang."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["skillcore.learning.collect"])
    return context


def parent_lives() -> bool:
    """Whether the process that began this one is still there: one that was killed can tell nobody to stop."""
    parent = multiprocessing.parent_process()
    return parent is None or parent.is_alive()


def end_with_parent(idle: threading.Event, grace_s: float = 30.0) -> None:
    """From now on this process ends soon after its parent: what it does then is stopped as by Ctrl-C, and has `grace_s`
    to become idle in."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel, idle, grace_s), daemon=True, name="follow").start()


def _follow(sentinel: int, idle: threading.Event, grace_s: float) -> None:
    wait([sentinel])
    os.kill(os.getpid(), signal.SIGINT)
    idle.wait(grace_s)
    # Who is idle waits for more work, which nobody will send.
    os._exit(1)
