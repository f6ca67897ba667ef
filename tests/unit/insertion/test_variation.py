"""Connectors that never were: repeatable, of use, and never derived from what is held out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore_insertion.connector import Connector
from skillcore_insertion.dressing import bounds_mm
from skillcore_insertion.invention import keyed
from skillcore_insertion.library import ConnectorLibrary
from skillcore_insertion.outlines import Rectangle
from skillcore_insertion.variation import invent, procedural_set, vary

LIBRARY = ConnectorLibrary()
SET_SIZE = 150


@pytest.fixture(scope="module")
def made() -> list[Connector]:
    return procedural_set(SET_SIZE, 11, LIBRARY)


def test_a_seed_gives_one_set_and_its_beginning_does_not_depend_on_its_length(made: list[Connector]) -> None:
    again = procedural_set(30, 11, LIBRARY)
    assert [one.model_dump() for one in again] == [one.model_dump() for one in made[:30]]
    other = procedural_set(5, 12, LIBRARY)
    assert [one.model_dump() for one in other] != [one.model_dump() for one in made[:5]]


def test_specimens_of_the_set_are_repeatable(made: list[Connector]) -> None:
    first, again = (made[0].mating(np.random.default_rng(1)) for _ in range(2))
    assert np.array_equal(first.plug[0].outline, again.plug[0].outline)


def test_everything_made_is_valid_and_mates(made: list[Connector], check_mates) -> None:
    for connector in made:
        again = Connector.model_validate_json(connector.model_dump_json(by_alias=True))
        assert again == connector
        check_mates(again, None)
        for seed in range(2):
            check_mates(again, np.random.default_rng(seed))


def test_two_thirds_are_variations_and_no_base_is_held_out(made: list[Connector]) -> None:
    invented = [connector for connector in made if connector.family == "invented"]
    assert 0.3 < len(invented) / len(made) < 0.5
    held_out = {LIBRARY.entries[name].family for name in LIBRARY.by_split("held_out")}
    trained = set(LIBRARY.by_split("train"))
    for connector in made:
        assert connector.split == "train"
        assert connector.family not in held_out
        if connector.family != "invented":
            assert connector.name.partition("~")[0] in trained


def test_names_are_numbered_and_differ(made: list[Connector]) -> None:
    names = [connector.name for connector in made]
    assert len(set(names)) == len(names)
    assert [int(name.partition("~")[2]) for name in names] == list(range(SET_SIZE))
    assert vary(LIBRARY.get("usb_a"), np.random.default_rng(0), index=42).name == "usb_a~0042"
    assert invent(np.random.default_rng(0), index=7).name == "invented~0007"


@pytest.mark.parametrize("name", LIBRARY.by_split("held_out"))
def test_held_out_connectors_are_refused_as_a_base(name: str) -> None:
    with pytest.raises(ValueError, match="held out"):
        vary(LIBRARY.get(name), np.random.default_rng(0))


@pytest.mark.parametrize("name", LIBRARY.by_split("train"))
def test_every_training_connector_can_be_varied(name: str, check_mates) -> None:
    base = LIBRARY.get(name)
    for seed in range(3):
        other = vary(base, np.random.default_rng(seed), index=seed)
        check_mates(other, np.random.default_rng(seed))
        assert other.family == base.family
        assert (other.thread is None) == (base.thread is None)
        assert other.aliases == ()
        low = 1.2 if base.thread else 3.0
        assert low <= other.depth_mm <= 25.0


def test_a_variation_can_be_varied_again() -> None:
    once = vary(LIBRARY.get("usb_a"), np.random.default_rng(1), index=1)
    assert vary(once, np.random.default_rng(2), index=2).name == "usb_a~0002"


def test_variations_spread_over_size_depth_fit_and_look() -> None:
    base = LIBRARY.get("usb_a")
    others = [vary(base, np.random.default_rng(seed), index=seed) for seed in range(60)]
    widths = [bounds_mm(other.guides[0].inner)[2] * 2.0 for other in others]
    assert min(widths) < 0.85 * 12.0 < 1.15 * 12.0 < max(widths)
    depths = [other.depth_mm for other in others]
    assert min(depths) < 0.75 * base.depth_mm < 1.3 * base.depth_mm < max(depths)
    gaps = [other.guides[0].clearance_mm for other in others]
    assert max(gaps) > 1.6 * min(gaps)
    assert len({other.face.material for other in others}) > 15
    assert len({type(other.face.outline) for other in others}) >= 3


def test_inventions_spread_over_forms(made: list[Connector]) -> None:
    invented = [connector for connector in made if connector.family == "invented"]
    assert len({type(connector.guides[0].outline) for connector in invented}) >= 6
    assert any(len(connector.fits()) > 1 for connector in invented)
    assert {0, 1, 2} <= {connector.symmetry for connector in invented}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_any_seed_invents_a_connector(seed: int) -> None:
    connector = invent(np.random.default_rng(seed))
    assert 3.0 <= connector.depth_mm <= 25.0
    connector.mating(np.random.default_rng(seed))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(2.0, 30.0), st.floats(2.0, 30.0))
def test_keys_leave_one_piece_that_is_not_the_same(seed: int, width: float, height: float) -> None:
    outline = Rectangle(width_mm=width, height_mm=height)
    other = keyed(outline, np.random.default_rng(seed), 0.1)
    if other is not outline:
        assert other.polygon().symmetric_difference(outline.polygon()).area > 1e-7
        assert other.polygon().is_valid


def test_a_section_with_no_room_for_a_key_stays_as_it_was() -> None:
    outline = Rectangle(width_mm=1.2, height_mm=1.2)
    assert keyed(outline, np.random.default_rng(0), 0.1) is outline
