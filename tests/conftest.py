"""What all tests have in common."""

import os

# Files of tests run side by side, one process a core.
os.environ.setdefault("OMP_NUM_THREADS", "1")

collect_ignore = ["vendor"]
"""Packages that are installed first, and tested where they are installed."""
