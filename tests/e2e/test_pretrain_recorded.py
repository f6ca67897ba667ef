"""`skill pretrain --data`: from recorded episodes to a bundle, where no simulator can even be imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skillcore.cli import main
from skillcore.episodes import EpisodeStore
from skillcore.learning.bundles import load_bundle, read_card
from skillcore.plugins import Registry
from skillcore.types import Episode, EpisodeInfo, Outcome

RECIPE = """\
representation: {name: daib, options: {channels: [8, 8], code_dim: 8}}
learner: {name: rlpd, options: {hidden: 16, critics: 2, pretrain_steps: 5}}
reward_model:
  name: daib
  options:
    representation: erm
    representation_options: {channels: [8, 8], code_dim: 8}
    steps: 4
    batch: 8
    touch_steps: 20
training: {steps: 4, batch: 8}
"""
SIZE_PX, STEPS = 64, 6

WITHOUT_MUJOCO = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "mujoco":
            raise ModuleNotFoundError("No module named 'mujoco'", name="mujoco")
sys.meta_path.insert(0, Missing())
from skillcore.cli import main
sys.argv[0] = "skill"
code = main()
assert "mujoco" not in sys.modules
sys.exit(code)
"""


def recorded(seed: int, variant: str, outcome: Outcome, **info: float) -> Episode:
    """As a real cell records it: images, poses, wrenches, actions, and how it ended."""
    rng = np.random.default_rng(seed)
    frames = STEPS + 1
    pose = np.cumsum(rng.normal(0.0, 0.004, (frames, 6)), axis=0).astype(np.float32)
    return Episode(
        info=EpisodeInfo("insertion", variant, "bench", seed, "practice", outcome, **info),  # type: ignore[arg-type]
        images=rng.integers(0, 256, (frames, 2, SIZE_PX, SIZE_PX, 3), np.uint8),
        pose=pose - pose[0],
        wrench=rng.normal(0.0, 3.0, (frames, 6)).astype(np.float32),
        action=rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32),
        executed=rng.uniform(-1.0, 1.0, (STEPS, 4)).astype(np.float32),
        reward=np.zeros(STEPS, np.float32),
        score=np.full(frames, np.nan, np.float32),
        success=np.full(frames, -1, np.int8),
        truth=np.full(frames, -1, np.int8),
        seated_from_tcp=np.full((frames, 6), np.nan, np.float32),
    )


def made_store(folder: Path, outcomes: str, variants: str = "abc", **info: float) -> Path:
    """outcomes: a letter for each episode, s(uccess) or f(ailure). variants: of each, in turn."""
    with EpisodeStore(folder) as store:
        store.append_many(
            recorded(seed, variants[seed % len(variants)], "success" if letter == "s" else "timeout", **info)
            for seed, letter in enumerate(outcomes)
        )
    return folder


