"""The values that flow through a cell: poses, wrenches, frames, observations, episodes.

Poses are named `a_from_b`: the pose of frame `a` as seen from frame `b`, so `tcp_from_base` is the pose of the tool
centre point in the robot's base frame. Chains read from right to left along the middle frame:

    tcp_from_base = flange_from_base @ tcp_from_flange

The tool frame's z axis points out of the tool, along the direction of insertion. Units are SI throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

ACTION_NAMES = ("x", "y", "z", "yaw")
"""What the numbers of an action mean: displacement along the tool's axes and rotation about its z axis."""


def rotation_from_rotvec(rotvec_rad: Array) -> Array:
    """The rotation matrix (3, 3) of a rotation vector (3,) in rad (Rodrigues' formula)."""
    angle = float(np.sqrt(rotvec_rad @ rotvec_rad))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = rotvec_rad / angle
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1.0 - np.cos(angle)) * (cross @ cross))


def rotvec_from_rotation(rotation: Array) -> Array:
    """The rotation vector (3,) in rad of a rotation matrix (3, 3); its length lies in [0, pi]."""
    vector = np.array(
        [
            rotation[2, 1] - rotation[1, 2],
            rotation[0, 2] - rotation[2, 0],
            rotation[1, 0] - rotation[0, 1],
        ]
    )
    sine = 0.5 * float(np.sqrt(vector @ vector))
    cosine = 0.5 * (float(np.trace(rotation)) - 1.0)
    angle = float(np.arctan2(sine, cosine))
    if sine > 1e-6:
        return np.asarray(vector * (0.5 * angle / sine))
    if cosine > 0.0:
        return np.asarray(0.5 * vector)
    # Half a turn: the axis is the eigenvector that belongs to 1, read off the largest column of (R + I) / 2.
    columns = 0.5 * (rotation + np.eye(3))
    axis = columns[:, int(np.argmax(np.diag(columns)))]
    return np.asarray(angle * axis / np.linalg.norm(axis))


@dataclass(frozen=True, slots=True, eq=False)
class Pose:
    """A rigid transform, named `a_from_b`: frame `a` as it is seen from frame `b`. `@` chains two of them:
    tcp_from_base = flange_from_base @ tcp_from_flange.

    position_m: (3,) float64. rotation: (3, 3) float64, a proper rotation matrix.
    """

    position_m: Array
    rotation: Array

    @staticmethod
    def identity() -> Pose:
        """No displacement and no turn."""
        return Pose(np.zeros(3), np.eye(3))

    @staticmethod
    def from_rotvec(position_m: Any, rotvec_rad: Any) -> Pose:
        """Pose from a position (3,) in m and a rotation vector (3,) in rad, as UR controllers write it."""
        rotvec = np.asarray(rotvec_rad, dtype=np.float64)
        return Pose(np.array(position_m, dtype=np.float64), rotation_from_rotvec(rotvec))

    @staticmethod
    def from_xyz_yaw(x_m: float, y_m: float, z_m: float, yaw_rad: float) -> Pose:
        """Pose from a displacement in m and a rotation in rad about z."""
        cosine, sine = np.cos(yaw_rad), np.sin(yaw_rad)
        rotation = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
        return Pose(np.array([x_m, y_m, z_m], dtype=np.float64), rotation)

    @property
    def rotvec_rad(self) -> Array:
        """Rotation vector (3,) in rad."""
        return rotvec_from_rotation(self.rotation)

    @property
    def yaw_rad(self) -> float:
        """Rotation about z, in rad, of the x axis as it is seen in the xy plane."""
        return float(np.arctan2(self.rotation[1, 0], self.rotation[0, 0]))

    def as_vector(self) -> Array:
        """(6,) float64: position in m, then rotation vector in rad."""
        return np.concatenate([self.position_m, self.rotvec_rad])

    def inverse(self) -> Pose:
        """`b_from_a`, of `a_from_b`."""
        return Pose(-(self.rotation.T @ self.position_m), self.rotation.T)

    def __matmul__(self, other: Pose) -> Pose:
        return Pose(self.rotation @ other.position_m + self.position_m, self.rotation @ other.rotation)

    def transform(self, points_m: Array) -> Array:
        """Points (n, 3) given in this frame, as seen from the frame the pose is given in."""
        return np.asarray(points_m @ self.rotation.T + self.position_m)


@dataclass(frozen=True, slots=True, eq=False)
class Wrench:
    """What the surroundings exert on the tool, in the tool frame at the TCP: force_n (3,), and torque_nm (3,) in Nm."""

    force_n: Array
    torque_nm: Array

    @staticmethod
    def zero() -> Wrench:
        """No force and no torque."""
        return Wrench(np.zeros(3), np.zeros(3))

    def as_vector(self) -> Array:
        """(6,) float64: force in N, then torque in Nm."""
        return np.concatenate([self.force_n, self.torque_nm])


@dataclass(frozen=True, slots=True, eq=False)
class ArmState:
    """One reading of an arm.

    tcp_from_base: measured pose. twist: (6,) m/s and rad/s in the base frame. wrench: see `Wrench`.
    fault: what the controller complains of, or None. time_s: the cell clock's time of the reading.
    sequence: grows by at least one with every new reading.
    """

    tcp_from_base: Pose
    twist: Array
    wrench: Wrench
    fault: str | None
    time_s: float
    sequence: int


