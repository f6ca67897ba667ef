"""Bundles: a folder that holds one trained skill. Weights as safetensors, and a card that says what they are.

    card.json                   written last: a folder without one is no bundle
    perception.safetensors      the policy's representation and its estimate of the way
    learner.safetensors         the policy and what it learns with
    classifier_*.safetensors    the reward model
    prior.safetensors           offline data in features, to practise with
    adapted_*.safetensors       what practice made of the estimate, once there was practice

Bundles of one skill and variant lie side by side, numbered; a new one never touches those before it.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import numpy as np
import torch
from pydantic import Field, ValidationError, field_validator

from skillcore.config import StrictModel
from skillcore.errors import BundleError, InputError
from skillcore.learning.adaptation import WayAdapter
from skillcore.learning.recipe import Brain, Recipe, make_brain
from skillcore.learning.replay import Transitions
from skillcore.learning.weights import load_tensors, save_tensors
from skillcore.parts import ViewShape
from skillcore.plugins import Registry
from skillcore.storage import make_folder_durably, sha256_of, write_durably

CARD, PRIOR = "card.json", "prior.safetensors"
PACKAGES = ("skillcore", "torch", "numpy", "mujoco", "pydantic", "safetensors", "gymnasium")
MAX_CARD_BYTES = 4_000_000
_CURE = "use another bundle with --bundle, or make it anew with `skill pretrain`"


class Card(StrictModel):
    """What a bundle is, how it was made and how good it is.

    variant: what it was practised on, or "" after pretraining. reward: the threshold, how many frames must agree, and
    how the threshold was chosen. control: step sizes that actions mean. data: what it was trained on. figures: how good
    it is, with intervals. files: SHA-256 of every other file.
    """

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    skill: str
    variant: str = ""
    created: str
    recipe: Recipe
    views: Annotated[int, Field(ge=1)]
    size_px: Annotated[int, Field(ge=1)]
    control: dict[str, float]
    reward: dict[str, Any]
    data: dict[str, Any] = Field(default_factory=dict)
    figures: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    parent: str = ""
    command: str = ""
    packages: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)

    @field_validator("reward")
    @classmethod
    def _has_threshold(cls, reward: dict[str, Any]) -> dict[str, Any]:
        threshold = reward.get("threshold")
        if not isinstance(threshold, float | int) or not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold must be a number from 0 to 1, and is {threshold!r}")
        return reward


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A bundle that was read."""

    folder: Path
    card: Card
    brain: Brain
    prior: Transitions


def save_bundle(folder: Path, card: Card, brain: Brain, prior: Transitions | None, *, resumable: bool = False) -> Card:
    """Writes a bundle into a new folder, its card last. Returns the card with hashes. Raises StorageError."""
    make_folder_durably(folder)
    brain.perception.save(folder)
    brain.learner.save(folder, resumable=resumable)
    brain.reward_model.save(folder)
    if brain.adapter is not None:
        brain.adapter.save(folder, resumable=resumable)
    if prior is not None:
        save_prior(folder / PRIOR, prior)
    files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.suffix == ".safetensors"}
    complete = card.model_copy(update={"files": files, "packages": package_versions()})
    write_durably(folder / CARD, complete.model_dump_json(by_alias=True, indent=2).encode())
    return complete


def read_card(folder: Path) -> Card:
    """The card of a bundle. Raises BundleError if the folder is none."""
    path = folder / CARD
    if not path.is_file():
        raise BundleError(f"{folder}: is no bundle: there is no {CARD}", cure=_CURE)
    if path.stat().st_size > MAX_CARD_BYTES:
        raise BundleError(f"{path}: is far too large for a card", cure=_CURE)
    try:
        return Card.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where}: {first['msg']}" if where else first["msg"]
        raise BundleError(f"{path}: damaged: {what}", cure=_CURE) from error
    except OSError as error:
        raise BundleError(f"{path}: {error.strerror or error}", cure=_CURE) from error


def load_bundle(folder: Path, registry: Registry, *, device: str) -> Bundle:
    """Reads a bundle, after comparing its files with their hashes. Raises BundleError that names what is damaged."""
    card = read_card(folder)
    for name, sha256 in card.files.items():
        if not name or "/" in name or "\\" in name or name.startswith("."):
            raise BundleError(f"{folder / CARD}: names a file outside: {name!r}", cure=_CURE)
        try:
            found = sha256_of(folder / name)
        except FileNotFoundError:
            raise BundleError(f"{folder / name}: the file is missing", cure=_CURE) from None
        if found != sha256:
            what = f"{folder / name}: damaged: its SHA-256 is {found[:8]}, and the card says {sha256[:8]}"
            raise BundleError(what, cure=_CURE)
    for path in sorted(folder.glob("*.safetensors")):
        if path.name not in card.files:
            raise BundleError(f"{path}: is not named in {CARD}", cure=_CURE)
    try:
        brain = make_brain(card.recipe, registry, views=ViewShape(card.views, card.size_px), device=device)
    except InputError as error:
        raise BundleError(f"{folder / CARD}: {error.what}", cure=error.cure or _CURE) from error
    brain.perception.load(folder)
    brain.learner.load(folder)
    brain.reward_model.load(folder)
    brain.adapter = WayAdapter(brain.perception)
    brain.adapter.load(folder)
    brain.reward_model.threshold = float(card.reward["threshold"])
    prior = Transitions.none(brain.perception.feature_dim)
    if PRIOR in card.files:
        prior = load_prior(folder / PRIOR, brain.perception.feature_dim)
    return Bundle(folder, card, brain, prior)


