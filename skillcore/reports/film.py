"""The summary film of a run, about a minute: before practice, during it, after it, with cards between.

Which trials are shown follows from their numbers alone, so that a film flatters nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from skillcore.episodes import EpisodeStore
from skillcore.errors import InputError
from skillcore.learning.evaluate import Evaluation
from skillcore.learning.intervals import percent
from skillcore.learning.saved_trials import Trial, evaluation_of
from skillcore.reports.overlay import AMBER, BLUE, GREEN, RED, card
from skillcore.reports.recorded_run import RecordedRun, shown_of_part, spread
from skillcore.reports.video import BEGIN_S, END_S, FOLDER, Film, Shot, rate_of, seconds_of, trial_shots, write_mp4

LENGTH_S = 60.0
TITLE_S, CARD_S, LAST_S = 3.0, 3.0, 5.0
SHARES = {"zero-shot": 0.3, "practice": 0.3, "acceptance": 0.4, "run": 1.0}
"""Of the time for trials, where a run has all parts."""
MOST_A_PART = 10


@dataclass(frozen=True, slots=True)
class Scene:
    """A part of the run: all its trials, those that are shown, and for how long each may last."""

    part: str
    trials: Sequence[Trial]
    shown: Sequence[Trial]
    longest_s: float


def write_film(run: RecordedRun, path: Path | None = None, *, speed: float = 1.0) -> Film:
    """The film of a run as far as it has come, in its folder if no path is given.

    speed: 1 is as it was; the film is as long whatever it is. Raises InputError if no trial was saved, and what
    `write_mp4` and a store raise.
    """
    path = path or run.folder / FOLDER / "film.mp4"
    if not run.parts:
        raise InputError(f"{run.folder}: no trial was saved", cure="let it run, or choose another run")
    with run.store as store:
        first = next(iter(run.parts.values()))
        rate_hz = rate_of(store, first) * speed
        scenes = cut(run, rate_hz)
        shots = _shots(run, store, scenes, rate_hz)
        seconds, size = write_mp4(path, shots, rate_hz=rate_hz, title=f"{run.setting.title}: {run.folder.name}")
    return Film(path, sum(len(scene.shown) for scene in scenes), seconds, size)


def cut(run: RecordedRun, rate_hz: float) -> list[Scene]:
    """Which trials of each part are shown, so that the film keeps to its length."""
    room_s = LENGTH_S - TITLE_S - LAST_S - CARD_S * len(run.parts)
    whole = sum(SHARES[part] for part in run.parts)
    scenes = []
    for part, trials in run.parts.items():
        part_s = room_s * SHARES[part] / whole
        fit = shown_of_part(part, trials)
        shown = spread(fit, 1)
        for count in range(min(MOST_A_PART, len(fit)), 1, -1):
            more = spread(fit, count)
            if sum(seconds_of(trial, rate_hz) for trial in more) <= part_s:
                shown = more
                break
        scenes.append(Scene(part, trials, shown, max(0.0, part_s - BEGIN_S - END_S)))
    return scenes


def _shots(run: RecordedRun, store: EpisodeStore, scenes: Sequence[Scene], rate_hz: float) -> Iterator[Shot]:
    def frames(seconds: float) -> int:
        return max(1, round(seconds * rate_hz))

    about = run.about
    begun = f"begun {str(about.get('began', ''))[:16].replace('T', ' ')}"
    where = f"{about.get('skill', '')} of {about.get('variant', '')}, in cell {_cell_of(store, scenes)}"
    yield Shot(card(run.setting.title, [where, begun], small=run.folder.name), frames(TITLE_S))
    for scene in scenes:
        yield Shot(card(*_about(run, scene)), frames(CARD_S))
        for trial in scene.shown:
            yield from trial_shots(run, store, trial, rate_hz=rate_hz, longest_s=scene.longest_s)
    title, lines, colour = _end(run)
    yield Shot(card(title, lines, colour=colour, small=run.folder.name), frames(LAST_S))


def _cell_of(store: EpisodeStore, scenes: Sequence[Scene]) -> str:
    return store.read(scenes[0].shown[0].episode_id).info.cell


def _about(run: RecordedRun, scene: Scene) -> tuple[str, list[str]]:
    """Title and lines of the card before a part."""
    figures = evaluation_of(scene.trials)
    lines = [f"{len(scene.trials)} trials, {inserted(figures)}"]
    checks = shown_of_part(scene.part, scene.trials)
    if len(checks) < len(scene.trials):
        lines.append(f"without noise: {inserted(evaluation_of(checks))}")
    if len(scene.shown) < len(scene.trials):
        among = "those without noise" if len(checks) < len(scene.trials) else "all"
        numbers = ", ".join(str(trial.number) for trial in scene.shown)
        lines.append(f"shown: trials {numbers}, at even distances among {among}")
    words = run.words_of(scene.part)
    return ("During practice" if scene.part == "practice" else words.capitalize()), lines


def inserted(figures: Evaluation, *limits: float) -> str:
    """How many trials of these succeeded, in words; who says so where nobody knows. limits: as in `percent`."""
    rate = figures.success
    low, high = rate.interval
    known = all(trial.truth is not None for trial in figures.trials)
    said = "" if known else ", says the reward model"
    within = f"95 % interval {percent(low)} to {percent(high)}"
    return f"{percent(rate.value, *limits)} inserted{said} ({rate.hits} of {rate.trials}; {within})"


def _end(run: RecordedRun) -> tuple[str, list[str], tuple[int, int, int]]:
    """Title, lines and colour of the last card."""
    # What counts stands first, and brightest: how it went in the end.
    asked = () if run.gate is None else (run.gate,)
    lines = [
        f"{run.words_of(part)}: {inserted(evaluation_of(run.parts[part]), *asked)}" for part in reversed(run.parts)
    ]
    last = evaluation_of(list(run.parts.values())[-1])
    if last.success.hits:
        lines.append(f"an insertion takes {last.mean_steps:.1f} steps, and at most {_peak(last):.0f} N")
    if run.about.get("command") == "run":
        return "Done", lines, BLUE
    if run.accepted is None or run.gate is None:
        return "Not finished", lines, AMBER
    lines[0] += f"; asked for: {percent(run.gate, run.gate)}"
    return ("Accepted", lines, GREEN) if run.accepted else ("Not accepted", lines, RED)


def _peak(figures: Evaluation) -> float:
    return max(trial.peak_force_n for trial in figures.trials)
