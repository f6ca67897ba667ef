"""What a suite asks of torch modules that parts offer, and of the files that they write."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from skillcore.errors import PluginError
from skillcore.interfaces import Learner, RewardModel
from skillcore.testing.promises import promised

PLAIN = {".safetensors", ".json"}


def offered(part: Learner | RewardModel, name: str) -> torch.nn.Module:
    """A module that a part may offer; skips the test where it does not."""
    try:
        module = getattr(part, name)
    except PluginError as error:
        pytest.skip(error.what)
    promised(isinstance(module, torch.nn.Module), f"{name} is a torch.nn.Module", type(module))
    found: torch.nn.Module = module
    return found


def exported(module: torch.nn.Module, *inputs: torch.Tensor, what: str) -> Callable[..., torch.Tensor]:
    """What `torch.export` makes of a module, for batches of any size."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    was_training = module.training
    try:
        with warnings.catch_warnings():
            # Torch warns of what it does itself.
            warnings.simplefilter("ignore")
            program = torch.export.export(module.eval(), inputs, dynamic_shapes=tuple({0: batch} for _ in inputs))
    except Exception as error:
        promised(False, f"{what} is made of plain torch operations that torch.export can follow", error)
        raise
    finally:
        module.train(was_training)
    run: Callable[..., torch.Tensor] = program.module()
    return run


def plain_files(folder: Path, method: str) -> None:
    odd = sorted(path.name for path in folder.iterdir() if path.suffix not in PLAIN)
    promised(not odd, f"{method} writes safetensors and JSON, and nothing else", odd)
