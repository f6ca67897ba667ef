"""`skill export`: what it writes does what the original does, or is not written."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.learning import onnx_export
from skillcore.learning.bundles import load_bundle
from skillcore.learning.onnx_card import ExportCard
from skillcore.learning.rewarding import SelfReward, batch_of_one
from skillcore.plugins import Registry
from skillcore.storage import sha256_of
from skillcore_rlpd.rlpd import Rlpd

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "skills" / "skillcore_insertion" / "pretrained"


def export(bundle: Path, *more: str) -> int:
    return main(
        ["export", "insertion", "--connector", "hdmi", "--bundle", str(bundle), "--onnx", "--out", "out", *more]
    )


def card_of(folder: Path) -> ExportCard:
    return ExportCard.model_validate_json((folder / "card.json").read_bytes())


def left_behind() -> list[str]:
    return sorted(path.name for path in Path.cwd().iterdir() if "out" in path.name)


@pytest.fixture
def doubtful(own: Path, home: Path) -> Path:
    """A bundle whose reward model takes about half of all frames for success; the home has a run of it."""
    assert main(["run", "insertion", "--connector", "hdmi", "--bundle", str(own), "--times", "2"]) in (0, 1)
    (run,) = home.glob("runs/*-run-*")
    with EpisodeStore(run / "episodes", create=False) as store:
        scores = np.concatenate([store.read(row.id).score for row in store.rows()])
    card = json.loads((own / "card.json").read_bytes())
    # Of so little training scores are 0 or 1.
    card["reward"]["threshold"] = min(float(np.median(scores)), 0.99)
    (own / "card.json").write_text(json.dumps(card))
    return own


# --- what is written ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an export of the bundle that ships, `out`, and a home with the run that it was compared on."""
    place = tmp_path_factory.mktemp("shipped")
    parts = ("insertion", "--connector", "hdmi", "--bundle", str(SHIPPED))
    told, complaints = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKILLCORE_HOME", str(place / "home"))
        patch.chdir(place)
        assert main(["run", *parts, "--times", "3"]) in (0, 1)
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(complaints):
            assert main(["export", *parts, "--onnx", "--out", "out"]) == 0
    assert complaints.getvalue() == ""
    (place / "told").write_text(told.getvalue())
    return place


def test_the_bundle_that_ships_is_exported(shipped: Path) -> None:
    folder, told = shipped / "out", (shipped / "told").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["card.json", "policy.onnx", "reward_model.onnx"]
    card = card_of(folder)
    assert card.skill == "insertion"
    assert card.check.observations >= 4
    assert max(card.check.policy, card.check.reward_model) <= 1e-4
    assert f"{card.check.policy:.1e}" in told
    assert card.reward.threshold == card.bundle.reward["threshold"]
    assert (card.reward.agreement, card.reward.window, card.reward.past) == (3, 4, 4)
    for model in (card.policy, card.reward_model):
        path = folder / model.file
        assert sha256_of(path) == model.sha256
        # What the card says of inputs and outputs is what the file has.
        session = onnxruntime.InferenceSession(path)
        for ports, nodes in ((model.inputs, session.get_inputs()), (model.outputs, session.get_outputs())):
            kinds = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
            assert [(one.name, list(one.shape), kinds[one.dtype]) for one in ports] == [
                (node.name, node.shape, node.type) for node in nodes
            ]
        # Nothing tells where it was made.
        assert str(ROOT).encode() not in path.read_bytes()
        assert onnx.load(path).opset_import[0].version == model.opset
    text = "\n".join(card.description)
    assert "reflex" in text
    assert "guard" in text


