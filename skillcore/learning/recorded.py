"""Recorded and imported episodes as training needs them: the labels that they lack, what can be trained on them, and
what is kept back to choose the reward threshold on.

What is recorded on a real cell, or comes from elsewhere, says of an episode how it ended and little more. From that
follows what training asks for. Labels of frames: as `skillcore.episodes.labels` has them. The way to success: where an
episode that succeeded ended, seen from the tool in each of its frames (hindsight; Andrychowicz et al. 2017,
arXiv:1707.01495).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.episodes.cache_files import COLUMNS, CacheContent
from skillcore.episodes.labels import corrected_labels
from skillcore.errors import InputError
from skillcore.learning.pretrain import APART
from skillcore.types import Pose

HELD_OUT = 0.2
"""Share of the episodes at least that the reward threshold is chosen on."""
MOST_HELD_OUT = 0.5
DRAWS = 100
APART_EPISODES = "episodes that were not trained on, of the same variants"
FEW_VARIANTS = 5
Episodes = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """Episodes with all labels that follow from what is known. labels: to tell success from failure by; frames that may
    be either have none. steps: the same to learn to act from, where such frames are no success yet. by_outcome,
    by_person: how many episodes have their label from how they ended by their reward, and from a person. by_hindsight:
    of how many the way to success follows from where they ended. unlabelled: how many say nothing."""

    labels: ReplayCache
    steps: ReplayCache
    by_outcome: int
    by_person: int
    by_hindsight: int
    unlabelled: int

    def of_episodes(self, chosen: Episodes) -> Recorded:
        """Some of them; the counts stay those of all."""
        return Recorded(
            self.labels.of_episodes(chosen, in_memory=False),
            self.steps.of_episodes(chosen, in_memory=False),
            self.by_outcome,
            self.by_person,
            self.by_hindsight,
            self.unlabelled,
        )

    @property
    def has_success(self) -> NDArray[np.bool_]:
        """(episodes,) Which have a frame that is labelled a success."""
        return _any(self.labels, self.labels.success == 1)

    @property
    def has_failure(self) -> NDArray[np.bool_]:
        """(episodes,) Which have a frame that is labelled a failure."""
        return _any(self.labels, self.labels.success == 0)


def completed_labels(data: ReplayCache) -> Recorded:
    """What follows from how episodes ended. An aborted one says nothing of success unless it is labelled; nor does an
    imported one, whose data may never have said it. Without a pose nothing says where success lies."""
    success, seated = data.success.copy(), data.seated_from_tcp.copy()
    by_outcome = by_hindsight = unlabelled = 0
    for number in range(data.episodes):
        frames = slice(int(data.episode_starts[number]), int(data.episode_starts[number + 1]))
        if (success[frames] < 0).all():
            outcome = data.infos[number].outcome
            if outcome == "aborted" or data.infos[number].source == "import":
                unlabelled += 1
                continue
            by_outcome += 1
            success[frames] = corrected_labels(success[frames], data.pose[frames], success=outcome == "success")
        is_known = np.isfinite(seated[frames]).all(1).any()
        if not is_known and data.pose[frames].any() and (success[frames] == 1).any():
            by_hindsight += 1
            seated[frames] = _hindsight(data.pose[frames], int(np.flatnonzero(success[frames] == 1)[-1]))
    steps = success.copy()
    steps[(steps < 0) & _any(data, success >= 0)[data.episode]] = 0
    return Recorded(
        _with(data, success=success, seated_from_tcp=seated),
        _with(data, success=steps, seated_from_tcp=seated),
        by_outcome,
        sum(one is not None for one in data.corrected),
        by_hindsight,
        unlabelled,
    )


def _hindsight(pose: NDArray[np.float32], goal: int) -> NDArray[np.float32]:
    """(frames, 6) The tool's pose at frame `goal`, seen from the tool in each frame. pose: (frames, 6)."""
    tools = [Pose.from_rotvec(one[:3], one[3:]) for one in pose]
    return np.stack([(tool.inverse() @ tools[goal]).as_vector() for tool in tools]).astype(np.float32)


def _with(data: ReplayCache, **columns: NDArray[Any]) -> ReplayCache:
    every = {name: columns.get(name, getattr(data, name)) for name in COLUMNS}
    lengths = [int(length) for length in np.diff(data.episode_starts)]
    return ReplayCache(
        CacheContent(data.images, every, lengths, list(data.infos), list(data.ids), list(data.corrected))
    )


