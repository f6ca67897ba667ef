"""The packaged connectors and their library: every file is right, every plug fits its hole."""

import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from shapely.affinity import rotate

from skillcore.errors import ConfigError, InputError, UnknownNameError
from skillcore_insertion.connector import Connector
from skillcore_insertion.fits import hole_layers, symmetry_order
from skillcore_insertion.library import PACKAGED, ConnectorLibrary
from skillcore_insertion.outlines import changed

NAMES = sorted(path.stem for path in PACKAGED.glob("*.yaml"))
HELD_OUT_FAMILIES = {"hdmi", "deutsch_dt", "mega", "nema", "cee", "xlr", "rj", "dvi", "phoenix", "lightning"}
TRAINED_FAMILIES = {"usb", "displayport", "d_sub", "iec", "barrel", "audio", "rca", "coax", "circular", "anderson"}
TRAINED_FAMILIES |= {"jst", "atx", "sata", "keys", "bits", "screws", "mini_din"}
REQUIRED = re.findall(
    r"\w+",
    """
    hdmi_a hdmi_c hdmi_d displayport mini_displayport usb_a usb_b usb_c usb_mini_b usb_micro_b rj11 rj45
    d_sub_9 d_sub_15 d_sub_25 vga dvi sata_data sata_power atx_24 eps_8 pcie_6 molex_peripheral jst_xh_4
    jst_ph_2 jst_vh_3 dt04_2p dt04_3p dt04_4p dt04_6p dt04_8p dt04_12p mega_1x1 mega_2x2 nema_1_15 nema_5_15
    europlug schuko bs_1363 iec_c5 iec_c7 iec_c13 iec_c19 barrel_5_5x2_1 barrel_5_5x2_5 barrel_3_5x1_35
    audio_3_5 audio_6_35 xlr rca bnc sma f_type m8 m12 xt30 xt60 xt90 powerpole_45 sb50 phoenix_mc_1_5_4
    phoenix_mstb_2_5_4 lightning ps2 s_video key_kw1 key_sc1 bit_hex_6 bit_hex_7 bit_hex_10 bit_hex_14
    bit_square_3_8 ddr4_dimm ddr4_sodimm m2_m_key screw_m3 screw_m4 screw_m5 screw_m6 screw_m8
    """,
)


