"""The paper's tables: conditions, what is left to run, and what is made of results."""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from skillcore.bench.ablation import ablation_table, policy_from, rates_of
from skillcore.bench.ablation import jobs_of as ablation_jobs
from skillcore.bench.conditions import Ablation, Conditions, RewardStudy, Split, load_conditions, paper_conditions
from skillcore.bench.jobs import Job, result_of
from skillcore.bench.judged import Judged, judged_of, judged_table, write_judged_csv
from skillcore.bench.plots import plot_practice, plot_rewards
from skillcore.bench.results_folder import check_same
from skillcore.bench.reward_tables import reward_table, write_reward_csv
from skillcore.bench.rewards import BUNDLES, CURVE, draw_sets
from skillcore.bench.rewards import jobs_of as reward_jobs
from skillcore.bench.scenarios import jobs_of
from skillcore.bench.tables import (
    PAPERS_WAY,
    Chunk,
    curve_in_words,
    curve_of,
    scores_of,
    summaries,
    table_of,
    write_csv,
)
from skillcore.errors import ConfigError, InputError
from skillcore.learning import runs
from skillcore.learning.checks import is_check
from skillcore.learning.evaluate import Rate
from skillcore.plugins import Registry
from skillcore.skill import VariantEntry

ROOT = Path(__file__).parents[2]


def conditions(**changes: Any) -> Conditions:
    chosen = {
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
    return Conditions.model_validate(chosen | changes)


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
    write(tmp_path, Job("searches", ("I", "one"), 0), straight=rate(2), spiral=rate(1))
    write(tmp_path, Job("searches", ("I", "one"), 1), straight=rate(4), spiral=rate(0))
    write(tmp_path, Job("learning", ("I", "two"), 0), offline=rate(5), online=rate(10), practice=[False] * 25)
    assert result_of(tmp_path, Job("learning", ("I", "two"), 1)) is None
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
    write(tmp_path, Job("learning", ("I", "one"), 0), practice=[False] * 20 + [True] * 10)
    write(tmp_path, Job("learning", ("I", "two"), 0), practice=[False] * 50)
    # Of the second chunk, five trials of the one that ended, and all of the other.
    assert curve_of(chosen, tmp_path, "I") == [Chunk(Rate(5, 50), 0.1, 0), Chunk(Rate(5, 30), 5 / 30, 0)]
    assert curve_of(chosen, tmp_path, "II") == []


def test_trials_that_were_never_run_make_no_interval(tmp_path: Path) -> None:
    chosen = conditions(practice=200)
    write(tmp_path, Job("learning", ("I", "one"), 0), practice=[True] * 25)
    write(tmp_path, Job("learning", ("I", "two"), 0), practice=[False] * 75)
    curve = curve_of(chosen, tmp_path, "I")
    # What ended counts on, so that the others do not seem to forget; where nothing goes on, the curve ends.
    assert curve == [Chunk(Rate(25, 50), 0.5, 0), *[Chunk(Rate(0, 25), 0.5, 1)] * 2]
    words = curve_in_words(curve)
    assert words.startswith("50%, 50%*, 50%*; trials run: 50, 25, 25; * with runs that had ended before")
    assert "*" not in curve_in_words(curve[:1])


def test_trials_without_noise_have_a_curve_of_their_own(tmp_path: Path) -> None:
    chosen = conditions()
    write(tmp_path, Job("learning", ("I", "one"), 0), practice=[is_check(number) for number in range(30)])
    first, second = curve_of(chosen, tmp_path, "I", without_noise=True)
    # Of 2, 6, 10, ... six are less than 25; the last chunk has but one of its own.
    assert (first.rate, second.rate) == (Rate(6, 6), Rate(1, 1))
    assert curve_of(chosen, tmp_path, "I")[0].rate.hits == 6


def test_only_what_all_columns_have_stands_beside_each_other(tmp_path: Path) -> None:
    chosen = conditions(methods=("straight", "online"))
    for seed in (0, 1):
        write(tmp_path, Job("searches", ("I", "one"), seed), straight=rate(1 + seed))
        write(tmp_path, Job("searches", ("I", "two"), seed), straight=rate(9))
    write(tmp_path, Job("learning", ("I", "one"), 0), online=rate(7))

    def found() -> dict[str, list[Any]]:
        rows = summaries(chosen, scores_of(chosen, tmp_path), "I", chosen.methods)
        return {row.name: [(one.rate, one.tested, one.published_hits) for one in row.sums] for row in rows}

    assert found() == {
        "all": [(Rate(21, 40), "4 tests", None), (Rate(7, 10), "1 test", None)],
        "in common": [(Rate(1, 10), "1 test", 5), (Rate(7, 10), "1 test", 20)],
    }
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table_of(chosen, scores_of(chosen, tmp_path), "I"))
    text = " ".join(console.export_text().split())
    assert "of one; seeds: 0." in text
    assert "take the trials of one trained policy as independent" in text
    # What is published is of "one" alone, so that with all done "in common" still leaves the other out.
    for variant, seed in (("one", 1), ("two", 0), ("two", 1)):
        write(tmp_path, Job("learning", ("I", variant), seed), online=rate(8))
    assert found()["in common"] == [(Rate(3, 20), "2 tests", 5), (Rate(15, 20), "2 tests", 20)]
    chosen = conditions(methods=("straight", "online"), published={})
    assert found() == {"all": [(Rate(21, 40), "4 tests", None), (Rate(31, 40), "4 tests", None)]}


