"""The report of a run, for who decides on it: `report.html` in the run's folder, made of what lies there."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from skillcore.learning.checks import checks_of, is_check
from skillcore.learning.evaluate import Evaluation, Rate, TrialResult
from skillcore.learning.intervals import percent
from skillcore.reports import charts
from skillcore.reports.filmstrips import data_uri, strips
from skillcore.reports.pages import duration, write_page
from skillcore.reports.reasons import TITLES
from skillcore.reports.run_data import Part, RunData, read_run_data

REPORT = "report.html"
CHUNK = 25
"""Trials of practice that one point of the learning curve stands for; more where there would be too many points."""
MOST_CHUNKS = 16
BINS = 12
IN_FULL = {"zero-shot": "the test before practice", "practice": "practice", "acceptance": "the acceptance test"}
NAMES = {"zero-shot": "before practice", "practice": "practice", "acceptance": "acceptance"}


Explain = Callable[[RunData], tuple[bytes | None, str]]
"""Makes a PNG of what the policy looked at, or None and a sentence on why there is none."""


def unexplained(data: RunData) -> tuple[bytes | None, str]:
    """The report says nothing of it."""
    return None, ""


def write_report(folder: Path, *, explain: Explain = unexplained) -> Path:
    """Makes the report of a finished or an unfinished run, and returns its path.

    Raises InputError if the folder is no run that has trials, EpisodeError if an episode is damaged, StorageError.
    """
    data = read_run_data(folder)
    png, why_not = explain(data)
    looked = {"saliency": png and data_uri(png), "no_saliency": why_not}
    return write_page(folder / REPORT, "run.html.j2", **content_of(data), **looked)


def content_of(data: RunData) -> dict[str, Any]:
    """What the page says, by the names that the template uses."""
    return {
        "data": data,
        "title": str(data.run.about.get("title") or data.run.about["variant"]),
        "versions": data.run.about.get("packages") or (data.card.packages if data.card else {}),
        "verdict": verdict_of(data),
        "figures": _figures(data),
        "curve": learning_curve(data),
        "has_checks": bool(checks_of(data.part("practice").evaluation.trials).trials),
        "forces": force_histogram(data),
        "limits": _limits(data),
        "parts": [_part_row(data.part(source)) for source in NAMES if data.part(source).trials],
        "confusions": _confusions(data),
        "reasons": _reasons(data),
        "strips": strips(data),
        "settings": _settings(data),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "names": NAMES,
    }


# --- the verdict ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """What it comes to. state: "accepted", "rejected" or "unfinished". reasons: sentences that stand beside it.
    warnings: what should be known before somebody relies on it."""

    state: str
    headline: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]


def verdict_of(data: RunData) -> Verdict:
    """Whether the skill passed its gate, and what to make of that."""
    test = data.part("acceptance").evaluation
    gate, passed = data.gate, data.run.accepted
    if gate is None or passed is None:
        done = ", ".join(f"{len(part.trials)} trials of {IN_FULL[source]}" for source, part in data.parts.items())
        return Verdict("unfinished", "Not finished", (f"So far there are {done}. Nothing is decided.",), ())
    low, high = test.success.interval
    reasons = [
        f"{test.success.hits} of {len(test.trials)} acceptance trials succeeded; {percent(gate, gate)} are asked for.",
        f"Under these conditions between {percent(low)} and {percent(high)} of all insertions succeed (95% interval).",
    ]
    if passed and low < gate:
        reasons.append("So it may still be less than what is asked for: a longer acceptance test would tell.")
    if not passed and high >= gate:
        reasons.append("So it may be as good as what is asked for: a longer acceptance test would tell.")
    return Verdict(
        "accepted" if passed else "rejected",
        "Accepted" if passed else "Not accepted",
        tuple(reasons),
        tuple(_warnings(data, test, otherwise=(test.success.value >= gate) is not passed)),
    )


def _warnings(data: RunData, test: Evaluation, *, otherwise: bool) -> list[str]:
    """otherwise: whether the figures as they are now would make another verdict."""
    warnings = []
    if not data.has_truth:
        warnings.append(
            "Success here is what the reward model says, unless a person has said otherwise: nothing else in this cell "
            "knows whether a plug is seated. Look at a few of them by hand."
        )
    if test.false_positives.hits:
        count = test.false_positives.hits
        warnings.append(
            f"In {count} acceptance {_plural(count, 'trial')} the reward model took a failure for a success: at work "
            "such a plug would pass as inserted."
        )
    corrected = sum(part.corrected for part in data.parts.values())
    if corrected:
        warnings.append(
            f"People have corrected the {_plural(corrected, 'label')} of {corrected} {_plural(corrected, 'trial')} "
            "afterwards. The figures count what they say; the verdict is that of the run's end"
            + (", and by what they say it would be the other way round: test again." if otherwise else ".")
        )
    aborted = data.part("acceptance").aborted
    if aborted:
        warnings.append(f"{aborted} acceptance {_plural(aborted, 'trial was', 'trials were')} aborted: see the causes.")
    return warnings


def _plural(count: int, one: str, many: str = "") -> str:
    return one if count == 1 else many or f"{one}s"


# --- figures -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure with its name, what it means, and a drawing."""

    name: str
    value: str
    words: str
    drawing: str = ""


