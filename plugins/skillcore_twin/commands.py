"""`skill twin`: a robot of software on a loopback address, with a simulated world behind it, and its faults."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

twin_app = typer.Typer(
    help="Run a twin of a cell: a robot controller of software that takes the real drivers.", no_args_is_help=True
)

START_S = 90.0
Address = Annotated[
    str | None, typer.Option("--address", help="The twin's address, where more than one runs.", show_default=False)
]


@twin_app.callback()
def twin() -> None:
    """Run a twin of a cell: a robot controller of software that takes the real drivers."""


@twin_app.command("start")
def start(
    cell: Annotated[
        str | None,
        typer.Argument(
            metavar="[CELL]", help="A cell with `driver: ur`: the twin takes its place.", show_default=False
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Loopback address, 127.0.0.2 or what CELL says.", show_default=False)
    ] = None,
    model: Annotated[str | None, typer.Option(help="ur3e, ur5e, ur10e, ur16e.", show_default=False)] = None,
    connector: Annotated[str, typer.Option("--connector", help="What is in gripper and fixture.")] = "hdmi",
    world: Annotated[str, typer.Option("--world", help="The simulated cell that lends its world.")] = "sim",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Everything random follows from it.")] = 0,
    tool_force_limit: Annotated[
        float, typer.Option(min=20.0, max=250.0, help="The safety system's tool force in N.")
    ] = 120.0,
) -> None:
    """Start a twin in the background, and return when it answers."""
    from dataclasses import replace

    from skillcore.errors import UnknownNameError
    from skillcore_twin import client
    from skillcore_twin.robots import ROBOTS

    order = client.Order(connector=connector, cell=world, seed=seed, tool_force_limit_n=tool_force_limit)
    if cell is not None:
        order = _in_place_of(cell, order)
    order = replace(order, address=address or order.address, model=model or order.model)
    _check_loopback(order.address)
    if order.model not in ROBOTS:
        raise UnknownNameError("model of a robot", order.model, ROBOTS)
    note = client.start(order, timeout_s=START_S)
    typer.echo(f"a {order.model} runs on {order.address} (process {note.pid})")
    typer.echo(f"  {order.connector} in gripper and fixture, seed {order.seed}")
    typer.echo(f"  TCP {list(order.tcp)}, payload {order.payload_kg:g} kg at {list(order.payload_cog_m)} m")
    typer.echo("what next:")
    if cell is not None:
        typer.echo(f"  skill cell check {cell}")
        typer.echo(f"  skill learn insertion --connector {order.connector} --cell {cell}")
    else:
        typer.echo(f"  a cell file with `arm: {{driver: ur, address: {order.address}, model: {order.model}, ...}}`")
    typer.echo("  skill twin fault protective_stop")
    typer.echo(f"  skill twin stop --address {order.address}")


@twin_app.command("stop")
def stop(
    address: Address = None,
    everything: Annotated[bool, typer.Option("--all", help="Stop all twins.")] = False,
) -> None:
    """Stop a twin."""
    from skillcore_twin import client

    notes = client.running() if everything else [client.the_twin(address)]
    for note in notes:
        client.stop(note)
        typer.echo(f"stopped the twin on {note.address}")
    if not notes:
        typer.echo("no twin runs")


@twin_app.command("status")
def status(
    address: Address = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Say which twins run, and how each of them is."""
    from skillcore_twin import client

    notes = client.running() if address is None else [client.the_twin(address)]
    states = [client.ask(note, {"do": "status"}) for note in notes]
    if as_json:
        typer.echo(json.dumps(states, indent=2))
        return
    for note, state in zip(notes, states, strict=True):
        _print_state(note.pid, state)
    if not states:
        typer.echo("no twin runs; skill twin start")


