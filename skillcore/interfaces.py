"""What a plugin implements. Nothing here knows a vendor, a simulation or an algorithm.

Every part is used through the promises written here, and `skillcore.testing` holds a suite of tests for each.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from skillcore.errors import PluginError
from skillcore.solids import Mating
from skillcore.types import ArmState, Frame, Intrinsics, Observation, Past, Pose

if TYPE_CHECKING:
    import torch

    from skillcore.episodes import ReplayCache
    from skillcore.learning.replay import Transitions
    from skillcore.learning.training import Progress

# --- devices -----------------------------------------------------------------------------------------------------


@runtime_checkable
class Clock(Protocol):
    """The time a cell lives by: the wall's, or a simulation's."""

    def now_s(self) -> float:
        """Seconds since some fixed moment; never goes back."""

    def sleep_until(self, time_s: float) -> None:
        """Returns when `now_s()` has reached `time_s`, at once if it has already."""


@dataclass(frozen=True, slots=True)
class ArmLimits:
    """What the arm itself keeps to: speed_m_s, turn_speed_rad_s (rad/s), force_n (N). The guard takes the tighter of
    these and its own."""

    speed_m_s: float
    turn_speed_rad_s: float
    force_n: float


class Arm(ABC):
    """A robot arm that can be read, moved through free space, and pushed about compliantly."""

    @abstractmethod
    def connect(self) -> None:
        """Opens the connection, checks model and state. Raises DeviceError that says what is wrong and what to do."""

    @abstractmethod
    def close(self) -> None:
        """Stops the arm and lets go of it. May be called twice, and after a failed `connect`."""

    @property
    @abstractmethod
    def limits(self) -> ArmLimits:
        """What this arm can do at most; valid before `connect`."""

    @abstractmethod
    def read(self) -> ArmState:
        """The newest reading. A controller's fault stands in `ArmState.fault`; DeviceError when nothing answers."""

    @abstractmethod
    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        """Moves in a straight line through free space and returns when it has arrived.

        Raises ArmFaultError when it meets more than `force_limit_n` on the way, and has stopped then; and at once,
        without moving, while there is a fault.
        """

    @abstractmethod
    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        """Sets the compliant target for the next `duration_s`, and returns at once with the target really set.

        The arm yields to contact: it never presses harder than `force_limit_n`. Without a new target it stays where it
        is after `duration_s`. Raises ArmFaultError while there is a fault.
        """

    @abstractmethod
    def zero_wrench(self) -> None:
        """Makes the present wrench the zero of later readings. The tool must touch nothing."""

    @abstractmethod
    def stop(self) -> None:
        """Stops as fast as is safe. Never raises; may be called at any time, from any thread, any number of times."""

    @abstractmethod
    def recover(self) -> None:
        """Clears a fault that can be cleared safely; never goes on with the old motion. ArmFaultError if it can't."""


@runtime_checkable
class Guidable(Protocol):
    """What an `Arm` offers besides if a person can guide it by hand. An arm without these methods can't.

    While it is guided the arm exerts no force of its own and can be read; commands to move are refused with
    DeviceError. `Arm.stop` and `Arm.close` end the guiding too, and so must the death of this process.
    """

    def start_freedrive(self) -> None:
        """Lets the arm be guided, until `end_freedrive`. Raises DeviceError, ArmFaultError while there is a fault."""

    def end_freedrive(self) -> None:
        """Ends it, and the arm holds where it is. May be called at any time, also when nobody guides the arm.

        Raises DeviceError if a guided arm does not obey.
        """


class Camera(ABC):
    """A camera that delivers colour images, and depth if asked in its options."""

    @abstractmethod
    def connect(self) -> None:
        """Opens the stream and waits for a first frame. Raises DeviceError that says what is wrong and what to do."""

    @abstractmethod
    def close(self) -> None:
        """Closes the stream. May be called twice, and after a failed `connect`."""

    @property
    @abstractmethod
    def intrinsics(self) -> Intrinsics:
        """Of the images delivered; valid after `connect`."""

    @abstractmethod
    def read(self, max_age_s: float) -> Frame:
        """The newest frame, exposed at most `max_age_s` ago. Raises StaleFrameError if none comes in time."""


class Shown(IntEnum):
    """What a pixel of a simulated image shows."""

    OTHER = 0
    SOCKET = 1
    PLUG = 2
    TOOL = 3


class Simulation(ABC):
    """A simulated world that arms and cameras of one cell share.

    It is made of what lives in it: `install` comes after arm and cameras are connected, and `new_episode` after
    `install`. Arm and cameras can be read, and the arm moved, before anything is installed. Everything random follows
    from the two seeds: the same seeds and commands give the same readings bit for bit, whatever was installed before.
    """

    @property
    @abstractmethod
    def clock(self) -> Clock:
        """The world's own time, which passes only while somebody sleeps on it."""

    @abstractmethod
    def install(self, mating: Mating, *, seed: int) -> None:
        """Fixes a socket in the cell and puts its plug in the gripper. `seed` draws the look of cell and parts."""

    @abstractmethod
    def new_episode(self, *, seed: int) -> None:
        """Puts the arm back above the socket; `seed` draws how the plug is grasped, and what else changes."""

    @property
    @abstractmethod
    def socket_from_base(self) -> Pose:
        """Where the socket is mounted."""

    @abstractmethod
    def plug_from_socket(self) -> Pose:
        """The truth, for labels of offline data and for reports."""

    @abstractmethod
    def turned_rad(self) -> float:
        """How far a threaded plug has been screwed in since its thread took hold; 0 without a thread."""

    def shown(self) -> Sequence[NDArray[np.uint8]] | None:
        """What every pixel shows that a camera read now would deliver: an array (H, W) of `Shown` for each camera, in
        the order in which they were connected. None from a simulation that cannot tell.

        Asking changes nothing: readings stay what they would have been. Reported, and never learned from.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Frees what it holds. May be called twice."""