def test_an_export_is_checked_on_the_newest_run_or_the_one_that_is_named(
    doubtful: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = home.glob("runs/*-run-*")
    assert export(doubtful) == 0
    assert f"frames of the run {run.name}" in capsys.readouterr().out
    shutil.rmtree("out")
    run.rename(run.with_name("20200101-000000-run-insertion-hdmi_a-abcd"))
    assert main(["run", "insertion", "--connector", "hdmi", "--bundle", str(doubtful)]) in (0, 1)
    assert export(doubtful, "--observations", "abcd") == 0
    assert "frames of the run 20200101-000000-run-insertion-hdmi_a-abcd" in capsys.readouterr().out
    assert card_of(Path("out")).check.source == "the run 20200101-000000-run-insertion-hdmi_a-abcd"


@pytest.mark.usefixtures("credulous")
def test_what_practice_has_adapted_is_exported(doubtful: Path, home: Path) -> None:
    sizes = ("--zero-shot", "0", "--trials", "3", "--acceptance", "1")
    assert main(["learn", "insertion", "--connector", "hdmi", "--bundle", str(doubtful), *sizes]) in (0, 1)
    learned = home / "bundles" / "insertion" / "hdmi_a" / "0001"
    # The newest bundle of the connector.
    assert main(["export", "insertion", "--connector", "hdmi", "--onnx"]) == 0
    folder = Path("insertion-hdmi_a-onnx")
    assert card_of(folder).variant == "hdmi_a"
    brain = load_bundle(learned, Registry.discover(), device="cpu").brain
    assert brain.adapter is not None
    assert brain.adapter.active
    (run,) = home.glob("runs/*-learn-*")
    with EpisodeStore(run / "episodes", create=False) as store:
        episode = store.read(store.rows(source="acceptance")[0].id)
    inputs = {"images": episode.images, "pose": episode.pose, "wrench": episode.wrench}
    answers = onnxruntime.InferenceSession(folder / "policy.onnx").run(None, inputs)[0]
    batch = {name: inputs[name] for name in ("images", "pose", "wrench")}
    features = brain.perception.features(batch)  # type: ignore[arg-type]
    adapted = brain.adapter.corrected(features, episode.images)
    with torch.no_grad():
        before, after = (brain.learner.policy_module(torch.from_numpy(one)).numpy() for one in (features, adapted))
    np.testing.assert_allclose(answers, after, atol=1e-4)
    assert np.abs(answers - before).max() > 1e-4


def test_the_loop_of_the_guide_does_what_a_trial_does(shipped: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"^```python\n# loop.py\n(.*?)^```$", (ROOT / "docs/exporting.md").read_text(), re.M | re.S)
    (tmp_path / "loop.py").write_text(block, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("loop", tmp_path / "loop.py")
    assert spec is not None
    assert spec.loader is not None
    loop: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loop)

    brain = load_bundle(SHIPPED, Registry.discover(), device="cpu").brain
    judge = SelfReward(brain.reward_model)
    (run,) = shipped.glob("home/runs/*")
    with EpisodeStore(run / "episodes", create=False) as store:
        episodes = [store.read(row.id) for row in store.rows()]
    verdicts = []
    for episode in episodes:
        attempt = loop.Attempt(shipped / "out")
        judge.start()
        for frame in range(episode.steps + 1):
            now = episode.observation(frame)
            action, probability, succeeded = attempt.step(now["images"], now["pose"], now["wrench"])
            score, expected = judge.judge(now)
            assert probability == pytest.approx(score, abs=1e-4)
            assert succeeded == expected
            features = brain.perception.features(batch_of_one(now))[0]
            np.testing.assert_allclose(action, brain.learner.act(features, explore=None), atol=1e-4)
            verdicts.append(succeeded)
    assert True in verdicts
    assert False in verdicts


# --- what is not -------------------------------------------------------------------------------------------------


class Shifted(torch.nn.Module):
    """A policy that does a little more than the original."""

    def __init__(self, right: torch.nn.Module) -> None:
        super().__init__()
        self.right = right

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(0.9 * self.right(features) + 1e-3)


def test_an_export_that_does_something_else_is_no_export(
    tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Rlpd, "policy_module", property(lambda self: Shifted(self._policy)))
    assert export(tiny) == 2
    err = capsys.readouterr().err
    assert "error: the exported policy does not do what the original does: outputs differ by up to " in err
    assert "0.0001 is allowed" in err
    assert left_behind() == []


def test_what_is_no_number_agrees_with_nothing(
    tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answers(path: Path, samples: onnx_export.Samples, *, past: bool) -> Any:
        return np.full((len(samples),) if past else (len(samples), 4), np.nan, np.float32)

    monkeypatch.setattr(onnx_export, "_export", lambda *_: None)
    monkeypatch.setattr(onnx_export, "_answers", answers)
    assert export(tiny) == 2
    assert "outputs differ by up to nan" in capsys.readouterr().err
    assert left_behind() == []


class Special(torch.nn.Module):
    """A policy by way of a special function that ONNX has not."""

    def __init__(self, right: torch.nn.Module) -> None:
        super().__init__()
        self.right = right

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(self.right(features))


def test_a_part_that_cannot_be_exported_is_named(
    tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Rlpd, "policy_module", property(lambda self: Special(self._policy)))
    assert export(tiny) == 2
    err = capsys.readouterr().err
    assert "error: the policy cannot be exported: " in err
    assert "Traceback" not in err
    assert left_behind() == []


def test_a_part_without_a_module_is_named(
    tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from skillcore.interfaces import Learner

    monkeypatch.setattr(Rlpd, "policy_module", Learner.policy_module)
    assert export(tiny) == 2
    assert "the learner skillcore_rlpd.rlpd.Rlpd offers no policy_module" in capsys.readouterr().err
    assert left_behind() == []


def test_a_missing_extra_is_answered_with_the_command(
    tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(onnx_export, "PACKAGES", ("onnx", "onnx_that_is_not_there"))
    assert export(tiny) == 2
    err = capsys.readouterr().err
    assert "ONNX needs onnx_that_is_not_there, which is not installed" in err
    assert "pip install 'skillcore[onnx]'" in err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--observations", "nothing"), "there is no run named 'nothing'"),
        (("--cell", "ur5e_d405"), "cell ur5e_d405 is not simulated"),
        (("--cell", "simm"), "did you mean sim"),
        (("--bundle", "nowhere"), "nowhere: is no bundle"),
        (("--connector", "hdmii"), "did you mean hdmi"),
        (("--out", "."), "is there already\n  -> remove it, or choose another folder with --out"),
    ],
)
def test_a_wrong_option_ends_with_2_and_a_cure(
    tiny: Path, home: Path, more: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tiny, *more) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("error:") == 1
    assert left_behind() == []


def test_a_form_must_be_named(tiny: Path, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "insertion", "--connector", "hdmi", "--bundle", str(tiny)]) == 2
    assert "add --onnx" in capsys.readouterr().err


def test_a_run_that_cannot_be_read_is_passed_over(
    doubtful: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = home.glob("runs/*-run-*")
    (run / "episodes" / "index.sqlite").write_bytes(b"broken" * 1000)
    assert export(doubtful) == 0
    told = capsys.readouterr().out
    assert f"note: {run.name} is passed over" in told
    assert "frames of 2 episodes on cell sim" in told
    # What was recorded is kept nowhere.
    assert list(home.glob("runs/*")) == [run]


def test_what_ends_the_writing_leaves_nothing(tiny: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(onnx_export, "_export", interrupted)
    assert export(tiny) == 130
    assert left_behind() == []
