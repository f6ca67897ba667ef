"""What a mapping makes of numbers and images, compared with what they must become."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skillcore.config import parse_yaml, validate
from skillcore.episodes import ReplayCache
from skillcore.episodes.labels import corrected_episode
from skillcore.errors import ConfigError, EpisodeError
from skillcore.exchange.convert import convert
from skillcore.exchange.mapping import Mapping
from skillcore.exchange.pictures import Fit
from skillcore.exchange.source import RawEpisode
from skillcore.learning.recorded import completed_labels, shortages
from skillcore.types import Episode, Pose

FRAMES = 5
BASE: dict[str, Any] = {"variant": "usb_a", "images": {"views": ["view"]}, "action": {"field": "action"}}
POSE: dict[str, Any] = {
    "position": {"field": "position", "scale": 0.001},
    "rotation": {"field": "turn", "form": "rotation_vector"},
}


def mapping_of(**fields: Any) -> Mapping:
    return Mapping.model_validate_json(__import__("json").dumps(BASE | fields))


def raw(**numbers: Any) -> RawEpisode:
    """Numbers as (frames, width); an action of zeros unless one is given."""
    given: dict[str, Any] = {"action": np.zeros((FRAMES, 4))} | numbers
    images = np.arange(FRAMES, dtype=np.uint8)[:, None, None, None, None] * np.ones((1, 1, 8, 8, 3), np.uint8)
    arrays = {name: np.asarray(values, np.float64).reshape(FRAMES, -1) for name, values in given.items()}
    return RawEpisode("episode 3", 3, "put it in", arrays, images)


def made(mapping: Mapping, found: RawEpisode) -> Episode:
    return convert(found, mapping, rate_hz=10.0, origin="/data/set")


def test_the_last_frame_stands_in_or_is_the_observation() -> None:
    repeated = made(mapping_of(), raw())
    assert (repeated.steps, repeated.images[:, 0, 0, 0, 0].tolist()) == (5, [0, 1, 2, 3, 4, 4])
    observed = made(mapping_of(last_frame="observation"), raw())
    assert (observed.steps, observed.images[:, 0, 0, 0, 0].tolist()) == (4, [0, 1, 2, 3, 4])
    after = raw()
    after.after = ({}, np.full((1, 8, 8, 3), 9, np.uint8))
    assert made(mapping_of(last_frame="next_obs"), after).images[-1, 0, 0, 0, 0] == 9
    with pytest.raises(EpisodeError, match="next_obs"):
        made(mapping_of(last_frame="next_obs"), raw())


def test_labels_speak_of_the_frame_that_follows() -> None:
    success = {"field": "done"}
    episode = made(mapping_of(success=success), raw(done=[0, 0, 0, 0, 1]))
    # The frame before the last shows the same image, so that it is not called a failure.
    assert episode.success.tolist() == [-1, 0, 0, 0, -1, 1]
    assert episode.reward.tolist() == [0, 0, 0, 0, 1]
    assert (episode.info.outcome, episode.terminated) == ("success", True)
    of_frame = made(mapping_of(success=success | {"of": "frame"}, last_frame="observation"), raw(done=[0, 0, 0, 1, 1]))
    assert of_frame.success.tolist() == [0, 0, 0, 1, 1]
    at_end = made(mapping_of(success_at_end=True, last_frame="observation"), raw())
    assert at_end.success.tolist() == [0, 0, 0, 0, 1]
    unknown = made(mapping_of(), raw())
    assert set(unknown.success.tolist()) == {-1}
    assert unknown.info.outcome == "timeout"


def test_poses_are_seen_from_the_start_and_success_tells_the_seat_until_it_is_taken_back() -> None:
    position = [[400.0 + frame, 100.0, 200.0] for frame in range(FRAMES)]
    turn = [[np.pi, 0.0, 0.0]] * FRAMES
    episode = made(
        mapping_of(pose=POSE, success={"field": "done"}, last_frame="observation"),
        raw(position=position, turn=turn, done=[0, 0, 0, 1, 1]),
    )
    np.testing.assert_allclose(episode.pose[:, 0], 0.001 * np.arange(5), atol=1e-6)
    np.testing.assert_allclose(episode.pose[:, 1:], 0.0, atol=1e-6)
    assert episode.info.start_from_base == pytest.approx((0.4, 0.1, 0.2, np.pi, 0.0, 0.0))
    # Where the seat is follows from the label, which a person may take back.
    assert np.isnan(episode.seated_from_tcp).all()
    way = completed_labels(ReplayCache.from_episodes([episode])).labels.seated_from_tcp
    np.testing.assert_allclose(way[:, 0], 0.001 * (4 - np.arange(5)), atol=1e-6)
    taken_back = ReplayCache.from_episodes([corrected_episode(episode, False)])
    assert np.isnan(completed_labels(taken_back).labels.seated_from_tcp).all()


def test_without_a_pose_a_success_says_nothing_of_the_seat() -> None:
    episode = made(mapping_of(success={"field": "done"}, last_frame="observation"), raw(done=[0, 0, 0, 1, 1]))
    data = completed_labels(ReplayCache.from_episodes([episode]))
    assert data.by_hindsight == 0
    assert np.isnan(data.labels.seated_from_tcp).all()
    (found,) = shortages(data, policy=True, reward_model=False)
    assert "none of the 1 episodes that succeeded has a pose" in found.reason


def test_where_the_data_do_not_say_success_nothing_is_called_a_failure() -> None:
    episode = made(mapping_of(), raw())
    data = completed_labels(ReplayCache.from_episodes([episode]))
    assert set(data.labels.success.tolist()) == {-1}
    assert (data.by_outcome, data.unlabelled) == (0, 1)
    said = completed_labels(ReplayCache.from_episodes([corrected_episode(episode, False)]))
    assert set(said.labels.success.tolist()) == {0}


def test_actions_in_the_base_are_turned_into_the_tool() -> None:
    turn = [[0.0, 0.0, np.pi / 2]] * FRAMES
    actions = [[0.5, 0.0, -0.5, 0.2]] * FRAMES
    episode = made(
        mapping_of(pose=POSE, action={"field": "action", "frame": "base"}),
        raw(position=np.zeros((FRAMES, 3)), turn=turn, action=actions),
    )
    np.testing.assert_allclose(episode.action[0], [0.0, -0.5, -0.5, 0.2], atol=1e-6)
    np.testing.assert_array_equal(episode.executed, episode.action)


def test_actions_can_be_told_from_motion() -> None:
    position = [[2.0 * frame, 0.0, 0.0] for frame in range(FRAMES)]
    turn = [[0.0, 0.0, 0.1 * frame] for frame in range(FRAMES)]
    motion = {"step_m": 0.004, "turn_step_rad": 0.2}
    fields = {"action": None, "action_from_motion": motion, "pose": POSE, "last_frame": "observation"}
    episode = made(mapping_of(**fields), raw(position=position, turn=turn))
    np.testing.assert_allclose(episode.action[:, 3], 0.5, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(episode.action[:, :2], axis=1), 0.5, atol=1e-6)
    # Along the axes of the tool, which has turned by then.
    np.testing.assert_allclose(episode.action[2, :2], 0.5 * np.array([np.cos(0.2), -np.sin(0.2)]), atol=1e-6)


def test_actions_are_chosen_scaled_and_clipped() -> None:
    actions = [[0.0, 0.01, 0.02, 9.0, 9.0, 0.5]] * FRAMES
    chosen = {"field": "action", "columns": [2, 1, None, 5], "scale": [50.0, 100.0, 1.0, 4.0]}
    with pytest.raises(EpisodeError, match=r"reach 2, outside of \[-1, 1\]"):
        made(mapping_of(action=chosen), raw(action=actions))
    episode = made(mapping_of(action=chosen | {"clip": True}), raw(action=actions))
    np.testing.assert_allclose(episode.action[0], [1.0, 1.0, 0.0, 1.0])


def test_the_variant_is_given_told_by_the_task_or_the_task_itself() -> None:
    assert made(mapping_of(), raw()).info.variant == "usb_a"
    assert made(mapping_of(variant=None), raw()).info.variant == "put it in"
    assert made(mapping_of(variant=None, variants={"put it in": "hdmi"}), raw()).info.variant == "hdmi"
    with pytest.raises(EpisodeError, match="'put it in' is not in `variants`"):
        made(mapping_of(variant=None, variants={"put in": "hdmi"}), raw())


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ({"position": np.full((FRAMES, 3), 1e9), "turn": np.zeros((FRAMES, 3))}, "is its scale right"),
        ({"position": np.zeros((FRAMES, 3)), "turn": np.full((FRAMES, 3), 1e5)}, "the rotation reaches"),
    ],
)
def test_numbers_that_no_robot_has_are_refused(numbers: dict[str, Any], reason: str) -> None:
    with pytest.raises(EpisodeError, match=reason):
        made(mapping_of(pose=POSE), raw(**numbers))


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.floats(-3.0, 3.0)] * 3))
def test_all_forms_of_a_turn_mean_the_same(rotvec: tuple[float, float, float]) -> None:
    pose = Pose.from_rotvec(np.zeros(3), np.array(rotvec))
    angle = float(np.linalg.norm(rotvec))
    axis = np.array(rotvec) / angle if angle > 0 else np.zeros(3)
    x, y, z = np.sin(angle / 2) * axis
    w = np.cos(angle / 2)
    matrix = pose.rotation
    pitch = -np.arcsin(np.clip(matrix[2, 0], -1.0, 1.0))
    roll, yaw = np.arctan2(matrix[2, 1], matrix[2, 2]), np.arctan2(matrix[1, 0], matrix[0, 0])
    forms = {
        "rotation_vector": list(rotvec),
        "quaternion_xyzw": [x, y, z, w],
        "quaternion_wxyz": [-w, -x, -y, -z],
        "euler_xyz": [roll, pitch, yaw],
    }
    for form, values in forms.items():
        fields = POSE | {"rotation": {"field": "turn", "form": form}}
        episode = made(mapping_of(pose=fields), raw(position=np.zeros((FRAMES, 3)), turn=[values] * FRAMES))
        start = episode.info.start_from_base
        assert start is not None
        # Near half a turn about y, angles of Euler lose digits.
        np.testing.assert_allclose(Pose.from_rotvec(np.zeros(3), start[3:]).rotation, matrix, atol=1e-5)


def test_a_quaternion_of_another_length_is_refused() -> None:
    fields = POSE | {"rotation": {"field": "turn", "form": "quaternion_xyzw"}}
    turn = np.tile([0.0, 0.0, 0.0, 1.0], (FRAMES, 1))
    turn[2] = 0.0
    with pytest.raises(EpisodeError, match="the quaternion in frame 2 has the length 0"):
        made(mapping_of(pose=fields), raw(position=np.zeros((FRAMES, 3)), turn=turn))


# --- images and mappings --------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["crop", "pad", "keep"]), st.none() | st.integers(8, 32))
def test_images_become_of_the_size_that_was_told(height: int, width: int, manner: Any, size: int | None) -> None:
    fit = Fit(manner, size)
    image = fit(np.full((height, width, 3), 7, np.uint8))
    assert image.shape == (*fit.shape(height, width), 3)
    if manner != "keep":
        assert image.shape[0] == image.shape[1]
    if manner != "pad":
        assert (image == 7).all()


def test_what_contradicts_itself_in_a_mapping_is_told() -> None:
    text = """\
images: {views: [a]}
action: {field: a, frame: base}
success: {field: b}
success_at_end: true
"""
    with pytest.raises(ConfigError, match="pose: is missing, and the action cannot be told without it"):
        validate(parse_yaml(text, "m.yaml"), Mapping)
    for change, reason in (
        (("action: {field: a, frame: base}\n", ""), "`action` or `action_from_motion`"),
        ((", frame: base", ""), "m.yaml:4: success_at_end: cannot stand beside `success`"),
        (("field: a, frame: base", "field: a, columns: [0, 1]"), "holds 2 items"),
        (("views: [a]", "views: [a], fit: stretch"), "crop, pad, keep"),
    ):
        with pytest.raises(ConfigError) as caught:
            validate(parse_yaml(text.replace(*change), "m.yaml"), Mapping)
        assert reason in str(caught.value)
