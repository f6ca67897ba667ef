"""`skill data show` and `skill data stats`: an episode drawn and in a table, and a store in figures."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillcore.cli.data_output import ANSWER, Folder, progress_bar
from skillcore.cli.output import console, print_table, printable
from skillcore.storage import in_bytes

if TYPE_CHECKING:
    from skillcore.reports.dataset_statistics import Spread, Statistics
    from skillcore.types import Episode

DONE = ("do x", "do y", "do z", "do yaw")
ROWS = 27
"""Frames that a table shows without `--all`."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead.")]


def show_command(
    folder: Folder,
    episode: Annotated[str, typer.Option("--episode", help="Its number, its id, or a part of that.")],
    png: Annotated[Path | None, typer.Option(help="Where to draw it. Default: episode-ID.png, here.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every frame of a long episode in the table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw an episode of DIR, and print what happened step by step, and who says how it ended."""
    from skillcore.episodes import EpisodeStore
    from skillcore.episodes.checks import info_to_json
    from skillcore.episodes.naming import episode_named
    from skillcore.reports.episode_sheet import episode_png, words_of
    from skillcore.storage import write_durably

    with EpisodeStore(folder, create=False) as store:
        row = episode_named(store.rows(), episode, where=folder)
        found = store.read(row.id)
        corrections = store.corrections(row.id).get(row.id, ())
    if as_json:
        told = {
            "folder": str(folder),
            "row": dataclasses.asdict(row),
            "info": info_to_json(found.info),
            "corrections": [one.model_dump() for one in corrections],
        }
        typer.echo(json.dumps(told, indent=2))
    else:
        typer.echo(printable(f"{row.variant}, episode {row.id}"))
        for line in words_of(row, found, corrections):
            typer.echo(printable(line))
        typer.echo()
        _print_frames(found, every=every)
    if png is None and as_json:
        return
    place = png or Path(f"episode-{row.id}.png")
    write_durably(place.absolute(), episode_png(row, found, corrections))
    if not as_json:
        typer.echo(f"\npicture: {place}")
        typer.echo(f"next:    skill data relabel {shlex.quote(str(folder))} --episode {row.id} --success yes|no")


def stats_command(folder: Folder, as_json: AsJson = False) -> None:
    """Count what is in DIR: episodes, success, connectors, time, forces, actions, labels, disk."""
    from skillcore.learning.intervals import percent
    from skillcore.reports.dataset_statistics import statistics_of

    with progress_bar("Reading") as progress:
        found = statistics_of(folder, progress)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    for line in _described(found):
        typer.echo(printable(line))
    typer.echo()
    print_table(
        ("connector", "episodes", "success", "corrected", "steps", "peak force"),
        [
            (
                printable(one.name),
                str(one.episodes),
                f"{percent(one.success.value)} of {one.success.trials}" if one.success.is_known else "-",
                str(one.corrected),
                f"{one.steps:.1f}",
                f"{one.peak_force_n:.0f} N",
            )
            for one in found.variants
        ],
    )
    if found.actions:
        typer.echo()
        print_table(
            ("action", "least", "mean", "greatest", "spread", "full steps", "done otherwise"),
            [
                (
                    one.name,
                    f"{one.least:+.2f}",
                    f"{one.mean:+.2f}",
                    f"{one.greatest:+.2f}",
                    f"{one.deviation:.2f}",
                    percent(one.full),
                    percent(one.changed),
                )
                for one in found.actions
            ],
        )
    typer.echo(f"\nnext:   skill data show {shlex.quote(str(folder))} --episode NUMBER")


def _described(found: Statistics) -> Iterator[str]:
    by = {"correction": "a person", "label": "their label", "outcome": "how they ended", "nobody": "nobody"}
    yield found.folder
    yield f"{found.episodes} episodes, {found.steps} steps, {found.frames} frames, {_time(found.seconds)}"
    yield f"success      {found.success.told('not known')}"
    yield "  known by   " + ", ".join(f"{by[name]} {count}" for name, count in found.said_by.items())
    people = ", ".join(f"{who} {count}" for who, count in found.corrections.items())
    yield f"corrected    {found.corrected} labels" + (f"; corrections by {people}" if people else "")
    for name, counts in (
        ("ended", found.outcomes),
        ("sources", found.sources),
        ("cells", found.cells),
        ("images", found.images),
    ):
        yield f"{name:<13}" + ", ".join(f"{value or '-'} {count}" for value, count in counts.items())
    yield "control rate " + ", ".join(f"{rate:g} Hz" for rate in found.rates_hz)
    yield f"duration     {_spread(found.duration_s, 's', 1)}"
    yield f"peak force   {_spread(found.peak_force_n, 'N', 0)}"
    if found.first:
        first, last = (text[:16].replace("T", " ") for text in (found.first, found.last))
        yield f"recorded     {first} to {last}"
    told = ", ".join(f"{name} {in_bytes(size)}" for name, size in found.disk.items() if size)
    yield f"on disk      {in_bytes(sum(found.disk.values()))}: {told}"
    yield f"hash         {found.dataset_hash[:16]}"


def _spread(spread: Spread, unit: str, digits: int) -> str:
    return (
        f"{spread.least:.{digits}f} to {spread.greatest:.{digits}f} {unit}; half below {spread.median:.{digits}f}, "
        f"95 % below {spread.most_of_all:.{digits}f}"
    )


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _print_frames(episode: Episode, *, every: bool) -> None:
    """A row for each frame: where, how hard, what was done next, and what was thought of it."""
    from rich.table import Table

    from skillcore.reports.episode_sheet import Motion

    motion, steps = Motion.of(episode), episode.steps
    count = steps + 1
    frames = list(range(count))
    if count > ROWS and not every:
        frames = sorted({round(number * steps / (ROWS - 1)) for number in range(ROWS)})
    rows = []
    for frame in frames:
        x, y, z = motion.position_mm[frame]
        done = [f"{value:+.2f}" for value in episode.executed[frame]] if frame < steps else ["-"] * 4
        score = float(episode.score[frame])
        rows.append(
            (
                str(frame),
                *(f"{value + 0.0:.1f}" for value in (x, y, z, motion.turn_deg[frame])),
                f"{motion.force_n[frame]:.1f}",
                *done,
                f"{round(float(episode.reward[frame]), 2):g}" if frame < steps else "-",
                f"{score:.2f}" if math.isfinite(score) else "-",
                ANSWER[int(episode.success[frame])],
            )
        )
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("step", "x mm", "y mm", "z mm", "yaw", "N", *DONE, "rew", "score", "label"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console().print(table, soft_wrap=False)
    if len(frames) < count:
        typer.echo(f"{len(frames)} of {count} frames; --all shows every one")
