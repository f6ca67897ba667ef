"""What changes a store of episodes or makes new ones: `skill data relabel`, `delete`, `restore`, `merge`, `split`."""

from __future__ import annotations

import getpass
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skillcore.cli.data_output import Folder, episodes_table, progress_bar
from skillcore.cli.options import Seed
from skillcore.cli.output import console, counted, print_note, printable
from skillcore.errors import InputError
from skillcore.storage import in_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skillcore.episodes import EpisodeRow, EpisodeStore

SHOWN = 12
"""Episodes that are listed before they are deleted; of more, the rest is counted."""

Episodes = Annotated[
    list[str] | None,
    typer.Option(
        "--episode",
        help="An episode: its number, its id, or a part of that; may be repeated.",
        show_default=False,
    ),
]


class YesNo(StrEnum):
    """An answer on the command line."""

    YES = "yes"
    NO = "no"


def relabel_command(
    folder: Folder,
    episode: Annotated[
        list[str], typer.Option("--episode", help="Its number, its id, or a part of that; may be repeated.")
    ],
    success: Annotated[YesNo, typer.Option("--success", help="Whether it really ended in success.")],
    who: Annotated[str, typer.Option(help="Who says so. Default: the user of this machine.")] = "",
    why: Annotated[str, typer.Option(help="Why, in words that are kept with it.")] = "",
) -> None:
    """Correct how episodes in DIR ended. What was said before is kept; training uses the newest."""
    from skillcore.episodes import EpisodeStore
    from skillcore.reports.episode_sheet import BY, yes

    name = who or _user()
    with EpisodeStore(folder, create=False) as store:
        rows = _named(store, folder, episode)
        corrections = store.relabel_many((row.id for row in rows), success is YesNo.YES, who=name, why=why)
    for episode_id, made in corrections.items():
        was = f"it was {yes(made.was)}, {BY[made.was_by]}"
        typer.echo(printable(f"{episode_id}: success {success.value} ({was}); by {made.who}, correction {made.number}"))
    typer.echo("what is trained from now on uses it; copies for training made before are made anew")
    typer.echo(f"next:   skill data show {shlex.quote(str(folder))} --episode {episode[0]}")
    if _run_of(folder) is not None:
        typer.echo(f"        skill report {shlex.quote(str(folder.resolve().parent))}, which counts it too")


