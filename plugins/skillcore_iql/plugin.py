"""Registers the learner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from skillcore.hookspecs import hookimpl
from skillcore.parts import Context, Part
from skillcore_iql.options import IqlOptions

if TYPE_CHECKING:
    from skillcore.interfaces import Learner


def _make(options: IqlOptions, context: Context) -> Learner:
    from skillcore_iql.iql import Iql

    return Iql(options, feature_dim=context.feature_dim, device=context.device)


@hookimpl
def skillcore_learners() -> Mapping[str, Part[Any, Any]]:
    return {"iql": Part(IqlOptions, _make, "implicit Q-learning, offline and online")}
