"""What a person sees while guiding an arm: lines in a log, or a few lines in place, none of them wider than 80."""

import io

import numpy as np
import pytest
from rich.console import Console

from skillcore.reports.guiding import GuideDisplay, drawn, line
from skillcore.teaching import Sight

FAR = Sight(np.array([-1.0123, 1.0045, 1.1201]), 3.1, 123.4, -1.0482, "+x", 1.234)
NEAR = Sight(np.array([0.0, -0.00004, -0.0115]), 0.02, 12.34, 0.0481, "-z", 0.001)


def test_a_line_says_it_all() -> None:
    assert line(NEAR) == "  [0.0, 0.0, -11.5] mm  12 N  inside by 48.1 mm (-z)  still"
    assert line(FAR) == "  [-1012.3, 1004.5, 1120.1] mm  123 N  OUTSIDE by 1048.2 mm (+x)  1234 mm/s"
    assert len(line(FAR)) <= 80


@pytest.mark.parametrize("sight", [FAR, NEAR])
def test_what_is_drawn_fits_a_narrow_terminal(sight: Sight) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True)
    with console.capture() as capture:
        console.print(drawn("Guide it home.", sight))
    lines = capture.get().splitlines()
    assert len(lines) == 5
    assert all(len(one) <= 100 for one in lines)  # with what sets the style


def test_a_log_gets_the_prompt_and_a_line_now_and_then() -> None:
    console = Console(file=io.StringIO(), width=400)
    with GuideDisplay(console).asking("Guide it home.") as show:
        for _ in range(50):
            show(NEAR)
    assert console.file.getvalue() == f"Guide it home.\n{line(NEAR)}\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("kind", "redraws"), [("xterm", True), ("dumb", False)])
def test_only_a_terminal_that_can_is_redrawn(monkeypatch: pytest.MonkeyPatch, kind: str, redraws: bool) -> None:
    monkeypatch.setenv("TERM", kind)
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    with GuideDisplay(console).asking("Guide it home.") as show:
        show(NEAR)
        show(FAR)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("\x1b[2K" in printed) == redraws
    assert printed.rstrip().endswith("Guide it home." if redraws else line(NEAR))
