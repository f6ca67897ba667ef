"""The card of an export: what another program must know to run it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from skillcore.config import StrictModel
from skillcore.learning import rewarding
from skillcore.learning.bundles import Card
from skillcore.types import PAST

CARD, POLICY, REWARD_MODEL = "card.json", "policy.onnx", "reward_model.onnx"
BATCH = "batch"
POSE_UNIT, WRENCH_UNIT = "m, m, m, rad, rad, rad", "N, N, N, Nm, Nm, Nm"


class Port(StrictModel):
    """An input or output of a model. shape: sizes, and "batch" where any size is taken."""

    name: str
    dtype: Literal["uint8", "float32"]
    shape: tuple[int | str, ...]
    unit: str
    meaning: str


class Model(StrictModel):
    """One ONNX file."""

    file: str
    sha256: str
    opset: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


class Rule(StrictModel):
    """When an attempt has succeeded: `agreement` of the last `window` frames, the last one among them, are scored above
    `threshold`. past: frames before the present one that the reward model is shown."""

    threshold: float
    agreement: int = rewarding.RULE.agreement
    window: int = rewarding.RULE.window
    past: int = PAST


class Check(StrictModel):
    """How the files were compared with the originals: greatest absolute difference of policy and reward model."""

    observations: int
    source: str
    tolerance: float
    policy: float
    reward_model: float


class ExportCard(StrictModel):
    """Everything about an export. bundle: the card of the bundle that it was made from. description: how to run it."""

    schema_version: Annotated[Literal[1], Field(alias="schema")] = 1
    skill: str
    variant: str
    created: str
    command: str
    policy: Model
    reward_model: Model
    control: dict[str, float]
    max_steps: int
    check: Check
    packages: dict[str, str]
    bundle: Card
    reward: Rule
    description: tuple[str, ...]


def policy_model(card: Card, opset: int, sha256: str) -> Model:
    """The policy's file."""
    step, turn = (card.control.get(name) for name in ("step_m", "turn_step_rad"))
    told = (
        f"x, y, z in steps of {step} m and yaw in steps of {turn} rad" if step and turn else "x, y, z and yaw in steps"
    )
    action = Port(
        name="action",
        dtype="float32",
        shape=(BATCH, 4),
        unit="steps, in [-1, 1]",
        meaning=f"displacement of the tool in its own frame, {told}; z points along the direction of insertion",
    )
    return Model(file=POLICY, sha256=sha256, opset=opset, inputs=_now(card), outputs=(action,))


def reward_model_model(card: Card, opset: int, sha256: str) -> Model:
    """The reward model's file."""
    past = f"of the {PAST} frames before, the latest first; the first frame stands in where there were not so many"
    shape = (BATCH, PAST, 6)
    pose = Port(name="past_pose", dtype="float32", shape=shape, unit=POSE_UNIT, meaning=f"pose {past}")
    wrench = Port(name="past_wrench", dtype="float32", shape=shape, unit=WRENCH_UNIT, meaning=f"wrench {past}")
    probability = Port(
        name="probability", dtype="float32", shape=(BATCH,), unit="1", meaning="of success, in [0, 1]; see `reward`"
    )
    return Model(
        file=REWARD_MODEL, sha256=sha256, opset=opset, inputs=(*_now(card), pose, wrench), outputs=(probability,)
    )


def _now(card: Card) -> tuple[Port, ...]:
    """What both models see of the present."""
    return (
        Port(
            name="images",
            dtype="uint8",
            shape=(BATCH, card.views, card.size_px, card.size_px, 3),
            unit="0 to 255",
            meaning="RGB; the middle square of each wrist camera's image, resized; in the order of the cell file",
        ),
        Port(
            name="pose",
            dtype="float32",
            shape=(BATCH, 6),
            unit=POSE_UNIT,
            meaning="pose of the TCP seen from its pose at the start of the attempt: position, rotation vector",
        ),
        Port(
            name="wrench",
            dtype="float32",
            shape=(BATCH, 6),
            unit=WRENCH_UNIT,
            meaning="force and torque on the tool, in the tool's frame at the TCP, zeroed at the start of the attempt",
        ),
    )


def description_of(card: Card, rule: Rule, max_steps: int) -> tuple[str, ...]:
    """How to run an export, in lines to read."""
    rate = card.control.get("rate_hz")
    return (
        f"{POLICY} and {REWARD_MODEL} are the policy and the reward model of the skill {card.skill}"
        + (f", practised on {card.variant}." if card.variant else ", pretrained and not practised."),
        "How to run an attempt:",
        "1. Bring the tool above the goal, wait until it is still, zero the wrench, and remember the pose of the TCP.",
        f"2. Observe: images, pose and wrench as `policy.inputs` says{f', {rate:g} times a second' if rate else ''}.",
        f"3. Ask {REWARD_MODEL} with the observation and the {rule.past} before it. The attempt has succeeded when"
        f" the probability is above {rule.threshold:.6g} now, and was so in {rule.agreement} of the last {rule.window}"
        " frames.",
        f"4. If not, ask {POLICY} for an action, keep to the cell's limits, command the displacement, go on at 2. An"
        f" attempt has {max_steps} steps at most.",
        "What is not in these files, and must be done by who runs them:",
        "- The guard: limits on workspace, speed and force, and the stop above the hard limit. It is no safety"
        " function.",
        "- The reflex of the skill, which in skillcore has the last word on every action of the policy. Success was"
        " measured with it; without it expect less.",
        "- The check of where success can be, by where the cell's file has it: for insertion, that the plug is about as"
        " deep as its seat.",
        "- The reset between attempts, and the check that an attempt does not begin seated.",
        "`check` says on how many recorded frames the files were compared with the originals, and how far they differ.",
        "`bundle` is the card of the bundle that was exported, with what it was trained on and how good it is.",
    )
