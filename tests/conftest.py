"""What all tests have in common."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

# Files of tests run side by side, one process a core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

collect_ignore = ["vendor"]
"""Packages that are installed first, and tested where they are installed."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, for this process too, which works in an empty folder and without colours."""
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def paper(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The plugin `unit/toys/paper_devices.py`, of which nothing has happened yet, and a home of its own."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "unit" / "toys"))
    devices = importlib.import_module("paper_devices")
    devices.LOG.clear()
    devices.MADE.clear()
    return devices
