"""Products in bfloat16: near enough, in float32 where it counts, and elsewhere as if there were none."""

from __future__ import annotations

import pytest
import torch

from skillcore.learning import precision
from skillcore.learning.precision import fast_products, multiplies_bfloat16
from skillcore_iql.iql import Mlp, TwinCritics

CPU = torch.device("cpu")


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda _: True)


@pytest.fixture
def _slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "multiplies_bfloat16", lambda _: False)


def test_whether_the_machine_is_quick_at_it_is_known() -> None:
    assert multiplies_bfloat16("cpu") in (True, False)
    assert not multiplies_bfloat16("meta")


@pytest.mark.usefixtures("_fast")
def test_products_are_in_bfloat16_only_within() -> None:
    one = torch.ones(3, 3)
    with fast_products(CPU):
        assert (one @ one).dtype == torch.bfloat16
    assert (one @ one).dtype == torch.float32


@pytest.mark.usefixtures("_slow")
def test_a_machine_that_is_slow_at_it_is_left_alone() -> None:
    torch.manual_seed(0)
    network, inputs = Mlp(7, 16, 2), torch.randn(5, 7)
    torch.testing.assert_close(network.fast(inputs), network(inputs), rtol=0.0, atol=0.0)


@pytest.mark.usefixtures("_fast")
def test_values_and_gradients_are_near_and_in_float32() -> None:
    torch.manual_seed(0)
    network, inputs = Mlp(7, 64, 2), torch.randn(50, 7)
    gradients = []
    for called in (network, network.fast):
        network.zero_grad()
        values = called(inputs)
        assert values.dtype == torch.float32
        values.square().mean().backward()
        assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in network.parameters())
        gradients.append(torch.cat([weight.grad.flatten() for weight in network.parameters()]))
    torch.testing.assert_close(network.fast(inputs), network(inputs), rtol=0.0, atol=0.01)
    exact, fast = gradients
    assert 0.0 < (fast - exact).norm() < 0.02 * exact.norm()


@pytest.mark.usefixtures("_fast")
def test_critics_say_small_differences() -> None:
    critics = TwinCritics(7, 16)
    features, actions = torch.randn(50, 7), torch.rand(50, 4)
    with torch.no_grad():
        critics.last.bias.fill_(1.0)
        values = critics(features, actions)
    assert values.dtype == torch.float32
    # In bfloat16 all of them would be multiples of 1 / 512.
    assert (values * 512.0).frac().abs().amax() > 0.01
