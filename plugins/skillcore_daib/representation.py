"""DAIB and its special cases: what an encoder's code may keep of the connector it was trained on.

Nair, Zhu, Narayanan, Solowjow, Levine 2022, "Learning on the Job: Self-Rewarding Offline-to-Online Finetuning for
Industrial Insertion of Novel Connectors from Vision" (arXiv:2210.15206), section V:

    z = (z_I, z_S)                      domain-invariant and domain-specific part of the code
    L = L_task + w_adv L_adv + beta KL(p(z_S | x) || N(0, I))

A domain is one connector on one robot. z_I is trained against a classifier F that tries to name the domain from it
(L_adv = -L_domain), here through a gradient-reversal layer (Ganin and Lempitsky 2015, arXiv:1409.7495) whose strength
grows as 2 / (1 + exp(-10 p)) - 1 over the training's progress p. z_S is a stochastic code behind a variational
information bottleneck (Alemi et al. 2017, arXiv:1612.00410).

    erm         neither: a plain code
    dann        z_I only
    vib         z_S only
    daib        both; beta = 0 leaves z_S deterministic and unbounded

Sizes and weights are not published; those chosen here are the options' defaults.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from skillcore.interfaces import Representation
from skillcore_daib.encoder import HIDDEN, ViewEncoder
from skillcore_daib.options import EncoderOptions


class _Reversal(torch.autograd.Function):
    """The identity, whose gradient is turned round and scaled."""

    @staticmethod
    def forward(ctx: Any, code: torch.Tensor, strength: float) -> torch.Tensor:
        ctx.strength = strength
        return code.view_as(code)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return -ctx.strength * gradients[0], None


class _Network(nn.Module):
    def __init__(self, options: EncoderOptions, *, invariant: int, specific: int, views: int, size_px: int) -> None:
        super().__init__()
        self.encoder = ViewEncoder(views=views, size_px=size_px, channels=options.channels)
        # A plain code is the invariant part without an adversary.
        self.invariant = nn.Sequential(nn.Linear(HIDDEN, invariant), nn.LayerNorm(invariant)) if invariant else None
        self.specific = nn.Linear(HIDDEN, 2 * specific) if specific else None


class DomainBottleneck(Representation):
    """One of the four; `adversary_weight` None means no adversary, `beta` None no stochastic part."""

    def __init__(
        self,
        options: EncoderOptions,
        *,
        views: int,
        size_px: int,
        domains: int,
        adversary_weight: float | None,
        beta: float | None,
    ) -> None:
        code = options.code_dim
        if beta is None:
            invariant, specific = code, 0
        elif adversary_weight is None:
            invariant, specific = 0, code
        else:
            invariant, specific = code // 2, code - code // 2
        self.feature_dim = code
        self._adversary_weight = adversary_weight
        self._beta = beta
        self._network = _Network(options, invariant=invariant, specific=specific, views=views, size_px=size_px)
        self._adversary = None
        if adversary_weight is not None and domains:
            self._adversary = nn.Sequential(nn.Linear(invariant, 128), nn.ReLU(), nn.Linear(128, domains))

    @property
    def module(self) -> nn.Module:
        return self._network

    @property
    def training_module(self) -> nn.Module | None:
        return self._adversary

    @property
    def feature_maps(self) -> Mapping[str, nn.Module]:
        return self._network.encoder.feature_maps

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        code, mean, _ = self._parts(images)
        return _joined(code, mean)

    def encode_with_penalty(
        self, images: torch.Tensor, domains: torch.Tensor, progress: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        code, mean, log_variance = self._parts(images, fast=True)
        penalty = images.new_zeros(())
        if code is not None and self._adversary is not None and self._adversary_weight:
            strength = self._adversary_weight * (2.0 / (1.0 + math.exp(-10.0 * progress)) - 1.0)
            reversed_code = _Reversal.apply(code, strength)  # type: ignore[no-untyped-call]
            guess = self._adversary(reversed_code)
            penalty = penalty + functional.cross_entropy(guess, domains)
        if mean is not None and log_variance is not None and self._beta:
            kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1).mean()
            penalty = penalty + self._beta * kl
            mean = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        return _joined(code, mean), penalty

    def _parts(
        self, images: torch.Tensor, *, fast: bool = False
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]:
        """z_I, and mean and log-variance of z_S; None for parts that this code lacks."""
        network = self._network
        hidden = network.encoder(images, fast=fast)
        code = network.invariant(hidden) if network.invariant is not None else None
        if network.specific is None:
            return code, None, None
        mean, log_variance = network.specific(hidden).chunk(2, dim=1)
        return code, mean, log_variance.clamp(-8.0, 4.0)


def _joined(code: torch.Tensor | None, mean: torch.Tensor | None) -> torch.Tensor:
    parts = [part for part in (code, mean) if part is not None]
    return torch.cat(parts, dim=1)
