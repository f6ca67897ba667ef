"""Practice: a robot that tries, judges itself by its reward model, and learns between trials.

Learning runs in a thread of its own while the arm resets for the next trial, and has ended before that trial's first
step, so that a control step never waits for the learner. After each trial everything that is needed to go on is
written down: whatever ends the process, `Practice` made anew on the same folder goes on after the last finished trial
with the same weights, optimisers, replay and random numbers.

    episodes/                 every episode, in the durable store
    practice/0012/            the state after 12 trials: learner, adapted estimate, optimisers
    practice/trial_0012.safetensors    features of trial 12, as they were acted on
    practice/state.json       which of these count; replaced last
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skillcore.episodes import EpisodeStore
from skillcore.errors import BundleError
from skillcore.learning.adaptation import WayAdapter
from skillcore.learning.checks import is_check
from skillcore.learning.consistency import approach_of, believed, path_of
from skillcore.learning.evaluate import TrialResult
from skillcore.learning.recipe import Brain
from skillcore.learning.replay import Transitions
from skillcore.learning.rewarding import batch_of_one
from skillcore.learning.rollout import PolicyActor, run_episode
from skillcore.learning.seeds import rng_for, seed_for
from skillcore.learning.threads import on_one_thread
from skillcore.learning.weights import load_tensors, save_tensors
from skillcore.skill import Actor, MakeReflex, no_reflex
from skillcore.storage import make_folder_durably, write_durably
from skillcore.task import Task
from skillcore.types import Array, Episode, EpisodeInfo, Observation

SOURCE = "practice"
"""Where its episodes say that they come from."""
STATE = "state.json"
WAYS = "ways.safetensors"
FOUND = 8
"""Successes, after which the policy is left to itself."""
REFRESHED = 8
"""Earlier trials looked at anew after each; all of them every time would take longer the longer practice lasts."""
_CURE = "begin anew, without --resume"

Locate = Callable[[Observation], Array]
Explorer = Callable[[Locate], Callable[[np.random.Generator], Actor] | None]
"""`Skill.explorer` for one cell and variant: told how to locate the goal, makes what makes a search for a trial."""


@dataclass(frozen=True, slots=True)
class TrialReport:
    """A trial that is finished and saved: how it went, and the learner's figures after it."""

    result: TrialResult
    figures: Mapping[str, float]


