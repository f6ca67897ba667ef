"""The form of an episode's file: what goes in comes out bit for bit, and nothing else comes in."""

from __future__ import annotations

import copy
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skillcore.episodes.format import FORMAT, decode, encode, is_newer
from skillcore.episodes.images import decode_png, encode_png
from skillcore.errors import EpisodeError
from skillcore.types import Episode, EpisodeInfo

Make = Callable[..., Episode]
Same = Callable[[Episode, Episode], None]
KEY = b"skillcore.episode"

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
# Any bit pattern of a NaN, not only NumPy's own.
nan_or_finite = st.one_of(
    finite,
    st.integers(1, 2**22 - 1).map(lambda bits: struct.unpack("f", struct.pack("I", 0x7FC00000 | bits))[0]),
)


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    steps, views = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    height_px, width_px = draw(st.integers(1, 9)), draw(st.integers(1, 9))

    def floats(*shape: int, of: st.SearchStrategy[float] = finite) -> np.ndarray[Any, np.dtype[np.float32]]:
        return draw(hnp.arrays(np.float32, shape, elements=of))

    flags = hnp.arrays(np.int8, steps + 1, elements=st.integers(-1, 1))
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    info = EpisodeInfo(
        skill=draw(text),
        variant=draw(text),
        cell=draw(text),
        seed=draw(st.integers(0, 2**128)),
        source=draw(text),
        outcome=draw(st.sampled_from(["success", "timeout", "aborted"])),
        started_at=draw(text),
        trial=draw(st.none() | st.integers(0, 2**40)),
        clamps=draw(st.dictionaries(text, st.integers(0, 9), max_size=2)),
        peak_force_n=draw(st.floats(0, 1e6)),
    )
    images = draw(hnp.arrays(np.uint8, (steps + 1, views, height_px, width_px, 3)))
    unit = st.floats(-1, 1, width=32)
    return Episode(
        info=info,
        images=images,
        pose=floats(steps + 1, 6),
        wrench=floats(steps + 1, 6),
        action=floats(steps, 4, of=unit),
        executed=floats(steps, 4),
        reward=floats(steps),
        score=floats(steps + 1, of=st.floats(0, 1, width=32) | st.just(np.nan)),
        success=draw(flags),
        truth=draw(flags),
        seated_from_tcp=floats(steps + 1, 6, of=nan_or_finite),
    )


@settings(max_examples=60, deadline=None)
@given(episode=episodes())
def test_any_episode_survives_the_round_trip_bit_for_bit(assert_same: Same, episode: Episode) -> None:
    assert_same(decode(encode(episode)), episode)


def test_decoded_arrays_are_writable(make_episode: Make) -> None:
    episode = decode(encode(make_episode()))
    for name in ("images", "pose", "action", "truth"):
        getattr(episode, name)[:] = 0
        assert not getattr(episode, name).any()


def test_any_parquet_reader_sees_the_documented_columns(make_episode: Make) -> None:
    episode = make_episode(steps=2)
    table = pq.read_table(pa.BufferReader(encode(episode)))
    assert table.num_rows == 3
    assert table.column_names == [
        *("step", "view_0", "view_1", "pose", "wrench", "action", "executed", "reward"),
        *("score", "success", "truth", "seated_from_tcp"),
    ]
    assert table["action"][2].as_py() is None
    assert table["reward"].null_count == table["executed"].null_count == 1
    assert table["pose"][0].as_py() == pytest.approx(episode.pose[0].tolist())


def test_images_are_png_with_red_first() -> None:
    data = encode_png(np.array([[[250, 20, 3]]], np.uint8))
    start = data.index(b"IDAT")
    (length,) = struct.unpack(">I", data[start - 4 : start])
    # A single pixel is the same under each of PNG's filters.
    assert zlib.decompress(data[start + 4 : start + 4 + length])[1:] == bytes([250, 20, 3])


def test_numpy_numbers_in_the_info_become_plain_ones(make_episode: Make) -> None:
    episode = make_episode(seed=np.int64(7), peak_force_n=np.float32(1.5), clamps={"speed": np.int32(2)})
    info = decode(encode(episode)).info
    assert (info.seed, info.peak_force_n, info.clamps) == (7, 1.5, {"speed": 2})
    assert type(info.seed) is int