# --- the files ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_plug_fits_its_hole_nominally_and_in_twenty_draws(library, check_mates, name: str) -> None:
    connector = library.get(name)
    assert connector.name == name
    check_mates(connector, None)
    for seed in range(20):
        check_mates(connector, np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
def test_every_file_says_where_its_figures_come_from_and_stays_in_bounds(library, name: str) -> None:
    connector = library.get(name)
    assert len(connector.source) > 20
    assert 0.0 < connector.insertion_force_n <= 30.0
    assert 0.1 <= connector.friction <= 0.4
    assert 1.0 <= connector.depth_mm <= 40.0
    text = (PACKAGED / f"{name}.yaml").read_text(encoding="utf-8")
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize("name", NAMES)
def test_the_claimed_turns_fit(library, name: str) -> None:
    connector = library.get(name)
    order = connector.symmetry or 7
    fits = connector.fits()
    for fit in fits:
        turned = rotate(fit.plug, 360.0 / order, origin=(0.0, 0.0))
        assert any(other.hole.covers(turned) and other.length_m >= fit.length_m - 1e-9 for other in fits)


@pytest.mark.parametrize("name", NAMES)
def test_the_shoulder_or_the_floor_stops_the_plug_at_its_depth(library, name: str) -> None:
    connector = library.get(name)
    mating = connector.mating()
    floor_m = max(solid.z_m[0] for solid in mating.socket if solid.collides)
    room_m = floor_m - mating.depth_m
    assert room_m == pytest.approx(5e-4 if connector.has_shoulder or connector.thread else 0.0, abs=1e-9)
    body_front_m = max(solid.z_m[1] for solid in mating.plug[len(connector.fits()) :][: len(connector.body)])
    assert body_front_m == pytest.approx(-mating.depth_m)


def test_all_required_connectors_are_there(library) -> None:
    assert set(REQUIRED) <= set(library.names())
    assert len(library) >= 70


def test_the_splits_hold_out_whole_families_and_leave_fifty_to_train(library) -> None:
    train, held_out = library.by_split("train"), library.by_split("held_out")
    assert len(train) == 50
    assert sorted(train + held_out) == library.names()
    trained = {library.entries[name].family for name in train}
    held = {library.entries[name].family for name in held_out}
    assert not trained & held
    assert held >= HELD_OUT_FAMILIES
    assert trained >= TRAINED_FAMILIES


def test_screws_and_nothing_else_have_threads(library) -> None:
    threaded = {connector.name for connector in library if connector.thread is not None}
    assert threaded == {f"screw_m{size}" for size in (3, 4, 5, 6, 8)}
    thread = library.get("screw_m4").mating().thread
    assert thread is not None
    assert thread.pitch_m == pytest.approx(0.0007)
    assert thread.turn_rad == pytest.approx(math.radians(60.0))


def test_figures_of_well_known_connectors(library) -> None:
    def sizes(name: str) -> list[float]:
        fit = library.get(name).fits()[0]
        plug, hole = (np.array(shape.bounds) * 1e3 for shape in (fit.plug, fit.hole))
        return [*(plug[2:] - plug[:2]), *(hole[2:] - hole[:2])]

    assert sizes("hdmi_a") == pytest.approx([13.90, 4.45, 14.00, 4.55])
    assert sizes("usb_c")[:3] == pytest.approx([8.25, 2.40, 8.34], abs=0.002)
    assert sizes("usb_a")[:3] == pytest.approx([12.0, 4.5, 12.5])
    assert sizes("nema_5_15")[:2] == pytest.approx([1.52, 6.35])
    assert sizes("d_sub_9")[:2] == pytest.approx([16.33, 7.90])
    assert library.get("bs_1363").depth_mm == 22.7
    assert library.get("schuko").depth_mm == 17.5 + 19.0


def test_pins_of_different_length_end_at_different_depths(library) -> None:
    connector = library.get("bs_1363")
    tips = sorted({round(solid.z_m[1] * 1e3, 3) for solid in connector.mating().plug[:3]})
    assert tips == [-5.0, 0.0]
    layers = hole_layers(connector.fits(), 0.0)
    assert [len(layer.holes) for layer in layers] == [3, 1]
    assert [layer.is_open for layer in layers] == [True, False]


def test_holes_in_the_floor_of_a_recess_have_a_lead_in_too(library) -> None:
    layers = hole_layers(library.get("schuko").fits(), 0.0)
    assert [layer.is_open for layer in layers] == [True, True]
    chamfers = [solid.chamfer_m for solid in library.get("schuko").mating().socket[:2]]
    assert chamfers == pytest.approx([8e-4, 8e-4])


# --- specimens ---------------------------------------------------------------------------------------------------


def test_a_seed_gives_one_specimen_and_another_seed_another(library) -> None:
    connector = library.get("usb_a")
    first, again = (connector.mating(np.random.default_rng(3)) for _ in range(2))
    other = connector.mating(np.random.default_rng(4))
    assert np.array_equal(first.plug[0].outline, again.plug[0].outline)
    assert [solid.material for solid in first.socket] == [solid.material for solid in again.socket]
    assert not np.array_equal(first.plug[0].outline, other.plug[0].outline)
    assert [solid.material for solid in first.plug] != [solid.material for solid in other.plug]


def test_specimens_stay_within_the_tolerances_and_use_them(library) -> None:
    connector = library.get("usb_a")
    (guide,) = connector.guides
    widths = []
    for seed in range(200):
        (fit,) = connector.fits(np.random.default_rng(seed))
        widths.append((fit.plug.bounds[2] - fit.plug.bounds[0]) * 1e3)
    assert min(widths) >= 12.0 - guide.plug_tolerance_mm - 1e-9
    assert max(widths) <= 12.0 + guide.plug_tolerance_mm + 1e-9
    assert max(widths) - min(widths) > 1.5 * guide.plug_tolerance_mm


def test_pieces_of_one_finish_look_alike_in_one_specimen(library) -> None:
    body = library.get("hdmi_a").mating(np.random.default_rng(0)).plug[1:3]
    assert body[0].material == body[1].material


# --- the library -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("hdmi", "hdmi_a"),
        ("HDMI", "hdmi_a"),
        ("Usb-C", "usb_c"),
        (" dt12 ", "dt04_12p"),
        ("screw_m4", "screw_m4"),
        ("ethernet", "rj45"),
        ("type_b", "nema_5_15"),
        ("dp", "displayport"),
        ("audio_jack", "audio_3_5"),
    ],
)
def test_names_and_aliases_in_any_case_lead_to_the_connector(library, asked: str, name: str) -> None:
    assert library.get(asked).name == name


def test_an_unknown_name_is_answered_with_the_nearest_ones(library) -> None:
    with pytest.raises(UnknownNameError) as caught:
        library.get("hdmy")
    assert "hdmi" in caught.value.cure


