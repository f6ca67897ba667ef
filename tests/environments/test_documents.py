"""The programs of docs/gymnasium.md run as they stand there, with fewer steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "gymnasium.md"
PROGRAM = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FEWER = {
    "total_timesteps=20_000": "total_timesteps=24",
    "learning_starts=500": "learning_starts=16, batch_size=8",
    "buffer_size=20_000": "buffer_size=200",
    "n_envs=4": "n_envs=2",
}
LEARNED = "\nassert model.num_timesteps >= 24\nassert model._n_updates > 0\n"
PROGRAMS = dict(PROGRAM.findall(PAGE.read_text(encoding="utf-8")))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_the_page_runs(name: str, tmp_path: Path) -> None:
    text = PROGRAMS[name]
    for many, few in FEWER.items():
        text = text.replace(many, few)
    if "model.learn" in text:
        # Nothing but the numbers is changed, and all of them are found.
        assert text.count("=24") == text.count("learning_starts=16") == text.count("buffer_size=200") == 1
        indent = "    " if "__main__" in text else ""
        text += "".join(f"{indent}{line}\n" for line in LEARNED.split("\n") if line)
    (tmp_path / name).write_text(text, encoding="utf-8")
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SKILLCORE_")}
    done = subprocess.run(
        [sys.executable, name],
        cwd=tmp_path,
        env=kept | {"SKILLCORE_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert not list((tmp_path / "home" / "locks").glob("*.json"))
    if name == "several.py":
        assert done.stdout == "(2, 2, 64, 64, 3)\n"


def test_the_page_shows_all_of_them() -> None:
    assert list(PROGRAMS) == ["look.py", "several.py", "train_sac.py", "train_side_by_side.py"]
    assert "stable_baselines3" in PROGRAMS["train_sac.py"]
