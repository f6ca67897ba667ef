"""`skill runs`: what was done on this machine, what came of it, and whether two runs differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skillcore.cli.output import printable

if TYPE_CHECKING:
    from rich.table import Table

    from skillcore.learning.evaluate import Rate
    from skillcore.learning.past_runs import PastRun

runs_app = typer.Typer(name="runs", help="List the runs, show one, and compare two.", no_args_is_help=True)

RunName = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run's folder, its name, or a part that no other has.", show_default=False),
]
FirstRun = Annotated[str, typer.Argument(metavar="A", help="The run to compare with.", show_default=False)]
SecondRun = Annotated[str, typer.Argument(metavar="B", help="The run to compare.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, with all that is known.")]
NAMES = {
    "zero_shot": "zero-shot test",
    "practice": "practice",
    "acceptance": "acceptance test",
    "success": "success",
    "claimed": "taken for success",
    "false_positives": "failure taken for success",
    "false_negatives": "success not seen",
    "wrong_claims": "wrong claims, of all",
    "refused": "claims not believed",
    "mean_steps_of_successes": "mean steps of successes",
    "peak_force_n": "greatest force",
    "aborted": "ended by a fault",
    "success_by_25_trials": "success, 25 by 25 trials",
    "without_noise": "without noise (checks)",
    "run": "insertions",
    "typed": "as it was typed",
    "taught": "socket taught by hand",
    "force_n": "presses with at most",
    "hard_force_n": "a trial ends at",
}
"""What keys of `run.json` and `results.json` are called here."""
NOTHING = {
    "false_positives": "no trial is known to have failed",
    "false_negatives": "no trial is known to have succeeded",
}
"""What is said of shares where nothing could be counted."""
LABEL = 31


@runs_app.command("list")
def list_runs(
    skill: Annotated[str, typer.Option("--skill", help="Only runs of this skill.")] = "",
    connector: Annotated[str, typer.Option("--connector", help="Only runs of this connector.")] = "",
    command: Annotated[str, typer.Option("--command", help="Only runs of this command: learn, eval or run.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=0, help="At most so many, the newest; 0: all.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs of this machine, the newest first."""
    from skillcore.cli.output import console, print_note
    from skillcore.errors import suggest
    from skillcore.home import home
    from skillcore.learning.past_runs import past_runs

    found = past_runs()
    for option, wanted, names in (
        ("--skill", skill, ("skill",)),
        ("--connector", connector, ("variant", "connector")),
        ("--command", command, ("command",)),
    ):
        if not wanted:
            continue
        known = sorted({run.setting(name) for run in found for name in names} - {""})
        if found and wanted not in known:
            print_note(f"{option} {wanted}: there is no such run; {suggest(wanted, known)}")
        found = [run for run in found if wanted in [run.setting(name) for name in names]]
    shown = found[:limit] if limit else found
    if as_json:
        typer.echo(json.dumps([_listed(run) for run in shown], indent=2))
        return
    if shown:
        console().print(_table(shown), soft_wrap=False)
    typer.echo(f"{len(shown)} of {len(found)} runs in {home() / 'runs'}")
    if shown:
        typer.echo(f"next:   skill runs show {shown[0].short}")


@runs_app.command("show")
def show_run(run: RunName, as_json: AsJson = False) -> None:
    """Show all that a run says of itself and of what came of it."""
    from skillcore.learning.past_runs import find_run

    found = find_run(run)
    if as_json:
        typer.echo(json.dumps(_shown(found), indent=2))
        return
    for line in _described(found):
        typer.echo(line)


