"""The options that all off-policy learners share; small, so that listing plugins imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skillcore.config import StrictModel

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Batch = Annotated[int, Field(ge=2, le=65536)]


class OffPolicyOptions(StrictModel):
    """hidden: width of both hidden layers. target_rate: how fast targets follow the critics.

    pretrain_steps: gradient steps offline, with `batch` transitions in each. updates_per_step: gradient steps for each
    step of practice, with `practice_batch` transitions in each, of which `online_share` comes from practice. noise:
    standard deviation of exploration.
    """

    hidden: Annotated[int, Field(ge=8, le=2048)] = 256
    discount: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.97
    target_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    learning_rate: Annotated[float, Field(gt=0.0, le=0.1)] = 3e-4
    batch: Batch = 256
    practice_batch: Batch = 128
    pretrain_steps: Annotated[int, Field(ge=0)] = 20000
    updates_per_step: Annotated[int, Field(ge=0, le=100)] = 4
    online_share: Share = 0.5
    noise: Annotated[float, Field(ge=0.0, le=2.0)] = 0.2
