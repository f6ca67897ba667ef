"""`skill data export` and `skill data import`: episodes for other tools, and theirs for us."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from skillcore.cli.data_output import progress_bar

REFUSED = 2
"""Exit code of an import that did not take all there was."""
MOST_TOLD = 20
"""Of refused episodes so many are told on the terminal."""


class DataFormat(StrEnum):
    """What episodes can be exported as."""

    lerobot = "lerobot"


class ImageForm(StrEnum):
    """How images are kept in an export."""

    png = "png"
    video = "video"


class Outcomes(StrEnum):
    """How an episode may have ended."""

    success = "success"
    timeout = "timeout"
    aborted = "aborted"


def export_episodes(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of an episode store.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder to make.", show_default=False)],
    form: Annotated[DataFormat, typer.Option("--format", help="Form of the dataset.")] = DataFormat.lerobot,
    variant: Annotated[
        list[str] | None, typer.Option("--connector", "--variant", help="Only this connector; may be repeated.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="Only this source; may be repeated.")] = None,
    cell: Annotated[list[str] | None, typer.Option(help="Only this cell; may be repeated.")] = None,
    outcome: Annotated[list[Outcomes] | None, typer.Option(help="Only what ended so; may be repeated.")] = None,
    episode: Annotated[
        list[str] | None, typer.Option(help="Only this: its number, its id, or a part of that; may be repeated.")
    ] = None,
    images: Annotated[
        ImageForm, typer.Option(help="png keeps every pixel; video is smaller, and needs the extra `exchange`.")
    ] = ImageForm.png,
    final_frame: Annotated[
        bool,
        typer.Option(
            "--final-frame/--no-final-frame",
            help="With the observation after the last step, whose action is 0; without it, every action was taken.",
        ),
    ] = True,
    task: Annotated[
        str, typer.Option(help="What a task is called; {skill}, {variant} and {cell} are filled in.")
    ] = "{skill}: {variant}",
) -> None:
    """Write episodes of DIR as a LeRobot dataset (v3.0), to train with LeRobot or to share."""
    from skillcore.cli.output import counted
    from skillcore.episodes import EpisodeStore, Filters
    from skillcore.episodes.naming import episode_named
    from skillcore.exchange.lerobot_write import write_lerobot

    filters = Filters()
    for name, wanted in (("variant", variant), ("source", source), ("cell", cell)):
        if wanted:
            filters[name] = wanted  # type: ignore[literal-required]
    if outcome:
        filters["outcome"] = [one.value for one in outcome]
    with EpisodeStore(folder, create=False) as store, progress_bar("Exporting") as progress:
        rows = store.rows(**filters)
        if episode:
            named = {episode_named(rows, one, where=folder).id for one in episode}
            rows = [row for row in rows if row.id in named]
        written = write_lerobot(
            store, rows, out, pictures=images.value, final_frame=final_frame, task=task, progress=progress
        )
    amounts = {"episode": written.episodes, "frame": written.frames, "task": len(written.tasks)}
    typer.echo(f"exported: {', '.join(counted(number, what) for what, number in amounts.items())}")
    if written.left_out:
        typer.echo(f"left out: {counted(len(written.left_out), 'episode')} without a step")
    typer.echo(f"data:     {written.folder}")
    typer.echo(f"next:     LeRobotDataset(repo_id={written.folder.name!r}, root={str(written.folder)!r})")


def import_episodes(
    source: Annotated[
        Path, typer.Argument(metavar="FROM", help="Folder of a LeRobot dataset, or an HDF5 file.", show_default=False)
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the store to make.", show_default=False)] = None,
    mapping: Annotated[
        Path | None,
        typer.Option(help="YAML file that says which field is what. Not needed for what `data export` wrote."),
    ] = None,
    draft: Annotated[
        Path | None, typer.Option(help="Write a first mapping for FROM into this new file, and take nothing in.")
    ] = None,
) -> None:
    """Take a LeRobot dataset (v2.1, v3.0) or a robomimic HDF5 file into a new episode store.

    Episodes that are not sound are refused, each with its reason, and the others are kept. Then the exit code is 2.
    """
    from skillcore.errors import InputError
    from skillcore.exchange.bring_in import bring_in

    if (out is None) == (draft is None):
        raise InputError("import: give --out, or --draft for a first mapping", cure="skill data import --help")
    if draft is not None:
        if mapping is not None:
            raise InputError("import: --draft makes a mapping, and --mapping gives one", cure="leave one of them away")
        _write_draft(source, draft)
        return
    assert out is not None
    with progress_bar("Importing") as progress:
        summary = bring_in(source, out, mapping, progress=progress)
    typer.echo(f"imported: {summary.kept} of {summary.episodes} episodes of {summary.form}, {summary.steps} steps")
    if summary.kept:
        unknown = f", and {summary.kept - summary.judged} are not known" if summary.judged < summary.kept else ""
        typer.echo(f"success:  {summary.succeeded} of them{unknown}" if summary.judged else "success:  not known")
        for words in summary.filled:
            typer.echo(f"note:     {words}")
    if summary.refused:
        typer.echo(f"refused:  {len(summary.refused)}")
        for line in _refusals(summary.refused):
            typer.echo(line)
    if summary.kept:
        typer.echo(f"data:     {out}")
        typer.echo(f"next:     skill data list {shlex.quote(str(out))}")
    else:
        typer.echo(f"nothing was sound, so that {out} was not made")
    if summary.refused:
        raise typer.Exit(REFUSED)


def _refusals(refused: list[Any]) -> list[str]:
    from skillcore.cli.output import printable

    lines = []
    for one in refused[:MOST_TOLD]:
        lines.append(printable(f"  {one.name}: {one.what}"))
        if one.cure:
            lines.append(printable(f"    -> {one.cure}"))
    if len(refused) > MOST_TOLD:
        lines.append(f"  and {len(refused) - MOST_TOLD} more")
    return lines


def _write_draft(source: Path, place: Path) -> None:
    from skillcore.errors import InputError
    from skillcore.exchange.bring_in import describe
    from skillcore.exchange.draft import draft_of
    from skillcore.storage import there, write_durably

    if there(place):
        raise InputError(f"{place}: is there already", cure="name a new file with --draft")
    found = describe(source)
    write_durably(place, draft_of(found).encode())
    typer.echo(f"mapping: {place}, guessed from the names of {len(found.fields)} fields: look through it")
    typer.echo(f"next:    skill data import {shlex.quote(str(source))} --out NEW --mapping {shlex.quote(str(place))}")
