"""What must be right before the arm may move, found out without moving it; all that is wrong is told at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from skillcore.errors import DeviceError
from skillcore.types import Pose
from skillcore_ur.faults import FAULTS, FaultKind, Health, Row
from skillcore_ur.options import ArmOptions
from skillcore_ur.probe import Dashboard, Unreachable, reach, snapshot, software_version, unreachable_error

REACH_S = 0.8
ANSWER_S = 1.5
RELEASE_POLL_S = 0.05
TCP_SLACK_M, TCP_SLACK_RAD = 0.0005, 0.01
MASS_SLACK_KG, COG_SLACK_M = 0.05, 0.005
OLDEST = (5, 6)
"""PolyScope that says whether it is in remote control."""
_DASHBOARD_NAMES = {"ur3e": "UR3", "ur5e": "UR5", "ur10e": "UR10", "ur16e": "UR16"}
_ASKED = (
    "safety_status_bits",
    "robot_mode",
    "target_speed_fraction",
    "payload",
    "payload_cog",
    "tcp_offset",
)
_STATE_FAULTS = tuple(row for row in FAULTS if row.kind not in (FaultKind.LOST_CONNECTION, FaultKind.STREAM_FROZEN))


def check_controller(options: ArmOptions, dashboard: Dashboard, *, release_s: float = 0.0) -> None:
    """Raises DeviceError that lists all that is wrong, each with its cure. Takes a few seconds at most.

    release_s: how long to wait for the registers, where it was this program that had them: a controller does not notice
    at once that a connection was closed.
    """
    closed = reach(options.address, REACH_S)
    if closed:
        raise unreachable_error(options.address, closed)
    wrongs: list[DeviceError] = []
    try:
        remote = _check_dashboard(options, dashboard, wrongs)
        until = time.monotonic() + release_s
        while (packet := _ask(options))["in_use"] and time.monotonic() < until:
            time.sleep(RELEASE_POLL_S)
    except Unreachable as error:
        cure = "restart the robot's controller; see that no firewall is in between"
        raise DeviceError(str(error), cure=cure) from error
    _check_state(packet, remote, wrongs)
    _check_tool(options, packet, wrongs)
    if len(wrongs) == 1:
        raise wrongs[0]
    if wrongs:
        listed = "\n".join(f"- {wrong}" for wrong in wrongs)
        raise DeviceError(f"{len(wrongs)} things are wrong with the arm at {options.address}\n{listed}")


def _ask(options: ArmOptions) -> dict[str, Any]:
    return snapshot(options.address, _ASKED, timeout_s=ANSWER_S)


def _check_dashboard(options: ArmOptions, dashboard: Dashboard, wrongs: list[DeviceError]) -> bool | None:
    """Checks software and model. Returns whether the robot is in remote control, if it can tell."""
    words = dashboard.ask("PolyscopeVersion")
    version = software_version(words)
    if version is None or not OLDEST <= version < (6, 0):
        wrongs.append(
            DeviceError(
                f"the controller's software is {words!r}, and PolyScope 5.6 or later of version 5 is needed",
                cure="update the robot's software; CB3 robots and PolyScope X are not supported",
            )
        )
        return None
    model, wanted = dashboard.ask("get robot model").upper().removesuffix("E"), _DASHBOARD_NAMES[options.model]
    if model != wanted:
        known = [name for name, shown in _DASHBOARD_NAMES.items() if shown == model]
        cure = f"write `model: {known[0]}`, or " if known else ""
        wrongs.append(
            DeviceError(
                f"the robot is a {model}, and the cell file says {options.model}",
                cure=cure + "check the address: it may be another robot's",
            )
        )
    answer = dashboard.ask("is in remote control").lower()
    return {"true": True, "false": False}.get(answer)


def _check_state(packet: dict[str, Any], remote: bool | None, wrongs: list[DeviceError]) -> None:
    health = Health(
        robot_mode=int(packet["robot_mode"]),
        safety_bits=int(packet["safety_status_bits"]),
        slider=float(packet.get("target_speed_fraction", 1.0)),
        remote=remote,
    )
    wrongs += [_told(row) for row in _STATE_FAULTS if row.shows(health)]
    if packet["in_use"]:
        wrongs.append(
            DeviceError(
                "another program controls the robot: it has the RTDE registers that are needed",
                cure="end that program; disable EtherNet/IP, PROFINET and MODBUS on the pendant",
            )
        )


def _told(row: Row) -> DeviceError:
    cure = row.cure.replace(", then recover", "").replace("; then recover", "")
    if row.kind is FaultKind.PROTECTIVE_STOP:
        cure = "see what the tool has met, and unlock it on the pendant"
    return DeviceError(row.what, cure=cure)


def _check_tool(options: ArmOptions, packet: dict[str, Any], wrongs: list[DeviceError]) -> None:
    def compare(value: Any, check: Callable[[Any], tuple[str, str] | None]) -> None:
        found = check(value) if value is not None else None
        if found is not None:
            wrongs.append(DeviceError(found[0], cure=found[1]))

    wanted = options.tcp.tcp_from_flange

    def tcp(value: Any) -> tuple[str, str] | None:
        away = wanted.inverse() @ Pose.from_rotvec(value[:3], value[3:])
        off_m, off_rad = float(np.linalg.norm(away.position_m)), float(np.linalg.norm(away.rotvec_rad))
        if off_m <= TCP_SLACK_M and off_rad <= TCP_SLACK_RAD:
            return None
        return (
            f"the controller's TCP is {_listed(value)}, the cell file's {_listed(wanted.as_vector())} "
            f"({off_m * 1e3:.1f} mm and {off_rad:.3f} rad apart)",
            "set the TCP on the pendant (Installation > General > TCP), or correct `tcp` in the cell file",
        )

    def mass(value: Any) -> tuple[str, str] | None:
        if abs(value - options.payload.mass_kg) <= MASS_SLACK_KG:
            return None
        return (
            f"the controller's payload is {value:.2f} kg, the cell file's {options.payload.mass_kg:.2f} kg",
            "set it on the pendant (Installation > General > Payload; its wizard measures it), or correct `payload`",
        )

    def cog(value: Any) -> tuple[str, str] | None:
        away = float(np.linalg.norm(np.array(value) - np.array(options.payload.cog_m)))
        if away <= COG_SLACK_M or options.payload.mass_kg <= MASS_SLACK_KG:
            return None
        return (
            f"the controller's centre of gravity is {_listed(value)} m, the cell file's "
            f"{_listed(options.payload.cog_m)} m",
            "set it on the pendant (Installation > General > Payload), or correct `payload.cog_m`",
        )

    compare(packet.get("tcp_offset"), tcp)
    compare(packet.get("payload"), mass)
    compare(packet.get("payload_cog"), cog)


def _listed(values: Any) -> str:
    return "[" + ", ".join(f"{float(value) + 0.0:.4g}" for value in np.round(values, 5)) + "]"