class Practice:
    """Trials of one task, in one folder.

    template: what all episodes have in common. seed: everything random follows from it and the trial's number.
    adapt: whether the estimated way is adapted by hindsight. explorer: makes a scripted search that acts in every
    second trial until success was met `FOUND` times; None where the policy always acts. reflex: makes what helps
    the policy when it is stuck.
    """

    def __init__(
        self,
        task: Task,
        brain: Brain,
        prior: Transitions,
        template: EpisodeInfo,
        *,
        folder: Path,
        seed: int,
        adapt: bool = True,
        explorer: Explorer | None = None,
        reflex: MakeReflex = no_reflex,
    ) -> None:
        self._task = task
        self._reflex = reflex
        self._brain = brain
        self._template = replace(template, source=SOURCE)
        self._folder = folder / "practice"
        self._store = EpisodeStore(folder / "episodes")
        self._seed = seed
        self._saved = {row.trial: row.id for row in self._store.rows(source=SOURCE)}
        self._trials: list[_Trial] = []
        self._successes = np.zeros(0, np.bool_)
        self._ways = brain.perception.way_columns
        self._search = explorer(brain.locate) if explorer is not None else None
        if brain.adapter is None and adapt:
            brain.adapter = WayAdapter(brain.perception)
        # What an earlier practice has adapted stays, whether or not this one goes on with it: the policy relies on it.
        self._hindsight = brain.adapter if adapt else None
        self.results: list[TrialResult] = []
        brain.learner.begin_practice(prior)
        make_folder_durably(self._folder)
        if (self._folder / STATE).exists():
            self._load()

    def run(
        self,
        trials: int,
        *,
        report: Callable[[TrialReport], None] = lambda report: None,
        enough: Callable[[list[TrialResult]], bool] = lambda results: False,
    ) -> None:
        """Practises until `trials` are finished, or `enough` says so. Each trial is saved before it is reported."""
        with ThreadPoolExecutor(1, thread_name_prefix="learner") as thread:
            lesson: _Lesson | None = None
            try:
                while len(self.results) < trials and not enough(self.results):
                    trial = len(self.results)
                    episode = self._saved_episode(trial)
                    if episode is None:
                        episode, features = self._attempt(trial, lesson.end if lesson else lambda: None)
                        self._store.append(episode)
                    else:
                        # Killed between the episode and what was learned from it: learned from, not tried again.
                        if lesson is not None:
                            lesson.end()
                        features = self._seen_again(episode)
                    self.results.append(TrialResult.of(episode, trial))
                    self._trials.append(_Trial(episode, path_of(episode), features, features))
                    self._successes = self._believed()
                    lesson = _Lesson(self, thread.submit(self._learn, trial), trial, report)
            finally:
                if lesson is not None:
                    lesson.end()

    def _attempt(self, trial: int, ready: Callable[[], None]) -> tuple[Episode, NDArray[np.float32]]:
        info = replace(self._template, seed=seed_for(self._seed, self._template.source, trial), trial=trial, clamps={})
        rng = rng_for(self._seed, "exploration", trial)
        if self._search is not None and trial % 2 == 1 and self._successes.sum() < FOUND:
            episode = run_episode(self._task, self._search(rng), info, ready=ready)
            return episode, self._seen_again(episode)
        actor = PolicyActor(self._brain, None if is_check(trial) else rng, self._reflex())
        episode = run_episode(self._task, actor, info, ready=ready)
        return episode, np.stack(actor.features)

    def _believed(self) -> NDArray[np.bool_]:
        """(trials,) Which trials were taken for successes, and are not belied by the others."""
        claimed = np.array([one.episode.terminated for one in self._trials], np.bool_)
        said = np.array([one.episode.corrected is True for one in self._trials], np.bool_)
        approach = approach_of(self._trials[0].episode) if self._trials else None
        return believed(claimed, [one.path_m for one in self._trials], said, approach=approach)

    def _learn(self, trial: int) -> Mapping[str, float]:
        torch.manual_seed(seed_for(self._seed, "learning", trial))
        brain, episode, successes = self._brain, self._trials[trial].episode, self._successes
        if self._hindsight is not None:
            self._hindsight.add(episode)
        if not successes.any():
            # Failures alone say that everything is bad; learning from nothing else unlearns what was brought along.
            return {}
        if self._hindsight is not None:
            rng = rng_for(self._seed, "adapting", trial)
            self._hindsight.learn(rng, successes, fixes_yaw=self._task.fixes_yaw)
        self._refresh(trial)
        met = Transitions.joined([one.transitions(bool(won)) for one, won in zip(self._trials, successes, strict=True)])
        return brain.learner.learn(met, rng=rng_for(self._seed, "learning", trial), steps=episode.steps)

    def _refresh(self, trial: int) -> None:
        """Looks anew at the images of this trial and of some drawn from all before it, with the adapted estimate."""
        rng = rng_for(self._seed, "looking", trial)
        earlier = rng.choice(trial, min(REFRESHED, trial), replace=False)
        for number in [*sorted(earlier.tolist()), trial]:
            one = self._trials[number]
            one.adapted = self._brain.adapted(one.features, one.episode.images)

    # --- going on where it ended ---

    def _saved_episode(self, trial: int) -> Episode | None:
        saved = self._saved.get(trial)
        return None if saved is None else self._store.read(saved)

    def _seen_again(self, episode: Episode) -> NDArray[np.float32]:
        # One frame at a time and on one thread, as when it was acted on: anything else may round differently.
        frames = range(episode.steps + 1)
        perception = self._brain.perception
        with on_one_thread():
            return np.stack([perception.features(batch_of_one(episode.observation(frame)))[0] for frame in frames])

    def save(self, trial: int) -> None:
        """Writes down the state after a trial."""
        features = torch.from_numpy(self._trials[trial].features)
        save_tensors(self._folder / f"trial_{trial + 1:04d}.safetensors", {"features": features})
        ways = np.concatenate([one.adapted[:, self._ways] for one in self._trials[: trial + 1]])
        place = self._folder / f"{trial + 1:04d}"
        shutil.rmtree(place, ignore_errors=True)
        make_folder_durably(place)
        save_tensors(place / WAYS, {"ways": torch.from_numpy(ways)})
        self._brain.learner.save(place)
        if self._brain.adapter is not None:
            self._brain.adapter.save(place)
        results = [asdict(result) for result in self.results[: trial + 1]]
        state = {"finished": trial + 1, "results": results}
        write_durably(self._folder / STATE, json.dumps(state).encode())
        for old in self._folder.glob("[0-9]*"):
            if int(old.name) < trial:
                shutil.rmtree(old, ignore_errors=True)

    def _load(self) -> None:
        path = self._folder / STATE
        try:
            state: Any = json.loads(path.read_bytes())
            finished = int(state["finished"])
            self.results = [TrialResult(**result) for result in state["results"]]
            if len(self.results) != finished:
                raise ValueError(f"{finished} trials are finished, and {len(self.results)} have results")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path}: damaged: {error}", cure=_CURE) from error
        adapter = self._brain.adapter
        try:
            self._trials = [self._load_trial(trial) for trial in range(finished)]
            self._successes = self._believed()
            if finished:
                place = self._folder / f"{finished:04d}"
                self._load_ways(place / WAYS)
                self._brain.learner.load(place)
                if adapter is not None:
                    adapter.load(place)
        except BundleError as error:
            raise BundleError(error.what, cure=_CURE) from error
        if self._hindsight is not None:
            for trial in self._trials:
                self._hindsight.add(trial.episode)

    def _load_ways(self, path: Path) -> None:
        ways = load_tensors(path).get("ways")
        lengths = [len(one.features) for one in self._trials]
        if ways is None or ways.shape != (sum(lengths), self._ways.stop - self._ways.start):
            raise BundleError(f"{path}: damaged: its shapes do not fit")
        parts = np.split(ways.numpy(), np.cumsum(lengths)[:-1])
        for one, part in zip(self._trials, parts, strict=True):
            one.adapted = one.features.copy()
            one.adapted[:, self._ways] = part

    def _load_trial(self, trial: int) -> _Trial:
        path = self._folder / f"trial_{trial + 1:04d}.safetensors"
        features = load_tensors(path).get("features")
        episode = self._saved_episode(trial)
        if episode is None:
            raise BundleError(f"{self._store.folder}: the episode of trial {trial + 1} is missing")
        if features is None or features.shape != (episode.steps + 1, self._brain.perception.feature_dim):
            raise BundleError(f"{path}: damaged: its shapes do not fit")
        return _Trial(episode, path_of(episode), features.numpy(), features.numpy())


