"""What is written twice, in numpy to act and in torch to be exported, does the same."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from skillcore.learning.images import as_input, scaled
from skillcore.learning.networks import PolicyNetwork, Proprioception, RewardNetwork
from skillcore.learning.perception import proprioception
from skillcore.learning.recipe import Brain, PartChoice, Recipe, make_brain
from skillcore.parts import ViewShape
from skillcore.plugins import Registry
from skillcore.types import PAST, Observation, Past
from skillcore_daib.touch import TouchInputs, touch_inputs

SMALL = {"channels": [8, 8], "code_dim": 8}
RECIPE = Recipe(
    representation=PartChoice(name="daib", options=SMALL),
    learner=PartChoice(name="rlpd", options={"hidden": 16, "critics": 2}),
    reward_model=PartChoice(name="daib", options={"representation": "erm", "representation_options": SMALL}),
)


def vectors(*shape: int, most: float) -> st.SearchStrategy[NDArray[np.float32]]:
    return arrays.arrays(np.float32, shape, elements=st.floats(-most, most, width=32))


def close(found: torch.Tensor, wanted: NDArray[np.float32]) -> None:
    np.testing.assert_allclose(found.detach().numpy(), wanted, rtol=1e-5, atol=2e-6)


@given(vectors(3, 6, most=4.0), vectors(3, 6, most=1000.0))
def test_proprioception(pose: NDArray[np.float32], wrench: NDArray[np.float32]) -> None:
    images = np.zeros((3, 1, 1, 1, 3), np.uint8)
    wanted = proprioception(Observation(images=images, pose=pose, wrench=wrench))
    close(Proprioception()(torch.from_numpy(pose), torch.from_numpy(wrench)), wanted)


@given(
    vectors(2, 6, most=4.0),
    vectors(2, 6, most=1000.0),
    vectors(2, PAST, 6, most=4.0),
    vectors(2, PAST, 6, most=1000.0),
)
def test_touch(
    pose: NDArray[np.float32],
    wrench: NDArray[np.float32],
    past_pose: NDArray[np.float32],
    past_wrench: NDArray[np.float32],
) -> None:
    tensors = (torch.from_numpy(one) for one in (pose, wrench, past_pose, past_wrench))
    close(TouchInputs()(*tensors), touch_inputs(pose, wrench, Past(pose=past_pose, wrench=past_wrench)))


def test_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 2, 4, 4, 3)).astype(np.uint8)
    tensor = torch.from_numpy(images.copy())
    assert torch.equal(scaled(tensor), as_input(images))
    np.testing.assert_array_equal(tensor.numpy(), images)


def observed(count: int) -> tuple[Observation, Past]:
    rng = np.random.default_rng(1)

    def some(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0.0, 0.02, shape).astype(np.float32)

    images = rng.integers(0, 256, (count, 2, 16, 16, 3)).astype(np.uint8)
    now = Observation(images=images, pose=some(count, 6), wrench=100.0 * some(count, 6))
    return now, Past(pose=some(count, PAST, 6), wrench=100.0 * some(count, PAST, 6))


def brain() -> Brain:
    torch.manual_seed(0)
    return make_brain(RECIPE, Registry.discover(), views=ViewShape(2, 16), device="cpu")


def acted(made: Brain, now: Observation) -> NDArray[np.float32]:
    features = made.adapted(made.perception.features(now), now["images"])
    return np.stack([made.learner.act(one, explore=None) for one in features])


def test_the_policy_network_acts_as_the_brain_does_before_and_after_practice() -> None:
    from skillcore.learning.adaptation import WayAdapter

    made, (now, _) = brain(), observed(5)
    tensors = [torch.from_numpy(now[name]) for name in ("images", "pose", "wrench")]  # type: ignore[literal-required]
    before = acted(made, now)
    close(PolicyNetwork(made)(*tensors), before)
    made.adapter = WayAdapter(made.perception)
    close(PolicyNetwork(made)(*tensors), before)
    # As if it had learned: the copy's estimate is another one from now on.
    made.adapter.active = True
    assert made.adapter.network is not None
    with torch.no_grad():
        made.adapter.network.module.way[-1].bias += torch.tensor([2.0, -2.0, 1.0, 5.0])
    after = acted(made, now)
    assert np.abs(after - before).max() > 1e-3
    close(PolicyNetwork(made)(*tensors), after)


def test_the_reward_network_scores_as_the_brain_does() -> None:
    made, (now, past) = brain(), observed(5)
    arrays_of = (now["images"], now["pose"], now["wrench"], past["pose"], past["wrench"])
    found = RewardNetwork(made.reward_model)(*(torch.from_numpy(one) for one in arrays_of))
    close(found, made.reward_model.score(now, past))
