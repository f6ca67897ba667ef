"""The options of the learner; small, so that listing plugins imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skillcore.config import StrictModel

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class RlpdOptions(StrictModel):
    """hidden: width of both hidden layers. critics: in the ensemble; the target is the smaller of `target_critics`.

    pretrain_steps: gradient steps offline. updates_per_step: gradient steps for each step of practice. policy_delay:
    updates of the critics for each of the policy. online_share: of a batch. noise: standard deviation of exploration.
    imitation: weight of imitating actions that the critics prefer to the policy's own.
    """

    hidden: Annotated[int, Field(ge=8, le=2048)] = 256
    critics: Annotated[int, Field(ge=2, le=20)] = 6
    target_critics: Annotated[int, Field(ge=1, le=20)] = 2
    discount: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.97
    target_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    learning_rate: Annotated[float, Field(gt=0.0, le=0.1)] = 3e-4
    batch: Annotated[int, Field(ge=2, le=65536)] = 256
    pretrain_steps: Annotated[int, Field(ge=0)] = 8000
    updates_per_step: Annotated[int, Field(ge=0, le=100)] = 4
    policy_delay: Annotated[int, Field(ge=1, le=100)] = 2
    online_share: Share = 0.5
    noise: Annotated[float, Field(ge=0.0, le=2.0)] = 0.2
    imitation: Annotated[float, Field(ge=0.0, le=1000.0)] = 2.0
