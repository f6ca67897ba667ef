"""The options of the learner; small, so that listing plugins imports no torch."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from skillcore.learning.off_policy_options import OffPolicyOptions


class RlpdOptions(OffPolicyOptions):
    """critics: in the ensemble; the target is the smaller of `target_critics`. policy_delay: updates of the critics for
    each of the policy. imitation: weight of imitating actions that the critics prefer to the policy's own.
    """

    critics: Annotated[int, Field(ge=2, le=20)] = 6
    target_critics: Annotated[int, Field(ge=1, le=20)] = 2
    pretrain_steps: Annotated[int, Field(ge=0)] = 8000
    policy_delay: Annotated[int, Field(ge=1, le=100)] = 2
    imitation: Annotated[float, Field(ge=0.0, le=1000.0)] = 2.0

    @model_validator(mode="after")
    def _few_of_many(self) -> Self:
        if self.target_critics > self.critics:
            raise ValueError(f"target_critics must be at most critics, {self.critics}")
        return self
