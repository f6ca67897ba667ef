"""The datasets that pretraining needs: collected into one folder, and used again where they are there already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from skillcore.episodes import EpisodeRow, EpisodeStore, ReplayCache
from skillcore.learning.bundles import read_card
from skillcore.learning.collect import Assignment, collect
from skillcore.skill import Skill

ROLLOUTS_EACH = 3
"""Episodes of a policy on each variant: one as it is, one with noise, one led by a search."""
POLICY_FILE = "perception.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Recorded episodes. hash: of all of them."""

    cache: ReplayCache
    hash: str


def open_dataset(folder: Path, *, size_px: int) -> Dataset:
    """The episodes in a folder, in the order of `by_content`. Raises EpisodeError, StorageError."""
    with EpisodeStore(folder, create=False) as store:
        return Dataset(ReplayCache.open(store, size_px=size_px, order=by_content), store.dataset_hash())


def by_content(row: EpisodeRow) -> tuple[str | int, ...]:
    """Orders episodes by what they are. Several processes collect, and who saves first is chance; what is trained on
    them must not depend on it."""
    return row.source, row.variant, row.cell, -1 if row.trial is None else row.trial, row.seed


@dataclass(frozen=True, slots=True)
class Collection:
    """Collects in simulation, on `cells` (their files) in turn.

    root: where datasets lie. announce: is told what begins; returns who is told how it goes, as `collect` tells it.
    """

    root: Path
    skill: Skill
    cells: tuple[str, ...]
    size_px: int
    seed: int
    announce: Callable[[str], Callable[[int, int, int], None]]

    def demonstrations(self, variants: int, episodes: int) -> Dataset:
        """By the skill's demonstrator, on the first `variants` training variants."""
        name = f"{self.skill.name}-{variants}x{episodes}-seed{self.seed}"
        assignment = Assignment(
            self.skill.name, self.cells, episodes, self.seed, count=variants, without=tuple(self.skill.validation)
        )
        return self._collected(name, f"{variants} variants shown by the demonstrator", assignment)

    def validation(self, episodes: int, policy: Path | None = None) -> Dataset:
        """On the variants that are never trained on; by a bundle's policy where one is given."""
        assignment = Assignment(
            self.skill.name, self.cells, episodes, self.seed + 1, names=tuple(self.skill.validation),
            policy="" if policy is None else str(policy),
        )  # fmt: skip
        who = "demonstrator" if policy is None else "policy"
        mark = "" if policy is None else f"-{_mark(policy)}"
        name = f"{self.skill.name}-validation-{episodes}-seed{self.seed}{mark}"
        return self._collected(name, f"{assignment.variants} validation variants by the {who}", assignment)

    def rollouts(self, policy: Path, variants: int, *, first: int) -> Dataset:
        """What a bundle's policy does on training variants from number `first` on."""
        name = f"{self.skill.name}-rollouts-{first}+{variants}-seed{self.seed}-{_mark(policy)}"
        assignment = Assignment(
            self.skill.name, self.cells, ROLLOUTS_EACH, self.seed, count=variants, first=first, policy=str(policy),
            without=tuple(self.skill.validation),
        )  # fmt: skip
        return self._collected(name, f"{variants} other variants by the policy", assignment)

    def _collected(self, name: str, what: str, assignment: Assignment) -> Dataset:
        place = self.root / name
        collect(assignment, place, report=self.announce(f"{what}, in {place}"))
        return open_dataset(place, size_px=self.size_px)


def _mark(policy: Path) -> str:
    """Tells policies apart, so that what one did is never taken for another's."""
    return read_card(policy).files[POLICY_FILE][:8]