# --- what is not well formed is not written ----------------------------------------------------------------------


def _set(name: str, value: Any) -> Callable[[Episode], None]:
    return lambda episode: setattr(episode, name, value)


def _put(name: str, value: float) -> Callable[[Episode], None]:
    def put(episode: Episode) -> None:
        getattr(episode, name).flat[1] = value

    return put


def _info(name: str, value: Any) -> Callable[[Episode], None]:
    return lambda episode: setattr(episode.info, name, value)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_set("images", np.zeros((4, 2, 8, 8, 3), np.float32)), "images are float32"),
        (_set("images", np.zeros((4, 8, 8, 3), np.uint8)), "images are uint8 (4, 8, 8, 3)"),
        (_set("images", np.zeros((4, 0, 8, 8, 3), np.uint8)), "0 views"),
        (_set("images", np.zeros((4, 17, 8, 8, 3), np.uint8)), "17 views"),
        (_set("images", np.zeros((4, 2, 8, 0, 3), np.uint8)), "0x8 pixels"),
        (_set("images", np.zeros((4, 1, 1, 5000, 3), np.uint8)), "5000x1 pixels"),
        (_set("images", np.zeros((9, 2, 8, 8, 3), np.uint8)), "pose is float32 (4, 6), not float32 (9, 6)"),
        (_set("action", np.zeros((2, 4), np.float32)), "action is float32 (2, 4), not float32 (3, 4)"),
        (_set("action", np.zeros((4, 4), np.float32)), "action is float32 (4, 4)"),
        (_set("pose", np.zeros((4, 6))), "pose is float64"),
        (_set("success", np.zeros(4, bool)), "success is bool"),
        (_put("pose", np.nan), "pose holds values that are not finite"),
        (_put("wrench", np.inf), "wrench holds values that are not finite"),
        (_put("action", np.nan), "action holds values that are not finite"),
        (_put("executed", np.nan), "executed holds values that are not finite"),
        (_put("reward", np.nan), "reward holds values that are not finite"),
        (_put("action", 1.01), "action holds values outside [-1, 1]"),
        (_put("score", 1.01), "score holds values outside [0, 1]"),
        (_put("success", 2), "success holds values other than"),
        (_put("truth", -2), "truth holds values other than"),
        (_put("seated_from_tcp", np.inf), "seated_from_tcp holds infinite values"),
        (_info("outcome", "great"), "outcome"),
        (_info("seed", 1.5), "seed"),
        (_info("trial", 2**63), "trial is too large"),
        (_info("variant", None), "variant"),
        (_info("note", "\ud800"), "info is not valid"),
        (_info("peak_force_n", float("nan")), "info cannot be saved"),
        (_info("clamps", {"speed": object()}), "info cannot be saved"),
    ],
)
def test_what_is_not_well_formed_is_refused(make_episode: Make, spoil: Callable[[Episode], None], words: str) -> None:
    episode = make_episode()
    spoil(episode)
    with pytest.raises(EpisodeError) as caught:
        encode(episode)
    assert words in str(caught.value)


def test_all_faults_are_told_at_once(make_episode: Make) -> None:
    episode = make_episode()
    episode.pose[0, 0] = np.nan
    episode.truth[0] = 5
    with pytest.raises(EpisodeError, match=r"pose.*truth"):
        encode(episode)


# --- what was not written by `encode` is not read ----------------------------------------------------------------


def _rewritten(
    data: bytes,
    table: Callable[[pa.Table], pa.Table] = lambda table: table,
    header: Callable[[dict[str, Any]], Any] = lambda header: header,
    **options: Any,
) -> bytes:
    """The file of an episode, written again after a change."""
    found = pq.read_table(pa.BufferReader(data))
    metadata = {KEY: json.dumps(header(json.loads(found.schema.metadata[KEY])))}
    changed = table(found).replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    plain = {"compression": "none", "use_dictionary": False, "write_statistics": False}
    pq.write_table(changed, sink, **(plain | options))
    return bytes(sink.getvalue())


def _column(name: str, value: pa.Array) -> Callable[[pa.Table], pa.Table]:
    def replace(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(name)
        return table.set_column(place, table.schema.field(place).with_type(value.type), value)

    return replace


def _list_column(name: str, values: np.ndarray[Any, Any]) -> Callable[[pa.Table], pa.Table]:
    def replace(table: pa.Table) -> pa.Table:
        kind = table.schema.field(name).type
        return _column(name, pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind))(table)

    return replace


