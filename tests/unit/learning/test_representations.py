"""The four representations: what their penalties are, and what they keep of a small made-up world."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from skillcore.interfaces import Representation
from skillcore_daib.options import AdversarialOptions, BottleneckOptions, DaibOptions, EncoderOptions
from skillcore_daib.representation import DomainBottleneck

SIZE = 16
DOMAINS = 4
SMALL: dict[str, Any] = {"channels": (8, 8), "code_dim": 8}


def make(kind: str, **more: Any) -> DomainBottleneck:
    options = {
        "erm": lambda: EncoderOptions(**SMALL),
        "dann": lambda: AdversarialOptions(**SMALL, **more),
        "vib": lambda: BottleneckOptions(**SMALL, **more),
        "daib": lambda: DaibOptions(**SMALL, **more),
    }[kind]()
    return DomainBottleneck(
        options,
        views=2,
        size_px=SIZE,
        domains=DOMAINS,
        adversary_weight=getattr(options, "adversary_weight", None),
        beta=getattr(options, "beta", None),
    )


def world(count: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Images of a bright square on the left or the right (the label) before a background of the domain's grey."""
    domains, labels = rng.integers(0, DOMAINS, count), rng.integers(0, 2, count)
    images = np.full((count, 2, 3, SIZE, SIZE), 0.0, np.float32)
    images += (0.15 * domains).astype(np.float32)[:, None, None, None, None]
    for index, label in enumerate(labels):
        left = 2 + 8 * int(label)
        images[index, :, :, 6:10, left : left + 4] = 1.0
    return torch.from_numpy(images), torch.from_numpy(labels), torch.from_numpy(domains)


def trained(representation: DomainBottleneck, steps: int = 150) -> torch.nn.Module:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    head = torch.nn.Linear(representation.feature_dim, 1)
    modules = [representation.module, head, representation.training_module or torch.nn.Identity()]
    optimizer = torch.optim.Adam([one for module in modules for one in module.parameters()], lr=3e-3)
    for step in range(steps):
        images, labels, domains = world(64, rng)
        code, penalty = representation.encode_with_penalty(images, domains, step / steps)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(head(code).squeeze(1), labels.float()) + penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return head


@torch.no_grad()
def share_of_domains(representation: DomainBottleneck) -> float:
    """The share of the code's variance that lies between domains."""
    images, _, domains = world(400, np.random.default_rng(2))
    codes = representation.encode(images)
    means = torch.stack([codes[domains == domain].mean(0) for domain in range(DOMAINS)])
    return float(means.var(0, correction=0).sum() / codes.var(0, correction=0).sum())


@pytest.mark.parametrize("kind", ["erm", "dann", "vib", "daib"])
def test_each_learns_the_task(kind: str) -> None:
    torch.manual_seed(0)
    representation = make(kind)
    head = trained(representation)
    images, labels, _ = world(200, np.random.default_rng(1))
    with torch.no_grad():
        guess = head(representation.encode(images)).squeeze(1) > 0
    assert float((guess == labels.bool()).float().mean()) > 0.97


def test_the_adversary_hides_the_domain() -> None:
    torch.manual_seed(0)
    representation = make("dann", adversary_weight=1.0)
    adversary = representation.training_module
    assert adversary is not None
    slow = torch.optim.Adam(representation.module.parameters(), lr=1e-3, betas=(0.5, 0.99))
    fast = torch.optim.Adam(adversary.parameters(), lr=1e-2, betas=(0.5, 0.99))
    rng = np.random.default_rng(0)
    before = share_of_domains(representation)
    # With nothing but the penalty to learn from, and an adversary that is always ahead of the code.
    for _ in range(100):
        images, _, domains = world(64, rng)
        for _ in range(3):
            _, penalty = representation.encode_with_penalty(images, domains, 1.0)
            fast.zero_grad()
            penalty.backward()  # type: ignore[no-untyped-call]
            fast.step()
        representation.module.zero_grad()
        _, penalty = representation.encode_with_penalty(images, domains, 1.0)
        penalty.backward()  # type: ignore[no-untyped-call]
        slow.step()
    assert share_of_domains(representation) < 0.5 * before


def test_the_adversary_learns_what_the_code_unlearns() -> None:
    torch.manual_seed(0)
    representation = make("dann", adversary_weight=1.0)
    images, _, domains = world(32, np.random.default_rng(0))
    _, penalty = representation.encode_with_penalty(images, domains, 1.0)
    penalty.backward()  # type: ignore[no-untyped-call]
    encoder = [one.grad.clone() for one in representation.module.parameters() if one.grad is not None]
    # The encoder goes uphill: a step against its gradient makes the adversary's loss larger.
    with torch.no_grad():
        for parameter in representation.module.parameters():
            if parameter.grad is not None:
                parameter -= 0.05 * parameter.grad / (parameter.grad.norm() + 1e-9)
    _, after = representation.encode_with_penalty(images, domains, 1.0)
    assert encoder
    assert float(after.detach()) > float(penalty.detach())


def test_no_adversary_at_the_start_of_training() -> None:
    representation = make("dann", adversary_weight=5.0)
    images, _, domains = world(8, np.random.default_rng(0))
    _, penalty = representation.encode_with_penalty(images, domains, 0.0)
    penalty.backward()  # type: ignore[no-untyped-call]
    gradients = [one.grad for one in representation.module.parameters() if one.grad is not None]
    assert all(float(gradient.abs().max()) == 0.0 for gradient in gradients)


def test_the_bottleneck_is_the_divergence_from_a_standard_normal() -> None:
    torch.manual_seed(0)
    representation = make("vib", beta=1.0)
    images, _, domains = world(16, np.random.default_rng(0))
    with torch.no_grad():
        _, penalty = representation.encode_with_penalty(images, domains, 0.5)
        _, mean, log_variance = representation._parts(images, fast=True)
    assert mean is not None
    assert log_variance is not None
    normal = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    wanted = torch.distributions.kl_divergence(normal, standard).sum(1).mean()
    assert float(penalty) == pytest.approx(float(wanted), rel=1e-4)


def test_beta_0_has_both_parts_and_no_noise() -> None:
    representation = make("daib", beta=0.0)
    images, _, domains = world(8, np.random.default_rng(0))
    with torch.no_grad():
        sampled, _ = representation.encode_with_penalty(images, domains, 1.0)
        # Training has products in bfloat16 where the machine is quick at them.
        torch.testing.assert_close(sampled, representation.encode(images), rtol=0.0, atol=0.05)
    assert representation.training_module is not None


@pytest.mark.parametrize("kind", ["erm", "dann", "vib", "daib"])
def test_codes_repeat_and_have_their_length(kind: str) -> None:
    representation: Representation = make(kind)
    images, _, _ = world(3, np.random.default_rng(0))
    with torch.no_grad():
        first, second = representation.encode(images), representation.encode(images)
    assert first.shape == (3, representation.feature_dim)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
