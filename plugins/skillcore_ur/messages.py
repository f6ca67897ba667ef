"""Poses and readings as JSON holds them. Floats come back bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skillcore import errors
from skillcore.types import ArmState, Pose, Wrench


def pose_to(pose: Pose) -> list[list[float]]:
    return [pose.position_m.tolist(), *pose.rotation.tolist()]


def pose_from(rows: Sequence[Sequence[float]]) -> Pose:
    return Pose(np.array(rows[0], dtype=np.float64), np.array(rows[1:], dtype=np.float64))


def state_to(state: ArmState) -> dict[str, Any]:
    return {
        "pose": pose_to(state.tcp_from_base),
        "twist": state.twist.tolist(),
        "wrench": state.wrench.as_vector().tolist(),
        "fault": state.fault,
        "time_s": state.time_s,
        "sequence": state.sequence,
    }


def state_from(values: Mapping[str, Any]) -> ArmState:
    wrench = np.array(values["wrench"], dtype=np.float64)
    return ArmState(
        tcp_from_base=pose_from(values["pose"]),
        twist=np.array(values["twist"], dtype=np.float64),
        wrench=Wrench(wrench[:3], wrench[3:]),
        fault=values["fault"],
        time_s=float(values["time_s"]),
        sequence=int(values["sequence"]),
    )


def error_from(answer: Mapping[str, Any]) -> errors.SkillcoreError:
    """The error that an answer tells of."""
    kind = getattr(errors, str(answer["error"]), errors.DeviceError)
    if not (isinstance(kind, type) and issubclass(kind, errors.DeviceError)):
        kind = errors.DeviceError
    error: errors.SkillcoreError = kind(str(answer["what"]), cure=str(answer["cure"]))
    return error
