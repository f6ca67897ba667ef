"""A skill bound to a cell and a variant: a `gymnasium.Env` with a real reset."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from skillcore.cell import Cell
from skillcore.errors import ArmFaultError, DeviceError, SafetyStopError, StaleFrameError
from skillcore.types import ACTION_NAMES, Observation, Pose

POSE_BOUND = 10.0
WRENCH_BOUND = 1000.0
RESET_TRIES = 3
FAULTS_IN_A_ROW = 3
"""So many episodes one after the other that a fault of a device has ended, and no other is begun."""
FRAMES_BACK_S = 15.0
"""How long a camera may take to come back after a fault."""
FAULTS = (ArmFaultError, StaleFrameError)
"""What ends an episode, and is recovered from before the next one."""


class Judge(Protocol):
    """Says during an episode whether its goal has been reached."""

    def start(self) -> None:
        """An episode begins."""

    def judge(self, observation: Observation) -> tuple[float, bool]:
        """The probability that this observation shows success, and whether the episode counts as succeeded."""


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What a simulation, or one calibrated success pose, says of the present moment.

    seated_from_tcp: where the TCP would be at success, seen from the TCP.
    """

    success: bool
    seated_from_tcp: Pose

    def __eq__(self, other: object) -> bool:
        """By value, so that gymnasium's checker can compare two `info`s."""
        if not isinstance(other, Truth):
            return NotImplemented
        mine, others = self.seated_from_tcp, other.seated_from_tcp
        alike = np.array_equal(mine.position_m, others.position_m) and np.array_equal(mine.rotation, others.rotation)
        return self.success == other.success and alike

    __hash__ = None  # type: ignore[assignment]


def observation_space(views: int, size_px: int) -> spaces.Dict:
    """Of the observations of a cell with so many views, of (size_px, size_px) each; see `Observation`."""
    return spaces.Dict(
        {
            "images": spaces.Box(0, 255, (views, size_px, size_px, 3), np.uint8),
            "pose": spaces.Box(-POSE_BOUND, POSE_BOUND, (6,), np.float32),
            "wrench": spaces.Box(-WRENCH_BOUND, WRENCH_BOUND, (6,), np.float32),
        }
    )


