"""Devices on paper, for tests that open a whole cell."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The plugin `toys/paper_devices.py`, of which nothing has happened yet, and a home of its own."""
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "toys"))
    devices = importlib.import_module("paper_devices")
    devices.LOG.clear()
    devices.MADE.clear()
    return devices
