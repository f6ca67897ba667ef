"""The paper's tables: conditions, what is left to run, and what is made of results."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from skillcore.bench.conditions import Conditions, load_conditions
from skillcore.bench.scenarios import Job, jobs_of, result_of
from skillcore.bench.tables import curve_of, scores_of, table_of, write_csv
from skillcore.errors import ConfigError
from skillcore.plugins import Registry

ROOT = Path(__file__).parents[2]


def conditions(**changes: Any) -> Conditions:
    given = {
        "schema": 1,
        "skill": "insertion",
        "cell": "sim",
        "variants": ("one", "two"),
        "scenarios": ("I",),
        "seeds": (0, 1),
        "trials": 10,
        "practice": 50,
        "published": {"I": {"one": {"straight": 5, "online": 20}}},
    }
    return Conditions.model_validate(given | changes)


def write(out: Path, job: Job, **found: Any) -> None:
    (out / "results").mkdir(exist_ok=True, parents=True)
    (out / "results" / f"{job.name}.json").write_text(json.dumps(found))


def rate(hits: int) -> dict[str, int]:
    return {"hits": hits, "trials": 10}


def test_the_shipped_conditions_name_held_out_connectors_and_all_methods() -> None:
    from skillcore.parts import Context

    found = load_conditions(ROOT / "benchmarks" / "paper.yaml")
    skill = Registry.discover().make("skills", "insertion", {}, Context())
    variants = [skill.variant(name) for name in found.variants]
    assert all(variant.split == "held_out" for variant in variants)
    assert len({variant.family for variant in variants}) >= 8
    assert [variant.name for variant in variants] == list(found.variants)
    assert (len(found.seeds), found.trials, found.practice) == (3, 100, 200)
    for scenario in found.scenarios:
        assert set(found.published[scenario]) <= set(found.variants)
    # The paper's own sums.
    sums = {method: sum(one[method] for one in found.published["I"].values()) for method in found.methods}
    assert sums == {"localize": 12, "straight": 7, "random": 14, "spiral": 26, "offline": 33, "online": 65}
    sums = {method: sum(one[method] for one in found.published["II"].values()) for method in found.methods}
    assert sums == {"localize": 0, "straight": 1, "random": 0, "spiral": 17, "offline": 8, "online": 70}


def test_a_method_that_is_none_is_told(tmp_path: Path) -> None:
    text = (ROOT / "benchmarks" / "paper.yaml").read_text().replace("methods: [localize", "methods: [localise")
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ConfigError, match="methods"):
        load_conditions(tmp_path / "own.yaml")


def test_jobs_are_every_combination_seed_by_seed() -> None:
    jobs = jobs_of(conditions())
    assert len(jobs) == len({job.name for job in jobs}) == 8
    assert [job.seed for job in jobs] == [0] * 4 + [1] * 4
    assert {job.kind for job in jobs_of(conditions(methods=("online",)))} == {"learning"}
    assert {job.kind for job in jobs_of(conditions(methods=("spiral",)))} == {"searches"}
    assert len(jobs_of(conditions().smallest())) == 2


def test_what_is_finished_is_found_and_pooled(tmp_path: Path) -> None:
    chosen = conditions()
    write(tmp_path, Job("I", "one", 0, "searches"), straight=rate(2), spiral=rate(1))
    write(tmp_path, Job("I", "one", 1, "searches"), straight=rate(4), spiral=rate(0))
    write(tmp_path, Job("I", "two", 0, "learning"), offline=rate(5), online=rate(10), practice=[False] * 25)
    assert result_of(tmp_path, Job("I", "two", 1, "learning")) is None
    scores = scores_of(chosen, tmp_path)
    assert {(one.variant, one.seed, one.method, one.rate.hits) for one in scores} == {
        ("one", 0, "straight", 2),
        ("one", 0, "spiral", 1),
        ("one", 1, "straight", 4),
        ("one", 1, "spiral", 0),
        ("two", 0, "offline", 5),
        ("two", 0, "online", 10),
    }
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table_of(chosen, scores, "I"))
    lines = console.export_text().splitlines()
    one, two = (next(line for line in lines if f" {name} " in line) for name in ("one", "two"))
    assert [cell.strip() for cell in one.split("│")[1:-1]] == ["one", "-", "30 (25)", "-", "5", "-", "- (100)"]
    assert [cell.strip() for cell in two.split("│")[1:-1]] == ["two", "-", "-", "-", "-", "50", "100"]
    write_csv(chosen, scores, tmp_path / "all.csv")
    rows = (tmp_path / "all.csv").read_text().splitlines()
    assert "I,one,straight,0,2,10,5,20" in rows
    assert "I,two,online,0,10,10,," in rows


def test_practice_that_ended_early_goes_on_as_it_was(tmp_path: Path) -> None:
    chosen = conditions()
    write(tmp_path, Job("I", "one", 0, "learning"), practice=[False] * 20 + [True] * 10)
    write(tmp_path, Job("I", "two", 0, "learning"), practice=[False] * 50)
    first, second = curve_of(chosen, tmp_path, "I")
    assert (first.hits, first.trials) == (5, 50)
    # Five trials of the one that ended, and all of the other.
    assert (second.hits, second.trials) == (5, 30)
    assert curve_of(chosen, tmp_path, "II") == []
