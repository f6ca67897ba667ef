"""A skill as an environment that `gymnasium.make` makes: it finds cell and variant by name, and opens the cell itself.

    import gymnasium
    import skillcore

    env = gymnasium.make("skillcore/Insertion-v0", cell="sim", connector="hdmi")

`skillcore.task` has the task behind it, for a cell that is open already.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.util import Finalize
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from skillcore.cell import Cell, open_cell
from skillcore.cell_config import LoadedCell, load_cell
from skillcore.errors import CellBusyError, InputError, UnknownNameError
from skillcore.parts import Context
from skillcore.plugins import Registry
from skillcore.signals import ended_by_signals
from skillcore.skill import Skill
from skillcore.task import Judge, Task, observation_space
from skillcore.taught import find, with_taught
from skillcore.types import ACTION_NAMES, Image, Observation

if TYPE_CHECKING:
    from skillcore.learning.bundles import Bundle

RewardSource = Literal["model", "truth"]
"""Who says that the goal is reached: the reward model, as in practice; or a simulation, which no real cell has."""
ViewLayout = Literal["stacked", "separate"]
"""How images are observed: all views in one array, or one image for each camera."""

MOST_CELLS = 1024
"""Simulated cells of one name that can be open at a time, in all processes of one home."""
RENDERED_PX = 256
"""Height of a rendered image, at least: what the policy sees is small."""


class SkillEnv(gymnasium.Env[dict[str, Any], NDArray[np.float32]]):
    """One episode after another of one skill on one cell, which it opens and closes itself.

    skill, variant: by name; a variant may be a YAML file too. cell: a cell file, or the name of a cell. scenario: how
    episodes begin; the skill's usual one if empty. max_steps: steps of an episode at most; the skill's if None. seed:
    draws the specimen and the looks of a simulated cell; episodes are seeded by `reset`. render_mode: None or
    "rgb_array": the views side by side, (height, width, 3) uint8.

    reward: 1 in the step that reaches the goal, which terminates the episode, and 0 otherwise. Who says so? With
    "model" the reward model of a `bundle` (a folder; if empty the newest pretrained one, or the one that comes with the
    skill), as in practice; its network runs on `device`. With "truth" the simulation: for benchmarks alone, since no
    real cell knows.

    Observation, a dict: images (views, H, W, 3) uint8 RGB; pose (6,) float32, the TCP seen from where the episode
    began, in m and rad (rotation vector); wrench (6,) float32, in N and Nm in the tool frame. With views="separate"
    there is "image_NAME" (H, W, 3) for each camera of the cell file, instead of images. Action (4,) float32 in
    [-1, 1]: displacement along the tool's x, y, z and turn about z, in units of the cell file's step_m and
    turn_step_rad.

    info: executed (4,), what was really commanded after the guard; aborted, why guard or fault ended the episode, or
    ""; score, the reward model's probability of success; is_success, the truth, where a simulation knows it.

    The cell is opened by the first `reset`, and held until `close`. A simulated cell can be open many times side by
    side, a real one once: CellBusyError. Whatever ends the environment (`close`, an exception that nobody catches, the
    garbage collector, the end of the program, SIGTERM while a real cell is open) stops the arm first. Every step lasts
    a whole period of the cell's clock, counted from its call, so that who thinks long before it sees its effect all the
    same; the arm stands still meanwhile. Only the main thread can be told of a signal: an environment whose first
    `reset` runs in another thread is ended unasked by SIGTERM, and its arm is stopped by its driver alone.

    Raises when made: UnknownNameError, ConfigError, PluginError, BundleError for a bundle that does not fit the cell,
    InputError for "truth" without a simulation. `reset` raises what opening raises: CellBusyError, DeviceError; and
    `reset` and `step` raise as `Task` does.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  (gymnasium's own form)

    def __init__(
        self,
        skill: str,
        variant: str,
        *,
        cell: str | Path = "sim",
        scenario: str = "",
        reward: RewardSource = "model",
        bundle: str | Path = "",
        views: ViewLayout = "stacked",
        max_steps: int | None = None,
        seed: int = 0,
        device: str = "cpu",
        render_mode: str | None = None,
    ) -> None:
        _check("reward", reward, get_args(RewardSource))
        _check("views", views, get_args(ViewLayout))
        if render_mode is not None:
            _check("render_mode", render_mode, self.metadata["render_modes"])
        if max_steps is not None and max_steps < 1:
            raise InputError(f"max_steps: {max_steps} is not at least 1", cure="leave it out for the skill's own")
        registry = Registry.discover()
        self.skill: Skill = registry.make("skills", skill, {}, Context(name=skill))
        self.variant = self.skill.variant(variant)
        self.scenario = scenario or next(iter(self.skill.scenarios))
        _check("scenario", self.scenario, self.skill.scenarios)
        loaded = load_cell(cell, registry)
        self.loaded: LoadedCell = with_taught(loaded, find(loaded, self.skill, self.variant, named=variant))
        self.max_steps = self.skill.max_steps if max_steps is None else max_steps
        self.render_mode = render_mode
        self._seed = seed
        self._layout = views
        self._judge: _Scoring | None = None
        if reward == "model":
            self._judge = _Scoring(self._find_bundle(str(bundle)), registry, device, self.loaded, self.skill)
        elif bundle:
            raise InputError("bundle: no reward model is asked with reward='truth'", cure="leave one of the two out")
        elif self.loaded.simulation is None:
            raise InputError(
                f"reward='truth': cell {self.loaded.name} is real, and nothing in it knows the truth",
                cure="leave `reward` out, so that the reward model says it",
            )
        cameras = list(self.loaded.cameras)
        self._keys = [f"image_{name}" for name in cameras]
        seen = observation_space(len(cameras), self.loaded.config.views.size_px)
        self.observation_space = seen if views == "stacked" else self._separated_space(seen)
        self.action_space = spaces.Box(-1.0, 1.0, (len(ACTION_NAMES),), np.float32)
        self.metadata = {**self.metadata, "render_fps": round(self.loaded.config.control.rate_hz)}
        self._task: Task | None = None
        self._is_closed = False
        self._last: Observation | None = None
        self._held = _Held()
        # The garbage collector calls it too, and the end of the program.
        self._close = weakref.finalize(self, self._held.close)

    # --- gymnasium.Env ---

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        task = self._opened()
        with _stopped_if_it_fails(task.cell):
            observation, info = task.reset(seed=seed, options=options)
        return self._seen(observation), self._told(info)

    def step(self, action: NDArray[np.float32]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        if self._task is None and not self._is_closed:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        task = self._opened()
        with _stopped_if_it_fails(task.cell):
            task.cell.restart_clock()
            observation, reward, terminated, truncated, info = task.step(action)
        return self._seen(observation), reward, terminated, truncated, self._told(info)

    def render(self) -> Image | None:
        """The views of the last observation side by side, enlarged; None without a render mode."""
        if self.render_mode is None or self._last is None:
            return None
        views = self._last["images"]
        scale = -(-RENDERED_PX // views.shape[1])
        return np.concatenate([np.kron(view, np.ones((scale, scale, 1), np.uint8)) for view in views], axis=1)

    def close(self) -> None:
        """Stops the arm, closes all devices, and lets go of the cell. May be called twice."""
        self._is_closed = True
        self._task = None
        self._close()

    # --- cell ---

    def _opened(self) -> Task:
        """The task, on a cell that is open."""
        if self._is_closed:
            raise gymnasium.error.ClosedEnvironmentError("this environment is closed: make another")
        if self._task is None:
            # What opens half is closed again.
            with ExitStack() as opening:
                self._task = self._open(opening)
                self._held.hold(opening.pop_all())
        elif self._held.is_elsewhere:
            raise InputError(
                "this environment was opened by another process, which has forked into this one",
                cure="make the environment in the process that uses it, as AsyncVectorEnv does",
            )
        return self._task

    def _open(self, opening: ExitStack) -> Task:
        loaded = self.loaded
        if loaded.simulation is None:
            opening.enter_context(ended_by_signals())
            cell = _open_real(opening, loaded)
        else:
            cell = _open_simulated(opening, loaded)
        if self._judge is not None:
            self._judge.load()
        return self.skill.task(
            cell,
            self.variant,
            scenario=self.scenario,
            seed=self._seed,
            judge=self._judge,
            max_steps=self.max_steps,
        )

    def _find_bundle(self, wanted: str) -> Path:
        """As `skill learn` chooses: what one run has learned does not matter to who judges."""
        from skillcore.home import folder
        from skillcore.learning.bundles import PRETRAINED, find_bundle

        return find_bundle(folder("bundles"), self.skill.name, wanted, PRETRAINED, self.skill.pretrained)

    # --- what is seen and told ---

    def _separated_space(self, stacked: spaces.Dict) -> spaces.Dict:
        one = stacked["images"].shape[1:]  # type: ignore[index]  # a Box has a shape
        images = {key: spaces.Box(0, 255, one, np.uint8) for key in self._keys}
        return spaces.Dict({**images, "pose": stacked["pose"], "wrench": stacked["wrench"]})

    def _seen(self, observation: Observation) -> dict[str, Any]:
        self._last = observation
        if self._layout == "stacked":
            return dict(observation)
        views = dict(zip(self._keys, observation["images"], strict=True))
        return {**views, "pose": observation["pose"], "wrench": observation["wrench"]}

    def _told(self, info: dict[str, Any]) -> dict[str, Any]:
        """What stands in a task's info, less the way to success, which only who demonstrates may know."""
        told = {"executed": info["executed"], "aborted": info["aborted"]}
        if self._judge is not None:
            told["score"] = info["score"]
        if info["is_success"] is not None:
            told["is_success"] = info["is_success"]
        return told


_inherited: list[ExitStack] = []
"""What a fork brought along. To forget it would close it, so it is kept."""


class _Held:
    """What an environment has open. Only the process that has opened it closes it, never one that it forked into: that
    one shares connections and locks, and would end them for both."""

    def __init__(self) -> None:
        self._stack: ExitStack | None = None
        self._pid = 0
        self._at_exit: Finalize | None = None

    def hold(self, stack: ExitStack) -> None:
        self._stack, self._pid = stack, os.getpid()
        # A process of multiprocessing ends without what atexit calls, and so without weakref.finalize.
        self._at_exit = Finalize(None, self.close, exitpriority=10)

    @property
    def is_elsewhere(self) -> bool:
        return self._stack is not None and self._pid != os.getpid()

    def close(self) -> None:
        stack, self._stack = self._stack, None
        if stack is not None and self._pid == os.getpid():
            if self._at_exit is not None:
                self._at_exit.cancel()
            stack.close()
        elif stack is not None:
            _inherited.append(stack)


class _Scoring(Judge):
    """The reward model of a bundle as the judge. Its weights are read when the cell is opened.

    It works on one thread, see `on_one_thread`.
    """

    def __init__(self, folder: Path, registry: Registry, device: str, loaded: LoadedCell, skill: Skill) -> None:
        from skillcore.learning.bundles import read_card
        from skillcore.learning.job import check_card_fits
        from skillcore.learning.recipe import choose_device

        check_card_fits(folder, read_card(folder), loaded, skill)
        self._folder, self._registry, self._device = folder, registry, choose_device(device)
        self._judge: Judge | None = None

    def load(self) -> None:
        """Reads the weights. Raises BundleError if they are damaged."""
        from skillcore.learning.bundles import load_bundle
        from skillcore.learning.rewarding import SelfReward
        from skillcore.learning.threads import on_one_thread

        with on_one_thread():
            bundle: Bundle = load_bundle(self._folder, self._registry, device=self._device)
        self._judge = SelfReward(bundle.brain.reward_model)

    def start(self) -> None:
        assert self._judge is not None
        self._judge.start()

    def judge(self, observation: Observation) -> tuple[float, bool]:
        from skillcore.learning.threads import on_one_thread

        assert self._judge is not None
        with on_one_thread():
            return self._judge.judge(observation)


@contextmanager
def _stopped_if_it_fails(cell: Cell) -> Iterator[None]:
    """Stops the arm if the body raises, a KeyboardInterrupt in a notebook for instance."""
    try:
        yield
    except BaseException:
        cell.stop()
        raise


def _open_real(opening: ExitStack, loaded: LoadedCell) -> Cell:
    try:
        return opening.enter_context(open_cell(loaded))
    except CellBusyError as error:
        raise CellBusyError(
            f"{error.what}; a real cell has one arm and can be open once",
            cure="close the other environment or end that process; ask for one environment (num_envs=1), or for "
            "several on a simulated cell",
        ) from error


def _open_simulated(opening: ExitStack, loaded: LoadedCell) -> Cell:
    """Opens the cell under the first name that is free, so that few names are used whatever happens."""
    for number in range(MOST_CELLS):
        try:
            return opening.enter_context(open_cell(loaded, instance=f"environment-{number}"))
        except CellBusyError:
            continue
    raise CellBusyError(
        f"cell {loaded.name}: {MOST_CELLS} environments have it open already", cure="close some of them"
    )


def _check(option: str, value: object, known: Any) -> None:
    """Raises UnknownNameError for a value that is none of those known."""
    if value not in known:
        raise UnknownNameError(option, str(value), known, where="gymnasium.make")