def _pngs(*images: bytes) -> Callable[[pa.Table], pa.Table]:
    return _column("view_1", pa.array(images, pa.binary()))


def _png(width_px: int, height_px: int, *, kind: bytes = b"\x08\x02\0\0\0", pixels: bytes = b"") -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">II", width_px, height_px) + kind
    packed = zlib.compress(pixels or bytes((1 + 3 * width_px) * height_px))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


GOOD = _png(8, 8)
NAN_POSE = np.full((4, 6), np.nan, np.float32)


def test_the_tests_own_writer_is_understood(make_episode: Make, assert_same: Same) -> None:
    episode = make_episode()
    assert_same(decode(_rewritten(encode(episode))), episode)
    images = decode(_rewritten(encode(episode), _pngs(GOOD, GOOD, GOOD, GOOD))).images
    assert not images[:, 1].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table": lambda table: table.drop_columns(["wrench"])}, "column wrench is missing"),
        ({"table": lambda table: table.drop_columns(["view_1"])}, "column view_1 is missing"),
        ({"table": lambda table: table.append_column("more", table["step"])}, "column more is unknown"),
        ({"table": lambda table: table.select([1, 0, *range(2, 12)])}, "another order"),
        ({"table": lambda table: table.slice(0, 3)}, "has 3 rows, where 4 were declared"),
        ({"row_group_size": 2}, "rows, where 4 were declared"),
        ({"table": _column("truth", pa.array([0, 0, 0, 0], pa.int64()))}, "column truth is of type int64"),
        ({"table": _column("truth", pa.array([0, 3, 0, 0], pa.int8()))}, "truth holds values other than"),
        ({"table": _column("step", pa.array([0, 2, 1, 3], pa.int32()))}, "rows are not numbered"),
        ({"table": _column("reward", pa.array([0, 1, 2, 3], pa.float32()))}, "value in the last row"),
        ({"table": _column("reward", pa.array([0, None, 2, None], pa.float32()))}, "missing values"),
        ({"table": _list_column("pose", NAN_POSE)}, "pose holds values that are not finite"),
        ({"table": _pngs(GOOD, GOOD, b"", GOOD)}, "column view_1, row 2: an image is not PNG"),
        ({"table": _pngs(GOOD, GOOD[:-3], GOOD, GOOD)}, "a PNG is cut off"),
        ({"table": _pngs(GOOD, GOOD[:-12], GOOD, GOOD)}, "a PNG is incomplete"),
        ({"table": _pngs(GOOD, GOOD[:45] + b"?" + GOOD[46:], GOOD, GOOD)}, "checksum"),
        ({"table": _pngs(GOOD, _png(9, 8), GOOD, GOOD)}, "9x8 pixels, where 8x8 were declared"),
        ({"table": _pngs(_png(2**31 - 1, 2**31 - 1, pixels=b"0"), *[GOOD] * 3)}, "2147483647x2147483647"),
        ({"table": _pngs(GOOD, _png(8, 8, kind=b"\x08\x06\0\0\0"), GOOD, GOOD)}, "not of 8 bit RGB"),
        ({"table": _pngs(GOOD, _png(8, 8, pixels=b"few"), GOOD, GOOD)}, "cannot be decoded"),
        ({"table": _pngs(*[bytes(10**7)] * 4), "compression": "zstd"}, "would unpack to more than 1.1 MB"),
        ({"header": lambda header: header | {"format": FORMAT + 1}}, "version 2 of the form"),
        ({"header": lambda header: header | {"format": "1"}}, "name no version"),
        ({"header": lambda header: [header]}, "name no version"),
        ({"header": lambda header: header | {"steps": 2**40}}, "too large"),
        ({"header": lambda header: header | {"views": 1000}}, "too large"),
        ({"header": lambda header: header | {"width_px": 10**6}}, "too large"),
        ({"header": lambda header: header | {"steps": 900000, "width_px": 4096}}, "more than 4 GiB"),
        ({"header": lambda header: header | {"steps": -1}}, "no valid steps"),
        ({"header": lambda header: header | {"height_px": True}}, "no valid height_px"),
        ({"header": lambda header: header | {"height_px": 9}}, "where 8x9 were declared"),
        ({"header": lambda header: {name: header[name] for name in header if name != "info"}}, "info"),
        ({"header": lambda header: header | {"info": header["info"] | {"mood": 1}}}, "unknown fields: mood"),
        ({"header": lambda header: header | {"info": header["info"] | {"seed": "1"}}}, "seed"),
    ],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(make_episode: Make, change: dict[str, Any], words: str) -> None:
    data = _rewritten(encode(make_episode()), **change)
    with pytest.raises(EpisodeError) as caught:
        decode(data, name="some/file.parquet")
    assert str(caught.value).startswith("some/file.parquet: ")
    assert words in str(caught.value)


