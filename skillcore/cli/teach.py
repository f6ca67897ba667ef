"""`skill teach`: a person shows by hand where the plug sits, and tasks on that cell and connector begin from there."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from skillcore.cli.options import CellName, Seed, SkillName, load_skill, say_where

if TYPE_CHECKING:
    from skillcore.cell_config import LoadedCell
    from skillcore.cli.keyboard import Keyboard
    from skillcore.plugins import Registry
    from skillcore.reports.guiding import GuideDisplay
    from skillcore.skill import Seat, Skill, Variant
    from skillcore.taught import DepthFrom, Taught
    from skillcore.teaching import Lesson, Sight

POLL_S = 0.1


def teach_command(
    skill_name: SkillName,
    connector: Annotated[
        str, typer.Option("--connector", help="Name of a connector, or a YAML file that describes one.")
    ] = "",
    cell: CellName = "sim",
    times: Annotated[int, typer.Option(min=1, max=20, help="How often the seat is shown; the mean is kept.")] = 1,
    tolerance_mm: Annotated[float, typer.Option(min=0.05, max=10.0, help="How far the poses may differ, in mm.")] = 1.0,
    depth_mm: Annotated[
        float | None,
        typer.Option(min=0.5, max=200.0, help="How deep the plug sits in the socket, measured. Default: its file's."),
    ] = None,
    by: Annotated[str, typer.Option(help="Who teaches. Default: the user of this computer.")] = "",
    seed: Seed = 0,
    show: Annotated[bool, typer.Option("--list", help="List what was taught, and whether it still holds.")] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Forget what was taught: the cell file's fixture holds again.")
    ] = False,
) -> None:
    """Show by hand where the plug sits; learn, eval and run on that cell begin from there.

    You guide the arm until the plug is home and press Enter; then the arm draws it out. Ctrl-C stops it at any time.
    """
    from skillcore.cell_config import load_cell
    from skillcore.errors import InputError
    from skillcore.taught import forget as forget_taught
    from skillcore.taught import save
    from skillcore.teaching import record

    skill, registry = load_skill(skill_name)
    if show:
        _list(skill, registry)
        return
    if not connector:
        raise InputError("say which connector", cure=f"skill teach {skill_name} --connector NAME")
    variant = skill.variant(connector)
    loaded = load_cell(cell, registry)
    if forget:
        path = forget_taught(loaded.name, skill.name, variant.name)
        typer.echo(f"deleted {path}: the fixture of {loaded.file} says where the socket is")
        return
    seat = skill.seat(variant)
    if seat is None:
        raise InputError(f"the skill {skill.name} has nothing that a hand could show")
    if depth_mm is not None:
        seat = replace(seat, depth_m=depth_mm * 1e-3)
    lesson = _taught_by_hand(skill, variant, loaded, seat, times=times, tolerance_m=tolerance_mm * 1e-3, seed=seed)
    depth_from: DepthFrom = "connector" if depth_mm is None else "measured"
    taught = record(skill.name, variant.name, loaded, lesson, depth_m=seat.depth_m, depth_from=depth_from, by=by)
    path = save(taught)
    _report(taught, loaded)
    typer.echo(f"file:   {path}")
    say_where()
    typer.echo(f"next:   skill learn {skill.name} --connector {connector} --cell {cell}")


class _AtTheTerminal:
    """The person at this terminal, as an `Operator`."""

    def __init__(self, keyboard: Keyboard, display: GuideDisplay) -> None:
        self._keyboard = keyboard
        self._display = display

    def say(self, text: str, /) -> None:
        self._display.say(text)

    def wait(self, prompt: str, look: Callable[[], Sight], /) -> None:
        with self._keyboard.listening(), self._display.asking(prompt) as show:
            while not self._keyboard.pressed(POLL_S):
                show(look())


def _taught_by_hand(
    skill: Skill,
    variant: Variant,
    loaded: LoadedCell,
    seat: Seat,
    *,
    times: int,
    tolerance_m: float,
    seed: int,
) -> Lesson:
    from skillcore.cell import open_cell
    from skillcore.cli.keyboard import Keyboard, not_suspended
    from skillcore.cli.output import console, print_note
    from skillcore.reports.guiding import GuideDisplay
    from skillcore.taught import check_reach
    from skillcore.teaching import teach

    keyboard = Keyboard()
    typer.echo(f"teaching {skill.name}: {variant.title} ({variant.name}) on cell {loaded.name}")
    if loaded.simulation is not None:
        typer.echo("simulated cell: a scripted hand guides the arm once it is free; you press Enter")
    operator = _AtTheTerminal(keyboard, GuideDisplay(console()))
    is_done = False
    try:
        with not_suspended(), open_cell(loaded) as opened:
            # In a simulation this puts plug and socket in place; nothing moves.
            skill.task(opened, variant, scenario=next(iter(skill.scenarios)), seed=seed, judge=None)
            lesson = teach(
                opened,
                seat,
                operator,
                times=times,
                tolerance_m=tolerance_m,
                check=lambda pose: check_reach(loaded, pose, seat.depth_m),
            )
        is_done = True
    finally:
        if not is_done:
            with suppress(OSError):  # the terminal may be what has gone
                print_note("nothing was stored")
    return lesson


def _report(taught: Taught, loaded: LoadedCell) -> None:
    from skillcore.taught import in_mm, words

    axis = ", ".join(f"{round(value, 3) + 0.0:g}" for value in taught.approach_axis)
    typer.echo(f"seat:   {in_mm(taught.seat.pose.position_m)} in the base frame, approached along [{axis}]")
    typer.echo(f"depth:  {taught.depth_m * 1e3:g} mm ({taught.depth_from})")
    if len(taught.poses) > 1:
        spread = f"{taught.spread_m * 1e3:.2f} mm and {math.degrees(taught.spread_rad):.2f} deg"
        typer.echo(f"spread: {len(taught.poses)} poses, at most {spread} apart")
    for way in taught.drawn_out:
        force = f"at most {way.along_n:.0f} N along it and {way.aside_n:.0f} N aside"
        typer.echo(f"way out: {way.length_m * 1e3:.1f} mm, {force}, {way.aside_m * 1e3:.1f} mm off the axis")
    typer.echo(f"socket: {words(taught, loaded)}")


def _list(skill: Skill, registry: Registry) -> None:
    from skillcore.cli.output import print_table
    from skillcore.taught import entries

    found = [entry for entry in entries() if entry.taught is None or entry.taught.skill == skill.name]
    if not found:
        typer.echo("nothing was taught")
        return
    rows = []
    for entry in found:
        if entry.taught is None:
            rows.append((entry.path.parent.name, entry.path.stem, "-", "-", "-", f"damaged: {entry.fault}"))
            continue
        one = entry.taught
        spread = "-" if len(one.poses) == 1 else f"{one.spread_m * 1e3:.2f} mm"
        state = _state(one, skill, registry)
        rows.append((one.cell.name, one.variant, one.taught_at[:16].replace("T", " "), one.taught_by, spread, state))
    print_table(("cell", skill.variant_word, "taught", "by", "spread", "state"), rows, styles={"holds": "green"})


def _state(taught: Taught, skill: Skill, registry: Registry) -> str:
    """Whether what was taught still holds, in words."""
    from skillcore.cell_config import load_cell
    from skillcore.errors import InputError, UnknownNameError
    from skillcore.taught import faults_of

    try:
        seat = skill.seat(skill.variant(taught.variant))
    except UnknownNameError:
        seat = None  # A connector of the user's own, known by its file only.
    try:
        loaded = load_cell(taught.cell.file, registry)
    except InputError as error:
        return f"its cell file: {error.what.splitlines()[0]}"
    return "; ".join(faults_of(taught, loaded, seat)) or "holds"
