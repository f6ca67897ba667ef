"""The controller's RTDE server: recipes of outputs that are streamed, recipes of inputs that are written."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Callable
from typing import Any

from skillcore_twin import rtde_wire as wire
from skillcore_twin.controller import REGISTERS, Controller

PORT = 30004
CONTROL_VERSION = (5, 15, 0, 1_000_000)
"""Major, minor, bugfix and build of the controller's software."""
BACKLOG_BYTES = 65536
"""A client that does not read its stream for so long misses packets."""

_ZEROS = (0.0,) * 6
Value = tuple[str, Callable[[Controller], Any]]
OUTPUTS: dict[str, Value] = {
    "timestamp": ("DOUBLE", lambda c: c.timestamp_s),
    "target_q": ("VECTOR6D", lambda c: c.target_joints),
    "target_qd": ("VECTOR6D", lambda c: c.joint_speeds),
    "target_qdd": ("VECTOR6D", lambda c: _ZEROS),
    "target_current": ("VECTOR6D", lambda c: _ZEROS),
    "target_moment": ("VECTOR6D", lambda c: _ZEROS),
    "actual_q": ("VECTOR6D", lambda c: c.joints),
    "actual_qd": ("VECTOR6D", lambda c: c.joint_speeds),
    "actual_current": ("VECTOR6D", lambda c: _ZEROS),
    "joint_control_output": ("VECTOR6D", lambda c: _ZEROS),
    "actual_TCP_pose": ("VECTOR6D", lambda c: c.tcp_from_base.as_vector()),
    "actual_TCP_speed": ("VECTOR6D", lambda c: c.twist),
    "actual_TCP_force": ("VECTOR6D", lambda c: c.wrench),
    "target_TCP_pose": ("VECTOR6D", lambda c: c.command.as_vector()),
    "target_TCP_speed": ("VECTOR6D", lambda c: c.command_velocity),
    "actual_digital_input_bits": ("UINT64", lambda c: 0),
    "joint_temperatures": ("VECTOR6D", lambda c: (30.0,) * 6),
    "actual_execution_time": ("DOUBLE", lambda c: 0.0),
    "robot_mode": ("INT32", lambda c: int(c.mode)),
    "joint_mode": ("VECTOR6INT32", lambda c: (253,) * 6),
    "safety_mode": ("INT32", lambda c: int(c.safety_mode)),
    "actual_tool_accelerometer": ("VECTOR3D", lambda c: (0.0, 0.0, 0.0)),
    "speed_scaling": ("DOUBLE", lambda c: c.slider),
    "target_speed_fraction": ("DOUBLE", lambda c: c.slider),
    "actual_momentum": ("DOUBLE", lambda c: 0.0),
    "actual_main_voltage": ("DOUBLE", lambda c: 48.0),
    "actual_robot_voltage": ("DOUBLE", lambda c: 48.0),
    "actual_robot_current": ("DOUBLE", lambda c: 0.0),
    "actual_joint_voltage": ("VECTOR6D", lambda c: (48.0,) * 6),
    "actual_digital_output_bits": ("UINT64", lambda c: 0),
    "runtime_state": ("UINT32", lambda c: int(c.runtime)),
    "standard_analog_input0": ("DOUBLE", lambda c: 0.0),
    "standard_analog_input1": ("DOUBLE", lambda c: 0.0),
    "standard_analog_output0": ("DOUBLE", lambda c: 0.0),
    "standard_analog_output1": ("DOUBLE", lambda c: 0.0),
    "robot_status_bits": ("UINT32", lambda c: c.status_bits),
    "safety_status_bits": ("UINT32", lambda c: c.safety_bits),
    "ft_raw_wrench": ("VECTOR6D", lambda c: c.raw_wrench),
    "payload": ("DOUBLE", lambda c: c.payload_kg),
    "payload_cog": ("VECTOR3D", lambda c: c.payload_cog_m),
    "payload_inertia": ("VECTOR6D", lambda c: _ZEROS),
    "tcp_offset": ("VECTOR6D", lambda c: c.tcp_from_flange.as_vector()),
}
"""What can be streamed. Electrical values, temperatures and accelerations are constants: the twin has no motors."""

INPUTS = {
    "speed_slider_mask": "UINT32",
    "speed_slider_fraction": "DOUBLE",
    "external_force_torque": "VECTOR6D",
    "standard_digital_output_mask": "UINT8",
    "standard_digital_output": "UINT8",
    "configurable_digital_output_mask": "UINT8",
    "configurable_digital_output": "UINT8",
    "tool_digital_output_mask": "UINT8",
    "tool_digital_output": "UINT8",
    "standard_analog_output_mask": "UINT8",
    "standard_analog_output_type": "UINT8",
    "standard_analog_output_0": "DOUBLE",
    "standard_analog_output_1": "DOUBLE",
}
"""What can be written besides registers. Only the speed slider has an effect."""

_REGISTER = re.compile(r"(input|output)_(int|double)_register_(\d+)")


def output_type(name: str) -> str:
    """The type of an output, or NOT_FOUND."""
    if name in OUTPUTS:
        return OUTPUTS[name][0]
    kind = _register(name)
    return wire.NOT_FOUND if kind is None else ("INT32" if kind[1] == "int" else "DOUBLE")