@dataclass(frozen=True, slots=True)
class Intrinsics:
    """Pinhole intrinsics in pixels, of an image of `width_px` by `height_px`: focal lengths `fx_px` and `fy_px`,
    principal point `cx_px`, `cy_px`."""

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One camera image.

    image: (H, W, 3) uint8 RGB. depth_m: (H, W) float32 along the optical axis, 0 where unknown, or None. intrinsics: of
    this image. time_s: the cell clock's time of the exposure. sequence: the camera's frame number.
    """

    image: Image
    depth_m: NDArray[np.float32] | None
    intrinsics: Intrinsics
    time_s: float
    sequence: int


class Observation(TypedDict):
    """What a policy and a reward model see. A batch of observations has one more axis in front.

    images: (views, H, W, 3) uint8 RGB.
    pose: (6,) float32, TCP pose seen from the TCP's pose at the episode's start: position in m, rotation vector in rad.
    wrench: (6,) float32, force in N and torque in Nm in the tool frame, zeroed at the episode's start.
    """

    images: NDArray[np.uint8]
    pose: NDArray[np.float32]
    wrench: NDArray[np.float32]


PAST = 4
"""How many frames before an observation a reward model may look back on."""


class Past(TypedDict):
    """What was felt before an observation: the `PAST` frames before it, the latest first. Where an episode has not had
    so many yet, its first frame stands in for them. A batch has one more axis in front.

    pose, wrench: (PAST, 6) float32, as in `Observation`.
    """

    pose: NDArray[np.float32]
    wrench: NDArray[np.float32]


class Transition(TypedDict):
    """One step of a task. `terminated` says that the goal ended the episode, `truncated` that something else did."""

    observation: Observation
    action: NDArray[np.float32]
    reward: float
    next_observation: Observation
    terminated: bool
    truncated: bool


Outcome = Literal["success", "timeout", "aborted"]
"""How an episode ended: by reaching the goal, by the step limit, or by a fault or the operator."""


@dataclass(slots=True)
class EpisodeInfo:
    """What is known of an episode besides its steps.

    skill, variant, cell, scenario: what was done where, by name. seed: of its reset. trial: its number among those of
    its source. source says who acted and why: collect, zero-shot, practice, acceptance, run, import. started_at: ISO
    8601, UTC. control_hz: steps a second; overruns: steps that ended late. clamps: how often the guard limited what.
    peak_force_n: the greatest force. note: why it was aborted. reward_model: who judged, in words.

    outcome is what the reward of that episode said; `truth` in the steps is what really happened, where it is known.
    start_from_base is the TCP's pose at the start, position in m and rotation vector in rad, where it was recorded.
    """

    skill: str
    variant: str
    cell: str
    seed: int
    source: str
    outcome: Outcome
    reward_model: str = ""
    started_at: str = ""
    trial: int | None = None
    scenario: str = ""
    control_hz: float = 10.0
    overruns: int = 0
    clamps: dict[str, int] = field(default_factory=dict)
    peak_force_n: float = 0.0
    note: str = ""
    start_from_base: tuple[float, float, float, float, float, float] | None = None


@dataclass(slots=True, eq=False)
class Episode:
    """One attempt of `steps` steps: `steps + 1` observations and `steps` actions. info: what is known besides.

    images (steps + 1, views, H, W, 3) uint8, pose and wrench (steps + 1, 6) float32: the observations.
    action (steps, 4) float32: what the policy asked for, in [-1, 1].
    executed (steps, 4) float32: what was really commanded after the guard, in the same units.
    reward (steps,) float32: what the learner was told. score (steps + 1,) float32: the reward model's probability of
    success, NaN where none was asked.
    success (steps + 1,) int8: a label that may be trained on, 1 or 0, or -1 where there is none.
    truth (steps + 1,) int8: what a simulation says, 1 or 0, or -1; reported, and never learned from.
    seated_from_tcp (steps + 1, 6) float32: pose of the TCP at success seen from the TCP, NaN where it is not known;
    known in offline data from one calibrated success pose.
    corrected: what a person said afterwards of how it ended (`skill data relabel`), which success and reward then say
    too; None where nobody did. It is not in the episode's file.
    """

    info: EpisodeInfo
    images: NDArray[np.uint8]
    pose: NDArray[np.float32]
    wrench: NDArray[np.float32]
    action: NDArray[np.float32]
    executed: NDArray[np.float32]
    reward: NDArray[np.float32]
    score: NDArray[np.float32]
    success: NDArray[np.int8]
    truth: NDArray[np.int8]
    seated_from_tcp: NDArray[np.float32]
    corrected: bool | None = None

    @property
    def steps(self) -> int:
        """How many actions."""
        return int(self.action.shape[0])

    @property
    def start_from_base(self) -> Pose:
        """The TCP's pose at the start; the identity where none was recorded."""
        start = self.info.start_from_base
        return Pose.identity() if start is None else Pose.from_rotvec(start[:3], start[3:])

    def observation(self, index: int) -> Observation:
        """The observation before step `index`, or after the last step for `index == steps`."""
        return Observation(images=self.images[index], pose=self.pose[index], wrench=self.wrench[index])

    @property
    def terminated(self) -> bool:
        """Whether the goal ended the episode, so that no value follows its last state."""
        return self.info.outcome == "success" if self.corrected is None else self.corrected

    @property
    def known_success(self) -> bool | None:
        """Whether it really ended in success, by a person or else by the simulation; None where neither says."""
        if self.corrected is not None:
            return self.corrected
        return None if self.truth[-1] < 0 else bool(self.truth[-1])