@runs_app.command("compare")
def compare_runs(first: FirstRun, second: SecondRun, as_json: AsJson = False) -> None:
    """Compare two runs, and say whether what differs is a difference or chance.

    Shares and means come with their 95 % intervals, and so does what B has more than A.
    """
    from skillcore.cli.output import console
    from skillcore.errors import InputError
    from skillcore.learning.past_runs import find_run
    from skillcore.learning.run_comparison import compared
    from skillcore.reports.run_comparison import comparison_table, differing, trials_of, verdict

    runs = [find_run(first), find_run(second)]
    for one in runs:
        if one.damage:
            raise InputError(one.damage, cure="choose another run: skill runs list")
    if runs[0].folder.resolve() == runs[1].folder.resolve():
        raise InputError(f"both are the run {runs[0].name}", cure="choose another run: skill runs list")
    found = compared(runs[0], runs[1])
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2))
        return
    for letter, one in zip("AB", runs, strict=True):
        told = " ".join(filter(None, (one.setting("command"), one.setting("variant"), "on", one.cell)))
        typer.echo(printable(f"{letter}  {one.name}"))
        typer.echo(printable(f"   {told}, seed {one.setting('seed')}, {one.state}"))
        typer.echo(f"   trials: {trials_of(found, letter)}")
    typer.echo("")
    if found.shares or found.measures:
        console().print(comparison_table(found), soft_wrap=False)
        typer.echo("")
    for line in verdict(found):
        typer.echo(line)
    typer.echo("")
    for line in differing(found):
        typer.echo(printable(line))


# --- list --------------------------------------------------------------------------------------------------------


