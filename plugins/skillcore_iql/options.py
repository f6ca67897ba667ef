"""The options of the learner; small, so that listing plugins imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skillcore.config import StrictModel


class IqlOptions(StrictModel):
    """expectile: tau of the value's regression. temperature: beta, by which advantages are multiplied.

    Defaults are the reference's, with the paper's share of practice in a batch. pretrain_steps: gradient steps offline.
    updates_per_step: gradient steps for each step of practice. noise: standard deviation of exploration.
    """

    hidden: Annotated[int, Field(ge=8, le=2048)] = 256
    expectile: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.8
    temperature: Annotated[float, Field(ge=0.0, le=100.0)] = 3.0
    discount: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.97
    target_rate: Annotated[float, Field(gt=0.0, le=1.0)] = 0.005
    learning_rate: Annotated[float, Field(gt=0.0, le=0.1)] = 3e-4
    batch: Annotated[int, Field(ge=2, le=65536)] = 256
    pretrain_steps: Annotated[int, Field(ge=0)] = 20000
    updates_per_step: Annotated[int, Field(ge=0, le=100)] = 4
    online_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.25
    noise: Annotated[float, Field(ge=0.0, le=2.0)] = 0.2
