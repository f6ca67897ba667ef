"""Skills as `gymnasium.make` makes them, on the simulated cell."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import skillcore
from skillcore import registration
from skillcore.cell import open_cell
from skillcore.cell_config import load_cell
from skillcore.errors import BundleError, CellBusyError, InputError, PluginError, UnknownNameError
from skillcore.home import folder
from skillcore.plugins import Registry
from skillcore_insertion.collector import Collector

STILL = np.zeros(4, np.float32)
SMALL_VIEWS = """\
schema: 1
name: small
control: {step_m: 5 mm}
views: {size_px: 32}
safety:
  workspace: {min_m: [-0.05, -0.05, -0.06], max_m: [0.05, 0.05, 0.08]}
fixture: {position_m: [0.5, 0.0, 0.1], rotvec_rad: [180 deg, 0, 0]}
simulation: {driver: mujoco}
arm: {driver: mujoco}
cameras: {left: {driver: mujoco}, right: {driver: mujoco}}
"""


def alike(first: Any, second: Any) -> bool:
    """Whether two observations or two infos are the same."""
    return first.keys() == second.keys() and all(np.array_equal(first[key], second[key]) for key in first)


# --- registered --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "imports",
    [
        "import skillcore, gymnasium",
        "import gymnasium, skillcore",
        "import importlib.util, skillcore; importlib.util.find_spec('gymnasium'); import gymnasium",
    ],
)
def test_a_plain_import_registers_the_environments(imports: str) -> None:
    shown = "print([name for name in gymnasium.registry if name.startswith('skillcore/')], 'torch' in sys.modules)"
    code = f"import sys; {imports}; {shown}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    assert "'skillcore/Insertion-v0'" in done.stdout
    assert done.stdout.endswith("False\n")


def test_two_distributions_that_offer_one_environment_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    point = metadata.EntryPoint("Press-v0", "acme:Env", registration.GROUP)
    monkeypatch.setattr(metadata, "entry_points", lambda group: [point, point])
    (refuse,) = registration.environments().values()
    with pytest.raises(PluginError, match="two distributions offer an environment 'skillcore/Press-v0'"):
        refuse(cell="sim")


def points_of(**offered: str) -> list[Any]:
    """Entry points of environments that the distribution acme offers."""
    return [
        SimpleNamespace(name=name, value=value, dist=SimpleNamespace(name="acme"), group=registration.GROUP)
        for name, value in offered.items()
    ]


def test_a_wrong_entry_is_warned_of_and_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [*points_of(**{"no name at all": "acme:Env"}), *points_of(**{"Right-v0": "acme:Env"})]
    monkeypatch.setattr(metadata, "entry_points", lambda group: wrong)
    monkeypatch.setattr(gymnasium.envs.registration, "registry", {})
    monkeypatch.setattr(gymnasium, "registry", gymnasium.envs.registration.registry)
    with pytest.warns(UserWarning, match="'skillcore/no name at all' of acme cannot be registered"):
        registration.register_environments()
    assert "skillcore/Right-v0" in gymnasium.registry


def test_environments_are_allowed_as_plugins_are(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    plugin = SimpleNamespace(name="acme", value="acme", dist=SimpleNamespace(name="acme"))
    groups = {registration.GROUP: points_of(**{"Press-v0": "acme:Env"}), "skillcore": [plugin]}
    monkeypatch.setattr(metadata, "entry_points", lambda group: groups[group])
    assert list(registration.environments()) == ["skillcore/Press-v0"]
    monkeypatch.setenv("SKILLCORE_PLUGINS", "insertion")
    assert registration.environments() == {}
    monkeypatch.setenv("SKILLCORE_PLUGINS", "acme")
    assert list(registration.environments()) == ["skillcore/Press-v0"]


def test_wrong_settings_are_warned_of_and_break_no_import(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    home.mkdir()
    (home / "settings.yaml").write_text("plugins: {alow: []}\n", encoding="utf-8")
    with pytest.warns(UserWarning, match="no environment of skillcore is registered.*alow"):
        registration.register_environments()


def test_registering_again_changes_nothing() -> None:
    before = gymnasium.registry["skillcore/Insertion-v0"]
    registration.register_environments()
    assert gymnasium.registry["skillcore/Insertion-v0"] is before


# --- what gymnasium asks for -------------------------------------------------------------------------------------


@pytest.mark.parametrize("views", ["stacked", "separate"])
def test_it_passes_gymnasiums_checker(make: Any, views: str) -> None:
    check_env(make(views=views, render_mode="rgb_array").unwrapped)


def test_the_spaces_are_those_of_the_cell(make: Any) -> None:
    stacked, separate = make().observation_space, make(views="separate").observation_space
    assert {key: space.shape for key, space in stacked.items()} == {
        "images": (2, 64, 64, 3),
        "pose": (6,),
        "wrench": (6,),
    }
    assert list(separate) == ["image_left", "image_right", "pose", "wrench"]
    assert separate["image_left"].shape == (64, 64, 3)
    assert separate["image_left"].dtype == np.uint8


def test_separate_views_are_the_stacked_ones(make: Any) -> None:
    stacked, _ = make().reset(seed=5)
    separate, _ = make(views="separate").reset(seed=5)
    assert np.array_equal(stacked["images"], np.stack([separate["image_left"], separate["image_right"]]))


def test_a_seed_repeats_everything_in_another_environment(make: Any) -> None:
    first, second = make(), make()
    moves = np.random.default_rng(0).uniform(-1.0, 1.0, (5, 4)).astype(np.float32)
    played = [[env.reset(seed=11), *(env.step(move) for move in moves)] for env in (first, second)]
    for one, other in zip(*played, strict=True):
        assert alike(one[0], other[0])
        assert alike(one[-1], other[-1])
        assert one[1:-1] == other[1:-1]
    assert not alike(first.reset(seed=12)[0], played[0][0][0])


def test_it_shows_what_it_sees(make: Any) -> None:
    env = make(render_mode="rgb_array")
    observation, _ = env.reset(seed=1)
    shown = env.render()
    assert shown.shape == (256, 512, 3)
    assert shown.dtype == np.uint8
    assert np.array_equal(shown[::4, 256::4], observation["images"][1])
    assert env.metadata["render_fps"] == 10


def test_an_episode_ends_after_its_steps(make: Any) -> None:
    env = make(max_steps=2)
    env.reset(seed=1)
    assert [env.step(STILL)[2:4] for _ in range(2)] == [(False, False), (False, True)]
    assert make().unwrapped.max_steps == 20


# --- who says so -------------------------------------------------------------------------------------------------


def test_the_truth_rewards_who_gets_there(make: Any) -> None:
    env = make(max_steps=60)
    env.reset(seed=1)
    task = env.unwrapped._task
    collector = Collector(
        task.cell.config.control, np.random.default_rng(0), depth_m=task.mating.depth_m, biased=0.0, wandering=0.0
    )
    rewards = []
    while True:
        _, reward, terminated, truncated, info = env.step(collector.act(task.truth()))
        rewards.append(reward)
        assert "score" not in info
        assert "truth" not in info
        if terminated or truncated:
            break
    assert (terminated, truncated) == (True, False)
    assert info["is_success"] is True
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]


def test_the_reward_model_judges_if_nobody_says_otherwise(home: Path) -> None:
    import torch

    env = gymnasium.make("skillcore/Insertion-v0", cell="sim", connector="hdmi")
    before = torch.get_num_threads()
    _, told = env.reset(seed=1)
    _, reward, _, _, info = env.step(STILL)
    assert 0.0 <= told["score"] < 0.5
    assert 0.0 <= info["score"] < 0.5
    assert reward == 0.0
    assert info["is_success"] is False
    assert torch.get_num_threads() == before
    env.close()


def test_a_bundle_that_does_not_fit_the_cell_is_refused_when_it_is_made(home: Path, make: Any) -> None:
    (home.parent / "small.yaml").write_text(SMALL_VIEWS, encoding="utf-8")
    with pytest.raises(BundleError, match="images of 64 px, and views"):
        make(cell="small.yaml", reward="model")


# --- what is asked wrongly ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"connector": "hdmy"}, "did you mean hdmi"),
        ({"cell": "simm"}, "did you mean sim"),
        ({"scenario": "V"}, "there is no scenario named 'V'"),
        ({"reward": "modle"}, "did you mean model"),
        ({"views": "stackd"}, "did you mean stacked"),
        ({"bundle": "somewhere"}, "no reward model is asked"),
        ({"max_steps": 0}, "0 is not at least 1"),
    ],
)
def test_a_wrong_option_is_told_when_it_is_made(make: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as told:
        make(**options)
    assert words in str(told.value)


def test_a_render_mode_that_is_none_is_refused(home: Path) -> None:
    with pytest.raises(UnknownNameError, match="render_mode"):
        skillcore.SkillEnv("insertion", "hdmi", reward="truth", render_mode="ansi")


# --- open and closed ---------------------------------------------------------------------------------------------


def test_nothing_is_open_before_the_first_reset_and_after_close(make: Any) -> None:
    env = make()
    assert not list(folder("locks").glob("*.json"))
    env.reset(seed=1)
    (held,) = folder("locks").glob("*.json")
    assert "sim%23environment-0" in held.name
    env.close()
    env.close()
    assert not list(folder("locks").glob("*.json"))
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        env.unwrapped.step(STILL)
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
        env.unwrapped.reset()


def test_a_step_needs_a_reset(make: Any) -> None:
    with pytest.raises(gymnasium.error.ResetNeeded):
        make().unwrapped.step(STILL)


def test_simulated_cells_open_side_by_side_and_their_places_are_used_again(make: Any) -> None:
    for _ in range(3):
        envs = [make(), make()]
        starts = [env.reset(seed=4)[0] for env in envs]
        assert alike(*starts)
        for env in envs:
            env.close()
    assert len(list(folder("locks").glob("sim%23environment-*.lock"))) == 2


def test_a_process_that_was_forked_closes_nothing(home: Path) -> None:
    """In a process of its own, since the one that tests has threads."""
    code = """