def test_one_connector_is_read_without_the_others(tmp_path: Path) -> None:
    shutil.copy(PACKAGED / "hdmi_a.yaml", tmp_path)
    broken = (PACKAGED / "dvi.yaml").read_text().replace("depth_mm:", "dpeth_mm:")
    (tmp_path / "dvi.yaml").write_text(broken)
    library = ConnectorLibrary(tmp_path)
    assert library.names() == ["dvi", "hdmi_a"]
    assert library.get("hdmi").name == "hdmi_a"
    with pytest.raises(ConfigError, match="dpeth_mm"):
        library.get("dvi")


def test_a_file_of_ones_own_is_read_by_its_path(library, tmp_path: Path) -> None:
    mine = tmp_path / "anything.yaml"
    mine.write_text((PACKAGED / "usb_a.yaml").read_text().replace("name: usb_a", "name: my_plug"))
    assert library.get(mine).name == "my_plug"
    assert library.get(str(mine)).name == "my_plug"
    with pytest.raises(ConfigError, match="there is no such file"):
        library.get(str(tmp_path / "nothing.yaml"))


def test_two_connectors_of_one_name_or_alias_are_refused(tmp_path: Path) -> None:
    shutil.copy(PACKAGED / "hdmi_a.yaml", tmp_path)
    other = (PACKAGED / "hdmi_c.yaml").read_text().replace("mini_hdmi", "hdmi")
    (tmp_path / "hdmi_c.yaml").write_text(other)
    with pytest.raises(InputError, match=r"hdmi_c\.yaml: the name 'hdmi' is taken by hdmi_a\.yaml"):
        ConnectorLibrary(tmp_path).names()


def test_a_file_must_be_named_as_its_connector(tmp_path: Path) -> None:
    shutil.copy(PACKAGED / "hdmi_a.yaml", tmp_path / "other.yaml")
    with pytest.raises(InputError, match="name is not the file's"):
        ConnectorLibrary(tmp_path).names()


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "field", "reason"),
    [
        ("depth_mm: 11.5", "depth_mm: 0.0115", "depth_mm", "out of range"),
        ("depth_mm: 11.5", "depth_mm: deep", "depth_mm", "must be a number"),
        ("friction: 0.2", "friction: 0.9", "friction", "out of range"),
        ("split: held_out", "split: test", "split", "train"),
        ("source: >-", "sauce: >-", "sauce", "source"),
        ("kind: rectangle, width_mm: 20.4", "kind: rectangel, width_mm: 20.4", "body[0].outline", "rectangle"),
        ("material: [nickel, gold]", "material: [nickle, gold]", "guides[0].material", "did you mean nickel"),
        ("    clearance_mm: 0.05", "    clearance_mm: 0.001", "guides[0].clearance_mm", "out of range"),
        ("    clearance_mm: 0.05", "    clearance_mm: 0.05\n    length_mm: 9", "depth_mm", "longest guide is 9 mm"),
        ("    plug_chamfer_mm: 0.35", "    plug_chamfer_mm: 2.9", "guides[0].plug_chamfer_mm", "leaves nothing"),
        ("width_mm: 20, height_mm: 9.6", "width_mm: 14, height_mm: 9.6", "face.outline", "leaves no wall"),
        ("symmetry: 1", "symmetry: 2", "symmetry", "in one way only"),
        ("symmetry: 1", "symmetry: 1\nthread: {pitch_mm: 0.5}", "thread", "any angle"),
        ("z_mm: [-0.3, 0]", "z_mm: [-0.3, 0.5]", "details[0].z_mm", "beyond 0"),
        ("z_mm: [1.2, 9.6]", "z_mm: [9.6, 1.2]", "details[2].z_mm", "runs backwards"),
    ],
)
def test_a_bad_file_is_answered_with_line_field_and_reason(
    tmp_path: Path, old: str, new: str, field: str, reason: str
) -> None:
    text = (PACKAGED / "hdmi_a.yaml").read_text()
    assert old in text
    path = tmp_path / "hdmi_a.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        ConnectorLibrary().get(path)
    assert any(fault.field.startswith(field) for fault in caught.value.faults), str(caught.value)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)


def test_lead_in_must_leave_the_walls_between_holes(library) -> None:
    eps = library.get("eps_8")
    with pytest.raises(ValueError, match="breaks the wall between two holes"):
        changed(eps, face=changed(eps.face, outline=changed(eps.face.outline, height_mm=15.0), lead_in_mm=0.5))


def test_symmetry_counts_the_turns_that_fit(library) -> None:
    orders = {"bit_hex_6": 6, "bit_square_3_8": 4, "europlug": 2, "barrel_5_5x2_1": 0, "rj45": 1, "usb_a": 2}
    for name, order in orders.items():
        connector: Connector = library.get(name)
        assert symmetry_order(connector.guides, connector.depth_mm) == order
    # A shell that fits upside down may be kept from it by the tongue inside.
    assert library.get("usb_a").symmetry == 1
