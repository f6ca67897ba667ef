"""Registers the learner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore_rlpd.options import RlpdOptions

if TYPE_CHECKING:
    from skillcore.interfaces import Learner


def _make(options: RlpdOptions, context: Context) -> Learner:
    from skillcore_rlpd.rlpd import Rlpd

    return Rlpd(options, feature_dim=context.feature_dim, device=context.device)


@hookimpl
def skillcore_learners() -> Mapping[str, Part[Any, Any]]:
    return {"rlpd": Part(RlpdOptions, _make, "critic ensemble with offline data, many updates a step (RLPD-like)")}
