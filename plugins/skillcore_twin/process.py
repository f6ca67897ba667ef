"""The twin's own process: `python -m skillcore_twin.process ORDER`, started by `skill twin start`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from dataclasses import replace

from skillcore.cell_config import Fixture, LoadedCell, load_cell
from skillcore.errors import InputError, SkillcoreError, UnknownNameError
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.types import Pose
from skillcore_twin.body import Setup
from skillcore_twin.client import Note, Order, note_of, order_from
from skillcore_twin.faults import Fault
from skillcore_twin.frames import FrameServer
from skillcore_twin.live_world import LiveWorld
from skillcore_twin.robots import ROBOTS
from skillcore_twin.twin import Twin

SKILL = "insertion"
"""The skill whose variants a twin can hold in its gripper."""


def build(order: Order) -> Twin:
    """A twin that does not serve yet. Raises SkillcoreError."""
    if order.model not in ROBOTS:
        raise UnknownNameError("model of a robot", order.model, ROBOTS)
    robot = ROBOTS[order.model]
    if order.payload_kg > robot.payload_kg:
        raise InputError(
            f"a {robot.name} carries {robot.payload_kg:g} kg, and the payload is {order.payload_kg:g} kg",
            cure="correct payload.mass_kg in the cell file, or choose a larger robot",
        )
    registry = Registry.discover()
    cell = _with_fixture(load_cell(order.cell, registry), order.fixture)
    skill = registry.make("skills", SKILL, {}, Context(name=SKILL)) if order.connector else None
    world = LiveWorld(cell, skill=skill, connector=order.connector, seed=order.seed)
    x, y, z = order.payload_cog_m
    setup = Setup(
        robot=robot,
        tool_from_flange=Pose.from_rotvec(order.tcp[:3], order.tcp[3:]),
        payload_kg=order.payload_kg,
        payload_cog_m=(x, y, z),
        tool_force_limit_n=order.tool_force_limit_n,
    )
    return Twin(setup, world, order.address)


def _with_fixture(cell: LoadedCell, fixture: tuple[float, ...] | None) -> LoadedCell:
    """The cell, with its socket where another cell has it."""
    if fixture is None:
        return cell
    x, y, z, *rotvec = fixture
    place = Fixture(position_m=(x, y, z), rotvec_rad=(rotvec[0], rotvec[1], rotvec[2]))
    return replace(cell, config=cell.config.model_copy(update={"fixture": place}))


async def serve(twin: Twin) -> None:
    """Until it is stopped by request or signal."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, twin.stop)
    frames = FrameServer(twin.world.camera_names, twin.world.frame, address=twin.address)
    twin.add_faults({name: Fault(*fault) for name, fault in frames.known_faults().items()})
    twin.add_status("cameras", frames.faults)
    await twin.open()
    try:
        frames.start()
        Note(twin.address, os.getpid(), twin.control_port, twin.token).write()
        await twin.run()
    finally:
        with contextlib.suppress(OSError):
            note_of(twin.address).unlink(missing_ok=True)
        await twin.close()
        frames.close()
        twin.world.close()


def main() -> int:
    try:
        asyncio.run(serve(build(order_from(json.loads(sys.argv[1])))))
    except SkillcoreError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
