"""Under which conditions an evaluation is run: one file, the same for all methods, fixed before anything is tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from skillcore.config import StrictModel, load_yaml

Count = Annotated[int, Field(ge=1)]
Method = Literal["localize", "straight", "random", "spiral", "offline", "online"]
METHODS: tuple[Method, ...] = ("localize", "straight", "random", "spiral", "offline", "online")
LEARNED = ("offline", "online")


class Conditions(StrictModel):
    """One evaluation of a skill.

    cells, variants, scenarios, seeds: every combination is run; a seed draws the installation, the starts and the
    grasps. trials: of each test. practice: trials at most between the offline and the online test. published: successes
    as others report them, by scenario, variant and method, each of `published_trials`.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    skill: str
    cell: str
    variants: tuple[str, ...]
    scenarios: tuple[str, ...]
    methods: tuple[Method, ...] = METHODS
    seeds: tuple[int, ...]
    trials: Count
    practice: Annotated[int, Field(ge=0)]
    published_trials: Count = 20
    published: dict[str, dict[str, dict[Method, int]]] = Field(default_factory=dict)
    source: str = ""

    def smallest(self) -> Conditions:
        """Just enough to see that everything runs: one variant, one seed, few trials."""
        changes = {"variants": self.variants[:1], "seeds": self.seeds[:1], "trials": 2, "practice": 2}
        return self.model_copy(update=changes)


def load_conditions(path: Path) -> Conditions:
    """Reads a file of conditions. Raises ConfigError with all faults."""
    return load_yaml(path, Conditions)
