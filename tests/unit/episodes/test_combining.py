"""Joining stores and taking them apart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.episodes import EpisodeRow, EpisodeStore
from skillcore.episodes.combining import by_share, by_variant, folder_name, merge, split
from skillcore.errors import EpisodeError, InputError
from skillcore.types import Episode

Make = Callable[..., Episode]


def _store(folder: Path, episodes: list[Episode]) -> EpisodeStore:
    store = EpisodeStore(folder)
    store.append_many(episodes)
    return store


def _hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_merged_store_holds_all_episodes_under_ids_of_their_own(
    tmp_path: Path, make_episode: Make, assert_same: Callable[[Episode, Episode], None]
) -> None:
    one = _store(tmp_path / "one", [make_episode(seed) for seed in range(3)])
    two = _store(tmp_path / "two", [make_episode(seed, variant="usb") for seed in range(10, 14)])
    made = merge([one.folder, two.folder], tmp_path / "both")
    assert (made.episodes, made.duplicates, made.renumbered) == (7, 0, 4)
    with EpisodeStore(tmp_path / "both", create=False) as both:
        rows = both.rows()
        assert [row.sequence for row in rows] == list(range(7))
        # The letters behind the number stay: they are the file's.
        assert [row.id[-8:] for row in rows[3:]] == [row.id[-8:] for row in two.rows()]
        assert [row.id for row in rows[:3]] == [row.id for row in one.rows()]
        for row, episode in zip(rows, [*range(3), *range(10, 14)], strict=True):
            assert both.read(row.id).info.seed == episode
        assert_same(both.read(rows[4].id), two.read(two.rows()[1].id))
        assert both.verify() == []
        # It is a store like any other.
        assert both.append(make_episode(99)).sequence == 7
    assert _hidden(tmp_path) == []
    assert (len(one), len(two)) == (3, 4)


def test_what_several_stores_hold_is_kept_once_with_the_corrections_of_all(tmp_path: Path, make_episode: Make) -> None:
    one = _store(tmp_path / "one", [make_episode(seed) for seed in range(3)])
    split(one.folder, tmp_path / "parts", {"a": one.rows()})
    copy = EpisodeStore(tmp_path / "parts" / "a")
    copy.append(make_episode(9))
    name = one.rows()[1].id
    one.relabel(name, True, who="ada")
    copy.relabel(name, False, who="bob")
    made = merge([one.folder, copy.folder], tmp_path / "both")
    assert (made.episodes, made.duplicates, made.renumbered) == (4, 3, 0)
    with EpisodeStore(tmp_path / "both", create=False) as both:
        (kept,) = both.corrections().values()
        assert [one.number for one in kept] == [1, 2]
        assert sorted(one.who for one in kept) == ["ada", "bob"]
        assert both.verify() == []


@pytest.mark.parametrize("times", [(5, 5, 5), (5, 3, 4)], ids=["in one second", "by a clock that went back"])
def test_the_newest_correction_of_a_store_stays_the_newest(
    tmp_path: Path, make_episode: Make, times: tuple[int, ...]
) -> None:
    one = _store(tmp_path / "one", [make_episode(0)])
    split(one.folder, tmp_path / "parts", {"a": one.rows()})
    name = one.rows()[0].id
    for who, second in zip(("zoe", "ada", "zoe"), times, strict=True):
        number = one.relabel(name, who == "zoe", who=who).number
        path = one.folder / "labels" / f"{name}.{number:04d}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"when": f"2026-01-02T03:04:0{second}+00:00"}))
    before = [each.who for each in one.corrections(name)[name]]
    for folders in ([one.folder, tmp_path / "parts" / "a"], [tmp_path / "parts" / "a", one.folder]):
        out = tmp_path / f"both {folders[0].name}"
        merge(folders, out)
        with EpisodeStore(out, create=False) as both:
            assert [each.who for each in both.corrections()[name]] == before
    # What both hold is kept once.
    merge([out, one.folder], tmp_path / "again")
    with EpisodeStore(tmp_path / "again", create=False) as both:
        assert [each.who for each in both.corrections()[name]] == before


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"skill": "screwing"}, "the skill differs: insertion in .*one; screwing in .*two"),
        ({"views": 1}, "the number of views differs: 2 in .*one; 1 in .*two"),
        ({"height_px": 16, "width_px": 16}, "the size of images differs: 8x8 px in .*one; 16x16 px in .*two"),
        ({"control_hz": 20.0}, "the control rate differs: 10 Hz in .*one; 20 Hz in .*two"),
        ({"skill": "screwing", "views": 1}, "the skill differs: .*; the number of views differs"),
    ],
)
def test_stores_that_do_not_go_together_are_refused_with_the_reason(
    tmp_path: Path, make_episode: Make, other: dict[str, object], reason: str
) -> None:
    one = _store(tmp_path / "one", [make_episode(0)])
    two = _store(tmp_path / "two", [make_episode(1, **other)])
    with pytest.raises(InputError, match=reason):
        merge([one.folder, two.folder], tmp_path / "both")
    assert not (tmp_path / "both").exists()
    assert _hidden(tmp_path) == []


def test_a_damaged_episode_leaves_no_half_store(tmp_path: Path, make_episode: Make) -> None:
    one = _store(tmp_path / "one", [make_episode(seed) for seed in range(2)])
    two = _store(tmp_path / "two", [make_episode(seed) for seed in range(5, 8)])
    path = two.path(two.rows()[-1].id)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(EpisodeError, match="its SHA-256 has changed"):
        merge([one.folder, two.folder], tmp_path / "both")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["one", "two"]


def test_a_folder_that_is_there_is_not_touched(tmp_path: Path, make_episode: Make) -> None:
    one = _store(tmp_path / "one", [make_episode(0)])
    two = _store(tmp_path / "two", [make_episode(1)])
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is there already"):
        merge([one.folder, two.folder], tmp_path / "both")
    with pytest.raises(InputError, match="named twice"):
        merge([one.folder, tmp_path / "two" / ".." / "one"], tmp_path / "new")
    with pytest.raises(InputError, match="nothing to join"):
        merge([one.folder], tmp_path / "new")
    assert [path.name for path in (tmp_path / "both").iterdir()] == ["mine.txt"]
    assert sorted(place.name for place in tmp_path.iterdir()) == ["both", "one", "two"]


def test_a_store_is_split_by_variant_with_ids_and_corrections(tmp_path: Path, make_episode: Make) -> None:
    variants = ["hdmi", "usb", "../../up", ".", "a/b"]
    store = _store(tmp_path / "one", [make_episode(seed, variant=variants[seed % 5]) for seed in range(10)])
    for number, row in enumerate(store.rows()):
        store.relabel(row.id, number % 2 == 0, who="ada")
    parts = by_variant(store.rows())
    split(store.folder, tmp_path / "parts", parts)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["one", "parts"]
    assert sorted(place.name for place in (tmp_path / "parts").iterdir()) == sorted(map(folder_name, variants))
    found = {}
    for place in (tmp_path / "parts").iterdir():
        with EpisodeStore(place, create=False) as part:
            assert part.verify() == []
            assert len({row.variant for row in part.rows()}) == 1
            found |= {row.id: row for row in part.rows()}
    assert found == {row.id: row for row in store.rows()}


def _rows(variants: list[str]) -> list[EpisodeRow]:
    text = {"skill": "insertion", "cell": "sim", "source": "run", "outcome": "timeout", "scenario": ""}
    more = {"reward_model": "", "started_at": "", "trial": None}
    numbers = dict.fromkeys(("bytes", "steps", "seed", "truth", "success", "overruns", "clamps", "views"), 0)
    sizes = {"height_px": 8, "width_px": 8, "peak_force_n": 0.0}
    return [
        EpisodeRow(
            id=f"{number:06d}-{number:08x}", sequence=number, sha256=f"{number * 7919 % 1000003:064x}",
            variant=variant, **text, **more, **numbers, **sizes,
        )  # type: ignore[arg-type]
        for number, variant in enumerate(variants)
    ]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=40), st.floats(0.05, 0.95), st.integers(0, 1000))
def test_a_share_is_exact_repeatable_and_alike_in_each_variant(variants: list[str], share: float, seed: int) -> None:
    rows = _rows(variants)
    count = round(share * len(rows))
    if not 0 < count < len(rows):
        with pytest.raises(InputError, match="leaves one part empty"):
            by_share(rows, share, seed)
        return
    parts = by_share(rows, share, seed)
    assert len(parts["train"]) == count
    assert sorted([*parts["train"], *parts["validation"]], key=lambda row: row.id) == rows
    assert {row.id for row in by_share(rows[::-1], share, seed)["train"]} == {row.id for row in parts["train"]}
    for name in set(variants):
        own = variants.count(name)
        assert abs(sum(row.variant == name for row in parts["train"]) - own * count / len(rows)) < 1.0 + 1e-9


def test_another_seed_draws_others() -> None:
    rows = _rows(["a"] * 30)
    drawn = {frozenset(row.id for row in by_share(rows, 0.5, seed)["train"]) for seed in range(5)}
    assert len(drawn) > 1


def test_variants_of_long_names_stay_apart() -> None:
    names = ["a" * 250 + "1", "a" * 250 + "2", "b"]
    parts = by_variant(_rows(names))
    assert sorted({row.variant for row in own}.pop() for own in parts.values()) == names
    assert len(by_variant(_rows(names[:2]))) == 2
    assert len(by_variant(_rows(["", "unnamed"]))) == 2


def test_one_variant_cannot_be_split_by_variant() -> None:
    with pytest.raises(InputError, match="all episodes are of one connector"):
        by_variant(_rows(["a"] * 3))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_a_variant_becomes_a_plain_name_of_a_folder(variant: str) -> None:
    name = folder_name(variant)
    assert name
    assert "/" not in name
    assert "\0" not in name
    assert name not in (".", "..")
    assert len(name.encode()) <= 255
