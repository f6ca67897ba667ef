"""What `learn`, `eval` and `run` record beside episodes: videos, a Rerun recording, TensorBoard's events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from skillcore.reports.recorded_run import RecordedRun
    from skillcore.reports.tensorboard import EventWriter
    from skillcore.reports.video import Film

Video = Annotated[
    bool, typer.Option("--video", help="At the end, make MP4 videos of trials in the run's folder (extra `video`).")
]
Rerun = Annotated[
    bool, typer.Option("--rerun", help="At the end, make a Rerun recording in the run's folder (extra `rerun`).")
]


def check_recorders(*, video: bool, rerun: bool) -> None:
    """Raises InputError that says what to install, before anything moves."""
    if video:
        from skillcore.reports.video import require_video

        require_video()
    if rerun:
        from skillcore.reports.rerun_file import require_rerun

        require_rerun()


def record(place: Path, events: EventWriter, *, video: bool, rerun: bool) -> dict[str, str]:
    """Makes what was asked for, of a run that has ended, and returns where it is, by its name.

    What fails is told as a warning on stderr, with its cause, and changes nothing else.
    """
    from skillcore.cli.output import print_note
    from skillcore.reports.tensorboard import FOLDER

    made: dict[str, str] = {}
    if events.problem:
        print_note(f"warning: TensorBoard's events are incomplete: {events.problem}")
    else:
        made["events"] = str(place / FOLDER)
    if video:
        made |= _made("video", place, _videos, again=f"skill video {place}")
    if rerun:
        made |= _made("rerun", place, _rerun, again="")
    return made


def _videos(run: RecordedRun) -> Sequence[Film]:
    from skillcore.reports.film import write_film
    from skillcore.reports.video import record_run

    films = record_run(run)
    if len(run.parts) > 1:
        films.append(write_film(run))
    return films


def _rerun(run: RecordedRun) -> Sequence[Film]:
    from skillcore.reports.rerun_file import record_rerun

    return [record_rerun(run)]


def _made(name: str, place: Path, make: Callable[[RecordedRun], Sequence[Film]], *, again: str) -> dict[str, str]:
    from skillcore.cli.output import print_note
    from skillcore.reports.recorded_run import read_recorded

    typer.echo(f"making {'videos' if name == 'video' else 'the Rerun recording'} of what was saved ...")
    try:
        return {name: described(make(read_recorded(place)))}
    except KeyboardInterrupt:
        # The run is over: what is given up is its recording alone, and its end is told as it would have been.
        reason, cure = "ended by Ctrl-C", again
    except Exception as error:  # noqa: BLE001 - whatever an encoder comes upon, the run is over and its result stands
        reason, cure = str(error) or type(error).__name__, f"once that is mended: {again}"
    print_note(f"warning: no {name} was made: {reason}")
    if again:
        print_note(f"  all episodes are kept; {cure}")
    return {}


def described(films: Sequence[Film]) -> str:
    """Where films are, and how large."""
    from skillcore.storage import in_bytes

    place = films[0].path if len(films) == 1 else films[0].path.parent
    files = "" if len(films) == 1 else f"{len(films)} files, "
    seconds = sum(film.seconds for film in films)
    return f"{place} ({files}{seconds:.0f} s, {in_bytes(sum(film.size for film in films))})"
