"""The `skill` command: its command groups, and what becomes of an error.

To add a command, write a module here and a line in `COMMANDS`; plugins add theirs as `skillcore.plugin_commands` says.
The module holds a `typer.Typer` for a group, or a function for a single command, and imports what is heavy (torch,
mujoco, pyarrow, the parts of skillcore that need them) inside its functions: then `skill <command> --help` is as fast
as `skill --help`, which imports no command at all.

Exit codes: 0 done, 1 the skill did not reach its acceptance gate, 2 bad input, 3 a device fault or a fault of
skillcore itself, 128 + n ended by signal n (130 is Ctrl-C).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer
import typer.core
import typer.main

from skillcore.cli.output import print_error, print_note
from skillcore.errors import PluginError, SkillcoreError
from skillcore.plugin_commands import load_plugin_command, plugin_commands
from skillcore.signals import ended_by_signals


class LazyCommand(NamedTuple):
    """A command that is imported when it is called.

    target: "module:attribute". help: its line in `skill --help`.
    """

    target: str
    help: str


COMMANDS = {
    "learn": LazyCommand(
        "skillcore.cli.learn:learn_command",
        "Learn a connector on the job: test, practise, test again, and keep what was learned.",
    ),
    "eval": LazyCommand(
        "skillcore.cli.try_out:eval_command",
        "Test a bundle on a connector, policy and reward model judged separately. Learns nothing.",
    ),
    "run": LazyCommand(
        "skillcore.cli.try_out:run_command",
        "Do the job with a trained bundle: insert, and say each time what the reward model thinks of it.",
    ),
    "inspect": LazyCommand(
        "skillcore.cli.inspect:inspect_command",
        "Show where policy and reward model look (Grad-CAM), and how much of it lies on plug and socket.",
    ),
    "teach": LazyCommand(
        "skillcore.cli.teach:teach_command",
        "Show by hand where the plug sits; learn, eval and run on that cell begin from there.",
    ),
    "pretrain": LazyCommand(
        "skillcore.cli.pretrain:pretrain_command",
        "Make the bundle that practice begins from: collect, train, choose the reward threshold.",
    ),
    "bench": LazyCommand(
        "skillcore.cli.bench:app",
        "Whole evaluations: the paper's tables, with ours beside them.",
    ),
    "report": LazyCommand(
        "skillcore.cli.report:report_command",
        "Make the report of a run anew: one page to look at, print or send.",
    ),
    "video": LazyCommand(
        "skillcore.cli.video:video_command",
        "Make the summary film of a run, or a video of some of its trials.",
    ),
    "collect": LazyCommand(
        "skillcore.cli.pretrain:collect_command",
        "Collect labelled episodes with the scripted collector, which knows the truth. Needs a simulated cell.",
    ),
    "cell": LazyCommand("skillcore.cli.cell:cell_app", "Check a cell; write the schema of cell files."),
    "connectors": LazyCommand("skillcore.cli.connectors:connectors_app", "List the connectors; show and draw one."),
    "export": LazyCommand(
        "skillcore.cli.export:export_command",
        "Export policy and reward model as ONNX, compared with the originals on recorded observations.",
    ),
    "runs": LazyCommand("skillcore.cli.runs:runs_app", "List the runs, show one, and compare two."),
    "data": LazyCommand(
        "skillcore.cli.data:data_app",
        "Look into recorded episodes, correct their labels, join, split, exchange, check and repair them.",
    ),
    "plugins": LazyCommand(
        "skillcore.cli.plugins:plugins_app", "List the parts that are installed; begin a package for a new one."
    ),
}

BUG_EXIT_CODE = 3
_BROKEN_PIPE_EXIT_CODE = 128 + signal.SIGPIPE


class _LazyGroup(typer.core.TyperGroup):
    """A group that shows commands by their line of help, and imports the one that is called.

    Commands of plugins come last. A plugin cannot take the place of a command that is here.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, command in COMMANDS.items():
            self.add_command(typer.core.TyperCommand(name, help=command.help), name)

    def list_commands(self, ctx: Any) -> list[str]:
        here = super().list_commands(ctx)
        return [*here, *(name for name in plugin_commands() if name not in here)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        here = super().get_command(ctx, cmd_name)
        if here is not None:
            return here
        points = plugin_commands().get(cmd_name)
        if points is None:
            return None
        try:
            return made_command(cmd_name, load_plugin_command(cmd_name, points))
        except PluginError as error:
            return typer.core.TyperCommand(cmd_name, help=f"({error.what})")

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        if name in COMMANDS:
            command = load_command(name, COMMANDS[name])
        elif name is not None:
            command = made_command(name, load_plugin_command(name, plugin_commands()[name]))
        return name, command, rest


def load_command(name: str, command: LazyCommand) -> Any:
    """Imports a command and makes it into what typer runs."""
    module, attribute = command.target.split(":")
    return made_command(name, getattr(importlib.import_module(module), attribute))


def made_command(name: str, target: Any) -> Any:
    """What typer runs, of a `typer.Typer` for a group or a function for a single command."""
    if not isinstance(target, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(target)
        target = single
    loaded = typer.main.get_command(target)
    loaded.name = name
    # Only the whole command offers to install completion.
    loaded.params = [option for option in loaded.params if option.name not in ("install_completion", "show_completion")]
    return loaded


app = typer.Typer(cls=_LazyGroup, no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]})


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        try:
            version = metadata.version("skillcore")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        typer.echo(f"skillcore {version}")
        raise typer.Exit


