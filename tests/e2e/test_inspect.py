"""`skill inspect`, as a technician types it, on the simulated cell with a bundle of no merit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import safetensors.numpy

from skillcore.cell_config import load_cell
from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.learning.bundles import load_bundle
from skillcore.plugins import Registry
from skillcore.reports.saliency_sheets import saliency_png
from skillcore.storage import sha256_of

SHEETS = {"policy_x.png", "policy_y.png", "policy_z.png", "policy_yaw.png", "reward.png"}
FEW = ("--frames", "24")


def line_of(output: str, start: str) -> str:
    (line,) = [line for line in output.splitlines() if line.startswith(start)]
    return line.removeprefix(start).strip()


def inspect(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, and what was printed."""
    capsys.readouterr()
    code = main(["inspect", "insertion", *arguments])
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    return code, told.out, told.err


def figures_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {study["about"]: study for study in json.loads((folder / "pointing.json").read_bytes())["studies"]}


@pytest.fixture
def practised_bundle(own: Path, home: Path) -> Path:
    """The tiny bundle as if it had been practised: of one connector, and with an adapted estimate of the way."""
    place = home / "bundles" / "insertion" / "hdmi_a" / "0001"
    shutil.copytree(own, place)
    perception = safetensors.numpy.load_file(place / "perception.safetensors")
    rng = np.random.default_rng(0)
    moved = {
        f"perception.{name}": one + rng.normal(0.0, 0.05, one.shape).astype(one.dtype)
        for name, one in perception.items()
    }
    safetensors.numpy.save_file(moved, place / "adapted_learner.safetensors")
    card = json.loads((place / "card.json").read_bytes())
    card["files"]["adapted_learner.safetensors"] = sha256_of(place / "adapted_learner.safetensors")
    card |= {"variant": "hdmi_a", "parent": "0001 of pretraining"}
    (place / "card.json").write_text(json.dumps(card))
    shutil.copytree(own, home / "bundles" / "insertion" / "pretrained" / "0001")
    return place


def test_it_draws_sheets_and_counts_and_reads_them_again(
    home: Path, practised_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = inspect(capsys, "--connector", "hdmi", *FEW)
    assert (code, err) == (0, "")
    # What practice began from is found without being named.
    assert line_of(out, "after practice:") == str(practised_bundle)
    assert line_of(out, "before practice:").endswith("insertion/pretrained/0001")
    run, sheets = Path(line_of(out, "run:")), Path(line_of(out, "sheets:"))
    assert sheets == run / "inspect"
    assert {path.name for path in sheets.glob("*.png")} == SHEETS
    for path in sheets.glob("*.png"):
        picture = cv2.imread(str(path))
        assert picture.shape[1] > 600, path
        assert picture.std() > 20.0
    figures = figures_of(sheets)
    policy, reward = figures["policy"], figures["reward model"]
    assert policy["frames"] == 24
    assert policy["episodes"] >= 2
    assert [one["title"] for one in policy["bundles"]] == ["after practice", "before practice"]
    for one in policy["bundles"]:
        shares = one["saliency_on_plug_and_socket"]
        assert list(shares) == ["x", "y", "z", "yaw", "all"]
        for name, share in shares.items():
            assert 0.0 <= share["low"] <= share["value"] <= share["high"] <= 1.0, name
    assert 0.05 < policy["area_of_plug_and_socket"]["value"] < 0.8
    change = policy["first_minus_second"]["all"]
    after, before = (one["saliency_on_plug_and_socket"]["all"]["value"] for one in policy["bundles"])
    assert change["value"] == pytest.approx(after - before, abs=0.02)
    # Both bundles hold the same reward model, which practice leaves as it is.
    assert [one["title"] for one in reward["bundles"]] == ["reward model (ERM)"]
    assert reward["frames"] == 24
    shown = policy["area_of_plug_and_socket"]["value"]
    assert f"  by chance          {shown:.0%}" in out
    assert json.loads((run / "results.json").read_bytes()) == json.loads((sheets / "pointing.json").read_bytes())

    # The run that was made can be looked at again: the recorded trials are acted anew, and show the same.
    code, again, err = inspect(capsys, "--run", run.name, *FEW, "--out", "again")
    assert (code, err) == (0, "")
    assert "recorded trials (inspect)" in again
    assert "otherwise" not in again
    assert figures_of(Path("again"))["policy"] == policy
    assert len(list((home / "runs").iterdir())) == 1


def test_trials_that_come_out_otherwise_are_not_counted(
    home: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "insertion", "--connector", "hdmi", "--bundle", str(tiny), "--seed", "4"]) in (0, 1)
    (run,) = (home / "runs").iterdir()
    about = json.loads((run / "run.json").read_bytes())
    (run / "run.json").write_text(json.dumps(about | {"seed": 5}))
    code, out, _ = inspect(capsys, "--run", str(run), "--frames", "10")
    assert code == 0
    assert "come out otherwise in this simulation, as those of another version do: 1; nobody knows" in out
    assert "no pointing figure" in out
    figures = figures_of(run / "inspect")
    assert figures["policy"]["area_of_plug_and_socket"] is None
    assert figures["policy"]["bundles"][0]["saliency_on_plug_and_socket"] == {}
    assert (run / "inspect" / "policy_x.png").exists()