class Task(gymnasium.Env[Observation, NDArray[np.float32]]):
    """One episode after another of one skill on one cell.

    Observations and actions are those of `skillcore.types`: a dict of images, pose and wrench, and four numbers in
    [-1, 1]. The reward is 1 in the step that reaches the goal and 0 otherwise, and reaching the goal terminates.

    Who says so? The `judge`, if there is one: during practice, that is the reward model. It is believed only where it
    `can_be_success`. Without a judge it is the simulation's truth, and a cell that has none raises DeviceError. `info`
    holds:

    - `executed` (4,): what was really commanded; `score`: the judge's probability of success (NaN without one);
    - `is_success`: the truth where it is known, for reports; `truth`: the whole `Truth`, or None;
    - `aborted`: why guard or fault ended the episode, or "".

    A fault of arm or camera ends the episode with the arm stopped; where nothing can be read any more, the last
    observation stands for what followed. The next reset recovers what can be recovered safely, and raises the fault
    where a person is needed, or where `FAULTS_IN_A_ROW` episodes ended like that.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012  (gymnasium's own form)
    fixes_yaw = True
    """Whether all successes end turned alike about the tool's axis, so that one tells how far others had to turn. Not
    so where a screw is turned in, or where what is round goes in any way."""

    def __init__(self, cell: Cell, *, max_steps: int, judge: Judge | None = None) -> None:
        self.cell = cell
        self.max_steps = max_steps
        self.judge = judge
        # A Dict space yields what the TypedDict describes.
        self.observation_space = observation_space(cell.views, cell.config.views.size_px)  # type: ignore[assignment]
        self.action_space = spaces.Box(-1.0, 1.0, (len(ACTION_NAMES),), np.float32)
        self._steps = 0
        self._fresh = True
        self._last: Observation | None = None
        self._faults = 0

    # --- what a skill fills in ---

    @abstractmethod
    def prepare(self, rng: np.random.Generator) -> None:
        """Real work: frees the tool from where the last episode left it and brings it to a new start in the open."""

    @abstractmethod
    def truth(self) -> Truth | None:
        """What is known of the present moment without the reward model, or None."""

    def change_look(self, seed: int) -> None:
        """Draws how cell and parts look anew, where they are simulated."""

    def can_be_success(self) -> bool:
        """Whether the goal may have been reached, by where the cell takes it to lie, and never by the truth. Where it
        may not, the judge is not believed."""
        return True

    # --- gymnasium.Env ---

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        super().reset(seed=seed)
        if not self._fresh:
            # Somebody else has ended the episode, a time limit of gymnasium's for instance; no fault has.
            self._faults = 0
        if self._faults:
            self._recover()
        for attempt in range(1, RESET_TRIES + 1):
            try:
                self.prepare(self.np_random)
                self.cell.zero_wrench()
                self.cell.start_control()
                observation = self._observe()
            except FAULTS:
                self.cell.stop()
                if attempt == RESET_TRIES:
                    raise
                self._recover()
                continue
            if self.judge is not None:
                self.judge.start()
            score, solved = self._judged(observation)
            if not solved:
                self._steps, self._fresh = 0, False
                return observation, self._info(np.zeros(4, np.float32), score, "")
        raise DeviceError(
            f"the task looks solved before it starts, {RESET_TRIES} times in a row",
            cure="see whether the plug is still in the socket, and whether the cameras see what they should",
        )

    def step(self, action: NDArray[np.float32]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        if self._fresh:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        aborted, faulty = "", False
        executed = np.zeros(4, np.float32)
        try:
            executed = self.cell.control(action)
        except (SafetyStopError, *FAULTS) as error:
            aborted, faulty = error.what, isinstance(error, FAULTS)
        try:
            observation = self._observe()
        except FAULTS as error:
            self.cell.stop()
            if self._last is None:
                raise
            observation, aborted, faulty = self._last, aborted or error.what, True
        score, success = self._judged(observation)
        success = success and not aborted
        self._steps += 1
        truncated = bool(aborted) or (self._steps >= self.max_steps and not success)
        self._fresh = success or truncated
        if self._fresh:
            self._faults = self._faults + 1 if faulty else 0
        return observation, float(success), success, truncated, self._info(executed, score, aborted)

    def _observe(self) -> Observation:
        observation = self.cell.observe()
        np.clip(observation["pose"], -POSE_BOUND, POSE_BOUND, out=observation["pose"])
        np.clip(observation["wrench"], -WRENCH_BOUND, WRENCH_BOUND, out=observation["wrench"])
        self._last = observation
        return observation

    def _recover(self) -> None:
        """Clears what can be cleared. Raises the fault where a person is needed, or nothing helps."""
        if self._faults >= FAULTS_IN_A_ROW:
            raise DeviceError(
                f"{self._faults} episodes in a row were ended by a fault of the arm or a camera",
                cure="`skill cell check` looks at all devices; what was finished is kept",
            )
        self.cell.recover()
        self.cell.await_frames(FRAMES_BACK_S)

    def _judged(self, observation: Observation) -> tuple[float, bool]:
        if self.judge is not None:
            score, success = self.judge.judge(observation)
            return score, success and self.can_be_success()
        truth = self.truth()
        if truth is None:
            raise DeviceError(
                "nothing in this cell says whether the task is solved",
                cure="give the task a reward model as its judge; only a simulation knows by itself",
            )
        return float("nan"), truth.success

    def _info(self, executed: NDArray[np.float32], score: float, aborted: str) -> dict[str, Any]:
        truth = self.truth()
        return {
            "executed": executed,
            "score": score,
            "truth": truth,
            "is_success": None if truth is None else truth.success,
            "aborted": aborted,
        }
