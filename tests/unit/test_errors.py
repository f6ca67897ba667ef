"""Errors travel between processes, whatever their constructors ask for."""

from __future__ import annotations

import pickle

import pytest

from skillcore.errors import (
    CellBusyError,
    ConfigError,
    DeviceError,
    Fault,
    SkillcoreError,
    UnknownNameError,
)

MADE = [
    DeviceError("nobody answers", cure="switch it on"),
    UnknownNameError("connector", "hdmy", ["hdmi", "usb_a"]),
    ConfigError([Fault("cell.yaml", 3, "arm.driver", "there is none", "write one")]),
]


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_an_error_is_the_same_in_another_process(error: SkillcoreError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.args == error.args
    assert vars(again) == vars(error)


def test_an_error_made_of_an_error_says_the_same() -> None:
    error = CellBusyError("cell 'bench' is held", cure="wait")
    assert str(CellBusyError(error)) == str(error)  # type: ignore[arg-type]
