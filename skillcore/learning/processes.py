"""Processes beside this one, which collect, practise or train."""

from __future__ import annotations

import multiprocessing
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
