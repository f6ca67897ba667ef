"""What every representation must do, as tests."""

from __future__ import annotations

import pytest
import torch

from skillcore.interfaces import Representation
from skillcore.testing.learning.made_up import DOMAINS, SIZE_PX, VIEWS
from skillcore.testing.learning.modules import exported
from skillcore.testing.promises import promised


class PlainRepresentation(Representation):
    """Averages of a few squares and two layers on them: something to look through, where any representation will do."""

    def __init__(self, *, views: int, size_px: int, side: int = 4, code_dim: int = 16) -> None:
        if size_px < side:
            raise ValueError(f"images of {size_px} px have no {side} squares beside each other")
        self.feature_dim = code_dim
        self._module = torch.nn.Sequential(
            torch.nn.AdaptiveAvgPool2d(side), torch.nn.Flatten(), torch.nn.Linear(views * 3 * side**2, code_dim)
        )

    @property
    def module(self) -> torch.nn.Module:
        return self._module

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self._module(images.flatten(1, 2)))

    def encode_with_penalty(
        self, images: torch.Tensor, domains: torch.Tensor, progress: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.encode(images), images.new_zeros(())


class RepresentationContract:
    """Subclass it as `class TestMyRepresentation(RepresentationContract)` and fill in `make_representation`."""

    def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
        """A new one for `views` square images of `size_px` and so many domains; the same weights every time."""
        raise NotImplementedError("fill in make_representation")

    @pytest.fixture
    def representation(self) -> Representation:
        """A new one, in evaluation mode."""
        torch.manual_seed(0)
        made = self.make_representation(views=VIEWS, size_px=SIZE_PX, domains=DOMAINS)
        made.module.eval()
        return made

    @pytest.fixture
    def images(self) -> torch.Tensor:
        """A batch of images."""
        return torch.rand((5, VIEWS, 3, SIZE_PX, SIZE_PX), generator=torch.Generator().manual_seed(0))

    def test_codes_are_vectors_of_the_promised_length(
        self, representation: Representation, images: torch.Tensor
    ) -> None:
        code = representation.encode(images)
        promised(
            tuple(code.shape) == (5, representation.feature_dim),
            "Representation.encode returns (batch, feature_dim)",
            tuple(code.shape),
        )
        promised(bool(torch.isfinite(code).all()), "codes are finite numbers", code)

    def test_encoding_repeats(self, representation: Representation, images: torch.Tensor) -> None:
        first, second = representation.encode(images), representation.encode(images)
        promised(torch.equal(first, second), "Representation.encode is deterministic; stochastic codes give their mean")

    def test_a_sample_does_not_depend_on_its_batch(self, representation: Representation, images: torch.Tensor) -> None:
        alone, together = representation.encode(images[:1]), representation.encode(images)[:1]
        promised(
            torch.allclose(alone, together, atol=1e-4),
            "Representation.encode sees each image by itself: a control step is a batch of one",
            float((alone - together).detach().abs().max()),
        )

    def test_encoding_can_be_exported(self, representation: Representation, images: torch.Tensor) -> None:
        code = representation.encode(images)
        program = exported(_Encoding(representation), images[:2], what="Representation.encode")
        promised(
            torch.allclose(program(images), code, atol=1e-5),
            "Representation.encode, exported, does what it does here, for a batch of any size",
        )

    def test_the_penalty_is_one_number_that_can_be_learned_from(
        self, representation: Representation, images: torch.Tensor
    ) -> None:
        domains = torch.arange(5) % DOMAINS
        for progress in (0.0, 0.5, 1.0):
            code, penalty = representation.encode_with_penalty(images, domains, progress)
            promised(tuple(code.shape) == (5, representation.feature_dim), "training codes are shaped as others")
            promised(penalty.shape == (), "the penalty has no axes", tuple(penalty.shape))
            loss = code.square().mean() + penalty
            promised(bool(torch.isfinite(loss)), "the penalty is a finite number", loss.detach())
        if any(one.requires_grad for one in representation.module.parameters()):
            loss.backward()  # type: ignore[no-untyped-call]
            moved = [one.grad is not None for one in representation.module.parameters()]
            promised(any(moved), "gradients reach Representation.module")

    def test_the_module_holds_all_that_encode_needs(self, representation: Representation, images: torch.Tensor) -> None:
        torch.manual_seed(1)
        other = self.make_representation(views=VIEWS, size_px=SIZE_PX, domains=0)
        other.module.load_state_dict(representation.module.state_dict())
        other.module.eval()
        promised(
            torch.equal(other.encode(images), representation.encode(images)),
            "Representation.module holds everything that encode needs, however many domains there were",
        )

    def test_feature_maps_are_of_one_view_each(self, representation: Representation, images: torch.Tensor) -> None:
        maps = representation.feature_maps
        if not maps:
            pytest.skip("it shows no feature maps: `skill inspect` cannot explain it")
        inside = {id(module) for module in representation.module.modules()}
        promised(
            all(id(module) in inside for module in maps.values()),
            "Representation.feature_maps names parts of Representation.module",
            list(maps),
        )
        before = _outputs(representation, images)
        changed = images.clone()
        changed[2, 1] = 1.0 - changed[2, 1]
        after = _outputs(representation, changed)
        for name, found in before.items():
            promised(len(found) == 1, f"feature map {name!r} is worked out once whenever encode runs", len(found))
            shape = tuple(found[0].shape)
            promised(
                len(shape) == 4 and shape[0] == 5 * VIEWS,
                f"feature map {name!r} is (batch * views, channels, rows, columns)",
                shape,
            )
            differ = (found[0] != after[name][0]).flatten(1).any(1)
            promised(
                torch.nonzero(differ).flatten().tolist() == [2 * VIEWS + 1],
                f"feature map {name!r} has the views of a sample next to each other, each seen by itself",
                torch.nonzero(differ).flatten().tolist(),
            )

    def test_codes_depend_on_their_feature_maps(self, representation: Representation, images: torch.Tensor) -> None:
        kept: dict[str, torch.Tensor] = {}
        hooks = [
            module.register_forward_hook(lambda _module, _inputs, out, name=name: kept.__setitem__(name, out))
            for name, module in representation.feature_maps.items()
        ]
        code = representation.encode(images.clone().requires_grad_(True))
        for hook in hooks:
            hook.remove()
        for name, found in kept.items():
            (gradient,) = torch.autograd.grad(code.square().sum(), found, retain_graph=True, allow_unused=True)
            promised(
                gradient is not None and bool(gradient.any()), f"codes depend on feature map {name!r}, differentiably"
            )


def _outputs(representation: Representation, images: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """What the feature maps put out while images are encoded."""
    found: dict[str, list[torch.Tensor]] = {name: [] for name in representation.feature_maps}
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, out, name=name: found[name].append(out.detach().clone()))
        for name, module in representation.feature_maps.items()
    ]
    with torch.no_grad():
        representation.encode(images)
    for hook in hooks:
        hook.remove()
    return found


class _Encoding(torch.nn.Module):
    """`Representation.encode` as a module."""

    def __init__(self, representation: Representation) -> None:
        super().__init__()
        self.module = representation.module
        self._representation = representation

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self._representation.encode(images)
