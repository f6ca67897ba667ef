"""What a person sees while guiding an arm: a few lines redrawn in place, or a line now and then in a log."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from skillcore.taught import in_mm
from skillcore.teaching import STILL_M_S, Sight

LINE_EVERY_S = 2.0


class GuideDisplay:
    """Shows where the arm is while a person is asked for something. A line has at most 80 columns."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._redraws = console.is_terminal and not console.is_dumb_terminal

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text)

    @contextmanager
    def asking(self, prompt: str) -> Iterator[Callable[[Sight], None]]:
        """Asks for something; within the block, what is seen meanwhile is shown by the function it gets."""
        if not self._redraws:
            self._console.print(prompt)
            yield self._in_lines()
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            yield lambda sight: live.update(drawn(prompt, sight), refresh=True)
        self._console.print(prompt)

    def _in_lines(self) -> Callable[[Sight], None]:
        last = -math.inf

        def show(sight: Sight) -> None:
            nonlocal last
            if time.monotonic() - last >= LINE_EVERY_S:
                last = time.monotonic()
                self._console.print(line(sight))

        return show


def line(sight: Sight) -> str:
    """What is seen, in a line."""
    return f"  {in_mm(sight.offset_m)}  {sight.force_n:.0f} N  {inside(sight)}  {speed(sight)}"


def inside(sight: Sight) -> str:
    """How far the TCP is inside the workspace, or outside."""
    word = "inside" if sight.inside_m >= 0.0 else "OUTSIDE"
    return f"{word} by {abs(sight.inside_m) * 1e3:.1f} mm ({sight.side})"


def speed(sight: Sight) -> str:
    """How fast the TCP moves."""
    return f"{sight.speed_m_s * 1e3:.0f} mm/s" if sight.speed_m_s > STILL_M_S else "still"


def drawn(prompt: str, sight: Sight) -> Group:
    """What is asked for and what is seen, in a few lines."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    turned = math.degrees(sight.turned_rad)
    table.add_row("from the fixture", f"{in_mm(sight.offset_m)}, turned by {turned:.1f} deg")
    table.add_row("force", f"{sight.force_n:.1f} N")
    table.add_row("workspace", Text(inside(sight), style="green" if sight.inside_m >= 0.0 else "bold red"))
    table.add_row("speed", speed(sight))
    return Group(Text(prompt, style="bold"), table)