def test_a_cell_without_simulation_has_sheets_and_says_what_is_missing(
    home: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "ur5e_d405"
    assert load_cell(cell, Registry.discover()).simulation is None
    assert main(["run", "insertion", "--connector", "hdmi", "--bundle", str(tiny)]) in (0, 1)
    (run,) = (home / "runs").iterdir()
    code, out, err = inspect(capsys, "--run", str(run), "--cell", cell, "--frames", "10")
    assert code == 0, err
    assert "no pointing figure: it needs the simulator" in out
    assert {"policy_x.png", "policy_yaw.png"} <= {path.name for path in (run / "inspect").iterdir()}


def test_reward_models_of_two_bundles_are_told_apart(
    home: Path, tiny: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = json.loads((own / "card.json").read_bytes())["recipe"]
    card = json.loads((own / "card.json").read_bytes())
    # The policy's representation is DAIB's, so that its weights make a classifier by sight on DAIB.
    own_weights = safetensors.numpy.load_file(own / "perception.safetensors")
    classifier = safetensors.numpy.load_file(own / "classifier_0.safetensors")
    prefix = "representation."
    weights = {name: one for name, one in own_weights.items() if name.startswith(prefix)}
    weights |= {name: one for name, one in classifier.items() if not name.startswith(prefix)}
    safetensors.numpy.save_file(weights, own / "classifier_0.safetensors")
    recipe["reward_model"]["options"] |= {
        "representation": "daib",
        "representation_options": recipe["representation"]["options"],
    }
    card["recipe"] = recipe
    card["files"]["classifier_0.safetensors"] = sha256_of(own / "classifier_0.safetensors")
    (own / "card.json").write_text(json.dumps(card))
    code, out, err = inspect(
        capsys, "--connector", "hdmi", "--bundle", str(tiny), "--against", str(own), "--frames", "10", "--out", "sheets"
    )
    assert code == 0, err
    reward = figures_of(Path("sheets"))["reward model"]
    assert [one["title"] for one in reward["bundles"]] == ["reward model (ERM)", "reward model (DAIB)"]
    assert "bundle A minus bundle B" in out
    assert set(reward["first_minus_second"]) == {"success"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no connector is named"),
        (("--connector", "hdmii"), "did you mean hdmi"),
        (("--connector", "hdmi", "--layer", "conv9"), "did you mean conv2 or conv1"),
        (("--connector", "hdmi", "--against", "nowhere"), "nowhere: is no bundle"),
        (("--run", "yesterday"), "there is no run named 'yesterday'"),
    ],
)
def test_a_wrong_name_ends_with_2_and_begins_nothing(
    tiny: Path, home: Path, arguments: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = inspect(capsys, "--bundle", str(tiny), *arguments)
    assert code == 2
    assert told in err
    assert err.count("error:") == 1
    assert not list(home.glob("runs/*"))


def test_without_captum_it_ends_with_2_and_the_cure(
    tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "captum", None)
    code, _, err = inspect(capsys, "--connector", "hdmi", "--bundle", str(tiny))
    assert code == 2
    assert "pip install 'skillcore[saliency]'" in err


def test_a_report_gets_a_small_sheet_of_a_saved_episode(home: Path, tiny: Path) -> None:
    assert main(["run", "insertion", "--connector", "hdmi", "--bundle", str(tiny)]) in (0, 1)
    with EpisodeStore(next((home / "runs").iterdir()) / "episodes", create=False) as store:
        episode = store.read(store.rows()[0].id)
    brain = load_bundle(tiny, Registry.discover(), device="cpu").brain
    png = saliency_png(brain, episode, views=("left", "right"))
    assert len(png) < 600_000
    assert cv2.imdecode(np.frombuffer(png, np.uint8), 1).shape[1] < 900
