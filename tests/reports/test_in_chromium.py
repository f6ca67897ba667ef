"""Reports in a browser: on a desk, on a phone, in the dark and on paper."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from skillcore.bench.conditions import load_conditions
from skillcore.bench.jobs import Job
from skillcore.reports.bench_report import write_bench_report
from skillcore.reports.report import write_report

ROOT = Path(__file__).parents[2]
PRETRAINED = ROOT / "skills" / "skillcore_insertion" / "pretrained"

# What sticks out of the page, or is cut off within it.
STICKS_OUT = """
[...document.querySelectorAll('body *')].filter(one => {
  const box = one.getBoundingClientRect();
  return box.right > document.documentElement.clientWidth + 0.5 || box.left < -0.5;
}).map(one => one.tagName + ' ' + one.className + ' ' + (one.textContent || '').slice(0, 30))
"""
SMALLEST_LETTERS = """
Math.min(...[...document.querySelectorAll('svg.chart text')].map(one => one.getBoundingClientRect().height))
"""
COLOURS = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"


@pytest.fixture
def bench_page(tmp_path: Path, write_result: Callable[..., None]) -> Path:
    """The report of the shipped conditions, with something in every table."""
    chosen = load_conditions(ROOT / "benchmarks" / "paper.yaml")
    rate = {"hits": 60, "trials": 100}
    for number, variant in enumerate(chosen.variants):
        searches = dict.fromkeys(("localize", "straight", "random", "spiral"), rate)
        learned: dict[str, Any] = dict.fromkeys(("offline", "online", "false_positives", "false_negatives"), rate)
        for scenario in chosen.scenarios:
            write_result(tmp_path, Job("searches", (scenario, variant), 0), **searches)
            practice = [trial % 3 > 0 for trial in range(100 + number)]
            write_result(tmp_path, Job("learning", (scenario, variant), 0), **learned, practice=practice)
    assert chosen.reward is not None
    figures = {"recall": 0.9, "false_positives": 0.01, "balanced_accuracy": 0.95}
    for seed in (0, 1):
        for split in chosen.reward.splits:
            for model in chosen.reward.models:
                told: dict[str, Any] = {"at threshold": figures, "at 0.5": figures, "area_under_roc": 0.9 + 0.01 * seed}
                write_result(tmp_path, Job("reward", (split, model), seed), **told, threshold=0.7, curve=[])
    return write_bench_report(chosen, PRETRAINED, tmp_path, command="skill bench paper")


@pytest.fixture(params=["run", "bench"])
def page(request: pytest.FixtureRequest) -> Path:
    if request.param == "bench":
        return Path(request.getfixturevalue("bench_page"))
    return write_report(request.getfixturevalue("whole_run"))


@pytest.mark.parametrize("width_px", [390, 1200])
def test_nothing_sticks_out_and_nothing_is_fetched(page: Path, browser: Any, width_px: int, tmp_path: Path) -> None:
    browser.open(page, width_px=width_px)
    assert browser.value("document.documentElement.scrollWidth") == width_px
    assert browser.value(STICKS_OUT) == []
    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.value("[...document.images].every(one => one.complete && one.naturalWidth > 0)") is True
    assert browser.value(SMALLEST_LETTERS) >= 11.0
    shot = cv2.imread(str(browser.screenshot(tmp_path / "page.png")))
    assert shot is not None
    assert shot.shape[:2] == (browser.value("document.documentElement.scrollHeight"), width_px)
    assert float(np.std(shot)) > 10.0


def test_dark_is_dark_and_light_is_light(page: Path, browser: Any) -> None:
    def brightness(dark: bool) -> list[float]:
        browser.open(page, width_px=1200, dark=dark)
        return [float(np.mean([int(part) for part in colour[4:-1].split(",")])) for colour in browser.value(COLOURS)]

    paper, ink = brightness(dark=False)
    assert paper > 240
    assert ink < 60
    paper, ink = brightness(dark=True)
    assert paper < 40
    assert ink > 200


def test_it_prints_on_light_paper_also_in_the_dark(page: Path, browser: Any) -> None:
    browser.open(page, width_px=1200, dark=True)
    browser("Emulation.setEmulatedMedia", media="print")
    assert browser.value(COLOURS)[0] == "rgb(255, 255, 255)"
    printed = browser.pdf()
    assert printed.startswith(b"%PDF")
    assert len(printed) > 20_000
    browser("Emulation.setEmulatedMedia", media="")


def test_saliency_is_printed_on_one_page_with_its_heading(whole_run: Path, browser: Any) -> None:
    _, png = cv2.imencode(".png", np.zeros((1500, 560, 3), np.uint8))

    def pages(path: Path, *, wide_in: float, high_in: float) -> int:
        browser.open(path, width_px=1200)
        printed = browser.pdf(wide_in, high_in)
        return len(re.findall(rb"/Type /Page\b", printed))

    for paper in ({"wide_in": 8.27, "high_in": 11.69}, {"wide_in": 8.5, "high_in": 11.0}):
        without = pages(write_report(whole_run), **paper)
        assert without >= 3
        shown = write_report(whole_run, explain=lambda data: (bytes(png), ""))
        assert pages(shown, **paper) == without + 1


def test_a_script_that_came_in_would_not_run(whole_run: Path, browser: Any) -> None:
    path = write_report(whole_run)
    text = path.read_text(encoding="utf-8")
    smuggled = "<script>document.title = 'caught'</script><img src='http://127.0.0.1:9/x.png'></footer>"
    path.write_text(text.replace("</footer>", smuggled), encoding="utf-8")
    browser.open(path, width_px=1200)
    assert browser.value("document.title") == "HDMI type A: not accepted"
    assert browser.value("document.images[document.images.length - 1].naturalWidth") == 0
