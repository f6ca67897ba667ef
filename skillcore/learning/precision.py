"""Matrix products in bfloat16, where the machine multiplies that natively: twice as fast and more, and as exact as
learning needs, so long as what is learned from small differences is worked out in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import torch


@cache
def multiplies_bfloat16(device_type: str) -> bool:
    """Whether a "cpu" or "cuda" does so. Elsewhere bfloat16 would be emulated, and slower than float32."""
    if device_type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Early releases of torch do not tell.
    has: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return device_type == "cpu" and bool(has.get("avx512_bf16") or has.get("amx_bf16"))


def fast_products(device: torch.device) -> AbstractContextManager[object]:
    """Within it, matrix products of this thread are in bfloat16, and their results too, if the device is quick at it;
    else everything stays as it is."""
    return torch.autocast(device.type, torch.bfloat16, enabled=multiplies_bfloat16(device.type))