@pytest.fixture
def recipe(home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def pretrain(recipe: Path, *more: str) -> int:
    return main(["pretrain", "insertion", "--recipe", str(recipe), "--device", "cpu", "--out", "bundle", *more])


def test_recorded_data_alone_makes_a_bundle_where_there_is_no_mujoco(recipe: Path, tmp_path: Path, home: Path) -> None:
    folders = [made_store(tmp_path / "one", "ssfsfs"), made_store(tmp_path / "two", "fssf", "cd")]
    command = [sys.executable, "-W", "error", "-c", WITHOUT_MUJOCO, "pretrain", "insertion", "--device", "cpu"]
    command += ["--recipe", str(recipe), "--out", "bundle", *(f"--data={folder}" for folder in folders)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "nothing is collected" in done.stdout
    assert "collecting" not in done.stdout
    assert "of 10 episodes nobody but their reward says" in done.stderr
    # Nothing was collected into the home either.
    assert not (home / "datasets").exists() or not any((home / "datasets").iterdir())
    card = read_card(tmp_path / "bundle")
    assert card.data["recorded"] == [str(folder) for folder in folders]
    assert card.data["labels"] == {"by outcome": 10, "by a person": 0, "none": 0}
    assert card.data["held out"] + card.data["episodes"] == 10
    # It can be loaded and used like any other.
    bundle = load_bundle(tmp_path / "bundle", Registry.discover(), device="cpu")
    assert bundle.card.views == 2
    assert len(bundle.prior)


def test_a_policy_can_be_trained_where_a_reward_model_cannot(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pretrain(recipe, "--data", str(made_store(tmp_path / "whole", "sfsf"))) == 0
    whole = (tmp_path / "bundle").rename(tmp_path / "kept")
    folder = made_store(tmp_path / "one", "ffff")
    with EpisodeStore(folder) as store:
        name = store.rows()[1].id
    assert pretrain(recipe, "--data", str(folder)) == 2
    told = capsys.readouterr().err
    assert "the policy cannot be trained on this data: none of the 4 episodes succeeded" in told
    assert "the reward model cannot be trained on this data: no frame of the 4 episodes shows a success" in told
    assert "skill data relabel" in told
    assert not (tmp_path / "bundle").exists()
    # One label that is corrected is enough for a policy, and not for a reward model.
    assert main(["data", "relabel", str(folder), "--episode", name, "--success", "yes", "--who", "ada"]) == 0
    assert pretrain(recipe, "--data", str(folder)) == 2
    told = capsys.readouterr().err
    assert "the policy" not in told
    assert "only one episode shows a success" in told
    assert "--reward-from BUNDLE" in told
    assert pretrain(recipe, "--data", str(folder), "--reward-from", str(whole)) == 0
    assert "reward model: taken over as it was" in capsys.readouterr().out
    card, kept = read_card(tmp_path / "bundle"), read_card(whole)
    assert card.reward == kept.reward
    assert card.data["labels"]["by a person"] == 1
    names = [name for name in kept.files if name.startswith(("classifier", "touch"))]
    assert names
    assert {name: card.files[name] for name in names} == {name: kept.files[name] for name in names}


def test_relabelled_data_is_trained_on_anew(recipe: Path, tmp_path: Path) -> None:
    folder = made_store(tmp_path / "one", "ssffss")
    assert pretrain(recipe, "--data", str(folder)) == 0
    before = json.loads((tmp_path / "bundle" / "card.json").read_text())["data"]
    with EpisodeStore(folder) as store:
        store.relabel(store.rows()[2].id, True, who="ada")
    (tmp_path / "bundle").rename(tmp_path / "before")
    assert pretrain(recipe, "--data", str(folder)) == 0
    after = json.loads((tmp_path / "bundle" / "card.json").read_text())["data"]
    assert before["hashes"] != after["hashes"]
    assert after["labels"] == {"by outcome": 5, "by a person": 1, "none": 0}


@pytest.mark.parametrize(
    ("info", "more", "told"),
    [
        ({"control_hz": 20.0}, (), "was recorded at 20 Hz, and control.rate_hz of the cell is 10"),
        ({}, ("--rollouts", "3"), "--rollouts says how much is collected, and with --data nothing is"),
        ({}, ("--connectors", "3"), "--connectors says how much is collected"),
    ],
)
def test_what_does_not_fit_is_told(
    recipe: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    info: dict[str, float],
    more: tuple[str, ...],
    told: str,
) -> None:
    folder = made_store(tmp_path / "one", "sfsf", **info)
    assert pretrain(recipe, "--data", str(folder), *more) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_stores_that_hold_the_same_episodes_are_refused(
    recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = made_store(tmp_path / "one", "sfsf"), made_store(tmp_path / "two", "sfff")
    assert pretrain(recipe, "--data", str(one), "--data", str(one)) == 2
    assert "name each store once" in capsys.readouterr().err
    assert pretrain(recipe, "--data", str(one), "--data", str(two)) == 2
    told = capsys.readouterr().err
    assert f"3 of the episodes in {two} are in {one} too" in told
    assert f"skill data merge {one} {two} --out NEW" in told
    assert not (tmp_path / "bundle").exists()


def test_a_reward_model_is_taken_over_with_data_only(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pretrain(recipe, "--reward-from", "somewhere") == 2
    assert "--reward-from goes with --data only" in capsys.readouterr().err
