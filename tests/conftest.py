"""What all tests have in common."""

from __future__ import annotations

import os

import pytest

# Tests run side by side, one process a core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GROUPS = {"e2e": "bundle", "twin": "devices", "realsense": "devices"}
"""Tests of these folders run in one process: they share what takes long to make, or an address of this machine."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for folder in item.path.parts:
            if folder in GROUPS:
                item.add_marker(pytest.mark.xdist_group(GROUPS[folder]))
