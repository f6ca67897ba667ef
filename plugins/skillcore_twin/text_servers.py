"""The controller's two servers of lines of text: the dashboard, and the one that takes scripts."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from skillcore_twin.control_script import ControlScript
from skillcore_twin.controller import Controller, RobotMode, Runtime, SafetyMode
from skillcore_twin.rtde_server import CONTROL_VERSION

DASHBOARD_PORT = 29999
SCRIPT_PORT = 30003
WELCOME = "Connected: Universal Robots Dashboard Server"
LOCAL = "Command is not allowed: the robot is not in remote control"
_OFFSET = re.compile(r"global reg_offset_int\s*=\s*(?:#[^\n]*\n)?\s*(\d+)")
_LONGEST_SCRIPT = 1 << 20

_SAFETY = {
    SafetyMode.NORMAL: "NORMAL",
    SafetyMode.PROTECTIVE_STOP: "PROTECTIVE_STOP",
    SafetyMode.ROBOT_EMERGENCY_STOP: "ROBOT_EMERGENCY_STOP",
}
_STATES = {Runtime.STOPPED: "STOPPED", Runtime.PLAYING: "PLAYING", Runtime.PAUSED: "PAUSED"}


class Dashboard:
    """Answers the dashboard's commands, a line each."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        version = ".".join(map(str, CONTROL_VERSION))
        self._answers: dict[str, Callable[[], str]] = {
            "polyscopeversion": lambda: f"URSoftware {version} (twin)",
            "version": lambda: version,
            "get serial number": lambda: controller.setup.serial,
            "get robot model": lambda: controller.robot.dashboard_name,
            "robotmode": lambda: f"Robotmode: {RobotMode(controller.mode).name}",
            "safetymode": lambda: f"Safetymode: {_SAFETY[controller.safety_mode]}",
            "safetystatus": lambda: f"Safetystatus: {_SAFETY[controller.safety_mode]}",
            "running": lambda: f"Program running: {self._playing()}",
            "programstate": lambda: f"{_STATES[controller.runtime]} {self._program()}",
            "is in remote control": lambda: str(controller.remote).lower(),
            "get loaded program": lambda: "No program loaded",
            "isprogramsaved": lambda: "true",
            "get operational mode": lambda: "AUTOMATIC",
            "close popup": lambda: "closing popup",
            "close safety popup": lambda: "closing safety popup",
            "quit": lambda: "Disconnected",
        }
        self._orders: dict[str, Callable[[], str]] = {
            "stop": self._stop,
            "play": lambda: "Starting program" if controller.play() else "Failed to execute: play",
            "pause": self._pause,
            "power on": lambda: "Powering on" if controller.power_on() else "Failed to execute: power on",
            "power off": self._power_off,
            "brake release": self._release,
            "unlock protective stop": controller.unlock,
            "restart safety": lambda: "Restarting safety",
        }

    def answer(self, line: str) -> str:
        command = " ".join(line.split()).lower()
        if command in self._answers:
            return self._answers[command]()
        if command in self._orders:
            return self._orders[command]() if self._controller.remote else LOCAL
        if command.startswith("popup "):
            return "showing popup"
        if command.startswith("addtolog "):
            self._controller.note(line[len("addtolog ") :])
            return "Added log message"
        if command.startswith("load "):
            return f"File not found: {line[len('load ') :]}"
        return f'could not understand: "{line}"'

    def _playing(self) -> str:
        return str(self._controller.runtime is Runtime.PLAYING).lower()

    def _program(self) -> str:
        program = self._controller.program
        return "" if program is None else program.name

    def _stop(self) -> str:
        self._controller.stop_program("dashboard")
        return "Stopped"

    def _pause(self) -> str:
        self._controller.pause()
        return "Pausing program"

    def _power_off(self) -> str:
        self._controller.power_off()
        return "Powering off"

    def _release(self) -> str:
        return "Brake releasing" if self._controller.release_brakes() else "Failed to execute: brake release"


class Lines(asyncio.Protocol):
    """A connection to the dashboard."""

    def __init__(self, dashboard: Dashboard, connections: set[asyncio.Transport]) -> None:
        self._dashboard, self._connections = dashboard, connections
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)
        transport.write(f"{WELCOME}\n".encode())

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while b"\n" in self._buffer and self._transport is not None:
            line, _, rest = bytes(self._buffer).partition(b"\n")
            self._buffer[:] = rest
            text = line.decode("utf-8", errors="replace").strip()
            self._transport.write(f"{self._dashboard.answer(text)}\n".encode())
            if text.lower() == "quit":
                self._transport.close()


class Scripts(asyncio.Protocol):
    """A connection that takes scripts. Only ur_rtde's control script can run here; others are refused in the log."""

    def __init__(self, controller: Controller, connections: set[asyncio.Transport]) -> None:
        self._controller, self._connections = controller, connections
        self._text = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._text += data
        if len(self._text) > _LONGEST_SCRIPT and self._transport is not None:
            self._transport.abort()
        # A program ends with an `end` that is not indented.
        while (end := self._text.find(b"\nend\n")) >= 0:
            script = bytes(self._text[: end + 5])
            del self._text[: end + 5]
            self._run(script.decode("utf-8", errors="replace"))

    def _run(self, script: str) -> None:
        controller = self._controller
        if not controller.remote:
            controller.note("a script was refused: not in remote control")
            return
        offset = _OFFSET.search(script)
        if "def rtde_control():" not in script or offset is None:
            controller.note("a script was refused: the twin runs the control script of ur_rtde only")
            return
        number = int(offset[1])
        controller.start_program(lambda: ControlScript(controller, number))
