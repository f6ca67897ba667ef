"""`skill runs`: found by any part of their name, told in whatever state they are, and compared."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.errors import InputError
from skillcore.learning.evaluate import Evaluation, TrialResult
from skillcore.learning.past_runs import find_run, past_runs, read_past_run
from skillcore.learning.run_comparison import compared
from skillcore.learning.runs import working_on
from skillcore.storage import write_json_durably
from skillcore.types import Episode

PLAN = {"scenario": "I", "zero_shot": 50, "practice": 200, "acceptance": 100}
WORKER = """
import sys, time
from pathlib import Path
from skillcore.learning.runs import working_on

with working_on(Path(sys.argv[1])):
    print("at work", flush=True)
    time.sleep(600)
"""
NEWEST = "20261122-101500-learn-insertion-hdmi_a-00aa"


def results(hits: int, trials: int) -> dict[str, Any]:
    """What `Evaluation.as_json` says of a test; one failure in four was taken for a success."""
    done = [TrialResult(n, n < hits or n % 4 == 3, n < hits, 9, 40.0, 0, 0, "") for n in range(trials)]
    return Evaluation(tuple(done)).as_json()


class Runs:
    """Makes runs in a home."""

    def __init__(self, home: Path, make_episode: Callable[..., Episode]) -> None:
        self.home = home
        self.make_episode = make_episode

    def __call__(self, name: str, found: dict[str, Any] | None = None, **about: Any) -> Path:
        _, _, command, skill, variant, _ = name.split("-")
        folder = self.home / "runs" / name
        folder.mkdir(parents=True)
        began = "2026-11-22T10:15:00+00:00"
        told = {"command": command, "skill": skill, "variant": variant, "began": began, "cell": "/cells/sim.yaml"}
        write_json_durably(folder / "run.json", {**told, "seed": 0, "bundle": "/bundles/1", "plan": PLAN, **about})
        if found is not None:
            write_json_durably(folder / "results.json", found)
        return folder

    def save(self, folder: Path, source: str, forces: Sequence[float], *, seated: int) -> None:
        """Episodes of a source, the first `seated` of them successes."""
        episodes = []
        for trial, force in enumerate(forces):
            episode = self.make_episode(trial, outcome="success" if trial < seated else "timeout")
            info = replace(episode.info, source=source, trial=trial, peak_force_n=force)
            truth = episode.truth.copy()
            truth[-1] = trial < seated
            episodes.append(replace(episode, info=info, truth=truth))
        with EpisodeStore(folder / "episodes") as store:
            store.append_many(episodes)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_labelled_episode: Callable[..., Episode]) -> Runs:
    monkeypatch.setenv("SKILLCORE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_COLOR", "1")
    return Runs(tmp_path / "home", make_labelled_episode)


@pytest.fixture
def three(runs: Runs) -> Runs:
    """A finished run, one that ended before its acceptance test, and a test, the newest first by name."""
    whole = {"zero_shot": results(22, 50), "practice": {"trials": 137, **results(120, 137)}, "scenario": "I"}
    runs("20261120-080000-eval-insertion-usb_a-1c1c", {"acceptance": results(40, 100), "gate": 0.9, "scenario": "I"})
    runs(
        "20261121-093000-learn-insertion-hdmi_a-7016",
        {**whole, "acceptance": results(98, 100), "gate": 0.9, "accepted": True, "bundle": "/bundles/2"},
    )
    unfinished = runs(NEWEST, connector="hdmi")
    runs.save(unfinished, "zero-shot", [30.0] * 6, seated=4)
    return runs


def told(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["runs", *arguments]) == code
    streams = capsys.readouterr()
    assert "Traceback" not in streams.err
    return streams.err if code else streams.out


# --- finding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [NEWEST, "00aa", "hdmi_a-00", "20261122"])
def test_a_run_is_found_by_any_part_of_its_name_that_is_its_own(three: Runs, wanted: str) -> None:
    assert find_run(wanted).name == NEWEST


def test_a_run_is_found_by_its_folder_wherever_it_lies(three: Runs, tmp_path: Path) -> None:
    moved = (three.home / "runs" / NEWEST).rename(tmp_path / "elsewhere")
    assert find_run(str(moved)).folder == moved
    assert find_run(str(moved)).state == "interrupted"


def test_an_end_that_is_one_runs_own_is_not_confused_with_a_part_of_another(runs: Runs) -> None:
    runs("20261122-101500-learn-insertion-hdmi_a-00aa")
    runs("20261122-101501-learn-insertion-hdmi_a-1015")
    assert find_run("1015").name.endswith("-1015")


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("hdmi_a", "'hdmi_a' may mean 2 runs\n  -> say more of one of: 20261122-101500-learn-insertion-hdmi_a-00aa, "),
        ("00ab", "there is no run named '00ab'\n  -> did you mean 20261122-101500-learn-insertion-hdmi_a-00aa?"),
        ("hdmi_b", "there is no run named 'hdmi_b'\n  -> did you mean 20261122-101500-learn-insertion-hdmi_a-00aa"),
        ("", "there is no run named ''\n  -> the newest are: 20261122-101500"),
        ("some/where", "some/where: is no run: there is no run.json"),
    ],
)
@pytest.mark.parametrize("command", ["show", "compare"])
def test_a_wrong_or_ambiguous_name_ends_with_2_and_the_nearest(
    three: Runs, command: str, wanted: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("7016",) if command == "compare" else ()
    assert f"error: {said}" in told(capsys, command, wanted, *more, code=2)


def test_without_runs_the_way_to_one_is_told(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="skill learn --help"):
        find_run("1234")
    assert told(capsys, "list").startswith("0 of 0 runs in ")
    assert not (runs.home / "runs").exists()


# --- list --------------------------------------------------------------------------------------------------------


def test_a_list_tells_of_each_run_in_a_line(three: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    head, *lines, count, after = told(capsys, "list").splitlines()
    assert head.split() == [
        "run",
        "command",
        "connector",
        "cell",
        "seed",
        "state",
        "trials",
        "before",
        "after",
        "gate",
        "age",
    ]
    cells = [line.split() for line in lines]
    assert [line[:9] for line in cells] == [
        ["00aa", "learn", "hdmi_a", "sim", "0", "interrupted", "6", "67%", "-"],
        ["7016", "learn", "hdmi_a", "sim", "0", "done", "287", "44%", "98%"],
        ["1c1c", "eval", "usb_a", "sim", "0", "done", "100", "-", "40%"],
    ]
    assert [line[9] for line in cells] == ["-", "passed", "missed"]
    assert count.startswith("3 of 3 runs in ")
    assert after == "next:   skill runs show 00aa"
    assert max(map(len, [head, *lines])) <= 80


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--command", "eval"), ["1c1c"]),
        (("--connector", "hdmi_a"), ["00aa", "7016"]),
        # As it was typed.
        (("--connector", "hdmi"), ["00aa"]),
        (("--skill", "insertion", "--limit", "1"), ["00aa"]),
        (("--limit", "0"), ["00aa", "7016", "1c1c"]),
        (("--skill", "welding"), []),
    ],
)
def test_a_list_is_narrowed(
    three: Runs, options: tuple[str, ...], names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    listed = json.loads(told(capsys, "list", "--json", *options))
    assert [one["name"].rpartition("-")[2] for one in listed] == names


def test_a_name_that_no_run_has_is_answered_with_the_nearest(three: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "list", "--connector", "hdmi_b"]) == 0
    assert "--connector hdmi_b: there is no such run; did you mean hdmi_a" in capsys.readouterr().err


def test_a_run_is_running_as_long_as_its_process_lives(three: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    folder = three.home / "runs" / NEWEST
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WORKER, str(folder)], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "at work\n"
            assert find_run("00aa").state == "running"
            assert " running " in told(capsys, "list", "--limit", "1")
            shown = told(capsys, "show", "00aa")
            assert shown.splitlines()[1] == "  running"
            assert "next:   skill report 00aa" in shown
            assert "--resume" not in shown
            with pytest.raises(InputError, match="another process works on this run"), working_on(folder):
                pass
        finally:
            process.send_signal(signal.SIGKILL)
    assert find_run("00aa").state == "interrupted"
    assert " interrupted " in told(capsys, "list", "--limit", "1")
    with working_on(folder):
        assert find_run("00aa").state == "running"
    assert find_run("00aa").state == "interrupted"
    # What has its results is done, whatever its process still draws.
    with working_on(three.home / "runs" / "20261121-093000-learn-insertion-hdmi_a-7016"):
        assert find_run("7016").state == "done"


def test_a_run_without_a_lock_of_its_own_is_looked_at_and_left_alone(three: Runs) -> None:
    folder = three.home / "runs" / NEWEST
    before = sorted(folder.iterdir())
    assert find_run("00aa").state == "interrupted"
    assert sorted(folder.iterdir()) == before


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("run.json", b"{", "run.json: damaged"),
        ("run.json", b"[]", "run.json: damaged: holds no mapping"),
        ("run.json", None, "run.json: the file is missing"),
        ("results.json", b"\xff", "results.json: damaged"),
        ("results.json", b"[" * 100_000, "results.json: damaged"),
    ],
)
def test_a_damaged_run_is_listed_shown_and_not_compared(
    three: Runs, name: str, content: bytes | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = three.home / "runs" / "20261121-093000-learn-insertion-hdmi_a-7016" / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert [run.state for run in past_runs()] == ["interrupted", "damaged", "done"]
    assert "damaged" in told(capsys, "list")
    assert said in told(capsys, "show", "7016")
    assert said in told(capsys, "compare", "00aa", "7016", code=2)


def test_values_of_another_kind_than_promised_are_shown_as_they_are(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = {"acceptance": {"success": {"hits": "many", "trials": 3}}, "zero_shot": 7, "gate": "high", "extra": [1, {}]}
    runs("20261121-093000-learn-insertion-hdmi_a-7016", odd, began="long ago", seed=[], cell=None, plan="none")
    (run,) = past_runs()
    assert run.state == "done"
    assert run.accepted is None
    assert run.trials() == 0
    told(capsys, "list")
    shown = told(capsys, "show", "7016")
    for value in ("many", "high", "long ago", "[1, {}]"):
        assert value in shown


def test_a_damaged_index_is_told_with_its_cure(three: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    (index,) = [path for path in (three.home / "runs" / NEWEST / "episodes").iterdir() if path.suffix == ".sqlite"]
    index.write_bytes(b"broken" * 1000)
    assert " ? " in told(capsys, "list")
    assert "skill data repair" in told(capsys, "show", "00aa")
    assert "skill data repair" in told(capsys, "compare", "00aa", "7016", code=2)


def test_nothing_in_a_run_steers_the_terminal(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    folder = runs(
        "20261121-093000-learn-insertion-hdmi_a-7016", {"gate": "\x1b[2J"}, variant="\x1b]0;hi\x07", seed="\r"
    )
    assert read_past_run(folder).state == "done"
    runs("20261122-093000-learn-insertion-hdmi_a-7017", {"gate": 0.5}, cell="/\x1b[31m/a.yaml")
    for arguments in (("list",), ("show", "7016"), ("compare", "7016", "7017")):
        text = told(capsys, *arguments)
        assert all(character.isprintable() or character == "\n" for character in text)


# --- show --------------------------------------------------------------------------------------------------------


def test_everything_of_a_run_is_shown(three: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "show", "7016")
    assert shown.splitlines()[1] == "  done, accepted"
    assert "98% (98 of 100; 95 % interval 93% to 99%)" in shown
    folder = three.home / "runs" / "20261121-093000-learn-insertion-hdmi_a-7016"

    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for one in value.values() for leaf in leaves(one)]
        return [value]

    for value in leaves(json.loads((folder / "run.json").read_bytes())):
        assert str(value) in shown
    assert "/bundles/2" in shown
    as_json = json.loads(told(capsys, "show", "7016", "--json"))
    assert as_json["run"] == json.loads((folder / "run.json").read_bytes())
    assert as_json["results"] == json.loads((folder / "results.json").read_bytes())


def test_no_share_is_rounded_to_its_gate(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs("20261121-093000-eval-insertion-hdmi_a-000a", {"acceptance": results(179, 200), "gate": 0.9})
    assert " 89.5% missed " in told(capsys, "list")
    assert " 89.5% (179 of 200; " in told(capsys, "show", "000a")


def test_what_a_run_is_still_to_do_is_told(three: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    shown = told(capsys, "show", "00aa")
    assert "zero-shot                      6 saved, 4 succeeded, peak 30 N" in shown
    assert "next:   skill learn insertion --connector hdmi --resume" in shown
    # As it was typed, where that was noted.
    typed = "skill learn insertion --connector hdmi --seed 4"
    three("20261123-101500-learn-insertion-hdmi_a-00ab", typed=typed)
    assert f"next:   {typed} --resume\n" in told(capsys, "show", "00ab")
    three("20261123-101501-learn-insertion-hdmi_a-00ac", typed=f"{typed} --resume")
    assert f"next:   {typed} --resume\n" in told(capsys, "show", "00ac")


# --- compare -----------------------------------------------------------------------------------------------------


def test_a_difference_is_called_one(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs("20261121-093000-learn-insertion-hdmi_a-000a", {"acceptance": results(70, 100)}, seed=1)
    runs("20261122-093000-learn-insertion-hdmi_a-000b", {"acceptance": results(98, 100)})
    text = told(capsys, "compare", "000a", "000b")
    assert "acceptance test: this is a difference. B has more than A, by 28 points" in text
    assert "95 % interval +18 to +38 points; mid-p below 0.001" in text
    assert "70% (60-78)" in text
    # One run of each says nothing of how they were trained.
    assert "repeat both with other values of --seed" in text
    assert "  seed\n    A  1\n    B  0\n" in text
    back = told(capsys, "compare", "000b", "000a")
    assert "B has less than A, by 28 points" in back
    assert max(map(len, text.splitlines())) <= 80


def test_what_may_be_chance_is_said_to_be_with_what_it_would_take(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs("20261121-093000-learn-insertion-hdmi_a-000a", {"acceptance": results(80, 100)})
    runs("20261122-093000-learn-insertion-hdmi_a-000b", {"acceptance": results(90, 100)})
    text = told(capsys, "compare", "000a", "000b")
    assert "acceptance test: this may be chance. B has 10 points more than A" in text
    assert "each test would need about 200 trials" in text
    assert "Settings: all alike." in text


def test_the_same_share_is_no_difference(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs("20261121-093000-eval-insertion-hdmi_a-000a", {"acceptance": results(5, 5)})
    runs("20261122-093000-eval-insertion-hdmi_a-000b", {"acceptance": results(10, 10)})
    text = told(capsys, "compare", "000a", "000b")
    assert "no difference: both have the same share" in text
    assert "95 % interval -28 to +43 points" in text
    assert "--seed" not in text


def test_settings_are_told_one_by_one_and_what_only_one_run_tells_in_a_line(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = {"acceptance": results(90, 100)}
    control = {"step_m": 0.005, "turn_step_rad": 0.2}
    newer = {"control": control, "cameras": ["left", "right"], "typed": "skill learn", "title": "HDMI", "taught": None}
    runs("20261121-093000-learn-insertion-hdmi_a-000a", whole, packages={"torch": "2.12", "numpy": "2.4"}, **newer)
    runs("20261122-093000-learn-insertion-usb_a-000b", whole, packages={"torch": "2.13", "numpy": "2.4"})
    text = told(capsys, "compare", "000a", "000b")
    assert "  packages.torch\n    A  2.12\n    B  2.13\n" in text
    assert "numpy" not in text
    assert "  Only A tells of: cameras, control.step_m, control.turn_step_rad, taught\n" in text
    assert "Only B" not in text
    # A harder connector is no worse policy.
    assert "The runs are of different connectors,\nwhich alone may make a difference.\n" in text
    assert max(map(len, text.splitlines())) <= 80


def test_two_tests_before_practice_are_not_called_trained_policies(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    runs("20261121-093000-learn-insertion-hdmi_a-000a", {"zero_shot": results(70, 100)})
    runs("20261122-093000-learn-insertion-hdmi_a-000b", {"zero_shot": results(98, 100)})
    text = told(capsys, "compare", "000a", "000b")
    assert "zero-shot test: this is a difference" in text
    assert "trained policies" not in text


def test_shares_of_nothing_say_what_there_was_none_of(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    runs("20261121-093000-eval-insertion-hdmi_a-000a", {"acceptance": results(5, 5), "gate": 0.9})
    shown = told(capsys, "show", "000a")
    assert "failure taken for success    no trial is known to have failed" in shown
    assert "next:   skill report 000a" in shown


def test_figures_of_checks_stand_apart_from_their_names(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    checks = results(3, 10)["success"]
    practice = results(5, 8) | {"checks": {"mean": checks, "false_positives": checks}}
    runs("20261121-093000-learn-insertion-hdmi_a-000a", {"practice": practice})
    lines = told(capsys, "show", "000a").splitlines()
    starts = [line.index("30% (3 of 10") for line in lines if "30% (3 of 10" in line]
    assert len(starts) == 2
    assert len(set(starts)) == 1
    assert any("failure taken for success  30% (3 of 10" in line for line in lines)


def test_without_a_common_test_nothing_is_claimed(three: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    assert "have no test in common" in told(capsys, "compare", "00aa", "1c1c")
    assert "both are the run" in told(capsys, "compare", "00aa", NEWEST, code=2)


def test_what_people_corrected_counts_in_every_figure_and_leaves_the_verdict(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    sides = []
    for name in ("000a", "000b"):
        done = {"acceptance": results(10, 10), "gate": 0.9, "accepted": True}
        folder = runs(f"20261121-093000-learn-insertion-hdmi_a-{name}", done)
        runs.save(folder, "acceptance", [20.0] * 10, seated=10)
        sides.append(folder)
    assert "*" not in told(capsys, "list")
    with EpisodeStore(sides[0] / "episodes") as store:
        for row in store.rows()[:6]:
            store.relabel(row.id, False, who="ada")
    found = compared(*(read_past_run(folder) for folder in sides))
    shares = {one.title: one.difference for one in found.shares}
    assert (shares["acceptance test"].first.hits, shares["acceptance test"].second.hits) == (4, 10)
    assert (shares["false positives"].first.hits, shares["false positives"].first.trials) == (6, 6)
    assert {one.title: one.difference.first.count for one in found.measures}["steps in success"] == 4
    listed = " ".join(told(capsys, "list").split())
    assert " 40% passed* " in listed
    assert "by labels that people corrected since, otherwise" in listed
    assert told(capsys, "show", "000a").splitlines()[1] == "  done, accepted"


def test_steps_and_forces_come_from_the_episodes(runs: Runs, capsys: pytest.CaptureFixture[str]) -> None:
    sides = []
    for name, forces in (("000a", [20.0, 21.0, 22.0, 23.0]), ("000b", [40.0, 41.0, 42.0, 43.0])):
        folder = runs(f"20261121-093000-learn-insertion-hdmi_a-{name}")
        runs.save(folder, "acceptance", forces, seated=3)
        runs.save(folder, "practice", [5.0] * 8, seated=8)
        sides.append(read_past_run(folder))
    found = compared(*sides)
    by_title = {one.title: one.difference for one in found.measures}
    assert by_title["peak force"].first.value == 21.5
    assert by_title["peak force"].second.greatest == 43.0
    assert by_title["peak force"].is_difference
    assert by_title["steps in success"].first.count == 3
    shares = {one.title: one.difference for one in found.shares}
    assert (shares["acceptance test"].first.hits, shares["acceptance test"].first.trials) == (3, 4)
    # Of trials 0 to 7, numbers 2 and 6 are acted without noise.
    assert shares["practice, checks"].first.trials == 2
    assert found.main is not None
    assert found.main.title == "acceptance test"
    assert "greatest, N" in told(capsys, "compare", "000a", "000b")
    assert json.loads(told(capsys, "compare", "000a", "000b", "--json"))["means"]["peak force"]["unit"] == "N"