@twin_app.command("fault")
def fault(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="The fault; without one they are listed.", show_default=False)
    ] = None,
    address: Address = None,
    after: Annotated[str, typer.Option(help="How long to wait before, such as '3 s'.")] = "0 s",
    lasts: Annotated[
        str | None, typer.Option("--for", help="How long it lasts; else until --clear.", show_default=False)
    ] = None,
    clear: Annotated[bool, typer.Option("--clear", help="End the fault, or all; unlock a protective stop.")] = False,
    at_random: Annotated[bool, typer.Option("--random", help="Faults by chance, within --within.")] = False,
    times: Annotated[int, typer.Option(min=1, max=1000, help="How many faults by chance.")] = 1,
    within: Annotated[str, typer.Option(help="The span for faults by chance.")] = "10 s",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the faults by chance.")] = 0,
) -> None:
    """Cause a fault on purpose, now or later; list them all."""
    from skillcore.cli.output import print_table
    from skillcore.errors import InputError
    from skillcore_twin import client

    note = client.the_twin(address)
    request: dict[str, Any]
    if at_random:
        if name is not None or clear:
            raise InputError("--random chooses the fault itself", cure="leave out NAME and --clear")
        request = {"do": "random", "seed": seed, "times": times, "within_s": _seconds(within, "--within")}
    elif clear:
        request = {"do": "clear", "name": name or ""}
    elif name is not None:
        lasts_s = None if lasts is None else _seconds(lasts, "--for")
        request = {"do": "fault", "name": name, "after_s": _seconds(after, "--after"), "lasts_s": lasts_s}
    else:
        faults = client.ask(note, {"do": "faults"})["faults"]
        print_table(("fault", "what happens"), list(faults.items()))
        return
    told = client.ask(note, request)["told"]
    for line in told or ["there was none"]:
        typer.echo(line)


@twin_app.command("guide")
def guide(
    address: Address = None,
    release: Annotated[bool, typer.Option("--release", help="Let go of the arm again.")] = False,
) -> None:
    """Be the hand that leads the arm in freedrive: bring the plug to its seat."""
    from skillcore_twin import client

    for line in client.ask(client.the_twin(address), {"do": "guide", "seated": not release})["told"]:
        typer.echo(line)


def _in_place_of(cell: str, order: Any) -> Any:
    """The order for the twin of a cell's robot. Raises InputError."""
    from dataclasses import replace

    from skillcore.cell_config import load_cell
    from skillcore.errors import InputError
    from skillcore.plugins import Registry

    loaded = load_cell(cell, Registry.discover())
    if loaded.arm.part.name != "ur":
        raise InputError(
            f"cell {loaded.name} has an arm with `driver: {loaded.arm.part.name}`, and a twin is a UR robot",
            cure="name a cell with `driver: ur`, such as ur5e_d405_twin",
        )
    arm = loaded.arm.options.model_dump()
    fixture = loaded.config.fixture
    return replace(
        order,
        address=arm["address"],
        model=arm["model"],
        tcp=(*arm["tcp"]["position_m"], *arm["tcp"]["rotvec_rad"]),
        payload_kg=arm["payload"]["mass_kg"],
        payload_cog_m=tuple(arm["payload"]["cog_m"]),
        fixture=(*fixture.position_m, *fixture.rotvec_rad),
    )


def _check_loopback(address: str) -> None:
    from ipaddress import ip_address

    from skillcore.errors import InputError

    try:
        own = ip_address(address).is_loopback
    except ValueError:
        own = False
    if not own:
        raise InputError(
            f"{address} is no loopback address, and a twin must not be taken for a robot",
            cure="choose 127.0.0.2 or another that begins with 127, also as `address` in the cell file",
        )


def _seconds(text: str, option: str) -> float:
    """A time from an option. Raises InputError."""
    from pydantic_core import PydanticCustomError

    from skillcore.config import TIME
    from skillcore.errors import InputError

    try:
        return TIME.within(0.0, 86400.0).read(float(text) if text.replace(".", "", 1).isdigit() else text)
    except PydanticCustomError as error:
        reason, cure = (error.context or {})["faults"][0][1:]
        raise InputError(f"{option}: {reason}", cure=cure) from None


def _print_state(pid: int, state: dict[str, Any]) -> None:
    remote = "remote" if state["remote_control"] else "LOCAL"
    typer.echo(f"{state['address']}  {state['model']}  process {pid}, {state['rate_hz']:g} ticks a second")
    typer.echo(
        f"  robot {state['robot_mode']}, safety {state['safety_mode']}, program {state['program']}, {remote} control, "
        f"speed slider {state['speed_slider'] * 100:.0f} %, {state['clients']} RTDE clients"
    )
    position = ", ".join(f"{value * 1e3:.1f}" for value in state["tcp_from_base"][:3])
    typer.echo(f"  TCP [{position}] mm, {state['missing_m'] * 1e3:.1f} mm from the seat")
    if state["safety_mode"] == "PROTECTIVE_STOP":
        typer.echo("  a connected driver unlocks it; else unlock it as on the pendant: skill twin fault --clear")
    if state["faults"]:
        typer.echo("  faults on purpose: " + ", ".join(state["faults"]))
    for line in state["log"][-5:]:
        typer.echo(f"  {line}")
