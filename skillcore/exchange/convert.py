"""From what was read of other tools' data to an episode, by a mapping; or back to what it was, where we wrote it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping as Named
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from skillcore.episodes.checks import faults_of, info_from_json
from skillcore.episodes.labels import Correction
from skillcore.errors import EpisodeError, suggest
from skillcore.exchange import lerobot_form as form
from skillcore.exchange.mapping import ActionFields, Mapping, Motion, Numbers, Orientation, PoseFields
from skillcore.exchange.pictures import Fit
from skillcore.exchange.source import Field, RawEpisode, Wanted
from skillcore.exchange.strangers import shown
from skillcore.types import Array, Episode, EpisodeInfo, Pose

FAR_M = 1000.0
FAR = 1e6
"""What is larger is no reading of a robot, but a damaged or hostile number."""


def wanted_of(mapping: Mapping) -> Wanted:
    """Which fields a mapping needs."""
    numbers = frozenset(name for _, name, _ in mapping.places())
    return Wanted(numbers, mapping.images.views, mapping.fit, after=mapping.last_frame == "next_obs")


def convert(raw: RawEpisode, mapping: Mapping, *, rate_hz: float | None, origin: str) -> Episode:
    """The episode that a mapping makes of what was read.

    origin: what it comes from, in words. Raises EpisodeError that says why there is none.
    """
    numbers, images = _frames(raw, mapping)
    frames = len(images)
    steps = frames - 1
    if steps < 1:
        raise EpisodeError("it has a single frame, and so no step")
    tcps = None if mapping.pose is None else _poses(numbers, mapping.pose)
    poses = _relative(tcps, frames)
    success = _labels(numbers, mapping, frames)
    action = _actions(numbers, mapping, tcps, steps)
    if mapping.reward is not None:
        reward = _chosen(numbers, mapping.reward)[:steps, 0]
    else:
        reward = (success[1:] == 1).astype(np.float64)
    wrench = np.zeros((frames, 6)) if mapping.wrench is None else _chosen(numbers, mapping.wrench)
    succeeded = bool(success[-1] == 1)
    start = None
    if tcps is not None and mapping.pose is not None and mapping.pose.seen_from == "base":
        x, y, z, turn_x, turn_y, turn_z = tcps[0].as_vector().tolist()
        start = (x, y, z, turn_x, turn_y, turn_z)
    control_hz = rate_hz or mapping.control_hz
    assert control_hz is not None
    episode = Episode(
        info=EpisodeInfo(
            skill=mapping.skill,
            variant=_variant(raw, mapping),
            cell=mapping.cell,
            seed=0,
            source="import",
            outcome="success" if succeeded else "timeout",
            trial=raw.index,
            control_hz=control_hz,
            peak_force_n=float(np.linalg.norm(wrench[:, :3], axis=1).max()),
            note=f"{raw.name} of {origin}",
            start_from_base=start,
        ),
        images=images,
        pose=_float32("the pose", poses),
        wrench=_float32("the wrench", wrench),
        action=_float32("the action", action),
        executed=_float32("the action", action),
        reward=_float32("the reward", reward),
        score=np.full(frames, np.nan, np.float32),
        success=success,
        truth=np.full(frames, -1, np.int8),
        # Follows from where it ended, as long as nobody says that this was no success (`skillcore.learning.recorded`).
        seated_from_tcp=np.full((frames, 6), np.nan, np.float32),
    )
    return _sound(episode)


def _sound(episode: Episode) -> Episode:
    faults = faults_of(episode)
    if faults:
        raise EpisodeError("; ".join(faults))
    return episode


def _float32(what: str, values: NDArray[np.float64]) -> NDArray[np.float32]:
    if len(values) and np.abs(values).max() > FAR:
        raise EpisodeError(f"{what} reaches {np.abs(values).max():.3g}, which is no reading of a robot")
    return values.astype(np.float32)


def _frames(raw: RawEpisode, mapping: Mapping) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.uint8]]:
    """Numbers and images of all observations, the one after the last step with them."""
    if mapping.last_frame == "observation":
        return raw.numbers, raw.images
    last_numbers: dict[str, NDArray[np.float64]] = {}
    last_images = raw.images[-1]
    if mapping.last_frame == "next_obs":
        if raw.after is None:
            raise EpisodeError("it has no next_obs, which the mapping asks for")
        last_numbers, last_images = raw.after
    numbers = {
        name: np.concatenate([values, last_numbers.get(name, values[-1])[np.newaxis]])
        for name, values in raw.numbers.items()
    }
    return numbers, np.concatenate([raw.images, last_images[np.newaxis]])


def _variant(raw: RawEpisode, mapping: Mapping) -> str:
    if mapping.variant is not None:
        return mapping.variant
    if mapping.variants is not None:
        if raw.task not in mapping.variants:
            cure = suggest(raw.task, list(mapping.variants))
            raise EpisodeError(f"its task {shown(raw.task)!r} is not in `variants` of the mapping", cure=cure)
        return mapping.variants[raw.task]
    return shown(raw.task) or "imported"


def _chosen(numbers: Named[str, NDArray[np.float64]], which: Numbers) -> NDArray[np.float64]:
    values = numbers[which.field]
    if which.columns is not None:
        values = values[:, list(which.columns)]
    return values * which.scale


# --- poses --------------------------------------------------------------------------------------------------------


def _poses(numbers: Named[str, NDArray[np.float64]], fields: PoseFields) -> list[Pose]:
    positions = _chosen(numbers, fields.position)
    if np.abs(positions).max() > FAR_M:
        raise EpisodeError(f"the position reaches {np.abs(positions).max():.3g} m; is its scale right?")
    return [
        Pose.from_rotvec(position, rotvec)
        for position, rotvec in zip(positions, _rotation_vectors(numbers, fields.rotation), strict=True)
    ]


def _rotation_vectors(numbers: Named[str, NDArray[np.float64]], which: Orientation) -> NDArray[np.float64]:
    """(frames, 3) rotation vectors in rad."""
    values = numbers[which.field]
    if which.columns is not None:
        values = values[:, list(which.columns)]
    if which.form == "rotation_vector":
        if np.abs(values).max() > 100.0:
            raise EpisodeError(f"the rotation reaches {np.abs(values).max():.3g} rad")
        return values
    if which.form == "euler_xyz":
        return np.stack([_of_euler(angles) for angles in values])
    if which.form == "quaternion_wxyz":
        values = values[:, [1, 2, 3, 0]]
    lengths = np.linalg.norm(values, axis=1)
    if np.abs(lengths - 1.0).max() > 0.05:
        frame = int(np.argmax(np.abs(lengths - 1.0)))
        raise EpisodeError(f"the quaternion in frame {frame} has the length {lengths[frame]:.3g}, not 1")
    values = values / lengths[:, np.newaxis]
    values = np.where(values[:, 3:] < 0.0, -values, values)
    sine = np.linalg.norm(values[:, :3], axis=1)
    angle = 2.0 * np.arctan2(sine, values[:, 3])
    factor = np.where(sine > 1e-9, angle / np.maximum(sine, 1e-9), 2.0)
    return np.asarray(values[:, :3] * factor[:, np.newaxis])


def _of_euler(angles: Array) -> Array:
    """Turned about the fixed x, then y, then z axis, as roll, pitch and yaw."""
    zero = np.zeros(3)
    x, y, z = (Pose.from_rotvec(zero, angle * axis) for angle, axis in zip(angles, np.eye(3), strict=True))
    return (z @ y @ x).rotvec_rad


def _relative(tcps: list[Pose] | None, frames: int) -> NDArray[np.float64]:
    """(frames, 6) Poses seen from the first."""
    if tcps is None:
        return np.zeros((frames, 6))
    start = tcps[0].inverse()
    return np.stack([(start @ tcp).as_vector() for tcp in tcps])


# --- actions and labels -------------------------------------------------------------------------------------------


def _actions(
    numbers: Named[str, NDArray[np.float64]], mapping: Mapping, tcps: list[Pose] | None, steps: int
) -> NDArray[np.float64]:
    """(steps, 4)"""
    if mapping.action is not None:
        return _given_actions(numbers[mapping.action.field][:steps], mapping.action, tcps)
    assert mapping.action_from_motion is not None
    assert tcps is not None
    return _moved(tcps, mapping.action_from_motion)


def _given_actions(values: NDArray[np.float64], fields: ActionFields, tcps: list[Pose] | None) -> NDArray[np.float64]:
    zero = np.zeros(len(values))
    chosen = np.stack([zero if column is None else values[:, column] for column in fields.columns], axis=1)
    chosen = chosen * np.asarray(fields.scale)
    if fields.frame == "base":
        assert tcps is not None
        turned = []
        for action, tcp in zip(chosen, tcps, strict=False):
            into_tool = tcp.rotation.T
            turned.append(np.append(into_tool @ action[:3], (into_tool @ [0.0, 0.0, action[3]])[2]))
        chosen = np.stack(turned)
    return _within(chosen, clip=fields.clip, cure="give a smaller `scale` in the mapping, or `clip: true`")


def _moved(tcps: list[Pose], motion: Motion) -> NDArray[np.float64]:
    """What the tool did between two frames, along its own axes."""
    steps = []
    for before, after in itertools.pairwise(tcps):
        moved = before.inverse() @ after
        steps.append([*(moved.position_m / motion.step_m), moved.yaw_rad / motion.turn_step_rad])
    return _within(np.array(steps), clip=False, cure="give a larger `step_m` or `turn_step_rad` in the mapping")


def _within(action: NDArray[np.float64], *, clip: bool, cure: str) -> NDArray[np.float64]:
    most = np.abs(action).max()
    if most > 1.0 + 1e-6 and not clip:
        raise EpisodeError(f"its actions reach {most:.3g}, outside of [-1, 1]", cure=cure)
    return np.clip(action, -1.0, 1.0)


def _labels(numbers: Named[str, NDArray[np.float64]], mapping: Mapping, frames: int) -> NDArray[np.int8]:
    """(frames,) 1, 0, or -1 where nothing is known."""
    labels = np.full(frames, -1, np.int8)
    if mapping.success_at_end:
        labels[:] = 0
        labels[-1] = 1
    if mapping.success is not None:
        reached = (numbers[mapping.success.field][:, 0] > mapping.success.above).astype(np.int8)
        if mapping.success.of == "frame":
            labels[:] = reached
        else:
            # What a step led to. Its own frame is the one after; nothing led to the first.
            labels[1:] = reached[: frames - 1]
    if mapping.last_frame == "repeat" and labels[-1] != labels[-2]:
        # Two frames with one image: a label that contradicts the last one's would teach nothing good.
        labels[-2] = -1
    return labels


# --- what we wrote ourselves --------------------------------------------------------------------------------------


def wanted_of_ours(fields: Named[str, Field]) -> Wanted:
    """Which fields a dataset of ours has. Raises EpisodeError where it has been changed into something else."""
    views = [name for name, field in fields.items() if field.kind in ("image", "video")]
    optional = {form.SCORE, form.SEATED}
    numbers = {form.STATE, form.ACTION, form.EXECUTED, form.REWARD, form.SUCCESS, form.TRUTH}
    for name in sorted(numbers | (optional & fields.keys())):
        width = max(1, len(form.NUMBERS[name][1]))
        if name not in fields or fields[name].kind != "numbers" or fields[name].width != width:
            raise EpisodeError(
                f"the dataset says that skillcore wrote it, and has no {name} of {width} numbers",
                cure="give a mapping with --mapping",
            )
    return Wanted(frozenset(numbers | (optional & fields.keys())), tuple(views), Fit("keep"), frozenset(optional))


def restore(raw: RawEpisode, ours: Named[str, Any]) -> tuple[Episode, Sequence[Correction]]:
    """The episode that `skill data export` wrote, as it was, and what people said of it. Raises EpisodeError."""
    infos = ours.get("episodes")
    if ours.get("format") != form.OURS_FORMAT or not isinstance(infos, list) or not 0 <= raw.index < len(infos):
        raise EpisodeError(f"{form.OURS} says nothing of it", cure="give a mapping with --mapping")
    info = info_from_json(infos[raw.index])
    numbers, images = raw.numbers, raw.images
    if ours.get("final_frame") is not True:
        numbers = {name: np.concatenate([values, values[-1:]]) for name, values in numbers.items()}
        images = np.concatenate([images, images[-1:]])
    steps = len(images) - 1

    def float32(name: str, rows: int) -> NDArray[np.float32]:
        return numbers[name][:rows].astype(np.float32)

    def labels(name: str) -> NDArray[np.int8]:
        values = numbers[name][:, 0]
        if not np.isin(values, (-1, 0, 1)).all():
            raise EpisodeError(f"{name} holds values other than 1, 0 and -1")
        return values.astype(np.int8)

    success, reward = labels(form.SUCCESS), float32(form.REWARD, steps)[:, 0]
    corrected = _corrected(raw, ours)
    if corrected is not None:
        if not set(corrected.success) <= {-1, 0, 1}:
            raise EpisodeError(f"{form.OURS}: its labels are other than 1, 0 and -1")
        success = np.array(corrected.success, np.int8)
        reward = _float32("the reward", np.array(corrected.reward, np.float64))
    unknown = np.full((steps + 1, 6), np.nan, np.float32)
    state = float32(form.STATE, steps + 1)
    episode = _sound(
        Episode(
            info=info,
            images=images,
            pose=np.ascontiguousarray(state[:, :6]),
            wrench=np.ascontiguousarray(state[:, 6:]),
            action=float32(form.ACTION, steps),
            executed=float32(form.EXECUTED, steps),
            reward=reward,
            score=float32(form.SCORE, steps + 1)[:, 0] if form.SCORE in numbers else unknown[:, 0],
            success=success,
            truth=labels(form.TRUTH),
            seated_from_tcp=float32(form.SEATED, steps + 1) if form.SEATED in numbers else unknown,
        )
    )
    return episode, () if corrected is None else corrected.corrections


def _corrected(raw: RawEpisode, ours: Named[str, Any]) -> form.Corrected | None:
    every = ours.get("corrected", {})
    found = every.get(str(raw.index)) if isinstance(every, dict) else every
    if found is None:
        return None
    try:
        return form.Corrected.model_validate(found)
    except ValidationError as error:
        raise EpisodeError(f"{form.OURS}: what people corrected is damaged: {error.errors()[0]['msg']}") from error
