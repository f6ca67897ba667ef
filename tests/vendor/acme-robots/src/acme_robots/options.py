"""What a cell file may say about an Acme six."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from skillcore.config import SPEED, StrictModel


class SixOptions(StrictModel):
    """gripper: what is mounted. speed_m_s: what it may do at most. journal: a file to tell every command in."""

    gripper: Literal["parallel", "slim", "collet"] = "parallel"
    speed_m_s: Annotated[float, SPEED.within(0.01, 0.5)] = 0.4
    journal: Path | None = None