import os, gymnasium, skillcore
from skillcore.cell import open_cell
from skillcore.cell_config import load_cell
from skillcore.plugins import Registry
env = gymnasium.make("skillcore/Insertion-v0", reward="truth")
env.reset(seed=1)
child = os.fork()
if child == 0:
    try:
        env.reset(seed=1)
    except skillcore.InputError as error:
        print(error.what, flush=True)
    env.close()
    os._exit(0)
os.waitpid(child, 0)
try:
    open_cell(load_cell("sim", Registry.discover()), instance="environment-0").__enter__()
except skillcore.CellBusyError:
    print("still held")
env.step(env.action_space.sample())
env.close()
"""
    # From Python 3.12 on, a fork of a process with threads, such as a library's, is a DeprecationWarning.
    warnings = ("-W", "error", "-W", "ignore::DeprecationWarning")
    done = subprocess.run(
        [sys.executable, *warnings, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "this environment was opened by another process, which has forked into this one",
        "still held",
    ]


# --- several at a time -------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of forks
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_several_simulated_cells_are_what_single_ones_are(make: Any, mode: str) -> None:
    options = {"connector": "usb_a", "reward": "truth"}
    envs = gymnasium.make_vec("skillcore/Insertion-v0", num_envs=2, vectorization_mode=mode, **options)
    try:
        seen, _ = envs.reset(seed=[3, 4])
        moves = np.random.default_rng(0).uniform(-1.0, 1.0, (2, 4)).astype(np.float32)
        after, rewards, _, _, infos = envs.step(moves)
        if mode == "async":
            held = [path.read_text() for path in folder("locks").glob("*.json")]
            assert len(held) == 2
            assert not any(f'"pid": {os.getpid()},' in note for note in held)
    finally:
        envs.close()
    for number, seed in enumerate((3, 4)):
        single = make()
        assert alike({key: value[number] for key, value in seen.items()}, single.reset(seed=seed)[0])
        observation, reward, _, _, info = single.step(moves[number])
        assert alike({key: value[number] for key, value in after.items()}, observation)
        assert rewards[number] == reward
        assert np.array_equal(infos["executed"][number], info["executed"])
        single.close()
    assert not list(folder("locks").glob("*.json"))


def test_a_cell_that_a_command_holds_does_not_hinder_environments(make: Any) -> None:
    loaded = load_cell("sim", Registry.discover())
    with open_cell(loaded):
        with pytest.raises(CellBusyError), open_cell(loaded):
            pass
        make().reset(seed=1)


# --- threads -----------------------------------------------------------------------------------------------------


@pytest.fixture
def threads() -> Iterator[Any]:
    """Torch, which works on three threads."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield torch
    torch.set_num_threads(before)


