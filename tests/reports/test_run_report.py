"""The report of a run: what it says of finished and unfinished runs, and where something is missing."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.errors import InputError
from skillcore.reports import run_saliency
from skillcore.reports.filmstrips import chosen
from skillcore.reports.moments import FRAMES, frames_of
from skillcore.reports.report import verdict_of, write_report
from skillcore.reports.run_data import read_run_data
from skillcore.reports.run_saliency import explained
from skillcore.types import Episode

Make = Callable[..., Episode]
MakeRun = Callable[..., Path]
PRETRAINED = Path(__file__).parents[2] / "skills" / "skillcore_insertion" / "pretrained"
JARGON = re.compile(r"\b(None|nan|NaN|Traceback|Error|undefined|inf|True|False(?! positive)|dict|float)\b")


class Text(HTMLParser):
    """What a person reads of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._is_style = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self._is_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._is_style = False

    def handle_data(self, data: str) -> None:
        if not self._is_style:
            self.words.append(data)


def read(path: Path) -> str:
    """The page's text in one line; fails on words that nobody at a line should have to read."""
    reader = Text()
    reader.feed(path.read_text(encoding="utf-8"))
    text = " ".join(" ".join(reader.words).split()).replace("\N{NO-BREAK SPACE}", " ")
    assert not JARGON.search(text), JARGON.search(text)
    return text


def successes(make_episode: Make, count: int, source: str = "acceptance", **more: Any) -> list[Episode]:
    fields = {"outcome": "success", "truth": 1} | more
    return [make_episode(source, number, **fields) for number in range(count)]


def test_corrected_labels_are_counted_and_told_of(make_episode: Make, make_run: MakeRun) -> None:
    results = {"gate": 0.9, "accepted": True, "scenario": "I"}
    run = make_run(successes(make_episode, 20, truth=-1), results=results)
    with EpisodeStore(run / "episodes") as store:
        for row in store.rows()[:2]:
            store.relabel(row.id, False, who="ada")
    text = read(write_report(run))
    assert "18 of 20 acceptance trials succeeded" in text
    assert "People have corrected the labels of 2 trials afterwards" in text
    assert "the verdict is that of the run's end." in text
    assert "In 2 acceptance trials the reward model took a failure for a success" in text
    assert "Reward model wrong: failure taken for success" in text
    assert "People have said of some trials how they really ended" in text


def test_a_verdict_that_corrections_belie_stays_and_says_so(make_episode: Make, make_run: MakeRun) -> None:
    results = {"gate": 0.9, "accepted": True, "scenario": "I"}
    run = make_run(successes(make_episode, 20, truth=-1, steps=1), results=results)
    with EpisodeStore(run / "episodes") as store:
        for row in store.rows()[:10]:
            store.relabel(row.id, False, who="ada")
    text = read(write_report(run))
    assert "✔ Accepted 10 of 20" in text
    assert "by what they say it would be the other way round: test again." in text


def test_a_real_cell_whose_trials_people_judged_is_no_simulated_one(make_episode: Make, make_run: MakeRun) -> None:
    trials = [*successes(make_episode, 19, truth=-1), make_episode("acceptance", 19, truth=-1)]
    run = make_run(trials, results={"gate": 0.9, "accepted": True}, command="eval")
    with EpisodeStore(run / "episodes") as store:
        for row in store.rows():
            store.relabel(row.id, row.outcome == "success", who="ada")
    text = read(write_report(run))
    assert "imulat" not in text
    assert "15 s were measured" in text
    assert "People have said of every trial how it really ended." in text
    assert "Acceptance 20 trials" in text
    assert "nothing else in this cell knows" not in text


# --- what it says ---------------------------------------------------------------------------------------------------


def test_a_whole_run_is_told_with_its_verdict_first(whole_run: Path) -> None:
    path = write_report(whole_run)
    assert path == whole_run / "report.html"
    text = read(path)
    assert text.index("✘ Not accepted") < text.index("Success 85%") < text.index("How many trials succeeded")
    assert "17 of 20 acceptance trials succeeded; 90% are asked for." in text
    assert "between 64% and 95%" in text
    assert "So it may be as good as what is asked for" in text
    assert "In 1 acceptance trial the reward model took a failure for a success" in text
    assert "1 acceptance trial was aborted" in text
    assert "1.0 s 10.0 steps at 10 a second, mean of the successes" in text
    # The reward model: of 17 seated ones 16 were seen, of the three others one was taken for a success.
    assert "Acceptance 20 trials taken for success not taken for success really seated ✔ 16 ✘ 1" in text
    assert "not seated ✘ 1 false positive ✔ 2" in text
    assert "Command skill learn insertion --connector hdmi Skill insertion" in text
    assert "0.680, lowest with 1% false positives" in text
    assert "torch 2.13.0" in text
    assert "ab" * 32 in text
    # What a device says is text, and stays text.
    assert "The arm reports a fault: <b>protective</b> stop." in text
    assert "<b>protective" not in path.read_text(encoding="utf-8")