def _figures(data: RunData) -> list[Figure]:
    test = data.part("acceptance").evaluation
    figures = []
    if test.trials:
        figures.append(_success("Success", test.success, data.gate))
    before = data.part("zero-shot").evaluation
    if before.trials:
        figures.append(_success("Before practice", before.success, None))
    timed = test if test.trials else data.part("practice").evaluation
    figures.append(_cycle(data, timed))
    figures.append(_false_positives(data, test))
    force_n = data.part("acceptance").peak_force_n
    if math.isfinite(force_n):
        limits = _limits(data)
        words = "in the acceptance trials"
        if limits:
            words += (
                f"; the arm is to press with {limits[0].value:.0f} N at most, a trial ends at {limits[1].value:.0f} N"
            )
        figures.append(Figure("Greatest force", f"{force_n:.0f} N", words))
    practice = data.part("practice")
    if practice.trials:
        figures.append(Figure("Practice", f"{len(practice.trials)} trials", _practice_words(data)))
    return figures


def _success(name: str, rate: Rate, gate: float | None) -> Figure:
    low, high = rate.interval
    words = f"{rate.hits} of {rate.trials} trials; 95% interval {percent(low)} to {percent(high)}"
    if gate is not None:
        words += f"; the notch is at {percent(gate, gate)}, as asked for"
    value = percent(rate.value) if gate is None else percent(rate.value, gate)
    return Figure(name, value, words, charts.interval(rate.value, low, high, title=words, limit=gate))


def _cycle(data: RunData, test: Evaluation) -> Figure:
    steps = [trial.steps for trial in test.trials if trial.success]
    if not steps:
        return Figure("Time of an insertion", "none", "no trial succeeded")
    words = (
        f"{test.mean_steps:.1f} steps at {data.control_hz:g} a second, mean of the successes; "
        f"the slowest took {max(steps) / data.control_hz:.1f} s"
    )
    between_s = data.part("acceptance").between_s
    if not data.simulated and math.isfinite(between_s):
        words += f". From one trial to the next, with the way back, {between_s:.0f} s were measured (median)"
    else:
        words += ". The way back is not in it"
    return Figure("Time of an insertion", f"{test.mean_steps / data.control_hz:.1f} s", words)


def _false_positives(data: RunData, test: Evaluation) -> Figure:
    name = "False positives"
    if not data.has_truth:
        return Figure(
            name, "not known", "failures that the reward model took for successes: only a person can find them"
        )
    every = _all_trials(data).false_positives
    whole = f"{every.hits} of {every.trials} in the whole run" if every.trials else "nor did any in the whole run"
    if not test.trials:
        words = f"of {every.trials} failures so far were taken for successes by the reward model"
        return Figure(name, f"{every.hits}", words)
    rate = test.false_positives
    if not rate.trials:
        return Figure(name, "0", f"no acceptance trial failed, so that none could be taken for a success ({whole})")
    failed = f"{rate.trials} failed acceptance {_plural(rate.trials, 'trial')}"
    words = f"of {failed} {_plural(rate.hits, 'was', 'were')} taken for {_plural(rate.hits, 'a success', 'successes')}"
    words += " by the reward model"
    if every.trials > rate.trials:
        words += f" ({whole})"
    return Figure(name, f"{rate.hits}", words)


def _all_trials(data: RunData) -> Evaluation:
    return Evaluation(tuple(trial.result for part in data.parts.values() for trial in part.trials))


def _practice_words(data: RunData) -> str:
    practice = data.part("practice")
    planned = _plan(data).get("practice")
    words = [f"of at most {planned}"] if isinstance(planned, int) else []
    times = [trial.started for trial in practice.trials if trial.started is not None]
    if len(times) > 1:
        words.append(f"{duration((times[-1] - times[0]).total_seconds())} from the first to the last")
    return ", ".join([*words, "rewarded by the reward model alone"])


def _plan(data: RunData) -> Mapping[str, Any]:
    plan = data.run.about.get("plan")
    return plan if isinstance(plan, dict) else {}


# --- charts --------------------------------------------------------------------------------------------------------


def learning_curve(data: RunData) -> str:
    """Success before practice, in its course, and after it; empty where nothing was practised."""
    practice = data.part("practice").evaluation.trials
    if not practice:
        return ""
    size = CHUNK * math.ceil(len(practice) / (CHUNK * MOST_CHUNKS))
    chunks = [practice[start : start + size] for start in range(0, len(practice), size)]
    places = ["before", *(str(chunk[-1].number + 1) for chunk in chunks), "after"]
    tests = [
        _point(place, data.part(source).evaluation.success)
        for place, source in ((0, "zero-shot"), (len(places) - 1, "acceptance"))
    ]
    every = [_point(place, Evaluation(tuple(chunk)).success) for place, chunk in enumerate(chunks, 1)]
    checks = [
        _point(place, Evaluation(tuple(one for one in chunk if is_check(one.number))).success)
        for place, chunk in enumerate(chunks, 1)
    ]
    lines = [
        charts.Line(f"practice, each {size} trials", every),
        charts.Line("of these, without noise", checks, shape="ring"),
        charts.Line("tests before and after", tests, shape="square", joined=False),
    ]
    gate = None if data.gate is None else charts.Limit("asked for", data.gate)
    title = "Success before, during and after practice, with 95% intervals"
    return charts.curve(places, lines, title=title, axis="practice trials", limit=gate)


