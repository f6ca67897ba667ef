"""Policy and reward model as ONNX, checked against the originals with onnxruntime, with a card that says how to use
them. Needs the extra `onnx`.

    policy.onnx         what is observed -> action
    reward_model.onnx   what is observed and was felt before -> probability of success
    card.json           names, shapes and units of both; threshold and rule; how they were checked; hashes

The folder is written aside and renamed when it is whole and checked, so that there is never half an export.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import itertools
import logging
import secrets
import shutil
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skillcore.errors import ExportError, InputError
from skillcore.learning.bundles import Bundle
from skillcore.learning.networks import PolicyNetwork, RewardNetwork
from skillcore.learning.onnx_card import (
    CARD,
    POLICY,
    REWARD_MODEL,
    Check,
    ExportCard,
    Rule,
    description_of,
    policy_model,
    reward_model_model,
)
from skillcore.learning.recipe import Brain
from skillcore.learning.rewarding import batch_of_one, past_of
from skillcore.storage import flush_folder, make_folder_durably, sha256_of, storage_faults, write_durably
from skillcore.types import PAST, Episode, Past

TOLERANCE = 1e-4
"""How far outputs of an export may be from the original's: of actions in [-1, 1] and of probabilities."""
OPSET = 20
PACKAGES = ("onnx", "onnxruntime", "onnxscript")
FRAMES = 256
"""At most so many frames are compared."""
TOGETHER = 32
"""Frames in a batch of the export; the originals see one at a time, as in a trial."""


def require_onnx() -> None:
    """Raises InputError that says what to install, if the extra is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        what = f"ONNX needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed"
        raise InputError(what, cure="pip install 'skillcore[onnx]'")


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Recorded frames to compare on, with what came before each of them; shapes as `RewardNetwork` has them. source:
    where they come from, in words."""

    images: NDArray[np.uint8]
    pose: NDArray[np.float32]
    wrench: NDArray[np.float32]
    past_pose: NDArray[np.float32]
    past_wrench: NDArray[np.float32]
    source: str

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, episodes: Sequence[Episode], source: str) -> Samples:
        """Up to `FRAMES` frames, evenly taken from all. Raises ExportError if there are none."""
        places = [(episode, frame) for episode in episodes for frame in range(episode.steps + 1)]
        if not places:
            raise ExportError(f"{source}: there are no frames to compare on", cure="name another run: --observations")
        chosen = [places[number] for number in np.linspace(0, len(places) - 1, min(FRAMES, len(places))).astype(int)]
        pasts = [_past(episode, frame) for episode, frame in chosen]
        return cls(
            np.stack([episode.images[frame] for episode, frame in chosen]),
            np.stack([episode.pose[frame] for episode, frame in chosen]),
            np.stack([episode.wrench[frame] for episode, frame in chosen]),
            np.concatenate([past["pose"] for past in pasts]),
            np.concatenate([past["wrench"] for past in pasts]),
            source,
        )

    def inputs(self, some: slice, *, past: bool) -> dict[str, NDArray[Any]]:
        """What a model is given, by name."""
        names = ("images", "pose", "wrench", *(("past_pose", "past_wrench") if past else ()))
        return {name: getattr(self, name)[some] for name in names}


def _past(episode: Episode, frame: int) -> Past:
    earlier = [episode.observation(before) for before in range(frame - 1, max(-1, frame - 1 - PAST), -1)]
    return past_of(earlier or [episode.observation(frame)])


def export_onnx(bundle: Bundle, samples: Samples, out: Path, *, max_steps: int, command: str) -> ExportCard:
    """Writes an export into the new folder `out`, after its outputs were found to be the original's.

    max_steps: of a trial. Raises ExportError if they are not or a part cannot be exported, PluginError if a part
    offers no module, InputError if the folder is there already or the extra is missing, StorageError.
    """
    require_onnx()
    if out.exists():
        raise InputError(f"{out}: is there already", cure="remove it, or choose another folder with --out")
    aside = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    make_folder_durably(aside)
    try:
        policy, reward = PolicyNetwork(bundle.brain), RewardNetwork(bundle.brain.reward_model)
        _export(policy, samples.inputs(slice(2), past=False), aside / POLICY, "action", "policy")
        _export(reward, samples.inputs(slice(2), past=True), aside / REWARD_MODEL, "probability", "reward model")
        check = _checked(bundle.brain, samples, aside)
        rule = Rule(threshold=bundle.brain.reward_model.threshold)
        card = ExportCard(
            skill=bundle.card.skill,
            variant=bundle.card.variant,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            command=command,
            policy=policy_model(bundle.card, OPSET, sha256_of(aside / POLICY)),
            reward_model=reward_model_model(bundle.card, OPSET, sha256_of(aside / REWARD_MODEL)),
            control=bundle.card.control,
            max_steps=max_steps,
            check=check,
            packages={name: metadata.version(name) for name in ("skillcore", "torch", *PACKAGES)},
            bundle=bundle.card,
            reward=rule,
            description=description_of(bundle.card, rule, max_steps),
        )
        write_durably(aside / CARD, card.model_dump_json(by_alias=True, indent=2).encode())
        with storage_faults("write", out):
            aside.rename(out)
        flush_folder(out.parent)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return card