def test_reading_the_reward_model_takes_one_thread_as_judging_does(
    home: Path, threads: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that was forked from a process with threads would wait for them forever."""
    from skillcore.learning import bundles
    from skillcore.learning.rewarding import SelfReward

    used = []

    def counted(work: Any) -> Any:
        def count(*arguments: Any, **options: Any) -> Any:
            used.append(threads.get_num_threads())
            return work(*arguments, **options)

        return count

    monkeypatch.setattr(bundles, "load_bundle", counted(bundles.load_bundle))
    monkeypatch.setattr(SelfReward, "judge", counted(SelfReward.judge))
    env = gymnasium.make("skillcore/Insertion-v0", cell="sim", connector="hdmi")
    env.reset(seed=1)
    env.close()
    assert used == [1, 1]
    assert threads.get_num_threads() == 3


def test_environments_in_two_threads_take_turns(threads: Any) -> None:
    """Part of the number belongs to the whole process: who ends first would give it back to who still works."""
    from skillcore.learning.threads import on_one_thread

    inside, leave = [threading.Event(), threading.Event()], threading.Event()
    numbers = []

    def work(entered: threading.Event) -> None:
        torch.set_num_threads(3)
        with on_one_thread():
            entered.set()
            numbers.append(torch.get_num_threads())
            assert leave.wait(60.0)
        numbers.append(torch.get_num_threads())

    torch = threads
    both = [threading.Thread(target=work, args=(entered,)) for entered in inside]
    both[0].start()
    assert inside[0].wait(60.0)
    both[1].start()
    assert not inside[1].wait(0.5)
    leave.set()
    for one in both:
        one.join(60.0)
    assert sorted(numbers) == [1, 1, 3, 3]