def test_an_accepted_run_without_a_failure(make_run: MakeRun, make_episode: Make) -> None:
    run = make_run(successes(make_episode, 60), results={"gate": 0.9, "accepted": True}, command="eval")
    text = read(write_report(run))
    assert "✔ Accepted 60 of 60 acceptance trials succeeded" in text
    assert "may still be less" not in text
    assert "no acceptance trial failed, so that none could be taken for a success" in text
    assert "No trial failed, and the reward model erred in none." in text
    assert "Test of the skill insertion" in text
    assert "How many trials succeeded" not in text
    assert "The bundle is no longer where it was" in text
    assert "Before practice" not in text


def test_a_success_that_was_not_seen_is_not_called_a_failure(
    whole_run: Path, make_run: MakeRun, make_episode: Make
) -> None:
    said = "A success that was not seen counts as a success above"
    assert said in read(write_report(whole_run))
    missed = [make_episode("acceptance", number) for number in range(3)]
    assert said not in read(write_report(make_run(missed, results={"gate": 0.9}, name="missed")))


def test_few_trials_are_said_to_be_few(make_run: MakeRun, make_episode: Make) -> None:
    run = make_run(successes(make_episode, 5), results={"gate": 0.9, "accepted": True})
    assert "So it may still be less than what is asked for" in read(write_report(run))


def test_no_share_is_rounded_to_what_is_asked_for(make_run: MakeRun, make_episode: Make) -> None:
    trials = [make_episode("acceptance", n, truth=n < 17, steps=1, outcome="success") for n in range(19)]
    text = read(write_report(make_run(trials, results={"gate": 0.89, "accepted": True})))
    assert "17 of 19 acceptance trials succeeded; 89% are asked for." in text
    assert "Success 89.5% " in text


def test_an_unfinished_run_says_how_far_it_is(make_run: MakeRun, make_episode: Make) -> None:
    run = make_run(successes(make_episode, 3, "zero-shot"), results=None)
    text = read(write_report(run))
    assert "… Not finished So far there are 3 trials of the test before practice. Nothing is decided." in text
    assert "Nothing was practised." in text
    assert "There is no acceptance or practice trial yet." in text
    data = read_run_data(run)
    assert verdict_of(data).state == "unfinished"


def test_a_real_cell_has_no_truth_and_says_so(make_run: MakeRun, make_episode: Make) -> None:
    trials = [*successes(make_episode, 9, truth=-1), make_episode("acceptance", 9, truth=-1)]
    text = read(write_report(make_run(trials, results={"gate": 0.5, "accepted": True})))
    assert "nothing else in this cell knows whether a plug is seated" in text
    assert "False positives not known" in text
    assert "so that its errors cannot be counted here" in text
    # Trials began every 15 s.
    assert "15 s were measured" in text
    assert "in a simulated cell" not in text


def test_nothing_succeeded(make_run: MakeRun, make_episode: Make) -> None:
    trials = [make_episode("acceptance", number, peak_force_n=0.0) for number in range(4)]
    text = read(write_report(make_run(trials, results={"gate": 0.9, "accepted": False}, socket=None, limits=None)))
    assert "✘ Not accepted 0 of 4" in text
    assert "Time of an insertion none no trial succeeded" in text
    assert "a miss and a jam cannot be told apart" in text
    assert "The limits of the cell were not recorded." in text


def test_scores_that_were_never_given_are_left_out(make_run: MakeRun, make_episode: Make) -> None:
    trials = [make_episode("acceptance", 0, score=float("nan"), steps=0)]
    text = read(write_report(make_run(trials, results={"gate": 0.9})))
    assert "step 0 0 N" in text


def test_long_practice_is_drawn_in_fewer_points(make_run: MakeRun, make_episode: Make) -> None:
    trials = [make_episode("practice", number, outcome="success", truth=1, steps=0) for number in range(401)]
    text = read(write_report(make_run(trials, results=None)))
    assert "practice, each 50 trials" in text


def test_a_run_written_by_a_hostile_hand_stays_text(make_run: MakeRun, make_episode: Make) -> None:
    evil = "<script>alert(1)</script><img src=http://example.com/x>"
    run = make_run(
        [make_episode("acceptance", 0, outcome="aborted", note=evil)], results={"gate": 0.9}, title=evil, typed=evil
    )
    page = write_report(run).read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<img src=http" not in page
    assert html.escape(evil, quote=False) in page


def test_a_picture_of_saliency_gets_a_section_of_its_own(whole_run: Path) -> None:
    assert "What it looks at" not in read(write_report(whole_run))
    _, png = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))
    path = write_report(whole_run, explain=lambda data: (bytes(png), ""))
    assert "What it looks at" in read(path)
    assert 'class="sheet" src="data:image/png;base64,' in path.read_text(encoding="utf-8")
    assert "It cannot be shown." in read(write_report(whole_run, explain=lambda data: (None, "It cannot be shown.")))


