"""Frames to look at a trained skill by: episodes of its own, or recorded ones, with what a simulation knows of them.

A recorded episode holds images, and not which of their pixels show plug and socket. A simulation tells that when the
episode is acted in it again: the same seeds and commands give the same readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skillcore.episodes import EpisodeStore
from skillcore.errors import DeviceError, InputError
from skillcore.learning.bundles import CARD, Card, read_card
from skillcore.learning.collect import STEPS_AFTER_SUCCESS, Stopping
from skillcore.learning.recipe import Brain
from skillcore.learning.rollout import DemonstratorActor, PolicyActor, run_episode
from skillcore.learning.seeds import rng_for, seed_for
from skillcore.skill import Actor, MakeReflex, Skill, Variant
from skillcore.task import Task
from skillcore.types import Episode, EpisodeInfo, Image, Observation

SOURCE = "inspect"
SAME_IMAGE = 1.0
"""An image that was acted again may differ by so many grey levels on average: arithmetic may, from machine to
machine."""
STRANGE = 8
"""After so many recorded episodes that all come out otherwise no more are tried."""
TRIES = 4
"""For each success that is wanted a demonstrator may try so many times."""


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """An episode, and what its pixels show: shown (steps + 1, views, H, W) of `Shown`, or None where nobody knows."""

    episode: Episode
    shown: Image | None


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Frames of several episodes.

    observations: a batch. episode, step: (frames,) where each comes from. shown: (frames, views, H, W) of `Shown`, or
    None where nobody knows of all of them.
    """

    observations: Observation
    episode: NDArray[np.int64]
    step: NDArray[np.int64]
    shown: Image | None

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def of(cls, watched: Sequence[Watched], chosen: Callable[[Episode], NDArray[np.int64]], most: int) -> Frames:
        """Those that `chosen` names of each episode, `most` at most. Raises InputError if there is none."""
        steps = [chosen(one.episode) for one in watched]
        pairs = [(number, int(step)) for number, some in enumerate(steps) for step in some][:most]
        if not pairs:
            raise InputError("there is no frame to look at", cure="choose episodes that have some")
        seen = [watched[number].episode.observation(step) for number, step in pairs]
        known = [one.shown for one in watched]
        shown = None
        if all(known[number] is not None for number, _ in pairs):
            shown = np.stack([known[number][step] for number, step in pairs])  # type: ignore[index]
        return cls(
            Observation(
                images=np.stack([one["images"] for one in seen]),
                pose=np.stack([one["pose"] for one in seen]),
                wrench=np.stack([one["wrench"] for one in seen]),
            ),
            np.array([number for number, _ in pairs]),
            np.array([step for _, step in pairs]),
            shown,
        )


def acted_on(episode: Episode) -> NDArray[np.int64]:
    """Steps whose frame an action was chosen by: all but the last."""
    return np.arange(episode.steps)


def successes(episode: Episode) -> NDArray[np.int64]:
    """Frames that show success: by the truth where it is known, else the last frame of what was taken for one."""
    if (episode.truth >= 0).any():
        return np.flatnonzero(episode.truth == 1)
    return np.array([episode.steps] if episode.terminated else [], np.int64)


# --- episodes that are acted now -----------------------------------------------------------------------------------


class _Watching:
    """An actor, and what the pixels show that it acts on."""

    def __init__(self, task: Task, actor: Actor) -> None:
        self._task, self._actor = task, actor
        self.shown: list[Image | None] = []

    def __call__(self, observation: Observation, info: dict[str, Any], /, *, last: bool) -> NDArray[np.float32]:
        self.shown.append(self._task.cell.shown())
        return self._actor(observation, info, last=last)


def watch(task: Task, actor: Actor, info: EpisodeInfo) -> Watched:
    """Runs an episode. Raises as `run_episode` does."""
    watching = _Watching(task, actor)
    return Watched(run_episode(task, watching, info), _stacked(watching.shown))


def watch_policy(
    task: Task,
    brain: Brain,
    template: EpisodeInfo,
    *,
    frames: int,
    seed: int,
    store: EpisodeStore,
    reflex: MakeReflex,
) -> list[Watched]:
    """Greedy episodes, each saved, until there are so many frames; one is enough where no simulation is."""
    found: list[Watched] = []
    while sum(one.episode.steps for one in found) < frames:
        number = len(found)
        info = replace(template, source=SOURCE, seed=seed_for(seed, SOURCE, number), trial=number, clamps={})
        found.append(watch(task, PolicyActor(brain, reflex=reflex()), info))
        store.append(found[-1].episode)
        if task.cell.simulation is None:
            break
    return found


