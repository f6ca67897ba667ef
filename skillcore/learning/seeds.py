"""Seeds for everything, from one: the same (seed, purpose, number) always means the same draws."""

from __future__ import annotations

import zlib

import numpy as np


def seed_for(seed: int, purpose: str, number: int = 0) -> int:
    """A seed below 2**31 for one purpose; those of other purposes and numbers are independent of it."""
    return int(np.random.SeedSequence([seed, zlib.crc32(purpose.encode()), number]).generate_state(1)[0] >> 1)


def rng_for(seed: int, purpose: str, number: int = 0) -> np.random.Generator:
    """A generator for one purpose."""
    return np.random.default_rng(seed_for(seed, purpose, number))
