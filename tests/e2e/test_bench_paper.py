"""`skill bench paper`, as small as it goes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def test_the_tables_are_made_and_what_is_finished_is_not_run_again(skill: Any, tiny: Path) -> None:
    conditions = str(ROOT / "benchmarks" / "paper.yaml")
    arguments = ("bench", "paper", "--quick", "--conditions", conditions, "--bundle", str(tiny), "--out", "found")
    done = skill(*arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "Scenario I:" in done.stdout
    assert "Scenario II:" in done.stdout
    assert "4 of 4 jobs" in done.stdout
    found = skill.folder / "found"
    arms = found / "arms"
    both, reward_only, neither = (
        (arms / f"DAIB_in_{where}" / "perception.safetensors").read_bytes()
        for where in ("reward_and_policy", "the_reward_only", "neither")
    )
    assert both != reward_only == neither
    rows = (found / "scenarios.csv").read_text().splitlines()
    # Six methods in two scenarios, under a line of names.
    assert len(rows) == 13
    assert len({",".join(row.split(",")[:3]) for row in rows}) == 13
    assert "2 of 2 jobs" in done.stdout
    assert "pretraining: DAIB in reward and policy" in done.stdout
    assert "3 of 3 jobs" in done.stdout
    assert "Ablation: success in %" in done.stdout
    assert "Reward models, 25 to 5" in done.stdout
    assert [row.split(",")[1] for row in (found / "rewards.csv").read_text().splitlines()] == ["model", "DAIB", "VIB"]
    assert {path.name for path in found.glob("*.png")} == {"practice.png", "rewards.png"}
    assert f"report: {Path('found') / 'report.html'}\n" in done.stdout
    page = (found / "report.html").read_text(encoding="utf-8")
    assert "<h2>Scenario II</h2>" in page
    assert "<h2>Reward models, 25 to 5</h2>" in page
    assert "<h2>What is left out</h2>" in page
    # One is lost; it alone is run again, with the same result.
    (lost,) = (found / "results").glob("searches-I-*.json")
    before = lost.read_bytes()
    lost.unlink()
    again = skill(*arguments)
    assert again.returncode == 0, again.stderr
    assert [line for line in again.stdout.splitlines() if " jobs, " in line] != []
    assert "3 of 4 jobs" not in again.stdout
    assert lost.read_bytes() == before
    # What was found with two trials is never taken for what a hundred would have shown.
    whole = skill(*(one for one in arguments if one != "--quick"))
    assert whole.returncode == 2
    differing = "ablation, practice, reward.episodes, reward.options, reward.splits.25 to 5, trials differ"
    assert f"other conditions: {differing}" in whole.stderr
    shutil.rmtree(found)


@pytest.mark.parametrize("everybody", [True, False], ids=["Ctrl-C", "signal"])
def test_what_is_interrupted_ends_at_once_and_goes_on_later(
    tiny: Path, start: Any, home: Path, tmp_path: Path, everybody: bool
) -> None:
    text = (ROOT / "benchmarks" / "paper.yaml").read_text()
    # Far longer than anybody waits.
    text = text.replace("trials: 100", "trials: 2").replace("practice: 200", "practice: 5000")
    (tmp_path / "long.yaml").write_text(text)
    arguments = ("bench", "paper", "--only", "scenarios", "--workers", "2", "--bundle", str(tiny))
    process = start(*arguments, "--conditions", str(tmp_path / "long.yaml"), "--out", str(tmp_path / "out"), home=home)
    results = tmp_path / "out" / "results"
    while process.poll() is None and not list(results.glob("*.json")):
        time.sleep(0.1)
    if everybody:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=180)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    done = {path.name: path.read_bytes() for path in results.glob("*.json")}
    assert done
    assert all(json.loads(content) for content in done.values())


def test_conditions_that_are_missing_are_told(skill: Any) -> None:
    done = skill("bench", "paper", "--conditions", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    assert "Traceback" not in done.stderr