def _register(name: str) -> tuple[str, str, int] | None:
    found = _REGISTER.fullmatch(name)
    if found is None or int(found[3]) >= REGISTERS:
        return None
    return found[1], found[2], int(found[3])


def value_of(controller: Controller, name: str) -> Any:
    """The value of an output that `output_type` knows."""
    if name in OUTPUTS:
        return OUTPUTS[name][1](controller)
    found = _register(name)
    assert found is not None
    side, kind, number = found
    banks = (
        (controller.in_int, controller.in_double) if side == "input" else (controller.out_int, controller.out_double)
    )
    return banks[0 if kind == "int" else 1][number]


class Session(asyncio.Protocol):
    """One client."""

    def __init__(self, server: RtdeServer) -> None:
        self._server = server
        self._buffer = bytearray()
        self._outputs: wire.Recipe | None = None
        self._inputs: list[wire.Recipe] = []
        self._every = 1
        self.streaming = False
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.sessions.append(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.forget(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        try:
            for kind, payload in wire.frames_in(self._buffer):
                self._handle(kind, payload)
        except (ValueError, struct.error):
            self._server.controller.note("an RTDE client sent what is no RTDE, and was dropped")
            self.drop()

    def drop(self) -> None:
        """Ends the connection at once."""
        if self.transport is not None:
            self.transport.abort()

    def publish(self, tick: int) -> None:
        """Sends the outputs, if it is their turn."""
        if not self.streaming or self._outputs is None or self.transport is None or tick % self._every:
            return
        if self.transport.get_write_buffer_size() > BACKLOG_BYTES:
            return
        controller = self._server.controller
        payload = self._outputs.pack(lambda name: value_of(controller, name))
        self.transport.write(wire.frame(wire.DATA, payload))

    def _send(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)

    def _handle(self, kind: int, payload: bytes) -> None:
        if kind == wire.VERSION:
            self._send(wire.frame(kind, bytes([int(payload[-2:] == b"\x00\x02")])))
        elif kind == wire.CONTROLLER_VERSION:
            self._send(wire.frame(kind, struct.pack(">4I", *CONTROL_VERSION)))
        elif kind == wire.OUTPUTS:
            (frequency,) = struct.unpack_from(">d", payload)
            names = wire.names_of(payload[8:])
            types = tuple(output_type(name) for name in names)
            self._outputs = None if wire.NOT_FOUND in types else wire.Recipe(1, names, types)
            self._every = max(1, round(self._server.rate_hz / max(frequency, 1.0)))
            self._send(wire.types_reply(kind, 1 if self._outputs else 0, types))
        elif kind == wire.INPUTS:
            self._add_inputs(wire.names_of(payload))
        elif kind in (wire.START, wire.PAUSE):
            self.streaming = kind == wire.START and self._outputs is not None
            self._send(wire.frame(kind, bytes([int(kind == wire.PAUSE or self.streaming)])))
        elif kind == wire.DATA:
            self._take(payload)

    def _add_inputs(self, names: tuple[str, ...]) -> None:
        number = len(self._inputs) + 1
        types = tuple(self._server.input_type(name, self) for name in names)
        usable = wire.NOT_FOUND not in types and wire.IN_USE not in types
        if usable:
            self._inputs.append(wire.Recipe(number, names, types))
        self._send(wire.types_reply(wire.INPUTS, number if usable else 0, types))

    def _take(self, payload: bytes) -> None:
        number = payload[0] if payload else 0
        if not 1 <= number <= len(self._inputs):
            raise ValueError(f"data for input recipe {number}")
        values = self._inputs[number - 1].unpack(payload)
        # The command comes first in the packet and last into its register: its arguments must stand there by then.
        for name, value in reversed(values.items()):
            self._server.write(name, value)
        if values.get("speed_slider_mask"):
            self._server.controller.slider = min(1.0, max(0.0, float(values.get("speed_slider_fraction", 1.0))))

    def owns(self, name: str) -> bool:
        return any(name in recipe.names for recipe in self._inputs)


class RtdeServer:
    """All RTDE clients. frozen: whether the streams stand still while the connections live."""

    def __init__(self, controller: Controller, rate_hz: float) -> None:
        self.controller = controller
        self.rate_hz = rate_hz
        self.sessions: list[Session] = []
        self.frozen = False

    def session(self) -> Session:
        return Session(self)

    def forget(self, session: Session) -> None:
        if session in self.sessions:
            self.sessions.remove(session)

    def drop_all(self) -> None:
        for session in list(self.sessions):
            session.drop()

    def publish(self, tick: int) -> None:
        if not self.frozen:
            for session in list(self.sessions):
                session.publish(tick)

    def input_type(self, name: str, asking: Session) -> str:
        """The type of an input; IN_USE where another client has it."""
        found = _register(name)
        if found is None or found[0] != "input":
            return INPUTS.get(name, wire.NOT_FOUND)
        if any(session is not asking and session.owns(name) for session in self.sessions):
            return wire.IN_USE
        return "INT32" if found[1] == "int" else "DOUBLE"

    def write(self, name: str, value: Any) -> None:
        found = _register(name)
        if found is None:
            return
        _, kind, number = found
        if kind == "int":
            self.controller.write_int(number, int(value))
        else:
            self.controller.in_double[number] = float(value)