def watch_successes(
    skill: Skill, task: Task, variant: Variant, template: EpisodeInfo, *, frames: int, seed: int
) -> list[Watched]:
    """Episodes of the demonstrator, which knows the truth, until there are so many frames of success, or too many
    tries went by. Needs a simulation."""
    judge, task.judge = task.judge, Stopping(task, STEPS_AFTER_SUCCESS)
    found: list[Watched] = []
    wanted, purpose = frames, f"{SOURCE} successes"
    try:
        for number in range(TRIES * frames):
            if wanted <= 0:
                break
            info = replace(template, source=purpose, seed=seed_for(seed, purpose, number), trial=number, clamps={})
            actor = DemonstratorActor(skill.demonstrator(task.cell, variant, rng_for(seed, purpose, number)))
            try:
                found.append(watch(task, actor, info))
            except DeviceError:
                # A plug that is torn at may trip the simulated arm; the next try begins above the socket.
                task.cell.recover()
                continue
            wanted -= len(successes(found[-1].episode))
    finally:
        task.judge = judge
    return found


# --- recorded episodes ---------------------------------------------------------------------------------------------


class _Never:
    """A judge that lets an episode go on to the end that was recorded."""

    def start(self) -> None:
        """Nothing to do."""

    def judge(self, observation: Observation) -> tuple[float, bool]:
        return float("nan"), False


def watch_again(task: Task, episode: Episode) -> Watched:
    """A recorded episode, acted again in the simulation to learn what its pixels show.

    What is shown stays unknown where other images come of it, as from another version of the simulation.
    """
    judge, task.judge = task.judge, _Never()
    try:
        shown = _acted_again(task, episode)
    except DeviceError:
        # An episode that a fault has ended may not come to the same fault again.
        task.cell.recover()
        shown = None
    finally:
        task.judge = judge
    return Watched(episode, shown)


def _acted_again(task: Task, episode: Episode) -> Image | None:
    observation, _ = task.reset(seed=episode.info.seed)
    task.cell.restart_clock()
    shown = [task.cell.shown()]
    for step, action in enumerate(episode.action):
        if not _alike(observation["images"], episode.images[step]):
            return None
        observation, _, _, truncated, _ = task.step(action)
        shown.append(task.cell.shown())
        if truncated and step + 1 < episode.steps:
            return None
    return _stacked(shown) if _alike(observation["images"], episode.images[-1]) else None


def _alike(first: Image, second: Image) -> bool:
    if first.shape != second.shape:
        return False
    return float(np.abs(first.astype(np.int16) - second.astype(np.int16)).mean()) < SAME_IMAGE


def _stacked(shown: Sequence[Image | None]) -> Image | None:
    known = [one for one in shown if one is not None]
    return np.stack(known) if known and len(known) == len(shown) else None


def recorded(store: EpisodeStore) -> Iterator[Episode]:
    """The episodes of the part of a run that came last, in order; those that a fault has ended are left out.

    Raises InputError if there is none.
    """
    rows = store.rows()
    is_any = False
    for row in rows:
        if row.source != rows[-1].source:
            continue
        episode = store.read(row.id)
        if episode.steps and not episode.info.note:
            is_any = True
            yield episode
    if not is_any:
        raise InputError(f"{store.folder}: holds no episode to look at", cure="name a run that has finished trials")


def watch_recorded(task: Task, store: EpisodeStore, *, frames: int) -> tuple[list[Watched], int]:
    """Recorded episodes acted again, until there are so many frames; and how many of them came out otherwise.

    Those are left out, unless none of the first `STRANGE` comes out as it was: then these are what there is.
    """
    found: list[Watched] = []
    strange: list[Watched] = []
    for episode in recorded(store):
        watched = watch_again(task, episode)
        (strange if watched.shown is None else found).append(watched)
        if sum(one.episode.steps for one in found) >= frames or (not found and len(strange) == STRANGE):
            break
    return found or strange, len(strange)


def recorded_frames(store: EpisodeStore, *, frames: int) -> list[Watched]:
    """Recorded episodes of which nobody knows what they show, until there are so many frames."""
    found: list[Watched] = []
    for episode in recorded(store):
        found.append(Watched(episode, None))
        if sum(one.episode.steps for one in found) >= frames:
            break
    return found


# --- where a bundle came from --------------------------------------------------------------------------------------


def parent_of(folder: Path, card: Card, root: Path, shipped: Path | None) -> Path | None:
    """The bundle that practice began from, if it is still there; None for one that was pretrained.

    root: where bundles lie. shipped: the one that comes with the skill. Practice leaves the perception as it is, so a
    bundle of that name with another one is not the parent.
    """
    if not card.variant:
        return None
    places = [*sorted((root / card.skill).glob(f"*/[0-9]*/{CARD}"), reverse=True)]
    candidates = [path.parent for path in places] + ([shipped] if shipped is not None else [])
    own = card.files.get("perception.safetensors")
    for place in candidates:
        if not card.parent.startswith(f"{place.name} of ") or place.resolve() == folder.resolve():
            continue
        if not (place / CARD).is_file():
            continue
        found = read_card(place)
        name = f"{place.name} of {found.variant or 'pretraining'}"
        if name == card.parent and found.files.get("perception.safetensors") == own:
            return place
    return None