@app.callback()
def skill(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error; may stand anywhere on the line.")
    ] = False,
) -> None:
    """Robots that learn to insert connectors, on the job.

    A cell is one YAML file (`skill cell check sim`). Arms, cameras and what learns come from plugins
    (`skill plugins list`).
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code. Never raises; what goes wrong is told on stderr."""
    rest = list(sys.argv[1:] if arguments is None else arguments)
    debug = _take_debug(rest)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal without a letter shows another one instead of failing.
            stream.reconfigure(errors="replace")
    try:
        with ended_by_signals():
            code = _run(rest)
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except SkillcoreError as error:
        if debug:
            traceback.print_exception(error)
        print_error(str(error))
        code = error.exit_code
    except BrokenPipeError:
        code = _BROKEN_PIPE_EXIT_CODE
    except Exception as error:  # noqa: BLE001 - the last one to catch it
        _tell_of_bug(error, debug)
        code = BUG_EXIT_CODE
    if code == 128 + signal.SIGINT:
        with contextlib.suppress(OSError):
            print_note("ended by Ctrl-C")
    return _flushed(code)


def _take_debug(arguments: list[str]) -> bool:
    """Takes `--debug` out of the arguments, wherever it stands before a `--`."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != "--debug"]
    found = len(options) < end
    arguments[:end] = options
    return found


def _run(arguments: list[str]) -> int:
    """Runs typer, and makes its way of ending into ours."""
    try:
        typer.main.get_command(app).main(args=arguments, prog_name="skill")
    except SystemExit as stop:
        reason = stop.__context__
        if isinstance(reason, BrokenPipeError):
            return _BROKEN_PIPE_EXIT_CODE
        if isinstance(reason, typer.Abort):
            return 128 + signal.SIGINT
        if stop.code == 1 and hasattr(reason, "format_message"):
            return 2  # typer ends with 1 over a file it cannot open, which here would mean a skill below its gate
        if stop.code is None or isinstance(stop.code, int):
            return stop.code or 0
        print_error(str(stop.code))
        return 2
    return 0


def _tell_of_bug(error: Exception, debug: bool) -> None:
    """One line that says that this is nobody's fault but ours, and where the traceback is."""
    text = "".join(traceback.format_exception(error))
    told = " ".join(str(error).split())
    what = f"this is a bug in skillcore or a plugin: {type(error).__name__}: {told}"
    if debug:
        sys.stderr.write(text)
        print_error(what)
        return
    from skillcore.home import home

    try:
        path = home() / "last_crash.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{' '.join(sys.argv)}\n\n{text}", encoding="utf-8")
    except (OSError, SkillcoreError):
        print_error(f"{what}\n  -> run it again with --debug, and report what it prints")
    else:
        print_error(f"{what}\n  -> report it with {path}, or run it again with --debug")


def _flushed(code: int) -> int:
    """Flushes what was printed, so that Python finds nothing to complain of if the reader has gone."""
    is_lost = False
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _BROKEN_PIPE_EXIT_CODE
    except (OSError, ValueError) as error:
        is_lost = True
        with contextlib.suppress(OSError):  # a terminal that has gone takes stderr with it
            print_error(f"cannot write the output: {error}")
        code = code or 3
    if is_lost or code == _BROKEN_PIPE_EXIT_CODE:
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
