"""A twin at work: the world, the controller and its servers in one event loop, ticking in real time."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from skillcore.errors import DeviceError, InputError, SkillcoreError
from skillcore_twin import text_servers
from skillcore_twin.body import Setup
from skillcore_twin.controller import Controller
from skillcore_twin.faults import Fault, FaultSchedule, controller_faults
from skillcore_twin.live_world import LiveWorld
from skillcore_twin.rtde_server import PORT, RtdeServer

RATE_HZ = 125.0
"""Ticks of controller and world a second. Real e-Series controllers have 500, this one shares a desk computer."""
MOST_BEHIND_S = 0.1
"""A twin that is further behind lets the time go that it has missed."""
_RATE_OVER_S = 2.0

Extra = Callable[[], Mapping[str, Any]]


class Twin:
    """Serves one robot on one address until `stop`. rate_hz: measured ticks a second."""

    def __init__(self, setup: Setup, world: LiveWorld, address: str) -> None:
        self.world, self.address = world, address
        self.controller = Controller(setup, world)
        self.rtde = RtdeServer(self.controller, RATE_HZ)
        self.faults = FaultSchedule(controller_faults(self.controller, self.rtde, self))
        self.rate_hz, self.missed_s = RATE_HZ, 0.0
        self.token = secrets.token_hex(16)
        self.control_port = 0
        self.extras: dict[str, Extra] = {}
        self._dashboard = text_servers.Dashboard(self.controller)
        self._text_connections: set[asyncio.Transport] = set()
        self._listeners: list[asyncio.Server] = []
        self._control: asyncio.Server | None = None
        self._stopping = asyncio.Event()
        self._cut = False

    def add_faults(self, faults: Mapping[str, Fault]) -> None:
        """For other parts of a twin."""
        self.faults.faults.update(faults)

    def add_status(self, name: str, tell: Extra) -> None:
        """Another part's lines in the status."""
        self.extras[name] = tell

    # --- network ---

    async def open(self) -> None:
        """Listens on all ports. Raises DeviceError where one is taken."""
        loop = asyncio.get_running_loop()
        controller, connections = self.controller, self._text_connections
        servers: dict[int, Callable[[], asyncio.BaseProtocol]] = {
            PORT: self.rtde.session,
            text_servers.DASHBOARD_PORT: lambda: text_servers.Lines(self._dashboard, connections),
            text_servers.SCRIPT_PORT: lambda: text_servers.Scripts(controller, connections),
        }
        for port, make in servers.items():
            try:
                self._listeners.append(await loop.create_server(self._unless_cut(make), self.address, port))
            except OSError as error:
                raise DeviceError(
                    f"port {port} of {self.address} cannot be opened: {error.strerror or error}",
                    cure="another twin or a simulator has it: choose another --address, such as 127.0.0.3",
                ) from error
        self._control = await asyncio.start_server(self._serve_control, self.address, 0)
        self.control_port = int(self._control.sockets[0].getsockname()[1])

    def _unless_cut(self, make: Callable[[], asyncio.BaseProtocol]) -> Callable[[], asyncio.BaseProtocol]:
        return lambda: Refusal() if self._cut else make()

    def cut(self) -> None:
        """The robot's ports drop their connections, and every new one; the twin's own control stays."""
        self._cut = True
        self.rtde.drop_all()
        for transport in list(self._text_connections):
            transport.abort()

    def mend(self) -> None:
        self._cut = False

    # --- time ---

    async def run(self) -> None:
        """Ticks until `stop`."""
        period_s = 1.0 / RATE_HZ
        next_s = time.monotonic()
        counted, since_s = 0, next_s
        while not self._stopping.is_set():
            self.faults.due(time.monotonic())
            self.controller.tick(period_s)
            self.rtde.publish(self.controller.ticks)
            counted += 1
            next_s += period_s
            now_s = time.monotonic()
            if now_s - next_s > MOST_BEHIND_S:
                self.missed_s += now_s - next_s
                next_s = now_s
            if now_s - since_s > _RATE_OVER_S:
                self.rate_hz, counted, since_s = counted / (now_s - since_s), 0, now_s
            await asyncio.sleep(max(0.0, next_s - now_s))

    def stop(self) -> None:
        self._stopping.set()

    async def close(self) -> None:
        self.cut()
        for server in [*self._listeners, *([self._control] if self._control else [])]:
            server.close()

    # --- what `skill twin` asks ---

    def status(self) -> dict[str, Any]:
        controller = self.controller
        truth = self.world.truth()
        return {
            "address": self.address,
            "model": controller.robot.name,
            "rate_hz": round(self.rate_hz, 1),
            "missed_s": round(self.missed_s, 3),
            "robot_mode": controller.mode.name,
            "safety_mode": controller.safety_mode.name,
            "program": controller.runtime.name,
            "remote_control": controller.remote,
            "speed_slider": controller.slider,
            "freedrive": controller.freedrive,
            "clients": len(self.rtde.sessions),
            "tcp_from_base": [round(float(value), 6) for value in controller.tcp_from_base.as_vector()],
            "missing_m": round(truth.missing_m, 5),
            "faults": sorted(self.faults.active),
            "log": list(controller.log)[-10:],
            **{name: dict(tell()) for name, tell in self.extras.items()},
        }

    def handle(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Answers a request of `skill twin`. Raises InputError."""
        do = request.get("do")
        now_s = time.monotonic()
        if do == "status":
            return self.status()
        if do == "stop":
            self.stop()
            return {"told": ["stopping"]}
        if do == "faults":
            return {"faults": {name: fault.summary for name, fault in sorted(self.faults.faults.items())}}
        if do == "fault":
            after_s, lasts_s = float(request.get("after_s") or 0.0), request.get("lasts_s")
            told = self.faults.cause(str(request.get("name")), now_s, after_s=after_s, lasts_s=lasts_s)
            return {"told": [told]}
        if do == "random":
            numbers = {key: int(request[key]) for key in ("seed", "times")}
            told_all = self.faults.cause_random(now_s, **numbers, within_s=float(request["within_s"]))
            return {"told": told_all}
        if do == "clear":
            return {"told": [f"{name}: cleared" for name in self.faults.clear(str(request.get("name") or ""))]}
        if do == "guide":
            return {"told": [self._guide(bool(request.get("seated")))]}
        raise InputError(f"a twin does not understand {do!r}")

    def _guide(self, seated: bool) -> str:
        """A hand takes the arm in freedrive and leads the plug to its seat, or lets go of it."""
        controller = self.controller
        if seated and not controller.freedrive:
            raise InputError("nobody can lead the arm by hand: it is not in freedrive", cure="start freedrive first")
        controller.hand = controller.tcp_of(self.world.tool_at_seat()) if seated else None
        return "a hand leads the plug to its seat" if seated else "the hand has let go"

    async def _serve_control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), timeout=5.0)
            writer.write(json.dumps(self._answer(line)).encode() + b"\n")
            await writer.drain()
        except (TimeoutError, OSError):
            pass  # whoever asked has gone
        finally:
            writer.close()

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            if not isinstance(request, dict) or not secrets.compare_digest(str(request.get("token")), self.token):
                return {"error": "not allowed", "cure": ""}
            return self.handle(request)
        except SkillcoreError as error:
            return {"error": error.what, "cure": error.cure}
        except (ValueError, KeyError, TypeError) as error:
            return {"error": f"a request that is not understood: {error}", "cure": ""}


class Refusal(asyncio.Protocol):
    """Ends a connection as soon as it is made."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.abort()