def new_card(**fields: Any) -> Card:
    """A card of now."""
    return Card(created=datetime.now(UTC).isoformat(timespec="seconds"), **fields)


# --- offline data that travels with a bundle -----------------------------------------------------------------------


def save_prior(path: Path, prior: Transitions) -> None:
    """Writes transitions in half precision, each feature vector once: one step's end is mostly the next one's start."""
    vectors, index = np.unique(
        np.concatenate([prior.features, prior.next_features]).astype(np.float16), axis=0, return_inverse=True
    )
    count = len(prior)
    arrays: Mapping[str, Any] = {
        "vectors": vectors,
        "before": index[:count].astype(np.int32),
        "after": index[count:].astype(np.int32),
        "actions": prior.actions.astype(np.float16),
        "rewards": prior.rewards.astype(np.float16),
        "continues": prior.continues.astype(np.float16),
    }
    save_tensors(path, {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in arrays.items()})


def load_prior(path: Path, feature_dim: int) -> Transitions:
    """Reads what `save_prior` wrote. Raises BundleError if it does not fit."""
    tensors = load_tensors(path)
    try:
        vectors = tensors["vectors"].float().numpy()
        before, after = tensors["before"].long().numpy(), tensors["after"].long().numpy()
        columns = [tensors[name].float().numpy() for name in ("actions", "rewards", "continues")]
        fits = vectors.shape[1] == feature_dim and all(len(column) == len(before) == len(after) for column in columns)
        if not fits or columns[0].shape[1] != 4:
            raise BundleError(f"{path}: its shapes do not fit", cure=_CURE)
        return Transitions(vectors[before], columns[0], columns[1], vectors[after], columns[2])
    except (KeyError, IndexError) as error:
        raise BundleError(f"{path}: damaged: {error}", cure=_CURE) from error


# --- where bundles lie ---------------------------------------------------------------------------------------------

PRETRAINED = "pretrained"


def next_folder(root: Path, skill: str, variant: str) -> Path:
    """A new folder for a bundle of a skill and a variant (or PRETRAINED), numbered after those that are there."""
    shelf = root / skill / quote(variant, safe="")
    numbers = [int(path.name) for path in shelf.glob("[0-9]*") if re.fullmatch(r"\d+", path.name)]
    return shelf / f"{max(numbers, default=0) + 1:04d}"


def whole_bundles(root: Path, skill: str, variant: str) -> list[Path]:
    """The whole bundles of a skill and a variant, the newest last."""
    shelf = root / skill / quote(variant, safe="")
    return sorted(path for path in shelf.glob("[0-9]*") if (path / CARD).is_file())


def newest(root: Path, skill: str, variant: str) -> Path | None:
    """The newest whole bundle of a skill and a variant, if there is one."""
    whole = whole_bundles(root, skill, variant)
    return whole[-1] if whole else None


def was_accepted(card: Card) -> bool | None:
    """Whether a bundle passed the test at the end of its practice; None where there was none."""
    try:
        return float(card.figures["acceptance"]["success"]["value"]) >= float(card.figures["gate"])
    except (KeyError, TypeError, ValueError):
        return None


def find_bundle(root: Path, skill: str, wanted: str, variant: str, shipped: Path | None) -> Path:
    """The bundle to use: the folder `wanted`; else the newest of the variant; else the newest pretrained; else the
    shipped one. Raises InputError if there is none."""
    if wanted:
        return Path(wanted)
    for name in (variant, PRETRAINED):
        found = newest(root, skill, name) if name else None
        if found is not None:
            return found
    if shipped is not None and (shipped / CARD).is_file():
        return shipped
    raise InputError(f"there is no bundle for {skill}", cure=f"make one: skill pretrain {skill}")


def about(card: Card) -> str:
    """A line that names a bundle's parts."""
    recipe = card.recipe
    return (
        f"{recipe.representation.name} representation, {recipe.learner.name} learner, "
        f"{recipe.reward_model.name} reward model (threshold {card.reward['threshold']:.3f})"
    )


def package_versions() -> dict[str, str]:
    """What matters for results, as it is installed now."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
