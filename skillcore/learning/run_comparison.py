"""Two runs side by side: what each reached, whether that is a difference, and which settings differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skillcore.learning.checks import checks_of
from skillcore.learning.comparison import Mean, MeanDifference, RateDifference
from skillcore.learning.evaluate import Evaluation, Rate
from skillcore.learning.past_runs import PastRun

NO_RATE = Rate(0, 0)
NOT_SETTINGS = ("began", "command", "skill", "connector", "title", "typed")
"""What `run.json` says beside the settings that a run was made with. The connector's own name is `variant`."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of trials in both runs.

    more_is_better: a success is, a mistake of the reward model is not. of_test: whether all trials are of one policy;
    those of practice are of one that changes.
    """

    title: str
    difference: RateDifference
    more_is_better: bool = True
    of_test: bool = True


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over trials in both runs, in a unit."""

    title: str
    unit: str
    difference: MeanDifference


@dataclass(frozen=True, slots=True)
class Setting:
    """Something that the runs were not made alike in; "" where a run says nothing of it, as older ones may."""

    name: str
    first: str
    second: str


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs, and what is known of at least one of them."""

    first: PastRun
    second: PastRun
    shares: tuple[Share, ...]
    measures: tuple[Measure, ...]
    settings: tuple[Setting, ...]

    @property
    def main(self) -> Share | None:
        """The share that decides: of the last test that both have; None where there is none."""
        known = [one for one in self.shares if one.more_is_better and one.of_test and one.difference.is_known]
        return known[-1] if known else None

    def as_json(self) -> dict[str, Any]:
        """Everything, for other programs."""
        return {
            "first": str(self.first.folder),
            "second": str(self.second.folder),
            "shares": {
                share.title: {
                    "first": share.difference.first.as_json(),
                    "second": share.difference.second.as_json(),
                    "difference": share.difference.as_json(),
                }
                for share in self.shares
            },
            "means": {
                measure.title: {
                    "unit": measure.unit,
                    "first": measure.difference.first.as_json(),
                    "second": measure.difference.second.as_json(),
                    "difference": measure.difference.as_json(),
                }
                for measure in self.measures
            },
            "settings": {one.name: [one.first, one.second] for one in self.settings},
        }


def compared(first: PastRun, second: PastRun) -> RunComparison:
    """Two runs, finished or not. Raises EpisodeError, StorageError over their episodes."""
    sides = [_Side(run, run.evaluations()) for run in (first, second)]

    def share(title: str, *path: str, figure: str = "success", **is_what: bool) -> Share:
        rates = [side.rate(path, figure) for side in sides]
        return Share(title, RateDifference(rates[0], rates[1]), **is_what)

    def measure(title: str, unit: str, field: str) -> Measure:
        means = [side.mean(field) for side in sides]
        return Measure(title, unit, MeanDifference(means[0], means[1]))

    shares = (
        share("zero-shot test", "zero_shot"),
        share("practice, all", "practice", of_test=False),
        share("practice, checks", "practice", "without_noise", of_test=False),
        share("acceptance test", "acceptance"),
        share("false positives", "acceptance", figure="false_positives", more_is_better=False),
        share("success not seen", "acceptance", figure="false_negatives", more_is_better=False),
    )
    measures = (measure("steps in success", "", "steps"), measure("peak force", "N", "peak_force_n"))
    known = tuple(one for one in shares if one.difference.first.trials or one.difference.second.trials)
    met = tuple(one for one in measures if one.difference.first.count or one.difference.second.count)
    return RunComparison(first, second, known, met, tuple(_settings(first, second)))


@dataclass(frozen=True, slots=True)
class _Side:
    """A run, and what its episodes say."""

    run: PastRun
    evaluations: Mapping[str, Evaluation]

    def rate(self, path: tuple[str, ...], figure: str) -> Rate:
        """From the episodes, with what people have said of them since, as `mean` has it; from the results where no
        episode is kept."""
        found = self.evaluations.get(path[0].replace("_", "-"))
        if found is None:
            return self.run.rate(*path, figure=figure) or NO_RATE
        if path[1:]:
            found = checks_of(found.trials)
        rate: Rate = getattr(found, figure)
        return rate

    def mean(self, field: str) -> Mean:
        """Over the trials of the acceptance test; of steps, over those that succeeded."""
        test = self.evaluations.get("acceptance")
        trials = test.trials if test is not None else ()
        return Mean.of([getattr(trial, field) for trial in trials if trial.success or field != "steps"])


def _settings(first: PastRun, second: PastRun) -> Iterator[Setting]:
    sides = [_flat(run) for run in (first, second)]
    for name in sorted(sides[0].keys() | sides[1].keys()):
        told = [side.get(name, "") for side in sides]
        # The gate is written down with the results, which a run need not have yet.
        if told[0] != told[1] and not (name == "gate" and None in (first.results, second.results)):
            yield Setting(name, told[0], told[1])


def _flat(run: PastRun) -> dict[str, str]:
    """Settings by name: `limits.force_n`, but those of the plan without it, `scenario` and not `plan.scenario`."""
    results = run.results or {}
    found = {name: _told(results[name]) for name in ("gate", "scenario") if name in results}
    for name, value in run.about.items():
        if name in NOT_SETTINGS:
            continue
        if isinstance(value, Mapping):
            found |= {str(key) if name == "plan" else f"{name}.{key}": _told(one) for key, one in value.items()}
        else:
            found[name] = _told(value)
    return found


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return "none" if value is None else str(value)
