"""docs/plugins.md, from nothing to a working arm: every line is run in a fresh virtual environment, in its order.

A `shell` block holds lines that begin with `$`; what one is expected to end with, if not 0, stands behind it. A
`python` block whose first line is a comment with a path in the new package is that file, and replaces what is there.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(1800)

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
BEGIN, END = "## From nothing to a working arm", "## Other parts"
PORT = "30100"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (acme-arm/\S+)\n")
_EXPECTED = re.compile(r"\s+# exit code (\d)$")


def parts() -> list[tuple[str, str]]:
    """The fenced blocks of the page: language, text."""
    text = PAGE.read_text(encoding="utf-8")
    return _FENCE.findall(text[text.index(BEGIN) : text.index(END)])


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return str(found.getsockname()[1])


@pytest.fixture(scope="module")
def told(fresh: Any) -> dict[str, list[str]]:
    """What each command printed, in the order in which it was run more than once."""
    folder = fresh.folder / "work"
    folder.mkdir()
    port = free_port()
    printed: dict[str, list[str]] = {}
    before = ""
    for language, block in parts():
        file = _FILE.match(block)
        if language == "python":
            assert file, block.splitlines()[0]
            place = folder / file.group(1)
            assert place.is_file(), f"{place} is no file that `skill plugins new` has written"
            place.write_text(block, encoding="utf-8")
        if language != "shell":
            continue
        for line in block.splitlines():
            assert line.startswith("$ "), line
            expected = _EXPECTED.search(line)
            command = _EXPECTED.sub("", line.removeprefix("$ ")).replace(PORT, port)
            if command.endswith("&"):
                # Lives as long as the next command, and is waited for until it listens.
                before = (
                    f"{command} server=$!; until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.2; done; "
                )
                continue
            whole = f"{before}{command}; code=$?; kill $server; exit $code" if before else command
            for cell in folder.glob("acme-arm/cell.yaml"):
                cell.write_text(cell.read_text(encoding="utf-8").replace(PORT, port), encoding="utf-8")
            done = fresh(whole, folder)
            wanted = int(expected.group(1)) if expected else 0
            assert done.returncode == wanted, f"{command}\n{done.stdout}\n{done.stderr}"
            printed.setdefault(command.split(" ")[0], []).append(done.stdout + done.stderr)
    return printed


def test_the_page_has_all_that_it_takes() -> None:
    languages = [language for language, _ in parts()]
    assert languages.count("shell") >= 3
    assert languages.count("python") == 1


def test_the_new_arm_is_listed(told: dict[str, list[str]]) -> None:
    assert re.search(r"^arm +acme-arm +arm acme-arm, over TCP +acme-arm +0\.1\.0", told["skill"][1], re.MULTILINE)


def test_the_tests_fail_first_and_pass_when_the_methods_are_written(told: dict[str, list[str]]) -> None:
    first, second = told["pytest"]
    assert "AcmeArm.connect is not filled in yet" in first
    assert "broken promise" not in first
    assert " failed" not in second
    assert " error" not in second
    assert re.search(r"\b\d+ passed, 6 skipped", second), second


def test_the_arm_is_ok_in_a_cell(told: dict[str, list[str]]) -> None:
    assert re.search(r"^arm +acme-arm +ok ", told["skill"][-1], re.MULTILINE), told["skill"][-1]