# --- what learns -------------------------------------------------------------------------------------------------


class Representation(ABC):
    """An image encoder with its own regularising loss, chosen by name by a reward model or a learner.

    It is built on `torch.nn.Module`s: `module` holds what is kept, `training_module` what is needed in training only.
    """

    feature_dim: int
    """Length of the vector `encode` returns."""

    @property
    @abstractmethod
    def module(self) -> torch.nn.Module:
        """Everything that `encode` needs, to be moved to a device, saved and loaded by name."""

    @property
    def training_module(self) -> torch.nn.Module | None:
        """What only the penalty needs, and is thrown away after training; None where there is nothing."""
        return None

    @abstractmethod
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """(batch, views, 3, H, W) float in [0, 1] -> (batch, feature_dim). Deterministic: stochastic codes give their
        mean. Of plain torch operations, so that `torch.export` can follow it for a batch of any size."""

    @abstractmethod
    def encode_with_penalty(
        self, images: torch.Tensor, domains: torch.Tensor, progress: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """A training pass: features (batch, feature_dim), sampled where codes are stochastic, and the loss to add, ().

        domains: (batch,) int64, which connector on which robot an image comes from. progress: share of the training
        done, in [0, 1], for schedules.
        """

    @property
    def feature_maps(self) -> Mapping[str, torch.nn.Module]:
        """Where `encode` still knows places, for `skill inspect`: parts of `module`, by name, the last of them last.

        Each of them runs once whenever `encode` does, and returns (batch * views, channels, rows, columns), the views
        of a sample next to each other. Best taken after normalisation and rectification. Empty for an encoder that has
        no such parts, which then cannot be explained.
        """
        return {}


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """How a reward model judges by images alone.

    logit: (batch, views, 3, H, W) float in [0, 1] -> (batch,) log-odds of success, differentiable. representations:
    those whose `encode` it calls.
    """

    logit: Callable[[torch.Tensor], torch.Tensor]
    representations: Sequence[Representation]


class RewardModel(ABC):
    """Tells success from failure by what is observed and what was felt just before."""

    threshold: float
    """Scores above it count as success. Chosen by `skill pretrain` on variants that were not trained on."""

    @abstractmethod
    def fit(self, data: ReplayCache, *, seed: int, progress: Progress, start: Representation | None = None) -> None:
        """Trains on labelled offline data; where `data.success` is -1 nobody knows. Everything random follows from
        `seed`. start: a trained representation, of any kind, whose weights it may begin from."""

    @abstractmethod
    def score(self, observations: Observation, past: Past) -> NDArray[np.float32]:
        """Probability of success (batch,) for a batch of observations and of what came before each of them."""

    @property
    def sight(self) -> Sight | None:
        """What it makes of images alone, for `skill inspect`; None where there is no such part."""
        return None

    @property
    def scoring_module(self) -> torch.nn.Module:
        """`score` in torch alone, with the weights of now: images (batch, views, H, W, 3) uint8, pose and wrench
        (batch, 6), past pose and past wrench (batch, PAST, 6), all float32 -> probability of success (batch,).

        Optional: it is what `skill export` exports. Raises PluginError where a reward model offers none, as this does.
        """
        raise no_module(self, "reward model", "scoring_module")

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes safetensors and JSON, and nothing else, into an existing folder."""

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Reads what `save` wrote. Raises BundleError if it does not fit."""


class Learner(ABC):
    """A policy and the way it learns, from batches of any origin: offline data first, then practice.

    It knows feature vectors only (`skillcore.learning.perception` makes them from observations).
    """

    @abstractmethod
    def pretrain(self, prior: Transitions, *, seed: int, progress: Progress) -> None:
        """Trains the policy on offline data alone. Everything random follows from `seed`."""

    @abstractmethod
    def begin_practice(self, prior: Transitions) -> None:
        """Practice begins; `prior` is offline data that may be learned from beside what is met."""

    @abstractmethod
    def act(self, features: NDArray[np.float32], *, explore: np.random.Generator | None) -> NDArray[np.float32]:
        """An action (4,) in [-1, 1] for the features (feature_dim,) of one observation; greedy without `explore`."""

    @property
    def policy_module(self) -> torch.nn.Module:
        """The greedy policy in torch alone, with the weights of now: features (batch, feature_dim) -> actions
        (batch, 4). `act` clips them to [-1, 1].

        Optional: it is what `skill inspect` explains and `skill export` exports. Raises PluginError where a learner
        offers none, as this does.
        """
        raise no_module(self, "learner", "policy_module")

    @abstractmethod
    def learn(self, online: Transitions, *, rng: np.random.Generator, steps: int) -> Mapping[str, float]:
        """What is learned after a trial of `steps` steps, from all transitions met so far.

        Everything random follows from `rng`. Returns figures worth plotting.
        """

    @abstractmethod
    def save(self, folder: Path, *, resumable: bool = True) -> None:
        """Writes safetensors into an existing folder.

        resumable: all that exact resume needs, optimisers and targets included; else only what acts and judges, from
        which practice can begin.
        """

    @abstractmethod
    def load(self, folder: Path) -> None:
        """Reads what `save` wrote. Raises BundleError if it does not fit."""


def no_module(part: object, kind: str, name: str) -> PluginError:
    """The error of a part that offers no torch module."""
    made = f"{type(part).__module__}.{type(part).__qualname__}"
    return PluginError(
        f"the {kind} {made} offers no {name}, so that nothing outside of skillcore can run it",
        cure=f"have its author add the property {name} (docs/plugins.md), or use another {kind}",
    )
