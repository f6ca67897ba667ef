"""What a cell file may say about a UR arm, and what is answered when it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from skillcore.config import validate_options
from skillcore.errors import ConfigError
from skillcore.plugins import Registry
from skillcore_ur import plugin
from skillcore_ur.options import ArmOptions, ForceMode, Servo

LEAST = {
    "address": "192.168.1.10",
    "model": "ur5e",
    "tcp": {"position_m": ["0 mm", 0, "150 mm"]},
    "payload": {"mass_kg": 1.2},
}


def read(**changes: Any) -> ArmOptions:
    return validate_options({**LEAST, **changes}, ArmOptions, where="cell.yaml")


def fault(**changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        read(**changes)
    return str(caught.value)


def test_the_least_that_must_be_said() -> None:
    options = read()
    assert isinstance(options.compliance, ForceMode)
    assert options.tcp.tcp_from_flange.position_m[2] == pytest.approx(0.15)
    for name in LEAST:
        assert name in fault(**{name: None})


def test_servo_mode_needs_the_limit_that_the_controller_keeps() -> None:
    assert "tool_force_limit_n" in fault(compliance={"mode": "servo"})
    options = read(compliance={"mode": "servo", "tool_force_limit_n": "100 N"})
    assert isinstance(options.compliance, Servo)
    told = fault(compliance={"mode": "servo", "tool_force_limit_n": 50}, limits={"force_n": 60})
    assert "limits.force_n" in told
    assert "50 N" in told


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "ur5"}, "ur5e"),
        ({"address": "bad address!"}, "address"),
        ({"compliance": {"mode": "soft"}}, "compliance"),
        ({"compliance": {"mode": "force_mode", "axial_stiffness_n_m": 1}}, "axial_stiffness_n_m"),
        ({"watchdog_hz": 0}, "watchdog_hz"),
        ({"tcp": {"position_m": [0, 0, 150]}}, "150 mm"),
        ({"payloads": 3}, "payload"),
    ],
)
def test_mistakes_are_told_by_field(changes: dict[str, Any], words: str) -> None:
    assert words in fault(**changes)


def test_the_driver_is_registered_and_says_what_it_needs() -> None:
    part = Registry.from_modules({"ur": plugin}).get("arms", "ur")
    assert part.part.requires == "pip install 'skillcore[ur]'"
