"""Pages: one HTML file each, with everything in it, made of the templates beside this module."""

from __future__ import annotations

import math
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from skillcore.learning.evaluate import Rate
from skillcore.learning.intervals import percent
from skillcore.storage import write_durably

UNKNOWN = "not known"


@cache
def environment() -> Environment:
    """The templates. What is put into a page is escaped; what a template lacks is an error."""
    made = Environment(
        loader=PackageLoader("skillcore.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": percent,
        "number": number,
        "of": of,
        "interval": interval_of,
        "moment": moment,
        "duration": duration,
    }
    return made


def write_page(path: Path, template: str, **content: Any) -> Path:
    """Renders a template into a file. Raises StorageError."""
    write_durably(path, environment().get_template(template).render(**content).encode("utf-8"))
    return path


# --- how values are written ----------------------------------------------------------------------------------------


def number(value: float, unit: str = "", digits: int = 0) -> str:
    """49 N; what is no number is not known."""
    if not math.isfinite(value):
        return UNKNOWN
    return f"{value:.{digits}f}\N{NO-BREAK SPACE}{unit}" if unit else f"{value:.{digits}f}"


def of(rate: Rate) -> str:
    """22 of 50"""
    return f"{rate.hits} of {rate.trials}"


def interval_of(rate: Rate) -> str:
    """31% to 58%; a dash without trials."""
    low, high = rate.interval
    return f"{percent(low)} to {percent(high)}" if rate.trials else "–"


def moment(text: str) -> str:
    """A time in ISO form as a person writes it; any other text as it is."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{time.day} {time:%B %Y, %H:%M} {time.tzname() or ''}".strip()


def duration(seconds: float) -> str:
    """A duration to two digits or so."""
    if not math.isfinite(seconds):
        return UNKNOWN
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
