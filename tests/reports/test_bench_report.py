"""The report of an evaluation: what is finished, beside what is published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from skillcore.bench.conditions import Conditions
from skillcore.bench.jobs import Job
from skillcore.reports.bench_report import content_of, write_bench_report

ROOT = Path(__file__).parents[2]
PRETRAINED = ROOT / "skills" / "skillcore_insertion" / "pretrained"
Write = Callable[..., None]


def conditions(**changes: Any) -> Conditions:
    chosen = {
        "schema": 1,
        "skill": "insertion",
        "cell": "sim",
        "variants": ("one", "two"),
        "scenarios": ("I",),
        "methods": ("straight", "offline", "online"),
        "seeds": (0,),
        "trials": 10,
        "practice": 50,
        "published": {"I": {"one": {"straight": 5, "online": 20}}},
    }
    return Conditions.model_validate(chosen | changes)


def rate(hits: int, trials: int = 10) -> dict[str, int]:
    return {"hits": hits, "trials": trials}


def content(chosen: Conditions, out: Path) -> dict[str, Any]:
    return content_of(chosen, PRETRAINED, out, command="skill bench paper")


def test_before_anything_is_finished(tmp_path: Path) -> None:
    page = write_bench_report(conditions(), PRETRAINED, tmp_path, command="skill bench paper").read_text()
    assert "0 of 4 parts are done." in page
    assert "No test of a policy is finished yet." in page
    assert "nan" not in page.replace("finance", "")


def test_ours_stand_beside_what_is_published(tmp_path: Path, write_result: Write) -> None:
    write_result(tmp_path, Job("searches", ("I", "one"), 0), straight=rate(2))
    before = {"false_positives": rate(0, 5), "false_negatives": rate(1, 5)}
    practice = {"false_positives": rate(2, 25), "false_negatives": rate(0, 25)}
    after = {"false_positives": rate(1, 1), "false_negatives": rate(0, 9)}
    learned = {
        "offline": rate(5),
        "online": rate(9),
        "judged": {"before": before, "practice": practice, "after": after},
    }
    write_result(tmp_path, Job("learning", ("I", "two"), 0), **learned, practice=[False] * 25 + [True] * 25)
    found = content(conditions(), tmp_path)
    assert (found["finished"], found["jobs"]) == (2, 4)
    (table,) = found["tables"]
    assert table.columns == ("straight", "offline", "online")
    rows = {row.name: [(cell.value, cell.published, cell.more) for cell in row.cells] for row in table.rows}
    assert rows["one"] == [("20", "(25)", ""), ("–", "", ""), ("–", "(100)", "")]
    assert rows["two"] == [("–", "", ""), ("50", "", ""), ("90", "", "")]
    # Nothing is in common yet, so that nothing that is published stands beside the sums.
    assert rows["all"] == [("20", "", "6–51"), ("50", "", "24–76"), ("90", "", "60–98")]
    assert [cell.tests for cell in table.rows[-1].cells] == ["1 test"] * 3
    assert "Trials run: 25, 25." in table.drawn
    assert "no interval" not in table.drawn
    assert 'class="chart"' in table.drawing
    before, after = found["headlines"]
    assert (before.rate.hits, after.rate.hits, after.published, after.connectors) == (5, 9, 1.0, 1)
    assert (found["judged"].false_positives.hits, found["judged"].false_negatives.trials) == (1, 9)
    told = {row.name: [(cell.value, cell.tests) for cell in row.cells] for row in found["judged_table"].rows}
    assert told == {
        "before practice": [("90.0", ""), ("0.0", "0 of 5"), ("20.0", "1 of 5")],
        "after practice": [("50.0", ""), ("100.0", "1 of 1"), ("0.0", "0 of 9")],
        "both tests": [("88.1", ""), ("16.7", "1 of 6"), ("7.1", "1 of 14")],
        "in practice": [("96.0", ""), ("8.0", "2 of 25"), ("0.0", "0 of 25")],
    }
    page = write_bench_report(conditions(), PRETRAINED, tmp_path, command="skill bench paper").read_text()
    assert "published of 1 of the 2 connectors: 100%" in page


def test_reward_models_and_what_is_left_out_have_tables(tmp_path: Path, write_result: Write) -> None:
    reward = {
        "reward_model": "daib",
        "splits": {"few": {"train": 2, "choose": 1, "test": 1}},
        "models": {"DAIB": {}, "ERM": {}},
        "cells": ("sim",),
        "episodes": 2,
        "seeds": (0, 1),
        "published": {"DAIB": 88},
        "published_split": "few",
    }
    ablation = {"arms": {"<all>": {"recipe": {}}}, "variants": ("one",), "scenarios": ("I",), "seeds": (0,)}
    ablation |= {"cells": ("sim",), "published": {"I": {"<all>": 40}}}
    chosen = conditions(reward=reward, ablation=ablation)
    assert content(chosen, tmp_path)["reward_tables"] == []
    assert content(chosen, tmp_path)["ablation"] is None
    for seed, recall in ((0, 0.9), (1, 0.8)):
        figures = {"recall": recall, "false_positives": 0.0, "balanced_accuracy": 0.5 * (1 + recall)}
        told: dict[str, Any] = {"at threshold": figures, "at 0.5": figures, "area_under_roc": 0.9, "threshold": 0.7}
        write_result(tmp_path, Job("reward", ("few", "DAIB"), seed), **told)
    write_result(tmp_path, Job("ablation", ("<all>", "I", "one"), 0), offline=rate(1), online=rate(7))
    found = content(chosen, tmp_path)
    (table,) = found["reward_tables"]
    daib, erm = table.rows
    assert (daib.cells[0].value, daib.cells[0].more) == ("92.5", "±31.8")
    assert [cell.value for cell in daib.cells[-2:]] == ["88", "2"]
    assert erm.cells[0].value == "–"
    (arm,) = found["ablation"].rows
    assert [(cell.value, cell.published) for cell in arm.cells] == [("10", ""), ("70", "(50)")]
    page = write_bench_report(chosen, PRETRAINED, tmp_path, command="skill bench paper").read_text()
    assert "&lt;all&gt;" in page


def test_a_bundle_that_is_gone_is_told(tmp_path: Path) -> None:
    from skillcore.errors import BundleError

    with pytest.raises(BundleError):
        write_bench_report(conditions(), tmp_path / "gone", tmp_path, command="skill bench paper")