# --- reward models ---


def study(**changes: Any) -> RewardStudy:
    chosen = {
        "reward_model": "daib",
        "splits": {"few": {"train": 2, "choose": 1, "test": 1}, "all": {"train": 3, "choose": 2, "test": "held-out"}},
        "models": {"DAIB": {"representation": "daib"}, "ERM": {"representation": "erm"}},
        "cells": ("sim",),
        "episodes": 2,
        "seeds": (0, 1),
        "published": {"DAIB": 88},
        "published_split": "few",
    }
    return RewardStudy.model_validate(chosen | changes)


def entries() -> list[VariantEntry]:
    trained = [VariantEntry(f"{family}{number}", "", family, "train") for family in "abcd" for number in range(2)]
    return [*trained, VariantEntry("h0", "", "h", "held_out"), VariantEntry("h1", "", "h", "held_out")]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_no_family_is_trained_on_and_tested_on(seed: int) -> None:
    family = {entry.name: entry.family for entry in entries()}
    sets = draw_sets(Split(train=3, choose=1, test=2), entries(), seed)
    assert (len(sets.train), len(sets.choose), len(sets.test)) == (3, 1, 2)
    assert len({*sets.train, *sets.choose, *sets.test}) == 6
    tested = [family[name] for name in sets.test]
    assert len(set(tested)) == 2
    assert not set(tested) & {family[name] for name in (*sets.train, *sets.choose)}
    assert all(name[0] != "h" for name in (*sets.train, *sets.choose, *sets.test))
    assert draw_sets(Split(train=3, choose=1, test=2), entries(), seed) == sets


def test_held_out_variants_are_tested_on_and_nothing_else() -> None:
    sets = draw_sets(Split(train=6, choose=2, test="held-out"), entries(), 0)
    assert sets.test == ("h0", "h1")
    assert len({*sets.train, *sets.choose}) == 8
    with pytest.raises(InputError, match="there are 8"):
        draw_sets(Split(train=8, choose=2, test="held-out"), entries(), 0)
    with pytest.raises(InputError, match="there are 2"):
        draw_sets(Split(train=3, choose=1, test=3), entries(), 0)


