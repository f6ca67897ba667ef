"""What in an image speaks for what a network puts out: Grad-CAM, with captum.

Selvaraju, Cogswell, Das, Vedantam, Parikh, Batra 2017, "Grad-CAM: Visual Explanations from Deep Networks via
Gradient-based Localization" (arXiv:1610.02391). For an output y and the feature maps A_k of a convolution:

    alpha_k = mean over places of dy / dA_k          L = ReLU(sum_k alpha_k A_k)

enlarged to the image. Differences from the paper are what a policy with two cameras needs:

- y is the size of an action's number, |x|, |y|, |z| or |yaw|: what speaks for the motion that was chosen, either way.
  Of a reward model it is the log-odds of success.
- Each view has an alpha of its own. The maps of both views are divided by their common sum, so that they say how the
  attention of one output is shared out between places and views.
- A policy acts on a code of the images and on an estimated way to success. After practice the way comes from a network
  of its own (`skillcore.learning.adaptation`), so that y depends on the feature maps of two encoders: k goes over both.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from skillcore.errors import InputError, PluginError, UnknownNameError
from skillcore.interfaces import Learner, Representation, RewardModel
from skillcore.learning.images import as_input
from skillcore.learning.perception import proprioception
from skillcore.learning.recipe import Brain
from skillcore.types import ACTION_NAMES, Observation

BATCH = 64
SUCCESS = "success"
"""The name of a reward model's output."""
Forward = Callable[..., torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class Saliency:
    """What some frames' outputs were drawn from.

    outputs: their names. values: (frames, outputs) float32, what the network put out. maps: (frames, outputs, views, H,
    W) float32, not negative; those of one frame and output sum to 1 over all views, or are 0 throughout where nothing
    in the images speaks for the output. layer: the name of the feature maps they were read off.
    """

    outputs: tuple[str, ...]
    values: NDArray[np.float32]
    maps: NDArray[np.float32]
    layer: str


def can_explain() -> bool:
    """Whether what explains is installed."""
    return importlib.util.find_spec("captum") is not None


def require_captum() -> None:
    """Raises InputError where captum is missing."""
    if not can_explain():
        raise InputError("saliency needs captum, which is not installed", cure="pip install 'skillcore[saliency]'")


def policy_saliency(brain: Brain, observations: Observation, *, layer: str = "") -> Saliency:
    """What speaks for each number of the policy's greedy actions, in a batch of observations.

    layer: which of the encoder's feature maps are used; the last if empty. Raises PluginError for a learner or a
    representation that offers nothing to explain, UnknownNameError for a layer that is not there.
    """
    require_captum()
    policy = _policy_of(brain.learner)
    perception, adapter = brain.perception, brain.adapter
    felt = torch.from_numpy(proprioception(observations)).to(perception.device)

    def act(inputs: torch.Tensor, felt: torch.Tensor) -> torch.Tensor:
        seen = perception.seen(inputs)
        if adapter is not None:
            seen = adapter.corrected_seen(seen, inputs)
        return torch.as_tensor(policy(torch.cat([seen, felt], dim=1)))

    representations = [perception.representation]
    if adapter is not None and adapter.active:
        representations.append(adapter.representation)
    found = _explained(
        act,
        # Not clipped: a number at its bound has no gradient, and yet a reason.
        lambda inputs, felt: act(inputs, felt).abs(),
        ACTION_NAMES,
        representations,
        observations["images"],
        [felt],
        layer=layer,
        device=perception.device,
    )
    return replace(found, values=np.clip(found.values, -1.0, 1.0))


def reward_saliency(reward_model: RewardModel, images: NDArray[np.uint8], *, layer: str = "") -> Saliency:
    """What speaks for success by sight alone, in images (frames, views, H, W, 3). `values` are log-odds.

    Raises as `policy_saliency` does, for a reward model without sight.
    """
    require_captum()
    sight = reward_model.sight
    if sight is None:
        raise PluginError(
            f"the reward model {type(reward_model).__name__} shows no sight that could be explained",
            cure="a reward model that judges by images has the property `sight`: skillcore.interfaces.RewardModel",
        )
    weights = [weight for one in sight.representations for weight in one.module.parameters()]
    device = str(weights[0].device) if weights else "cpu"

    def logit(inputs: torch.Tensor) -> torch.Tensor:
        return sight.logit(inputs).unsqueeze(1)

    return _explained(logit, logit, (SUCCESS,), sight.representations, images, [], layer=layer, device=device)


def _policy_of(learner: Learner) -> torch.nn.Module:
    try:
        return learner.policy_module
    except PluginError as error:
        what = f"the learner {type(learner).__name__} offers no policy_module that could be explained"
        raise PluginError(what, cure=error.cure) from error


def layer_of(representation: Representation, wanted: str) -> tuple[str, torch.nn.Module]:
    """The feature maps that are meant, with their name. Raises PluginError if there are none, UnknownNameError."""
    maps = representation.feature_maps
    if not maps:
        raise PluginError(
            f"the representation {type(representation).__name__} shows no feature maps, so that nobody can tell where "
            "it looks",
            cure="one that can be explained has the property `feature_maps`: skillcore.interfaces.Representation",
        )
    name = wanted or list(maps)[-1]
    if name not in maps:
        raise UnknownNameError("layer", name, maps, where="--layer")
    return name, maps[name]


def _explained(
    put_out: Forward,
    explained: Forward,
    outputs: Sequence[str],
    representations: Sequence[Representation],
    images: NDArray[np.uint8],
    others: Sequence[torch.Tensor],
    *,
    layer: str,
    device: str,
) -> Saliency:
    """put_out, explained: images (batch, views, 3, H, W) and rows of `others` -> (batch, outputs)."""
    layers = [layer_of(one, layer) for one in representations]
    frames, views, height, width = images.shape[:4]
    values = np.zeros((frames, len(outputs)), np.float32)
    maps = np.zeros((frames, len(outputs), views, height, width), np.float32)
    for start in range(0, frames, BATCH):
        some = slice(start, min(frames, start + BATCH))
        # Weights may be frozen; the images always have a gradient that goes through all layers.
        inputs = as_input(np.ascontiguousarray(images[some]), device).requires_grad_(True)
        rows = tuple(other[some] for other in others)
        with torch.no_grad():
            values[some] = put_out(inputs, *rows).cpu().numpy()
        for number in range(len(outputs)):
            coarse = sum(_gradcam(explained, module, inputs, rows, number, views) for _, module in layers)
            maps[some, number] = _enlarged(torch.as_tensor(coarse), height, width)
    return Saliency(tuple(outputs), values, maps, layers[0][0])


def _gradcam(
    forward: Forward,
    module: torch.nn.Module,
    inputs: torch.Tensor,
    rows: tuple[torch.Tensor, ...],
    target: int,
    views: int,
) -> torch.Tensor:
    """(batch, views, rows, columns): sum_k alpha_k A_k of one encoder, before what is negative is dropped."""
    from captum.attr import LayerGradCam

    found: torch.Tensor = LayerGradCam(forward, module).attribute(inputs, target, additional_forward_args=rows or None)
    if found.ndim != 4 or found.shape[0] != len(inputs) * views:
        raise PluginError(
            f"feature maps of {len(inputs)} samples with {views} views came as {tuple(found.shape)} (channels summed)",
            cure="Representation.feature_maps names modules that return (batch * views, channels, rows, columns)",
        )
    return found.detach().reshape(len(inputs), views, *found.shape[2:])


def _enlarged(coarse: torch.Tensor, height: int, width: int) -> NDArray[np.float32]:
    """(batch, views, rows, columns) -> (batch, views, H, W), what is positive, each sample's sum 1."""
    positive = coarse.clamp_min(0.0).double()
    # Divided before it is enlarged, since gradients of an output near its bound are tiny; their ratios are not.
    most = positive.amax(dim=(1, 2, 3), keepdim=True)
    large = torch.nn.functional.interpolate(
        positive / most.where(most > 0.0, 1.0), (height, width), mode="bilinear", align_corners=False
    )
    total = large.sum(dim=(1, 2, 3), keepdim=True)
    return np.asarray((large / total.where(total > 0.0, 1.0)).float().cpu().numpy(), np.float32)
