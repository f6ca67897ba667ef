"""`skill video`: films of a run, from the episodes that it has saved."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skillcore.learning.saved_trials import Trial
    from skillcore.reports.recorded_run import RecordedRun


def video_command(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's folder, or its name in the home's runs/.", show_default=False)
    ],
    trials: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these, each whole: a part of the run, or some of a part, as in acceptance:3,7-9; may be "
            "repeated. `failed` are those that went wrong.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The MP4 file to write. Default: in the run's video/.")] = None,
    speed: Annotated[float, typer.Option(min=0.1, max=10.0, help="1 is as it was; 0.5 is half as fast.")] = 1.0,
) -> None:
    """Make the summary film of a run, or a video of some of its trials.

    The film takes a minute at most: before practice, during it, after it, of each part trials at even distances,
    whether they went well or not. Nothing is needed but the run's saved episodes; the run may be unfinished, or going
    on. Needs the extra `video`.
    """
    from skillcore.cli.options import say_where
    from skillcore.cli.recordings import described
    from skillcore.learning.past_runs import find_run
    from skillcore.reports.film import write_film
    from skillcore.reports.recorded_run import read_recorded
    from skillcore.reports.video import FOLDER, require_video, write_trials

    require_video()
    recorded = read_recorded(find_run(run).folder)
    if out is not None:
        _check_out(out)
    if trials:
        chosen = chosen_trials(recorded, trials)
        film = write_trials(recorded, chosen, out or recorded.folder / FOLDER / "trials.mp4", speed=speed)
    else:
        film = write_film(recorded, out, speed=speed)
    typer.echo(f"{film.trials} trials")
    say_where(recorded.folder, video=described([film]))


def chosen_trials(run: RecordedRun, wanted: list[str]) -> list[Trial]:
    """The trials that `--trials` names, in the run's order, each once. Raises InputError, UnknownNameError."""
    from skillcore.errors import InputError, UnknownNameError

    named = {"failed": [trial for part in run.parts.values() for trial in part if _failed(trial)], **run.parts}
    chosen: set[tuple[str, int]] = set()
    for text in wanted:
        name, _, numbers = text.partition(":")
        if name not in named:
            raise UnknownNameError("part of this run", name, named, where="--trials")
        trials = {trial.number: trial for trial in named[name]}
        if not trials:
            raise InputError(
                f"--trials {text}: no trial of this run has failed", cure=f"one of: {', '.join(run.parts)}"
            )
        picked = _numbers(text, numbers) if numbers else list(trials)
        missing = [str(number) for number in picked if number not in trials]
        if missing:
            cure = f"it has {len(trials)} trials, {min(trials)} to {max(trials)}"
            raise InputError(f"--trials {text}: {name} has no trial {', '.join(missing[:5])}", cure=cure)
        chosen |= {(trials[number].part, number) for number in picked}
    return [trial for part in run.parts.values() for trial in part if (trial.part, trial.number) in chosen]


def _failed(trial: Trial) -> bool:
    return not (trial.result.claimed and trial.result.success)


def _numbers(text: str, numbers: str) -> list[int]:
    from skillcore.errors import InputError

    found: list[int] = []
    for item in numbers.split(","):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", item.strip())
        if match is None:
            raise InputError(f"--trials {text}: {item!r} is no number and no range", cure="as in acceptance:3,7-9")
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        found += range(first, last + 1)
    if not found:
        raise InputError(f"--trials {text}: names no trial", cure="as in acceptance:3,7-9")
    return found


def _check_out(out: Path) -> None:
    from skillcore.errors import InputError

    if out.suffix.lower() != ".mp4":
        raise InputError(f"--out {out}: a video is an MP4 file", cure=f"give it a name like {out.stem or 'film'}.mp4")
    if out.is_dir():
        raise InputError(f"--out {out}: is a folder", cure=f"name a file: {out / 'film.mp4'}")
