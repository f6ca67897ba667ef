"""Weights on disk: safetensors, written durably, read with their shapes checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import nn

from skillcore.errors import BundleError
from skillcore.storage import storage_faults, write_durably

LEARNER = "learner.safetensors"
OPTIMIZERS = "optimizers.safetensors"
_CURE = "use another bundle, or make it anew"


def save_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes named tensors. Raises StorageError."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_durably(path, safetensors.torch.save(plain))


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads what `save_tensors` wrote. Raises BundleError (missing, damaged) or StorageError."""
    try:
        with storage_faults("read", path):
            data = path.read_bytes()
    except Exception as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise BundleError(f"{path}: the file is missing", cure=_CURE) from error
        raise
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise BundleError(f"{path}: damaged: {error}", cure=_CURE) from error


def load_module(path: Path, module: nn.Module) -> None:
    """Fills a module with the weights in a file. Raises BundleError that names what does not fit."""
    load_state(path, module, load_tensors(path))


def load_state(path: Path, module: nn.Module, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fills a module with tensors that were read from `path`. Raises BundleError that names what does not fit."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        what = f"{odd[0]} is {found.get(odd[0], 'missing')}, and should be {wanted.get(odd[0], 'absent')}"
        raise BundleError(
            f"{path}: made for another network: {what}", cure="use the options its card names, or make it anew"
        )
    module.load_state_dict(dict(tensors))


# --- learners ------------------------------------------------------------------------------------------------------


Optimizers = Callable[[], Mapping[str, torch.optim.Optimizer]]
"""Asked for only where their state is read or written: torch takes a second to make the first one, which who only acts
need not wait for."""


def save_learner(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Optimizers,
    *,
    resumable: bool,
    copies: Mapping[str, str],
    prefix: str = "",
) -> None:
    """Writes named modules into an existing folder. Raises StorageError.

    resumable: also the state of their optimisers, and the modules that began as copies of others (`copies`, by name);
    without them the file is smaller, and practice can begin but not go on.
    """
    weights = {
        f"{part}.{name}": tensor
        for part, module in modules.items()
        if resumable or part not in copies
        for name, tensor in module.state_dict().items()
    }
    save_tensors(folder / f"{prefix}{LEARNER}", weights)
    if resumable:
        # Learning rates and the like are options; only what grew during training is kept.
        moments = {
            f"{part}.{parameter}.{field}": torch.as_tensor(value)
            for part, optimizer in optimizers().items()
            for parameter, state in optimizer.state_dict()["state"].items()
            for field, value in state.items()
        }
        save_tensors(folder / f"{prefix}{OPTIMIZERS}", moments)


def load_learner(
    folder: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Optimizers,
    *,
    copies: Mapping[str, str],
    prefix: str = "",
) -> None:
    """Reads what `save_learner` wrote. Raises BundleError if it does not fit."""
    learner, moments = folder / f"{prefix}{LEARNER}", folder / f"{prefix}{OPTIMIZERS}"
    tensors = load_tensors(learner)
    parts = {name.partition(".")[0] for name in tensors}
    for part, module in modules.items():
        source = part if part in parts else copies.get(part, part)
        own = {name.removeprefix(f"{source}."): one for name, one in tensors.items() if name.startswith(f"{source}.")}
        load_state(learner, module, own)
    if not moments.exists():
        return
    made = optimizers()
    states: dict[str, dict[int, dict[str, torch.Tensor]]] = {part: {} for part in made}
    for key, tensor in load_tensors(moments).items():
        part, _, rest = key.partition(".")
        parameter, _, field = rest.partition(".")
        if part not in states or not parameter.isdecimal():
            raise BundleError(f"{moments}: {key!r} belongs to no optimiser", cure=_CURE)
        states[part].setdefault(int(parameter), {})[field] = tensor
    for part, optimizer in made.items():
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        for number, state in states[part].items():
            grown = {field: moment for field, moment in state.items() if moment.ndim}
            if number >= len(parameters) or any(one.shape != parameters[number].shape for one in grown.values()):
                raise BundleError(f"{moments}: {part}.{number} does not fit", cure=_CURE)
            # Fused optimisers go through memory as it lies, so moments must lie as their parameters do.
            state.update({field: torch.empty_like(parameters[number]).copy_(one) for field, one in grown.items()})
        optimizer.load_state_dict({"state": states[part], "param_groups": optimizer.state_dict()["param_groups"]})