@pytest.mark.parametrize("packing", [{"compression": "zstd"}, {"use_dictionary": True}, {"data_page_size": 1}])
def test_other_packing_of_the_same_columns_is_read(
    make_episode: Make, assert_same: Same, packing: dict[str, Any]
) -> None:
    episode = make_episode(steps=40)
    assert_same(decode(_rewritten(encode(episode), **packing)), episode)


def test_missing_images_are_refused(make_episode: Make) -> None:
    def without_image(table: pa.Table) -> pa.Table:
        return table.set_column(1, pa.field("view_0", pa.binary()), pa.array([GOOD, None, GOOD, GOOD], pa.binary()))

    with pytest.raises(EpisodeError, match="allow missing values"):
        decode(_rewritten(encode(make_episode()), without_image))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not a Parquet file"),
        (b"id,variant\n1,hdmi\n", "not a Parquet file"),
        (b"PAR1PAR1", "cut off"),
        (b"PAR1" + bytes(100) + b"PAR1", "damaged"),
        (b"PAR1" + b"\xff" * 100 + b"PAR1", "damaged"),
    ],
)
def test_what_is_no_episode_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(EpisodeError, match=words):
        decode(data)


def test_parquet_without_our_metadata_is_refused() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"step": [1, 2]}), sink)
    with pytest.raises(EpisodeError, match="not an episode"):
        decode(bytes(sink.getvalue()))


def test_every_truncation_is_noticed(make_episode: Make) -> None:
    data = encode(make_episode())
    for length in [*range(0, len(data), 97), len(data) - 1]:
        with pytest.raises(EpisodeError):
            decode(data[:length])


@settings(max_examples=300, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_or_harmless(make_episode: Make, assert_same: Same, place: float, bit: int) -> None:
    episode = make_episode()
    data = bytearray(encode(episode))
    data[int(place * len(data))] ^= 1 << bit
    try:
        found = decode(bytes(data))
    except EpisodeError:
        return
    # The checksums of Parquet leave out the metadata, for which the store has its own.
    found.info = episode.info
    assert_same(found, episode)


def test_a_later_version_is_told_from_damage(make_episode: Make) -> None:
    data = encode(make_episode())
    assert is_newer(_rewritten(data, header=lambda header: header | {"format": FORMAT + 1}))
    assert not is_newer(data)
    assert not is_newer(data[:-1])
    assert not is_newer(b"text")


def test_a_path_is_read_and_named(make_episode: Make, assert_same: Same, tmp_path: Path) -> None:
    episode = make_episode()
    path = tmp_path / "one.parquet"
    path.write_bytes(encode(episode))
    assert_same(decode(path), episode)
    path.write_bytes(b"PAR1")
    with pytest.raises(EpisodeError, match=r"one\.parquet: "):
        decode(path)
    with pytest.raises(EpisodeError, match=r"missing\.parquet: there is no such episode file"):
        decode(tmp_path / "missing.parquet")


def test_png_refuses_another_size_before_decoding() -> None:
    image = np.zeros((4, 5, 3), np.uint8)
    assert decode_png(encode_png(image), 4, 5).shape == (4, 5, 3)
    with pytest.raises(ValueError, match="5x4 pixels"):
        decode_png(encode_png(image), 5, 4)


def test_encode_leaves_the_episode_as_it_was(make_episode: Make, assert_same: Same) -> None:
    episode = make_episode()
    before = copy.deepcopy(episode)
    encode(episode)
    assert_same(episode, before)