def test_trials_of_all_tests_are_judged_together(tmp_path: Path) -> None:
    chosen = conditions()
    assert judged_of(chosen, tmp_path) == {}
    none = {"false_positives": rate(0) | {"trials": 0}, "false_negatives": rate(0)}
    for seed, wrong in ((0, 0), (1, 3)):
        before = {"false_positives": rate(wrong), "false_negatives": rate(2)}
        write(tmp_path, Job("learning", ("I", "one"), seed), judged={"before": before, "practice": none, "after": none})
    rows = judged_of(chosen, tmp_path)
    assert rows["before practice"] == Judged(Rate(3, 20), Rate(4, 20))
    assert rows["before practice"].balanced_accuracy == pytest.approx(1.0 - 0.5 * (0.15 + 0.2))
    assert math.isnan(rows["after practice"].balanced_accuracy)
    assert rows["both tests"] == Judged(Rate(3, 20), Rate(4, 40))
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(judged_table(rows))
    told = console.export_text()
    assert "82.5" in told
    assert "3 of 20" in told
    write_judged_csv(rows, tmp_path / "judged.csv")
    assert "both tests,3,20,4,40" in (tmp_path / "judged.csv").read_text().splitlines()


def trained(out: Path, job: Job, recall: float, false: float) -> None:
    figures = {"recall": recall, "false_positives": false, "balanced_accuracy": 0.5 * (1 + recall - false)}
    curve = [[recall, false]] * len(CURVE)
    threshold = {"at threshold": figures, "at 0.5": figures, "area_under_roc": 0.9, "threshold": 0.7, "curve": curve}
    write(out, job, **threshold)


def test_the_table_of_reward_models_has_means_and_intervals(tmp_path: Path) -> None:
    chosen = study()
    # Two models in two splits with two seeds, and the bundle's own, which is not trained, on what is held out.
    assert len({job.name for job in reward_jobs(chosen)}) == 9
    trained(tmp_path, Job("reward", ("few", "DAIB"), 0), 0.9, 0.0)
    trained(tmp_path, Job("reward", ("few", "DAIB"), 1), 0.8, 0.0)
    trained(tmp_path, Job("reward", ("few", "ERM"), 1), 0.5, 0.1)
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(reward_table(chosen, tmp_path, "few"))
    rows = [line.split("│")[1:-1] for line in console.export_text().splitlines() if line.startswith("│")]
    found = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    # Two seeds, 95 and 90 %: half of the interval is 12.71 x 3.54 / sqrt 2.
    assert found["DAIB"] == ["92.5 +-31.8", "0.0 +-0.0", "15.0 +-63.5", "92.5 +-31.8", "90.0 +-0.0", "88", "2"]
    assert found["ERM"] == ["70.0", "10.0", "50.0", "70.0", "90.0", "", "1"]
    trained(tmp_path, Job("reward", ("all", BUNDLES), 0), 0.9, 0.02)
    console.print(reward_table(chosen, tmp_path, "all"))
    (row,) = (line for line in console.export_text().splitlines() if BUNDLES in line)
    assert [cell.strip() for cell in row.split("│")[2:5]] == ["94.0", "2.0", "10.0"]
    write_reward_csv(chosen, tmp_path, tmp_path / "rewards.csv")
    assert len((tmp_path / "rewards.csv").read_text().splitlines()) == 5
    assert plot_rewards(chosen, tmp_path, tmp_path / "rewards.png")
    assert (tmp_path / "rewards.png").read_bytes().startswith(b"\x89PNG")


def test_many_seeds_have_the_interval_of_so_many(tmp_path: Path) -> None:
    chosen = study(seeds=tuple(range(11)))
    for seed in chosen.seeds:
        trained(tmp_path, Job("reward", ("few", "DAIB"), seed), 1.0, 0.2 * (seed % 2))
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(reward_table(chosen, tmp_path, "few"))
    (row,) = (line for line in console.export_text().splitlines() if "DAIB" in line)
    # Five of eleven at 20 %: 2.228 x 10.445 / sqrt 11.
    assert row.split("│")[3].strip() == "9.1 +-7.0"


def test_without_results_there_is_nothing_to_draw(tmp_path: Path) -> None:
    assert not plot_rewards(study(), tmp_path, tmp_path / "rewards.png")
    assert not plot_practice(conditions(), tmp_path, tmp_path / "practice.png")
    assert list(tmp_path.iterdir()) == []