def _table(runs: Sequence[PastRun]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", caption_justify="left")
    for heading in ("run", "command", "connector", "cell", "seed", "state", "trials", "before", "after", "gate", "age"):
        name = heading in ("connector", "cell")
        right = heading in ("seed", "trials", "before", "after", "age")
        table.add_column(heading, justify="right" if right else "left", no_wrap=not name, overflow="fold")
    colours = {"done": "", "running": "green", "interrupted": "yellow", "damaged": "red"}
    now = datetime.now(UTC)
    for run in runs:
        age = run.age_s(now)
        counted, before, after = _so_far(run)
        verdict = {True: "passed", False: "missed", None: "-"}[run.accepted]
        if run.accepted is not None and any((after.value >= gate) is not run.accepted for gate in _gate(run) if after):
            verdict += "*"
            table.caption = "* as it was at the run's end; by labels that people corrected since, otherwise"
        cells = (
            run.short,
            run.setting("command") or "-",
            run.setting("variant") or "-",
            run.cell or "-",
            run.setting("seed") or "-",
            run.state,
            counted,
            _percent(before),
            _percent(after, *_gate(run)),
            verdict,
            "-" if age is None else age_in_words(age),
        )
        style = colours[run.state]
        table.add_row(*(Text(printable(cell), style=style if cell == run.state else "") for cell in cells))
    return table


def _so_far(run: PastRun) -> tuple[str, Rate | None, Rate | None]:
    """How many trials there are, and the success before and after practice, as far as it has come: by the episodes,
    with what people have said of them since; by the results where none is kept."""
    from skillcore.errors import SkillcoreError

    try:
        found = run.evaluations()
        if not found:
            return str(run.trials()), run.rate("zero_shot"), run.rate("acceptance")
    except SkillcoreError:
        # A list tells of every run; what is wrong with the episodes of one, `show` says.
        return "?", None, None
    count = str(sum(len(part.trials) for part in found.values()))
    before, after = found.get("zero-shot"), found.get("acceptance")
    return count, None if before is None else before.success, None if after is None else after.success


def _listed(run: PastRun) -> dict[str, Any]:
    """A run as `list --json` has it."""
    counted, before, after = _so_far(run)
    return {
        "name": run.name,
        "folder": str(run.folder),
        "state": run.state,
        **{name: run.about.get(name) for name in ("command", "skill", "variant", "cell", "seed", "began")},
        "trials": int(counted) if counted.isdecimal() else None,
        "before": before.as_json() if before else None,
        "after": after.as_json() if after else None,
        "accepted": run.accepted,
        "damage": run.damage,
    }


def age_in_words(seconds: float) -> str:
    """As 40 s, 12 min, 5 h, 3 d."""
    for unit, length in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


# --- show --------------------------------------------------------------------------------------------------------


def _shown(run: PastRun) -> dict[str, Any]:
    """A run as `show --json` has it."""
    return {
        "name": run.name,
        "folder": str(run.folder),
        "state": run.state,
        "damage": run.damage,
        "run": dict(run.about),
        "results": None if run.results is None else dict(run.results),
    }


def _described(run: PastRun) -> Iterator[str]:
    """A run in lines."""
    from skillcore.errors import SkillcoreError
    from skillcore.learning.past_runs import PARTS

    yield run.name
    verdict = {True: ", accepted", False: ", not accepted", None: ""}[run.accepted]
    yield f"  {run.state}{verdict}"
    for damage in filter(None, run.damage.split("; ")):
        yield printable(f"  {damage}")
    yield f"  {run.folder}"
    yield from ("", "Settings")
    yield from _lines(run.about)
    if run.results is not None:
        parts = [part for part in (*PARTS, "run") if part in run.results]
        yield from ("", "Results")
        yield from _lines({name: value for name, value in run.results.items() if name not in parts})
        for part in parts:
            yield from _lines({part: run.results[part]}, limits=_gate(run))
    try:
        saved = run.evaluations()
    except SkillcoreError as error:
        yield from ("", "Episodes", f"  {error.what}", f"  -> {error.cure}" if error.cure else "")
        return
    if saved:
        yield from ("", "Episodes")
        for source, trials in saved.items():
            peak = max(trial.peak_force_n for trial in trials.trials)
            yield f"  {source:<{LABEL}}{len(trials.trials)} saved, {trials.success.hits} succeeded, peak {peak:.0f} N"
    if run.state == "running" and saved:
        yield from ("", f"next:   skill report {run.short}, which tells how far it is")
    if run.state == "done" and run.setting("command") in ("learn", "eval"):
        page = run.folder / "report.html"
        yield from ("", f"report: {page}" if page.is_file() else f"next:   skill report {run.short}")
    if run.state == "interrupted" and run.setting("command") == "learn":
        typed = run.setting("typed")
        named = run.setting("connector") or run.setting("variant")
        again = typed.removesuffix(" --resume") or f"skill learn {run.setting('skill')} --connector {named}"
        yield from ("", printable(f"next:   {again} --resume{'' if typed else ', with the settings above'}"))


def _lines(values: Mapping[str, Any], depth: int = 1, limits: Sequence[float] = ()) -> Iterator[str]:
    """Names and values, a line each; what holds more values is indented below its name."""
    from skillcore.learning.past_runs import as_rate

    for name, value in values.items():
        indent = "  " * depth
        label = f"{indent}{NAMES.get(name, name):<{LABEL + 2 - len(indent)}}"
        rate = as_rate(value)
        rates = [as_rate(one) for one in value] if isinstance(value, list) else []
        if rate is not None:
            yield label + rate.told(NOTHING.get(name, "none tried"), *limits)
        elif rates and all(rates):
            yield label + " ".join(_percent(one) for one in rates)
        elif isinstance(value, Mapping):
            yield label.rstrip()
            yield from _lines(value, depth + 1, limits)
        else:
            yield printable(label + _plain(name, value))


def _gate(run: PastRun) -> tuple[float, ...]:
    """The share that is asked for, which no share is rounded to; nothing where there is none."""
    return () if run.gate is None else (run.gate,)


def _plain(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.1f} N" if name.endswith("_n") else f"{value:g}" if value == round(value, 4) else f"{value:.1f}"
    return value if isinstance(value, str) else json.dumps(value)


def _percent(rate: Rate | None, *limits: float) -> str:
    from skillcore.learning.intervals import percent

    return percent(rate.value, *limits) if rate is not None and rate.trials else "-"
