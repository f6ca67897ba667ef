"""The commands that move an arm, as a technician types them, on the simulated cell with a bundle of no merit."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.episodes.repair import verify
from skillcore.home import cell_lock
from skillcore.learning.bundles import load_bundle
from skillcore.learning.checks import is_check
from skillcore.learning.evaluate import TrialResult
from skillcore.learning.job import ENOUGH_CHECKS, enough
from skillcore.learning.rewarding import batch_of_one
from skillcore.plugins import Registry
from skillcore.storage import sha256_of
from skillcore.types import Episode

ROOT = Path(__file__).parents[2]

Start = Any
SHORT = ("--zero-shot", "2", "--trials", "3", "--acceptance", "2")


def learn_arguments(bundle: Path, *more: str) -> list[str]:
    return ["learn", "insertion", "--connector", "hdmi", "--bundle", str(bundle), *more]


def runs_of(home: Path, command: str) -> list[Path]:
    return sorted((home / "runs").glob(f"*-{command}-*"))


def only_run(home: Path, command: str) -> Path:
    (run,) = runs_of(home, command)
    return run


def line_of(output: str, start: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(start)]
    return line.removeprefix(start).strip()


def set_threshold(bundle: Path, threshold: float) -> None:
    card = json.loads((bundle / "card.json").read_bytes())
    card["reward"]["threshold"] = threshold
    (bundle / "card.json").write_text(json.dumps(card))


# --- the commands ------------------------------------------------------------------------------------------------


def test_learn_tells_how_it_went_and_keeps_everything(skill: Any, tiny: Path) -> None:
    done = skill(*learn_arguments(tiny, *SHORT))
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    verdict = line_of(done.stdout, "ACCEPTED: " if done.returncode == 0 else "NOT ACCEPTED: ")
    assert "of 2 acceptance trials succeeded, 90% are asked for" in verdict
    assert line_of(done.stdout, "home:") == str(skill.home)
    run = Path(line_of(done.stdout, "run:"))
    assert run == only_run(skill.home, "learn")
    report = Path(line_of(done.stdout, "report:"))
    assert report == run / "report.html"
    assert "of 2 acceptance trials succeeded; 90% are asked for." in report.read_text(encoding="utf-8")
    results = json.loads((run / "results.json").read_bytes())
    assert results["accepted"] is (done.returncode == 0)
    assert [results[part]["success"]["trials"] for part in ("zero_shot", "practice", "acceptance")] == [2, 3, 2]
    made = [line for line in done.stdout.splitlines() if line.startswith("bundle:")][-1].split()[-1]
    assert results["bundle"] == made
    assert made == str(skill.home / "bundles" / "insertion" / "hdmi_a" / "0001")
    card = json.loads((Path(made) / "card.json").read_bytes())
    assert card["variant"] == "hdmi_a"
    assert card["command"].startswith("skill learn insertion --connector hdmi")
    assert card["figures"]["acceptance"] == results["acceptance"]
    assert {name: sha256_of(Path(made) / name) for name in card["files"]} == card["files"]
    with EpisodeStore(run / "episodes", create=False) as store:
        assert [row.source for row in store.rows()] == ["zero-shot"] * 2 + ["practice"] * 3 + ["acceptance"] * 2
    again = skill("run", "insertion", "--connector", "hdmi")
    assert again.returncode in (0, 1), again.stderr
    # Without --bundle the newest of the connector is used.
    assert line_of(again.stdout, "bundle:").startswith(made)
    assert "has not practised" not in again.stdout


def test_one_trial_of_four_is_acted_without_noise(skill: Any, tiny: Path) -> None:
    sizes = ("--zero-shot", "0", "--trials", "4", "--acceptance", "1")
    done = skill(*learn_arguments(tiny, *sizes))
    assert line_of(done.stdout, "    without noise ").endswith(")")
    run = only_run(skill.home, "learn")
    assert json.loads((run / "results.json").read_bytes())["practice"]["without_noise"]["success"]["trials"] == 1
    with EpisodeStore(run / "episodes", create=False) as store:
        trials = [store.read(row.id) for row in store.rows(source="practice")]
    brain = load_bundle(tiny, Registry.discover(), device="cpu").brain

    def is_greedy(trial: Episode) -> bool:
        """By the turn, which no reflex changes."""
        meant = [
            brain.learner.act(brain.perception.features(batch_of_one(trial.observation(frame)))[0], explore=None)[3]
            for frame in range(trial.steps)
        ]
        return bool(np.allclose(meant, trial.action[:, 3], atol=1e-4))

    # So early nothing is learned yet, whatever was claimed. The odd ones were searched, not acted by the policy.
    assert [is_greedy(trials[number]) for number in (0, 2)] == [False, True]


def test_practice_ends_when_its_checks_succeed() -> None:
    def result(number: int, claimed: bool) -> TrialResult:
        return TrialResult(number, claimed, None, 5, 1.0, 0, 0, "")

    checks = [number for number in range(400) if is_check(number)][:ENOUGH_CHECKS]
    trials = [result(number, is_check(number)) for number in range(checks[-1] + 1)]
    assert enough(trials)
    assert not enough(trials[:-1])
    trials[checks[1]] = result(checks[1], False)
    assert not enough(trials)


def test_a_gate_of_nothing_is_passed(home: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = learn_arguments(tiny, "--zero-shot", "0", "--trials", "0", "--acceptance", "1", "--gate", "0")
    assert main(arguments) == 0
    told = capsys.readouterr().out
    assert "\nACCEPTED: " in told
    assert line_of(told, "next:").startswith("skill run insertion --connector hdmi")


def test_eval_counts_and_run_inserts(skill: Any, tiny: Path) -> None:
    shutil.copy(ROOT / "cell_configs" / "sim.yaml", skill.folder / "own.yaml")
    hdmi = ("insertion", "--connector", "hdmi", "--cell", "own.yaml")
    tested = skill("eval", *hdmi, "--bundle", str(tiny), "--trials", "2")
    assert tested.returncode in (0, 1), tested.stderr
    run = only_run(skill.home, "eval")
    # Whoever reads it later may be in another folder.
    assert json.loads((run / "run.json").read_bytes())["cell"] == str((skill.folder / "own.yaml").resolve())
    page = Path(line_of(tested.stdout, "report:")).read_text(encoding="utf-8")
    assert "<h1>HDMI type A</h1>" in page
    # Where the socket is was noted, so that reasons can be told.
    assert "a miss and a jam cannot be told apart" not in page
    results = json.loads((run / "results.json").read_bytes())
    assert results["acceptance"]["success"]["trials"] == 2
    assert results["accepted"] is (results["acceptance"]["success"]["value"] >= 0.9) is (tested.returncode == 0)
    assert line_of(tested.stdout, "success  ").endswith(")")

    inserted = skill("run", "insertion", "--connector", "hdmi", "--bundle", str(tiny), "--times", "2")
    assert inserted.returncode in (0, 1), inserted.stderr
    assert "note: this bundle has not practised hdmi_a" in inserted.stdout
    numbered = [line for line in inserted.stdout.splitlines() if line.lstrip()[:2] in ("1:", "2:")]
    assert len(numbered) == 2
    all_in = all(": inserted (" in line for line in numbered)
    assert all_in is (inserted.returncode == 0)


def test_collect_keeps_labelled_episodes_that_verify_finds_sound(skill: Any) -> None:
    done = skill("collect", "insertion", "--connector", "hdmi", "--episodes", "2", "--out", "data")
    assert done.returncode == 0, done.stderr
    with EpisodeStore(skill.folder / "data", create=False) as store:
        episodes = [store.read(row.id) for row in store.rows(source="collect")]
    assert [episode.info.variant for episode in episodes] == ["hdmi_a"] * 2
    assert all((episode.success >= 0).all() for episode in episodes)
    assert any((episode.success == 1).any() for episode in episodes)
    assert all(np.isfinite(episode.seated_from_tcp).all() for episode in episodes)
    again = skill("collect", "insertion", "--connector", "hdmi", "--episodes", "2", "--out", "data")
    assert again.returncode == 0
    with EpisodeStore(skill.folder / "data", create=False) as store:
        assert len(store) == 2
    assert skill("data", "verify", "data").stdout.strip() == "sound"


# --- what was typed is wrong -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (("--connector", "hdmii"), "did you mean hdmi"),
        (("--scenario", "III"), "did you mean II"),
        (("--cell", "simm"), "did you mean sim"),
        (("--bundle", "nowhere"), "nowhere: is no bundle: there is no card.json"),
        (("--device", "cuda:77"), "--device cuda:77: "),
    ],
)
@pytest.mark.parametrize("command", ["learn", "eval", "run"])
def test_a_wrong_name_ends_with_2_and_the_nearest(
    tiny: Path, home: Path, command: str, changed: tuple[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"--connector": "hdmi", "--bundle": str(tiny)} | dict([changed])
    assert main([command, "insertion", *itertools.chain(*options.items())]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert err.startswith("error: ")
    assert err.count("error:") == 1
    assert "Traceback" not in err
    # Nothing was begun that a later --resume could find.
    assert not list(home.glob("runs/*"))


def test_an_unknown_skill_ends_with_2(skill: Any) -> None:
    done = skill("learn", "insertoin", "--connector", "hdmi")
    assert done.returncode == 2
    assert "did you mean insertion?" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_for_another_cell_is_refused_with_what_differs(
    home: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sim = (ROOT / "cell_configs" / "sim.yaml").read_text(encoding="utf-8")
    Path("fine.yaml").write_text(sim.replace("name: sim", "name: fine").replace("step_m: 5 mm", "step_m: 2 mm"))
    assert main(learn_arguments(tiny, *SHORT, "--cell", "fine.yaml")) == 2
    err = capsys.readouterr().err
    assert "does not fit cell fine" in err
    assert "control.step_m 0.005, and the cell has 0.002" in err
    assert "Traceback" not in err


def test_a_second_process_on_the_same_cell_ends_with_3(skill: Any, home: Path, tiny: Path) -> None:
    with cell_lock("sim", command="skill learn of another"):
        done = skill(*learn_arguments(tiny, *SHORT))
    assert done.returncode == 3
    assert done.stderr.count("error:") == 1
    assert "cell 'sim' is held by process" in done.stderr
    assert "skill learn of another" in done.stderr
    assert "Traceback" not in done.stderr


# --- going on after a kill ---------------------------------------------------------------------------------------

UNFINISHED = ("--zero-shot", "0", "--trials", "2", "--acceptance", "1")
# Many more episodes than the last kill waits for: what has ended cannot be killed.
LONGER = ("--zero-shot", "2", "--trials", "6", "--acceptance", "12", "--seed", "3")


def saved(run: Path) -> dict[str, str]:
    """Every episode that the store has reported as saved: its id and its hash."""
    with EpisodeStore(run / "episodes", create=False) as store:
        return {row.id: row.sha256 for row in store.rows()}


def episodes_on_disk(home: Path) -> int:
    return sum(1 for _ in home.glob("runs/*/episodes/**/*.parquet"))


def kill_after(process: subprocess.Popen[str], home: Path, episodes: int, delay_s: float) -> None:
    """Kills it a moment after the given number of episodes lies on the disk, if it has not ended before."""
    while process.poll() is None and episodes_on_disk(home) < episodes:
        time.sleep(0.01)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(delay_s)
    process.kill()
    process.communicate()


def contents(run: Path) -> list[tuple[str, int | None, bytes]]:
    """What episodes hold that must not depend on kills: all but the time they began."""
    with EpisodeStore(run / "episodes", create=False) as store:
        episodes = [(row.source, row.trial, store.read(row.id)) for row in store.rows()]
    return [
        (source, trial, one.images.tobytes() + one.action.tobytes() + one.score.tobytes())
        for source, trial, one in episodes
    ]


@pytest.fixture
def doubtful(own: Path, home: Path) -> Path:
    """A bundle whose reward model takes about half of all frames for success, so that practice has both."""
    arguments = ("--connector", "hdmi", "--bundle", str(own), "--times", "2", "--seed", "3")
    assert main(["run", "insertion", *arguments]) in (0, 1)
    with EpisodeStore(only_run(home, "run") / "episodes", create=False) as store:
        scores = np.concatenate([store.read(row.id).score for row in store.rows()])
    shutil.rmtree(home)
    set_threshold(own, float(np.median(scores)))
    return own


@pytest.mark.usefixtures("credulous")
def test_what_was_killed_goes_on_to_the_same_end(doubtful: Path, start: Start, home: Path, tmp_path: Path) -> None:
    arguments = learn_arguments(doubtful, *LONGER)
    whole = start(*arguments, home=tmp_path / "whole")
    _, err = whole.communicate(timeout=240)
    assert whole.returncode in (0, 1), err
    expected = only_run(tmp_path / "whole", "learn")
    results = json.loads((expected / "results.json").read_bytes())
    assert results["practice"]["claimed"]["hits"] > 0

    chance = random.Random(time.time_ns())
    before: dict[str, str] = {}
    for episodes in (1, 3, 5, 7):
        delay_s = chance.uniform(0.0, 0.3)
        kill_after(start(*arguments, "--resume", home=home), home, episodes, delay_s)
        run = only_run(home, "learn")
        now = saved(run)
        assert before.items() <= now.items(), f"lost by a kill {delay_s:.3f} s after episode {episodes}"
        # An episode that it was just about to report is no loss: `skill data repair` takes it up.
        assert {finding.kind for finding in verify(run / "episodes")} <= {"orphan", "temporary"}
        before = now
    # Each kill may have come between an episode's file, which is what was waited for, and its report.
    assert 7 - 4 <= len(before) < 20
    last = start(*arguments, "--resume", home=home)
    _, err = last.communicate(timeout=240)
    assert last.returncode == whole.returncode, err
    assert "nothing to resume" not in err
    run = only_run(home, "learn")
    assert before.items() <= saved(run).items()

    assert contents(run) == contents(expected)
    mine, theirs = (json.loads((one / "results.json").read_bytes()) for one in (run, expected))
    assert {**mine, "bundle": ""} == {**theirs, "bundle": ""}
    places = Path(mine["bundle"]), Path(theirs["bundle"])
    cards = [json.loads((place / "card.json").read_bytes()) for place in places]
    assert cards[0]["files"] == cards[1]["files"]
    # Practice has met successes, so that what it made of the estimate is compared too.
    assert any(name.startswith("adapted_") for name in cards[0]["files"])
    for name in cards[0]["files"]:
        assert (places[0] / name).read_bytes() == (places[1] / name).read_bytes(), name


def test_what_stands_in_the_way_of_resuming_is_told(start: Start, tiny: Path, home: Path) -> None:
    kill_after(start(*learn_arguments(tiny, "--zero-shot", "500"), home=home), home, 1, 0.0)
    killed = only_run(home, "learn")
    few = ("--zero-shot", "1", "--trials", "1", "--acceptance", "1")
    process = start(*learn_arguments(tiny, *few, "--resume"), home=home)
    _, err = process.communicate(timeout=240)
    assert f"{killed} is unfinished, and was begun otherwise: plan.acceptance was " in err
    assert "plan.zero_shot was 500, and is 1" in err
    assert "nothing to resume" in err


def test_a_run_that_goes_on_is_told_from_one_that_was_killed(
    start: Start, tiny: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = learn_arguments(tiny, "--zero-shot", "10000")
    process = start(*arguments, home=home)
    try:
        while process.poll() is None and episodes_on_disk(home) < 1:
            time.sleep(0.01)
        assert main(["runs", "list"]) == 0
        assert " running " in capsys.readouterr().out
        # Nobody goes on with it meanwhile.
        assert main([*arguments, "--resume"]) == 2
        assert "another process works on this run" in capsys.readouterr().err
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    assert main(["runs", "list"]) == 0
    assert " interrupted " in capsys.readouterr().out


def test_a_run_goes_on_with_what_it_began_with_alone(
    practised: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = Path(shutil.copytree(practised, tmp_path / "copy"))
    monkeypatch.setenv("SKILLCORE_HOME", str(home))
    run = only_run(home, "learn")
    noted = json.loads((run / "run.json").read_bytes())
    noted["limits"]["force_n"] += 10.0
    (run / "run.json").write_text(json.dumps(noted))
    # A run that has nothing to do with it, and cannot be read.
    other = run.with_name(f"9{run.name[1:]}")
    other.mkdir()
    (other / "run.json").write_text("{")
    assert main([*learn_arguments(tiny, *UNFINISHED), "--resume"]) == 2
    err = capsys.readouterr().err
    assert f"passed over: {other / 'run.json'}: damaged" in err.replace("\n", "")
    assert "was begun otherwise: limits.force_n was 50.0, and is 40.0" in err.replace("\n", " ")
    assert "Traceback" not in err


def test_who_is_told_of_success_in_the_air_does_not_believe_it_and_says_so(
    own: Path, tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    easy = Path(shutil.copytree(own, tmp_path / "easy"))
    card = json.loads((easy / "card.json").read_bytes())
    card["reward"]["threshold"] = 0.0
    (easy / "card.json").write_text(json.dumps(card))
    with_it = ("insertion", "--connector", "hdmi", "--bundle", str(easy))
    trials = ("--zero-shot", "1", "--trials", "2", "--acceptance", "1")
    assert main(["learn", *with_it, *trials]) == 1
    out = capsys.readouterr().out
    assert "4 of 4 trials looked like success where there can be none" in out
    assert "skill teach insertion --connector hdmi --cell sim" in out
    assert main(["run", *with_it]) == 1
    assert "not inserted: it looks so, but lies elsewhere than the cell has it" in capsys.readouterr().out
    assert main(["eval", *with_it, "--trials", "1"]) == 1
    assert "1 of 1 trials looked like success where there can be none" in capsys.readouterr().out


def test_who_runs_a_bundle_that_was_not_accepted_is_told(
    own: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shelf = home / "bundles" / "insertion" / "hdmi_a"
    for name, share in (("0001", 0.95), ("0003", 0.4)):
        card = json.loads((own / "card.json").read_bytes())
        card |= {"variant": "hdmi_a", "figures": {"gate": 0.9, "acceptance": {"success": {"value": share}}}}
        place = Path(shutil.copytree(own, shelf / name))
        (place / "card.json").write_text(json.dumps(card))
    # One beside them that is damaged is no reason not to work with the newest.
    (shelf / "0002").mkdir()
    (shelf / "0002" / "card.json").write_text("{")
    assert main(["run", "insertion", "--connector", "hdmi"]) in (0, 1)
    err = capsys.readouterr().err.replace("\n", "")
    assert "NOT ACCEPTED" in err
    assert f"--bundle {shelf / '0001'}" in err
    assert main(["run", "insertion", "--connector", "hdmi", "--bundle", str(shelf / "0001")]) in (0, 1)
    assert "ACCEPTED" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "damage", "told"),
    [
        ("state.json", b"{", "damaged"),
        ("state.json", b"[]", "damaged"),
        ("state.json", b'{"finished": 2, "results": []}', "damaged"),
        ("trial_0001.safetensors", b"short", "damaged"),
        ("trial_0001.safetensors", safetensors.numpy.save({"features": np.zeros((1, 2))}), "damaged"),
        ("trial_0002.safetensors", None, "the file is missing"),
        ("0002/learner.safetensors", None, "the file is missing"),
        ("0002/optimizers.safetensors", b"short", "damaged"),
    ],
)
def test_a_damaged_checkpoint_is_named_on_resume(
    practised: Path,
    tiny: Path,
    name: str,
    damage: bytes | None,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = Path(shutil.copytree(practised, tmp_path / "copy"))
    monkeypatch.setenv("SKILLCORE_HOME", str(home))
    path = only_run(home, "learn") / "practice" / name
    assert path.exists()
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    capsys.readouterr()
    assert main([*learn_arguments(tiny, *UNFINISHED), "--resume"]) == 2
    err = capsys.readouterr().err
    assert err.count("error:") == 1
    assert f"practice/{name}: {told}" in err
    assert "begin anew, without --resume" in err
    assert "Traceback" not in err
