"""`skill learn` on terminals of the operating system, not on files that say they are one."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

SIZES = ("--zero-shot", "1", "--trials", "3", "--acceptance", "1")
CONTROL = re.compile(r"\x1b\[[?\d;]*[A-Za-z]")
MAY_BE_LONG = ("run:", "report:", "events:", "bundle:", "home:", "next:")
"""Lines with a path or a command, which must not be broken."""


def resize(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))


def on_a_terminal(bundle: Path, home: Path, *, columns: int, later: int, **variables: str) -> str:
    """What `skill learn` writes to a terminal, whose width becomes another one when practice has begun."""
    code = "import sys; from skillcore.cli import main; sys.argv[0] = 'skill'; sys.exit(main())"
    arguments = ["learn", "insertion", "--connector", "hdmi", "--bundle", str(bundle), *SIZES]
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES", "TERM")}
    master, slave = pty.openpty()
    resize(master, columns)
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=kept | {"SKILLCORE_HOME": str(home), "OMP_NUM_THREADS": "1", **variables},
        start_new_session=True,
    )
    os.close(slave)
    read, began = b"", time.monotonic()
    try:
        while time.monotonic() - began < 240.0:
            try:
                piece = os.read(master, 65536)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                break  # Linux says so when nobody has the other end open any more.
            if not piece:
                break
            read += piece
            if b"zero-shot done" in read and columns != later:
                columns = later
                resize(master, columns)
        assert process.wait(60) in (0, 1), read.decode()
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return read.decode().replace("\r\n", "\n")


def fits(text: str, columns: int) -> None:
    lines = [line for line in text.splitlines() if not line.startswith((*MAY_BE_LONG, "        "))]
    assert [line for line in lines if len(line) > columns] == []


@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}])
def test_a_terminal_is_redrawn(tiny: Path, tmp_path: Path, colour: dict[str, str]) -> None:
    text = on_a_terminal(tiny, tmp_path / "home", columns=100, later=80, TERM="xterm-256color", **colour)
    assert "trial 3 of at most 3" in text
    # The cursor goes back up, and comes back in the end.
    assert "\x1b[1A" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert ("\x1b[32m" in text or "\x1b[31m" in text) == (not colour)
    plain = CONTROL.sub("", text)
    fits(plain.replace("\r", "\n"), 80)
    for stage in ("zero-shot", "practice", "acceptance"):
        assert re.search(rf"^{stage} done: \d trials, success", plain.replace("\r", "\n"), re.MULTILINE)


def test_a_dumb_terminal_gets_lines_only(tiny: Path, tmp_path: Path) -> None:
    text = on_a_terminal(tiny, tmp_path / "home", columns=80, later=80, TERM="dumb")
    assert "\x1b" not in text
    assert "\r" not in text
    fits(text, 80)
    for stage in ("zero-shot", "practice", "acceptance"):
        assert f"\n{stage}: up to " in text
        assert f"\n{stage} done: " in text
