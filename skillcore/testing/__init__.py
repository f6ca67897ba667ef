"""Suites of tests that say whether a part keeps the promises of `skillcore.interfaces`. They need pytest.

    from skillcore.testing import ArmContract

    class TestMyArm(ArmContract):
        def make_arm(self) -> Arm:
            return MyArm(MyOptions(host="10.0.0.5"))

A promise that is broken is told in the words of the interface, with what was found instead. The suites of what learns
stand in `skillcore.testing.learning`, which needs torch.

The suite of arms moves real arms: by a few millimetres and slowly, as its attributes say. Where no device is at hand,
`RobotPeer` and `CameraPeer` are something to connect to. `FakeArm`, `FakeCamera`, `FakeWorld` and `TickClock` are
devices on paper, for tests of what uses them; `open_paper_cell` is a cell of them.
"""

from skillcore.testing.arm import ArmContract
from skillcore.testing.camera import CameraContract
from skillcore.testing.fakes import FakeArm, FakeCamera, TickClock
from skillcore.testing.paper import FakeWorld, open_paper_cell
from skillcore.testing.peers import CameraPeer, Peer, RobotPeer
from skillcore.testing.simulation import Setup, SimulationContract
from skillcore.testing.skill import SkillContract

__all__ = [
    "ArmContract",
    "CameraContract",
    "CameraPeer",
    "FakeArm",
    "FakeCamera",
    "FakeWorld",
    "Peer",
    "RobotPeer",
    "Setup",
    "SimulationContract",
    "SkillContract",
    "TickClock",
    "open_paper_cell",
]