@dataclass(slots=True, eq=False)
class _Trial:
    """A trial, where the TCP was (steps + 1, 3), and its features (steps + 1, feature_dim), as they were before the way
    was adapted, and with the way as it was estimated when the trial was last looked at."""

    episode: Episode
    path_m: Array
    features: NDArray[np.float32]
    adapted: NDArray[np.float32]

    def transitions(self, believed: bool) -> Transitions:
        """believed: whether it ended in success, as far as is known by now. If not, it earned nothing."""
        episode = self.episode
        reward = episode.reward if believed or not episode.terminated else np.zeros_like(episode.reward)
        return Transitions.of_episode(self.adapted, episode.action, reward, succeeded=believed)


class _Lesson:
    """What is learned after a trial, while the arm resets."""

    def __init__(
        self,
        practice: Practice,
        future: Future[Mapping[str, float]],
        trial: int,
        report: Callable[[TrialReport], None],
    ) -> None:
        self._practice, self._future, self._trial, self._report = practice, future, trial, report
        self._ended = False

    def end(self) -> None:
        """Waits until it is over, saves the trial and reports it; does nothing the second time."""
        if self._ended:
            return
        self._ended = True
        figures = self._future.result()
        self._practice.save(self._trial)
        self._report(TrialReport(self._practice.results[self._trial], figures))