def _export(module: nn.Module, inputs: dict[str, NDArray[Any]], path: Path, output: str, what: str) -> None:
    """Writes a module as ONNX, its batch of any size."""
    import onnx

    # A copy in evaluation mode on the CPU: the original goes on as it was.
    network = copy.deepcopy(module).cpu().eval()
    tensors = {name: torch.from_numpy(np.repeat(array[:1], 2, axis=0)) for name, array in inputs.items()}
    batch = torch.export.Dim("batch", min=1, max=65536)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                network,
                tuple(tensors.values()),
                input_names=list(tensors),
                output_names=[output],
                dynamic_shapes=tuple({0: batch} for _ in tensors),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ExportError(
            f"the {what} cannot be exported: {reason}",
            cure="a part of it uses what ONNX has not: its author can tell with the suites of skillcore.testing",
        ) from error
    assert program is not None
    model = program.model_proto
    for node in model.graph.node:
        # Where in whose file a node was made is nobody's business who gets the export.
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    onnx.checker.check_model(model)
    write_durably(path, model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps to itself what torch says of its own insides."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning, UserWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logger.setLevel(level)


# --- the check ---------------------------------------------------------------------------------------------------


def _checked(brain: Brain, samples: Samples, folder: Path) -> Check:
    """Compares files in a folder with the originals. Raises ExportError where they do not agree."""
    actions, scores = _originals(brain, samples)
    policy = _greatest(_answers(folder / POLICY, samples, past=False), actions)
    reward_model = _greatest(_answers(folder / REWARD_MODEL, samples, past=True), scores)
    for what, difference in (("policy", policy), ("reward model", reward_model)):
        # Not a number is not within bounds either.
        if not difference <= TOLERANCE:
            raise ExportError(
                f"the exported {what} does not do what the original does: outputs differ by up to {difference:.2g}, "
                f"and {TOLERANCE:g} is allowed ({len(samples)} frames of {samples.source})",
                cure="nothing was written; report it with the bundle's card",
            )
    return Check(
        observations=len(samples),
        source=samples.source,
        tolerance=TOLERANCE,
        policy=policy,
        reward_model=reward_model,
    )


def _originals(brain: Brain, samples: Samples) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What skillcore does and believes in each frame, one at a time, as in a trial: actions (n, 4), scores (n,)."""
    actions, scores = [], []
    for number in range(len(samples)):
        observation = batch_of_one(
            {
                "images": samples.images[number],
                "pose": samples.pose[number],
                "wrench": samples.wrench[number],
            }
        )
        features = brain.adapted(brain.perception.features(observation), observation["images"])
        actions.append(brain.learner.act(features[0], explore=None))
        one = slice(number, number + 1)
        past = Past(pose=samples.past_pose[one], wrench=samples.past_wrench[one])
        scores.append(brain.reward_model.score(observation, past)[0])
    return np.stack(actions), np.array(scores, np.float32)


def _answers(path: Path, samples: Samples, *, past: bool) -> NDArray[np.float32]:
    """What a file answers, in batches of one and of several."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    sizes = [1, *range(1, len(samples), TOGETHER), len(samples)]
    bounds = sorted({0, *sizes})
    parts = [
        session.run(None, samples.inputs(slice(low, high), past=past))[0] for low, high in itertools.pairwise(bounds)
    ]
    return np.concatenate(parts)


def _greatest(answers: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    if answers.shape != wanted.shape:
        raise ExportError(f"the export answers in the shape {answers.shape}, and should in {wanted.shape}")
    return float(np.abs(answers - wanted).max())