def _any(data: ReplayCache, frames: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(episodes,) Which have one of the frames (frames,) given."""
    return np.asarray(np.logical_or.reduceat(frames, data.episode_starts[:-1]))


# --- what can be trained --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shortage:
    """A part that cannot be trained on some data: why, and what to do."""

    part: str
    reason: str
    cure: str


def shortages(data: Recorded, *, policy: bool, reward_model: bool) -> list[Shortage]:
    """What of policy and reward model, as far as they are to be trained, cannot be."""
    found = []
    count = data.labels.episodes
    if policy and not np.isfinite(data.labels.seated_from_tcp).all(1).any():
        reason, cure = "succeeded", "correct labels that are wrong (skill data relabel --help)"
        if data.has_success.any():
            reason, cure = "that succeeded has a pose", "import them anew with `pose` in the mapping"
        found.append(
            Shortage(
                "the policy",
                f"none of the {count} episodes {reason}, so that nothing says where success lies",
                f"add episodes that succeeded, or {cure}",
            )
        )
    elif policy and not len(data.steps.step_frames):
        found.append(Shortage("the policy", "no episode has a step", "record episodes in which something is done"))
    if reward_model:
        missing = [
            word for word, there in (("success", data.has_success), ("failure", data.has_failure)) if not there.any()
        ]
        if missing:
            found.append(
                Shortage(
                    "the reward model",
                    f"no frame of the {count} episodes shows a {missing[0]}",
                    f"add episodes with a {missing[0]}, or keep the reward model of a bundle: --reward-from BUNDLE",
                )
            )
        elif data.has_success.sum() < 2 or data.has_failure.sum() < 2:
            found.append(
                Shortage(
                    "the reward model",
                    "its threshold is chosen on episodes that it was not trained on, and only one episode shows a "
                    + ("success" if data.has_success.sum() < 2 else "failure"),
                    "add episodes, or keep the reward model of a bundle: --reward-from BUNDLE",
                )
            )
    return found


def refuse(found: Sequence[Shortage]) -> None:
    """Raises InputError that lists what cannot be trained, if there is anything."""
    if found:
        raise InputError(
            "; ".join(f"{one.part} cannot be trained on this data: {one.reason}" for one in found),
            cure="; ".join(dict.fromkeys(one.cure for one in found)),
        )


def doubts(data: Recorded, *, reward_model: bool) -> list[str]:
    """What should be known of bundles that are trained on this data."""
    found = []
    names = len(set(data.labels.variants))
    if data.by_outcome:
        found.append(
            f"of {data.by_outcome} episodes nobody but their reward says whether they succeeded: look at some "
            "(skill data show) and correct what is wrong (skill data relabel)"
        )
    if data.unlabelled:
        found.append(f"{data.unlabelled} aborted or imported episodes without a label are left out")
    if reward_model and data.has_success.all():
        found.append(
            "no episode failed: the reward model meets no near miss, and will take some for success; add failures, or "
            "keep the reward model of a bundle (--reward-from BUNDLE)"
        )
    if names < FEW_VARIANTS:
        found.append(
            f"the data is of {names} connector{'' if names == 1 else 's'} only: what comes of it may do badly on others"
        )
    return found


# --- what is kept back ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Which episodes are trained on, which the threshold is chosen on, and in words what sets these apart."""

    training: Episodes
    validation: Episodes
    words: str


def held_out(data: Recorded, *, preferred: Collection[str], seed: int) -> HeldOut:
    """Keeps back whole variants, those of `preferred` first, or where that would be too much, single episodes.

    Both parts show successes and failures. Raises InputError where that cannot be.
    """
    rng = np.random.default_rng(seed)
    of = np.array(data.labels.variants)
    names = sorted(set(data.labels.variants))
    order = sorted((names[number] for number in rng.permutation(len(names))), key=lambda name: name not in preferred)
    chosen = np.zeros(len(of), np.bool_)
    for name in order:
        chosen |= of == name
        if chosen.mean() >= HELD_OUT and _both(data, chosen):
            break
    if chosen.mean() <= MOST_HELD_OUT and _both(data, chosen) and _both(data, ~chosen):
        return HeldOut(np.flatnonzero(~chosen), np.flatnonzero(chosen), APART)
    for _ in range(DRAWS):
        chosen = np.zeros(len(of), np.bool_)
        for group in (data.has_success, ~data.has_success):
            own = rng.permutation(np.flatnonzero(group))
            chosen[own[: max(round(HELD_OUT * len(own)), int(len(own) > 1))]] = True
        if _both(data, chosen) and _both(data, ~chosen):
            return HeldOut(np.flatnonzero(~chosen), np.flatnonzero(chosen), APART_EPISODES)
    raise InputError(
        "the reward model cannot be trained on this data: there are too few episodes to keep some back that show both "
        "success and failure",
        cure="add episodes, or keep the reward model of a bundle: --reward-from BUNDLE",
    )


def _both(data: Recorded, chosen: NDArray[np.bool_]) -> bool:
    return bool((data.has_success & chosen).any() and (data.has_failure & chosen).any())