def _point(place: int, rate: Rate) -> charts.Point:
    return charts.Point(place, rate.value, *rate.interval)


def force_histogram(data: RunData) -> str:
    """The greatest force of each trial: acceptance as bars, practice as an outline, both as shares of their trials."""
    limits = _limits(data)
    forces = {source: _forces(data.part(source).evaluation.trials) for source in ("acceptance", "practice")}
    forces = {source: values for source, values in forces.items() if values}
    if not forces:
        return ""
    greatest = max([*(value for values in forces.values() for value in values), *(one.value for one in limits[:1])])
    width = next(step for step in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 1e9) if greatest / step <= BINS)
    edges = [width * number for number in range(math.floor(greatest / width) + 2)]
    series = [
        charts.Bars(
            f"{NAMES[source]}, {len(values)} trials",
            [100.0 * sum(low <= value < high for value in values) / len(values) for low, high in pairwise(edges)],
            outlined=source == "practice" and len(forces) > 1,
        )
        for source, values in forces.items()
    ]
    return charts.histogram(
        edges,
        series,
        title="Share of trials by the greatest force in each",
        axis="greatest force of a trial in N; height: % of trials",
        limits=limits,
    )


def _forces(trials: Sequence[TrialResult]) -> list[float]:
    return [trial.peak_force_n for trial in trials if math.isfinite(trial.peak_force_n)]


def _limits(data: RunData) -> list[charts.Limit]:
    if data.limits is None:
        return []
    force_n, hard_force_n = data.limits
    return [
        charts.Limit(f"presses with {force_n:.0f} N at most", force_n),
        charts.Limit(f"ends at {hard_force_n:.0f} N", hard_force_n),
    ]


# --- tables --------------------------------------------------------------------------------------------------------


def _part_row(part: Part) -> dict[str, Any]:
    evaluation = part.evaluation
    checks = checks_of(evaluation.trials).success if part.source == "practice" else Rate(0, 0)
    return {
        "name": NAMES[part.source],
        "part": part,
        "success": evaluation.success,
        "checks": checks,
        "claimed": evaluation.claimed,
        "clamps": {name.replace("_", " "): count for name, count in part.clamps.items() if count},
    }


@dataclass(frozen=True, slots=True)
class Confusion:
    """What the reward model said of trials whose truth is known."""

    name: str
    seen: int
    not_seen: int
    taken: int
    rejected: int

    @property
    def trials(self) -> int:
        return self.seen + self.not_seen + self.taken + self.rejected


def _confusions(data: RunData) -> list[Confusion]:
    named = [("acceptance", data.part("acceptance").evaluation), ("the whole run", _all_trials(data))]
    found: list[Confusion] = []
    for name, evaluation in named:
        known = [trial for trial in evaluation.trials if trial.truth is not None]
        pairs = Counter((bool(trial.truth), trial.claimed) for trial in known)
        one = Confusion(name, pairs[True, True], pairs[True, False], pairs[False, True], pairs[False, False])
        if one.trials and (not found or one.trials > found[0].trials):
            found.append(one)
    return found


def _reasons(data: RunData) -> dict[str, Any]:
    """How often each reason was met in each part, those met most often first."""
    counts = {
        source: Counter(trial.reason.kind for trial in part.trials if trial.reason is not None)
        for source, part in data.parts.items()
    }
    total = sum(counts.values(), Counter[Any]())
    rows = [(TITLES[kind], [counts[source][kind] for source in data.parts]) for kind, _ in total.most_common()]
    return {"parts": [NAMES[source] for source in data.parts], "rows": rows, "unseen": total["not_seen"] > 0}


def _settings(data: RunData) -> list[tuple[str, str]]:
    about, plan = data.run.about, _plan(data)
    taught = about.get("taught")
    rows = [
        ("Command", about.get("typed")),
        ("Skill", about.get("skill")),
        ("Connector", about.get("connector") or about.get("variant")),
        ("Cell", about.get("cell")),
        ("Socket", f"taught by hand, {taught}" if taught else "where the cell file says"),
        ("Starts", f"scenario {data.scenario}" if data.scenario else None),
        ("Seed", about.get("seed")),
        ("Trials at most", ", ".join(f"{name.replace('_', '-')} {plan[name]}" for name in plan if name != "scenario")),
        ("Asked for", None if data.gate is None else percent(data.gate, data.gate) + " of acceptance trials"),
        ("Networks on", about.get("device")),
        ("Began with bundle", about.get("bundle")),
        ("Run's folder", str(data.run.folder.resolve())),
    ]
    return [(name, str(value)) for name, value in rows if value not in (None, "")]