def test_a_bundle_that_cannot_be_read_costs_no_report(whole_run: Path) -> None:
    assert "Where the policy looked cannot be shown" in read(write_report(whole_run, explain=explained))


def test_views_have_the_names_that_the_run_noted(
    make_run: MakeRun, make_episode: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[str, ...]] = []

    def png(*_: Any, views: tuple[str, ...], **__: Any) -> bytes:
        drawn.append(views)
        return b"png"

    monkeypatch.setattr(run_saliency, "can_explain", lambda: True)
    monkeypatch.setattr(run_saliency, "load_bundle", lambda *_, **__: SimpleNamespace(brain=None))
    monkeypatch.setattr(run_saliency, "saliency_png", png)
    # The cell's file is not there any more, and an older run noted fewer cameras than it has views.
    for name, cameras in (("new", ["port", "starboard", "third"]), ("old", ["port"])):
        episodes = successes(make_episode, 1, steps=1)
        run = make_run(episodes, results={"gate": 0.9}, name=name, cameras=cameras, bundle=str(PRETRAINED))
        assert explained(read_run_data(run)) == (b"png", "")
    assert drawn == [("port", "starboard"), ("port", "camera 2")]


def test_it_asks_nobody_for_anything(whole_run: Path) -> None:
    page = write_report(whole_run).read_text(encoding="utf-8")
    assert "://" not in page
    assert not re.search(r"<(script|link|iframe|object|embed|form|base)\b|@import|url\(", page)
    sources = re.findall(r'src="([^"]{0,40})', page)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)


# --- film strips ----------------------------------------------------------------------------------------------------


def test_strips_show_every_kind_and_late_practice(whole_run: Path) -> None:
    shown = [
        (part.source, trial.result.number, trial.reason.kind)
        for part, trial in chosen(read_run_data(whole_run))
        if trial.reason is not None
    ]
    assert shown[:4] == [
        ("acceptance", 16, "false_positive"),
        ("acceptance", 17, "not_seen"),
        ("acceptance", 18, "aborted"),
        ("acceptance", 19, "timeout"),
    ]
    assert shown[4:] == [("practice", number, "jammed") for number in (57, 54, 51, 48)]
    page = write_report(whole_run).read_text(encoding="utf-8")
    assert page.count('<section class="strip">') == 8
    assert page.count("<li><img") == 8 * FRAMES


@pytest.mark.parametrize("steps", [0, 1, 7, 8, 9, 20, 300])
def test_frames_are_the_first_the_last_and_more_of_the_end(steps: int) -> None:
    frames = frames_of(steps)
    assert len(frames) == min(FRAMES, steps + 1)
    assert frames == sorted(set(frames))
    assert (frames[0], frames[-1]) == (0, steps)
    if steps >= 20:
        assert frames[-1] - frames[-2] < frames[1] - frames[0]


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "changed", "told"),
    [
        ("run.json", {"command": "run"}, "is a run of 'run', of which no report is made"),
        ("run.json", {"variant": 3}, "variant is no text"),
        ("run.json", {"socket": {"from_base": [1, 2], "depth_m": 0.01}}, "socket.from_base is not six numbers"),
        ("run.json", {"socket": {"from_base": [0] * 6, "depth_m": "deep"}}, "depth_m is no number"),
        ("run.json", {"limits": [1]}, "force_n is no number"),
        ("results.json", {"gate": None}, "gate is no number"),
    ],
)
def test_a_damaged_run_is_named(whole_run: Path, file: str, changed: dict[str, Any], told: str) -> None:
    path = whole_run / file
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(InputError, match=re.escape(told)):
        write_report(whole_run)
    assert not (whole_run / "report.html").exists()


def test_a_run_without_trials_is_told(make_run: MakeRun) -> None:
    with pytest.raises(InputError, match="there is no trial in it yet"):
        write_report(make_run([], results=None))


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_command_makes_it_anew_and_says_where(
    whole_run: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(whole_run)]) == 0
    assert f"report: {whole_run / 'report.html'}\n" in capsys.readouterr().out
    # By its name, from the home.
    shutil.copytree(whole_run, home / "runs" / "20260504-095900-learn-insertion-hdmi_a-0000")
    assert main(["report", "20260504-095900-learn-insertion-hdmi_a-0000"]) == 0
    assert list(home.glob("runs/*/report.html"))


def test_the_command_names_what_is_wrong(tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "is no run: there is no run.json" in err
    assert "Traceback" not in err


def test_a_report_that_cannot_be_made_does_not_end_the_command(
    whole_run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from skillcore.cli.report import report_of

    with EpisodeStore(whole_run / "episodes", create=False) as store:
        store.path(store.rows()[0].id).write_bytes(b"PAR1 damaged")
    assert str(report_of(whole_run)).startswith("none; once that is mended: skill report ")
    assert "no report was made: " in capsys.readouterr().err