def test_practice_is_drawn(tmp_path: Path) -> None:
    write(tmp_path, Job("learning", ("I", "one"), 0), practice=[False] * 25 + [True] * 25)
    assert plot_practice(conditions(), tmp_path, tmp_path / "practice.png")
    assert (tmp_path / "practice.png").read_bytes().startswith(b"\x89PNG")


# --- ablation ---


def test_the_papers_way_stands_beside_the_methods_once_it_was_tried(tmp_path: Path) -> None:
    arms = {"arms": {"theirs": {"recipe": {}}}, "papers_way": "theirs", "variants": ("one",)}
    arms |= {"scenarios": ("I",), "seeds": (0,), "cells": ("sim",)}
    chosen = conditions(ablation=arms)
    write(tmp_path, Job("learning", ("I", "two"), 0), offline=rate(5), online=rate(10), practice=[False] * 25)

    def titles() -> list[Any]:
        return [one.header for one in table_of(chosen, scores_of(chosen, tmp_path), "I").columns]

    assert titles() == ["", *chosen.methods]
    write(tmp_path, Job("ablation", ("theirs", "I", "one"), 0), offline=rate(1), online=rate(7))
    assert titles() == ["", *chosen.methods, PAPERS_WAY]
    (score,) = (one for one in scores_of(chosen, tmp_path) if one.method == PAPERS_WAY)
    assert (score.variant, score.rate) == ("one", Rate(7, rate(7)["trials"]))


def test_the_papers_way_is_one_of_the_arms(tmp_path: Path) -> None:
    text = (ROOT / "benchmarks" / "paper.yaml").read_text()
    (tmp_path / "odd.yaml").write_text(text.replace("papers_way: DAIB in reward", "papers_way: DAIB in rewards"))
    with pytest.raises(ConfigError) as caught:
        load_conditions(tmp_path / "odd.yaml")
    assert "ablation.papers_way" in str(caught.value)
    assert "did you mean DAIB in reward and policy" in str(caught.value)


def test_the_table_of_the_ablation_pools_variants_and_seeds(tmp_path: Path) -> None:
    recipe = {"representation": {"name": "erm"}}
    chosen = Ablation.model_validate(
        {
            "arms": {"all of it": {"recipe": {}}, "less": {"recipe": recipe, "adapt": False}},
            "variants": ("one", "two"),
            "scenarios": ("II",),
            "seeds": (0,),
            "cells": ("sim",),
            "published": {"II": {"less": 20}},
        }
    )
    assert len({job.name for job in ablation_jobs(chosen)}) == 4
    write(tmp_path, Job("ablation", ("less", "II", "one"), 0), offline=rate(1), online=rate(5))
    write(tmp_path, Job("ablation", ("less", "II", "two"), 0), offline=rate(0), online=rate(3))
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(ablation_table(chosen, tmp_path))
    rows = [line.split("│")[1:-1] for line in console.export_text().splitlines() if line.startswith("│")]
    found = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}
    assert found == {"all of it": ["-", "-"], "less": ["5, 1 to 24", "40, 22 to 61 (25)"]}
    # Of an arm that is further, no more counts than of the others.
    write(tmp_path, Job("ablation", ("all of it", "II", "one"), 0), offline=rate(2), online=rate(9))
    counted = {(arm, method): one for arm, _, method, one in rates_of(chosen, tmp_path)}
    assert (counted["all of it", "online"], counted["less", "online"]) == (Rate(9, 10), Rate(5, 10))
    # What is run to see that everything runs is small, and the same otherwise.
    small = chosen.smallest()
    assert list(small.arms) == ["all of it", "less"]
    assert len(ablation_jobs(small)) == 2
    assert all(arm.recipe.training.steps == 2 for arm in small.arms.values())
    assert all(arm.recipe.learner.options["pretrain_steps"] == 2 for arm in small.arms.values())


