"""Every method that a part must fill in is asked for by some test of its suite: where it is empty, that is told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skillcore.errors import NotFilledInError
from skillcore.interfaces import Arm, Camera, Learner, Representation, RewardModel, Simulation
from skillcore.learning.training import silent
from skillcore.parts import Context, not_filled_in
from skillcore.plugins import Registry
from skillcore.skill import Skill
from skillcore.task import Task
from skillcore.testing import (
    ArmContract,
    CameraContract,
    FakeArm,
    FakeCamera,
    FakeWorld,
    Setup,
    SimulationContract,
    SkillContract,
    TickClock,
    open_paper_cell,
)
from skillcore.testing.learning import (
    LearnerContract,
    PlainRepresentation,
    RepresentationContract,
    RewardModelContract,
)
from skillcore.testing.learning.made_up import SIZE_PX, VIEWS, made_up_data
from skillcore.testing.simulation import Setups
from skillcore.types import Pose
from skillcore_insertion.skill import InsertionSkill

FREE = Pose.from_rotvec([0.5, 0.0, 0.2], [np.pi, 0.0, 0.0])


def without(part: Any, name: str) -> Any:
    """The part, one method of which is not filled in."""

    def empty(self: Any, *arguments: Any, **options: Any) -> Any:
        raise not_filled_in()

    is_property = any(isinstance(vars(base).get(name), property) for base in type(part).__mro__)
    part.__class__ = type("Unfinished", (type(part),), {name: property(empty) if is_property else empty})
    return part


def asked(suite: Any, given: Mapping[str, Callable[[], Any]]) -> bool:
    """Whether some test of the suite says that a method is not filled in yet."""
    for name in dir(suite):
        test = getattr(suite, name) if name.startswith("test_") else None
        if test is None:
            continue
        try:
            test(**{wanted: given[wanted]() for wanted in inspect.signature(test).parameters})
        except NotFilledInError:
            return True
        except (Exception, pytest.skip.Exception, pytest.fail.Exception):  # noqa: BLE001 - another test's matter
            continue
    return False


def arm(name: str, stack: ExitStack, folder: Path) -> bool:
    class Suite(ArmContract):
        patience_s = 0.2

        def make_arm(self) -> Arm:
            return without(FakeArm(TickClock(), FREE), name)  # type: ignore[no-any-return]

    def connected() -> Arm:
        made = Suite().make_arm()
        made.connect()
        return made

    return asked(Suite(), {"arm": connected, "clock": TickClock})


def camera(name: str, stack: ExitStack, folder: Path) -> bool:
    class Suite(CameraContract):
        patience_s = 0.2

        def make_camera(self) -> Camera:
            return without(FakeCamera(TickClock()), name)  # type: ignore[no-any-return]

    def connected() -> Camera:
        made = Suite().make_camera()
        made.connect()
        return made

    return asked(Suite(), {"camera": connected, "clock": TickClock})


def simulation(name: str, stack: ExitStack, folder: Path) -> bool:
    class Suite(SimulationContract):
        def make_setup(self) -> Setup:
            world = without(FakeWorld(FREE), name)
            return Setup(world, world.arm, (FakeCamera(world.arm.clock),))

    suite = Suite()
    with pytest.MonkeyPatch.context() as patch:
        # What is made is closed by the tests; a `close` that is empty would be told of by the end of each.
        patch.setattr(stack, "callback", lambda *_: None)
        return asked(suite, {"setups": lambda: Setups(suite, stack)})


def representation(name: str, stack: ExitStack, folder: Path) -> bool:
    class Suite(RepresentationContract):
        def make_representation(self, *, views: int, size_px: int, domains: int) -> Representation:
            return without(PlainRepresentation(views=views, size_px=size_px), name)  # type: ignore[no-any-return]

    def made() -> Representation:
        return Suite().make_representation(views=VIEWS, size_px=SIZE_PX, domains=0)

    return asked(Suite(), {"representation": made, "images": lambda: torch.rand((5, VIEWS, 3, SIZE_PX, SIZE_PX))})


def reward_model(name: str, stack: ExitStack, folder: Path) -> bool:
    class Suite(RewardModelContract):
        def make_reward_model(self, *, views: int, size_px: int, domains: int) -> RewardModel:
            looks = PlainRepresentation(views=views, size_px=size_px)
            context = Context(make_representation=lambda *_: looks)
            options = {"steps": 2, "touch": False}
            return without(Registry.discover().make("reward_models", "daib", options, context), name)  # type: ignore[no-any-return]

    def trained() -> RewardModel:
        model = Suite().make()
        model.fit(made_up_data(0), seed=0, progress=silent)
        return model

    return asked(Suite(), {"trained": trained, "tmp_path": lambda: folder})


def learner(name: str, stack: ExitStack, folder: Path) -> bool:
    class Suite(LearnerContract):
        def make_learner(self, feature_dim: int) -> Learner:
            options = {"hidden": 16, "pretrain_steps": 2}
            context = Context(feature_dim=feature_dim)
            return without(Registry.discover().make("learners", "iql", options, context), name)  # type: ignore[no-any-return]

    return asked(Suite(), {"tmp_path": lambda: folder})


def skill(name: str, stack: ExitStack, folder: Path) -> bool:
    class Suite(SkillContract):
        def make_skill(self) -> Skill:
            found = InsertionSkill()
            if hasattr(Skill, name):
                return without(found, name)  # type: ignore[no-any-return]
            make = found.task
            found.task = lambda *arguments, **options: without(make(*arguments, **options), name)  # type: ignore[method-assign]
            return found

    suite = Suite()
    return asked(
        suite,
        {
            "skill": suite.make_skill,
            "variant": lambda: InsertionSkill().training_variant(0, seed=0),
            "cell": lambda: stack.enter_context(open_paper_cell()),
            "tmp_path": lambda: folder,
        },
    )


PARTS: dict[type, Callable[[str, ExitStack, Path], bool]] = {
    Arm: arm,
    Camera: camera,
    Simulation: simulation,
    Representation: representation,
    RewardModel: reward_model,
    Learner: learner,
    Skill: skill,
    Task: skill,
}


def empty_ones() -> Iterator[tuple[type, str]]:
    for kind in PARTS:
        for name in dir(kind):
            if getattr(inspect.getattr_static(kind, name), "__isabstractmethod__", False):
                yield kind, name


@pytest.mark.parametrize(("kind", "name"), list(empty_ones()))
def test_a_method_that_is_not_filled_in_is_asked_for(kind: type, name: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        assert PARTS[kind](name, stack, tmp_path), f"no test of the suite asks for {kind.__name__}.{name}"
