"""robomimic's files of strangers: what is not sound is refused with its reason, and the rest can still be read."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skillcore.errors import EpisodeError, InputError
from skillcore.exchange.pictures import Fit
from skillcore.exchange.robomimic import RobomimicSource, require_h5py
from skillcore.exchange.source import Wanted

h5py: Any = pytest.importorskip("h5py")
MakeDataset = Callable[..., Path]
POSITION, VIEW = "obs/robot0_eef_pos", "obs/agentview_image"
WANTED = Wanted(frozenset({POSITION, "actions"}), (VIEW,), Fit("keep"), after=True)


def test_a_sound_file_is_read(make_robomimic: MakeDataset, tmp_path: Path) -> None:
    source = RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", demos=11))
    assert (source.form, source.rate_hz, source.has_after) == ("robomimic HDF5", 20.0, True)
    assert source.names == [f"demo_{number}" for number in range(11)]
    assert str(source.fields[POSITION]) == "3 numbers"
    assert not any(name.startswith("next_obs") for name in source.fields)
    raw = source.read(10, WANTED)
    np.testing.assert_allclose(raw.numbers[POSITION][:, 0], 0.01 * np.arange(6))
    assert raw.images[:, 0, 0, 0].tolist() == [[200, 10 * frame, 200] for frame in range(6)]
    assert raw.after is not None
    assert raw.after[0][POSITION][0] == pytest.approx(0.06)
    assert raw.after[1][0, 0, 0, 1] == 60


def _replaced(name: str, **made: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        demo = file["data/demo_0"]
        del demo[name]
        demo.create_dataset(name, **made)

    return change


def _nan(file: Any) -> None:
    file[f"data/demo_0/{POSITION}"][2, 1] = np.nan


def _external_link(file: Any) -> None:
    del file["data/demo_0/actions"]
    file["data/demo_0/actions"] = h5py.ExternalLink("/etc/secret.hdf5", "/data")


def _external_demo(file: Any) -> None:
    del file["data/demo_0"]
    file["data/demo_0"] = h5py.ExternalLink("other.hdf5", "/data/demo_0")


def _external_after(file: Any) -> None:
    del file["data/demo_0/next_obs"]
    file["data/demo_0/next_obs"] = h5py.ExternalLink("other.hdf5", "/")


def _soft_link(file: Any) -> None:
    del file["data/demo_0/actions"]
    file["data/demo_0/actions"] = h5py.SoftLink("/data/demo_0/actions")


def _virtual(file: Any) -> None:
    del file["data/demo_0/actions"]
    layout = h5py.VirtualLayout(shape=(6, 7), dtype="f8")
    layout[:] = h5py.VirtualSource("/etc/secret.hdf5", "x", shape=(6, 7))
    file["data/demo_0"].create_virtual_dataset("actions", layout)


def _kept_elsewhere(file: Any) -> None:
    del file["data/demo_0/actions"]
    file["data/demo_0"].create_dataset("actions", (6, 7), "f8", external=[("/etc/passwd", 0, 336)])


def _longer(file: Any) -> None:
    file["data/demo_0"].attrs["num_samples"] = 9


def _object(file: Any) -> None:
    del file["data/demo_0/actions"]
    file["data/demo_0"].create_dataset("actions", (6,), dtype=h5py.string_dtype())


def _cycle(file: Any) -> None:
    del file["data/demo_0/actions"]
    file["data/demo_0/actions"] = file["data"]


def _big_attribute(file: Any) -> None:
    del file["data/demo_0"].attrs["num_samples"]
    file["data/demo_0"].attrs.create("num_samples", np.zeros(8000))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_nan, "obs/robot0_eef_pos holds NaN or infinity in frame 2"),
        (_external_link, "actions is a link to another file, '/etc/secret.hdf5'"),
        (_external_demo, "demo_0 is a link to another file"),
        (_external_after, "next_obs is a link to another file"),
        (_soft_link, "actions is a soft link"),
        (_virtual, "actions is put together from other arrays or files"),
        (_kept_elsewhere, "actions keeps its numbers in another file"),
        (_longer, "it declares 9 frames and holds 6: frames are missing"),
        (_object, "actions holds object"),
        (_cycle, "actions is no array"),
        (_big_attribute, "is damaged"),
        (_replaced(POSITION, data=np.zeros((5, 3))), "not as many frames: actions 6, obs/robot0_eef_pos 5"),
        (_replaced("actions", data=np.zeros((6, 8))), "actions has 8 numbers, where others have 7 numbers"),
        (_replaced("actions", shape=(6, 7), dtype="f8", chunks=True), "actions declares 6 frames and stores none"),
        (_replaced("actions", shape=(10**12, 7), dtype="f8", chunks=(1024, 7)), "declares 1000000000000 frames"),
        (
            _replaced(VIEW, shape=(6, 10**5, 10**5, 3), dtype="u1", chunks=(1, 10**4, 10**4, 3)),
            "has pieces of 300.0 MB",
        ),
        (_replaced(VIEW, data=np.zeros((6, 8, 16, 3), np.uint8)), "has image 16x8, where others have image 16x16"),
        (_replaced(VIEW, data=np.zeros((6, 16, 16, 3), np.float32)), "has"),
    ],
)
def test_a_spoiled_demonstration_is_refused(
    make_robomimic: MakeDataset, tmp_path: Path, change: Callable[[Any], None], reason: str
) -> None:
    # Fields are those of the first demonstration that can be read: here another than the one that is spoiled.
    def swapped(file: Any) -> None:
        file["data"].move("demo_0", "demo_00")
        file["data"].move("demo_1", "demo_0")
        file["data"].move("demo_00", "demo_1")
        file["data"].move("demo_0", "kept")
        file["data"].move("demo_1", "demo_0")
        change(file)
        file["data"].move("demo_0", "demo_1")
        file["data"].move("kept", "demo_0")

    source = RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", change=swapped))
    assert source.names == ["demo_0", "demo_1", "demo_2"]
    for sound in (0, 2):
        assert len(source.read(sound, WANTED).images) == 6
    with pytest.raises(EpisodeError) as caught:
        source.read(1, WANTED)
    assert reason.replace("demo_0", "demo_1") in str(caught.value)


def test_one_odd_demonstration_does_not_decide_for_all(make_robomimic: MakeDataset, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        for name in ("actions", "next_obs"):
            del file["data/demo_0"][name]
        file["data/demo_0"]["actions"] = np.zeros((6, 9))
        file["data/demo_0"]["mine"] = np.zeros((6, 2))

    source = RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", change=change))
    assert source.has_after
    assert source.fields["actions"].width == 7
    assert "mine" not in source.fields
    with pytest.raises(EpisodeError, match="actions has 9 numbers, where others have 7 numbers"):
        source.read(0, WANTED)
    assert len(source.read(1, WANTED).images) == 6


def test_an_array_in_place_of_a_demonstration_is_not_walked_through(
    make_robomimic: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(file: Any) -> None:
        del file["data/demo_0"]
        file["data"].create_dataset("demo_0", shape=(2**40,), dtype="f8", chunks=(1024,))

    def walked(array: Any) -> None:
        pytest.fail(f"went through {array.shape[0]} numbers that are nowhere")

    monkeypatch.setattr(h5py.Dataset, "__iter__", walked)
    source = RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", change=change))
    assert source.fields["actions"].width == 7
    with pytest.raises(EpisodeError, match="it is no group"):
        source.read(0, WANTED)


def test_what_came_after_is_read_only_where_it_is_wanted(make_robomimic: MakeDataset, tmp_path: Path) -> None:
    source = RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", change=_external_after))
    with pytest.raises(EpisodeError, match="next_obs is a link to another file"):
        source.read(0, WANTED)
    assert source.read(0, dataclasses.replace(WANTED, after=False)).after is None


def test_a_filter_that_would_be_loaded_is_refused(make_robomimic: MakeDataset, tmp_path: Path) -> None:
    def change(file: Any) -> None:
        demo = file["data/demo_1"]
        del demo["actions"]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((6, 7))
        # One that is not there and may be left out when writing; a reader would look for its library.
        plan.set_filter(32015, h5py.h5z.FLAG_OPTIONAL, (3,))
        space = h5py.h5s.create_simple((6, 7))
        array = h5py.h5d.create(demo.id, b"actions", h5py.h5t.NATIVE_DOUBLE, space, plan)
        array.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros((6, 7)))

    source = RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", change=change))
    with pytest.raises(EpisodeError, match="packed with the filter 32015"):
        source.read(1, WANTED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda file: file.move("data", "date"), "data is missing"),
        (lambda file: [file["data"].pop(f"demo_{number}") for number in range(3)], "has no demonstration"),
    ],
)
def test_an_unsound_whole_is_told(
    make_robomimic: MakeDataset, tmp_path: Path, change: Callable[[Any], None], reason: str
) -> None:
    with pytest.raises(EpisodeError, match=reason):
        RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", change=change))


def test_damaged_files_are_told(make_robomimic: MakeDataset, tmp_path: Path) -> None:
    path = make_robomimic(tmp_path / "demos.hdf5")
    data = path.read_bytes()
    for damaged in (b"", b"PAR1", data[:300]):
        path.write_bytes(damaged)
        with pytest.raises(EpisodeError, match=r"no HDF5 file|is damaged"):
            RobomimicSource(path)


@pytest.mark.parametrize("env_args", [None, "{", "[" * 100_000, json.dumps({"env_kwargs": {"control_freq": -1}})])
def test_a_rate_that_is_not_said_is_none(make_robomimic: MakeDataset, tmp_path: Path, env_args: str | None) -> None:
    def change(file: Any) -> None:
        del file["data"].attrs["env_args"]
        if env_args is not None and len(env_args) < 60_000:
            file["data"].attrs["env_args"] = env_args

    assert RobomimicSource(make_robomimic(tmp_path / "demos.hdf5", change=change)).rate_hz is None


def test_a_missing_package_is_answered_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(InputError, match=r"skillcore\[exchange\]"):
        require_h5py()