def delete_command(
    folder: Folder,
    episode: Episodes = None,
    connector: Annotated[list[str] | None, typer.Option(help="All of this connector; may be repeated.")] = None,
    source: Annotated[list[str] | None, typer.Option(help="All of this source; may be repeated.")] = None,
    outcome: Annotated[list[str] | None, typer.Option(help="All that ended so: success, timeout, aborted.")] = None,
    erase: Annotated[bool, typer.Option("--erase", help="Free the disk at once: nobody can bring them back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete episodes of DIR: those that fit all that is given. They go to DIR/deleted, and `restore` brings them back.

    All of them are deleted or none is, also if the command is killed.
    """
    from skillcore.episodes import EpisodeStore, Filters

    if not (episode or connector or source or outcome):
        raise InputError("nothing says which episodes", cure="give --episode, --connector, --source or --outcome")
    filters = Filters()
    if connector:
        filters["variant"] = connector
    if source:
        filters["source"] = source
    if outcome:
        filters["outcome"] = outcome
    with EpisodeStore(folder, create=False) as store:
        total = len(store)
        rows = store.rows(**filters)
        if episode:
            named = {row.id for row in _named(store, folder, episode)}
            rows = [row for row in rows if row.id in named]
        if not rows:
            raise InputError(f"{folder}: no episode fits", cure=f"see what is there: skill data list {folder}")
        _say_what_goes(folder, rows, total, store, erase=erase)
        _ask(f"Delete {counted(len(rows), 'episode')} of {total}?", is_certain=yes)
        gone = store.delete(row.id for row in rows)
        if erase:
            store.erase(gone)
    typer.echo(f"deleted {counted(len(gone), 'episode')}, {in_bytes(sum(row.bytes for row in gone))}")
    if not erase:
        place = shlex.quote(str(folder))
        typer.echo(f"they lie in {folder / 'deleted'} until you remove that folder")
        typer.echo(f"next:   skill data restore {place}, if it was a mistake")


def restore_command(folder: Folder, episode: Episodes = None) -> None:
    """Bring deleted episodes of DIR back: those named, or all. All of them come back or none does."""
    from skillcore.episodes import EpisodeStore
    from skillcore.episodes.deletion import deleted_ids
    from skillcore.episodes.layout import Layout
    from skillcore.episodes.naming import id_named

    with EpisodeStore(folder, create=False) as store:
        there = deleted_ids(Layout(folder))
        if not there:
            raise InputError(f"{folder}: no deleted episode lies there", cure="nothing needs to be brought back")
        wanted = [id_named(there, name, where=folder / "deleted") for name in episode or ()]
        back = store.restore(wanted or None)
    typer.echo(f"brought back {counted(len(back), 'episode')}: {', '.join(row.id for row in back[:SHOWN])}")
    typer.echo(f"next:   skill data list {shlex.quote(str(folder))}")


def merge_command(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Stores to join; they stay as they are.")],
    out: Annotated[Path, typer.Option(help="Folder of the new store.")],
) -> None:
    """Join stores into a new one. It appears whole or not at all; stores that do not go together are refused."""
    from skillcore.episodes.combining import merge

    with progress_bar("Joining") as progress:
        made = merge(folders, out, progress)
    typer.echo(f"joined {len(folders)} stores: {made.episodes} episodes in {out}")
    if made.duplicates:
        typer.echo(f"  {made.duplicates} were in several of them, and are kept once")
    if made.renumbered:
        typer.echo(f"  {made.renumbered} have another number there; the letters behind it are the same as before")
    typer.echo(f"next:   skill data stats {shlex.quote(str(out))}")


def split_command(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="New folder, which will hold a store for each part.")],
    share: Annotated[
        float | None,
        typer.Option(help="So much of each connector goes to OUT/train, the rest to OUT/validation; such as 0.8."),
    ] = None,
    by_connector: Annotated[bool, typer.Option("--by-connector", help="A store for each connector.")] = False,
    seed: Seed = 0,
) -> None:
    """Copy the episodes of DIR into several new stores. All of them appear or none does; DIR stays as it is."""
    from skillcore.episodes import EpisodeStore
    from skillcore.episodes.combining import by_share, by_variant, split

    if (share is None) is not by_connector:
        raise InputError("a store is split by share or by connector", cure="give --share 0.8, or --by-connector")
    if share is not None and not 0.0 < share < 1.0:
        raise InputError(f"--share: {share:g} is not between 0 and 1", cure="give a share such as 0.8")
    with EpisodeStore(folder, create=False) as store:
        rows = store.rows()
    if not rows:
        raise InputError(f"{folder}: there is no episode in this store", cure="record some, and split it then")
    parts = by_variant(rows) if share is None else by_share(rows, share, seed)
    with progress_bar("Copying") as progress:
        split(folder, out, parts, progress)
    for name, part in parts.items():
        typer.echo(f"{len(part):>7} episodes in {out / name}")
    typer.echo(f"next:   skill data stats {shlex.quote(str(out / next(iter(parts))))}")


# --- pieces ---------------------------------------------------------------------------------------------------------


def _named(store: EpisodeStore, folder: Path, wanted: Sequence[str]) -> list[EpisodeRow]:
    """The episodes that a person means, each once."""
    from skillcore.episodes.naming import episode_named

    rows = store.rows()
    return list({row.id: row for row in (episode_named(rows, name, where=folder) for name in wanted)}.values())


def _say_what_goes(folder: Path, rows: Sequence[EpisodeRow], total: int, store: EpisodeStore, *, erase: bool) -> None:
    console().print(episodes_table(rows[:SHOWN]), soft_wrap=False)
    if len(rows) > SHOWN:
        typer.echo(f"... and {len(rows) - SHOWN} more")
    corrections = store.corrections()
    told = sum(row.id in corrections for row in rows)
    size = in_bytes(sum(row.bytes for row in rows))
    typer.echo(
        f"{counted(len(rows), 'episode')} of {total}, {size}"
        + (f"; people have corrected {told} of them" if told else "")
    )
    if erase:
        print_note("with --erase they are gone for good")
    if _run_of(folder) is not None:
        print_note("this store is of a run: its report will count what is left, and --resume needs every trial")


def _ask(question: str, *, is_certain: bool) -> None:
    """Goes on only if somebody agrees. Raises InputError where nobody can be asked, typer.Exit where nobody agrees."""
    if is_certain:
        return
    if not _can_ask():
        raise InputError("nothing was deleted: there is nobody to ask here", cure="add --yes if you are certain")
    if not typer.confirm(question):
        typer.echo("nothing was deleted")
        raise typer.Exit


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _run_of(folder: Path) -> Path | None:
    """The run that a store is of."""
    run = folder.resolve().parent
    return run if (run / "run.json").is_file() else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:
        raise InputError("nothing says who you are", cure="give your name: --who NAME") from error
