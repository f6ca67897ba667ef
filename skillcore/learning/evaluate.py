"""Tests of a policy and of its reward model, judged separately, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from skillcore.learning.intervals import percent, wilson
from skillcore.learning.rewarding import looked_like_success

if TYPE_CHECKING:
    from skillcore.episodes import EpisodeStore
    from skillcore.skill import Actor
    from skillcore.task import Task
    from skillcore.types import Episode, EpisodeInfo


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % interval (Wilson 1927): `hits` of `trials`."""

    hits: int
    trials: int

    @property
    def is_known(self) -> bool:
        """Whether anything was tried."""
        return self.trials > 0

    @property
    def value(self) -> float:
        """NaN without trials."""
        return self.hits / self.trials if self.trials else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson interval; (0, 1) without trials."""
        low, high = wilson(self.hits, self.trials)
        return float(low), float(high)

    def __str__(self) -> str:
        return self.told("none tried")

    def told(self, without: str, *limits: float) -> str:
        """In words, with its counts and interval; `without` says that there was no trial to be counted. limits: as in
        `percent`."""
        if not self.trials:
            return without
        low, high = self.interval
        within = f"95 % interval {percent(low)} to {percent(high)}"
        return f"{percent(self.value, *limits)} ({self.hits} of {self.trials}; {within})"

    def as_json(self) -> dict[str, Any]:
        low, high = self.interval
        return {**asdict(self), "value": None if math.isnan(self.value) else self.value, "low": low, "high": high}


@dataclass(frozen=True, slots=True)
class TrialResult:
    """How one episode went.

    claimed: whether the reward model ended it as a success. truth: whether it really was one at its end, by a person's
    correction or else the simulation; None where nothing but the reward model knows. refused: whether it looked like
    success to the reward model only where the task says that there can be none (`Task.can_be_success`).
    """

    number: int
    claimed: bool
    truth: bool | None
    steps: int
    peak_force_n: float
    clamps: int
    overruns: int
    aborted: str
    refused: bool = False

    @classmethod
    def of(cls, episode: Episode, number: int) -> TrialResult:
        info = episode.info
        return cls(
            number=number,
            claimed=info.outcome == "success",
            truth=episode.known_success,
            steps=episode.steps,
            peak_force_n=info.peak_force_n,
            clamps=sum(info.clamps.values()),
            overruns=info.overruns,
            aborted=info.note,
            refused=info.outcome == "timeout" and looked_like_success(info, episode.score),
        )

    @property
    def success(self) -> bool:
        """What really happened, as far as anything knows. A trial that was aborted failed, wherever it left the plug:
        a robot that stops with a fault has not done its job."""
        really = self.claimed if self.truth is None else self.truth
        return really and not self.aborted


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Results of several trials of one policy."""

    trials: tuple[TrialResult, ...]

    @property
    def success(self) -> Rate:
        """The policy: trials that ended seated, whatever the reward model said."""
        return Rate(sum(trial.success for trial in self.trials), len(self.trials))

    @property
    def claimed(self) -> Rate:
        """Trials that the reward model ended as successes."""
        return Rate(sum(trial.claimed for trial in self.trials), len(self.trials))

    @property
    def false_positives(self) -> Rate:
        """The reward model: trials it ended as successes that were none, of those trials that were none."""
        failed = [trial for trial in self.trials if trial.truth is False]
        return Rate(sum(trial.claimed for trial in failed), len(failed))

    @property
    def wrong_claims(self) -> Rate:
        """Claimed successes that were none, of all trials."""
        known = [trial for trial in self.trials if trial.truth is not None]
        return Rate(sum(trial.claimed and not trial.truth for trial in known), len(known))

    @property
    def false_negatives(self) -> Rate:
        """The reward model: real successes it did not see. It was not asked any more where a trial was aborted."""
        succeeded = [trial for trial in self.trials if trial.truth and not trial.aborted]
        return Rate(sum(not trial.claimed for trial in succeeded), len(succeeded))

    @property
    def refused(self) -> int:
        """Trials that looked like success only where there can be none."""
        return sum(trial.refused for trial in self.trials)

    @property
    def mean_steps(self) -> float:
        """Of successful trials; NaN without any."""
        steps = [trial.steps for trial in self.trials if trial.success]
        return sum(steps) / len(steps) if steps else math.nan

    def as_json(self) -> dict[str, Any]:
        mean_steps = self.mean_steps
        return {
            "success": self.success.as_json(),
            "claimed": self.claimed.as_json(),
            "false_positives": self.false_positives.as_json(),
            "false_negatives": self.false_negatives.as_json(),
            "wrong_claims": self.wrong_claims.as_json(),
            "refused": self.refused,
            "mean_steps_of_successes": None if math.isnan(mean_steps) else mean_steps,
            "peak_force_n": max((trial.peak_force_n for trial in self.trials), default=0.0),
            "aborted": sum(bool(trial.aborted) for trial in self.trials),
        }


def evaluate(
    task: Task,
    make_actor: Callable[[], Actor],
    template: EpisodeInfo,
    *,
    trials: int,
    seed: int,
    store: EpisodeStore | None = None,
    done: Sequence[TrialResult] = (),
    report: Callable[[TrialResult], None] = lambda result: None,
) -> Evaluation:
    """Runs `trials` episodes, each of them saved before it is reported.

    template: what all episodes have in common; its `source` also draws the seeds, so that a test never repeats what
    was practised. done: results of trials that were run already.
    """
    # Rates are read where nothing is run, and torch takes long to import.
    from dataclasses import replace

    from skillcore.learning.rollout import run_episode
    from skillcore.learning.seeds import seed_for

    results = list(done)
    for number in range(len(results), trials):
        info = replace(template, seed=seed_for(seed, template.source, number), trial=number, clamps={})
        episode = run_episode(task, make_actor(), info)
        if store is not None:
            store.append(episode)
        results.append(TrialResult.of(episode, number))
        report(results[-1])
    return Evaluation(tuple(results))
