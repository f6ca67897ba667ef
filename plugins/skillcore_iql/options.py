"""The options of the learner; small, so that listing plugins imports no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from skillcore.learning.off_policy_options import Batch, OffPolicyOptions, Share


class IqlOptions(OffPolicyOptions):
    """expectile: tau of the value's regression. temperature: beta, by which advantages are multiplied.

    Defaults are the reference's, with the paper's share of practice in a batch, but for temperature, expectile and
    offline steps: rewards here are 0 and 1, so that advantages are a tenth of what the reference has them multiplied
    by 3, and after twice as many steps the policy knows its data by heart.
    """

    expectile: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.9
    temperature: Annotated[float, Field(ge=0.0, le=100.0)] = 30.0
    pretrain_steps: Annotated[int, Field(ge=0)] = 8000
    practice_batch: Batch = 256
    online_share: Share = 0.25
