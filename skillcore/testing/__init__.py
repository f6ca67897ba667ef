"""Suites of tests that say whether a device keeps the promises of `skillcore.interfaces`. They need pytest.

    from skillcore.testing import ArmContract

    class TestMyArm(ArmContract):
        def make_arm(self) -> Arm:
            return MyArm(MyOptions(host="10.0.0.5"))

The suites move real arms: by a few millimetres and slowly, as their attributes say. `FakeArm`, `FakeCamera` and
`TickClock` are devices on paper, for tests of what uses an arm or a camera.
"""

from skillcore.testing.arm import ArmContract
from skillcore.testing.camera import CameraContract
from skillcore.testing.fakes import FakeArm, FakeCamera, TickClock
from skillcore.testing.simulation import Setup, SimulationContract

__all__ = [
    "ArmContract",
    "CameraContract",
    "FakeArm",
    "FakeCamera",
    "Setup",
    "SimulationContract",
    "TickClock",
]