def test_arms_that_differ_in_the_reward_model_alone_have_one_policy() -> None:
    paper = load_conditions(ROOT / "benchmarks" / "paper.yaml").ablation
    assert paper is not None
    alike = {name: policy_from(paper, name) for name in paper.arms}
    assert alike == {
        "DAIB in reward and policy": None,
        "DAIB in the reward only": None,
        "DAIB in neither": "DAIB in the reward only",
    }


# --- a folder of results ---


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The card of one, which is all that is compared."""
    made = tmp_path / "bundle"
    made.mkdir()
    shutil.copy(ROOT / "skills" / "skillcore_insertion" / "pretrained" / "card.json", made)
    return made


def test_reward_models_are_added_to_a_folder_and_never_changed_in_it(tmp_path: Path, bundle: Path) -> None:
    out = tmp_path / "out"

    def check(**changes: Any) -> None:
        check_same(conditions(reward=study(**changes)), bundle, out)

    check()
    few = {"train": 2, "choose": 1, "test": 1}
    models = {"DAIB": {"representation": "daib"}, "DANN": {"representation": "dann"}}
    check(models=models, splits={"few": few, "more": {**few, "train": 4}})
    for changes, named in (
        ({"models": {"DAIB": {"representation": "erm"}}}, "reward.models.DAIB differ"),
        # Also what was added later, and what is not asked for just now.
        ({"models": {"DANN": {}}}, "reward.models.DANN differ"),
        ({"models": {"ERM": {}}}, "reward.models.ERM differ"),
        ({"splits": {"few": {**few, "train": 3}}}, "reward.splits.few differ"),
        ({"cells": ("sim", "sim_b"), "false_positives": 0.02}, "reward.cells, reward.false_positives differ"),
    ):
        with pytest.raises(InputError, match=named):
            check(**changes)
    check()
    # Trained models say nothing of policies: a part that was not asked for yet is added as well.
    with pytest.raises(InputError, match="conditions: trials differ"):
        check_same(conditions(trials=11), bundle, out)
    check_same(conditions(), bundle, out)


def test_a_folder_of_an_earlier_version_goes_on_and_is_noted_in_full(tmp_path: Path, bundle: Path) -> None:
    chosen = conditions(reward=study())
    check_same(chosen, bundle, tmp_path)
    path = tmp_path / "conditions.json"
    noted = json.loads(path.read_bytes())
    less = {name: noted["reward"][name] for name in ("reward_model", "options", "episodes")}
    path.write_text(json.dumps({**noted, "reward": less}))
    check_same(chosen, bundle, tmp_path)
    assert json.loads(path.read_bytes()) == noted
    path.write_text("{")
    with pytest.raises(InputError, match=r"conditions\.json: damaged"):
        check_same(chosen, bundle, tmp_path)


def test_what_one_threshold_found_is_not_taken_for_what_another_would_have(tmp_path: Path, bundle: Path) -> None:
    out, other = tmp_path / "out", Path(shutil.copytree(bundle, tmp_path / "other"))
    check_same(conditions(), bundle, out)
    card = json.loads((other / "card.json").read_bytes())
    card["reward"]["threshold"] = 0.5 * (1.0 + card["reward"]["threshold"])
    (other / "card.json").write_text(json.dumps(card))
    with pytest.raises(InputError, match="other conditions: threshold differ"):
        check_same(conditions(), other, out)


def test_the_papers_conditions_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert paper_conditions() == ROOT / "benchmarks" / "paper.yaml"
    own = tmp_path / "benchmarks" / "paper.yaml"
    own.parent.mkdir()
    own.write_text("schema: 1\n")
    assert paper_conditions().resolve() == own


def test_two_evaluations_do_not_share_a_folder(
    tmp_path: Path, bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from skillcore.cli import main

    monkeypatch.setattr(runs, "LOOKING_S", 0.1)
    out = tmp_path / "out"
    out.mkdir()
    paper = ROOT / "benchmarks" / "paper.yaml"
    with runs.working_on(out):
        code = main(["bench", "paper", "--conditions", str(paper), "--bundle", str(bundle), "--out", str(out)])
    assert code == 2
    assert "another process works on this run" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["run.lock"]
