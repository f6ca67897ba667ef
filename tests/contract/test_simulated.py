"""The simulated world, its arm and its cameras keep their promises."""

from contextlib import ExitStack

import numpy as np
import pytest

from skillcore.interfaces import Arm, Camera, Clock
from skillcore.testing import ArmContract, CameraContract, FakeCamera, FakeWorld, Setup, SimulationContract
from skillcore.testing.simulation import Setups
from skillcore.types import Pose
from skillcore_mujoco.arm import SimulatedArm
from skillcore_mujoco.camera import SimulatedCamera
from skillcore_mujoco.options import ArmOptions, CameraOptions, WorldOptions
from skillcore_mujoco.world import World

FIXTURE = Pose.from_rotvec([0.5, -0.1, 0.1], [np.pi, 0.0, 0.0])
LEFT = CameraOptions(azimuth_rad=-0.8, depth=True)


class TestSimulatedArm(ArmContract):
    def make_arm(self) -> Arm:
        self._world = World(WorldOptions(), FIXTURE)
        return SimulatedArm(ArmOptions(), self._world)

    def make_clock(self) -> Clock:
        return self._world.clock

    def obstruct(self, arm: Arm) -> Pose:
        return lowered(arm, FIXTURE)


def lowered(arm: Arm, fixture: Pose) -> Pose:
    """Brings the tool to where the socket's face is below it, and returns a pose inside."""
    above = fixture @ Pose.from_xyz_yaw(0.006, 0.0, -0.004, 0.0)
    arm.move_to(above, speed_m_s=0.05, force_limit_n=60.0)
    return above @ Pose.from_xyz_yaw(0.0, 0.0, 0.02, 0.0)


class TestSensitiveSimulatedArm(TestSimulatedArm):
    """An arm whose controller takes a firm push for a collision."""

    def make_arm(self) -> Arm:
        self._world = World(WorldOptions(), FIXTURE)
        return SimulatedArm(ArmOptions(protective_stop_n=40.0), self._world)

    def cause_fault(self, arm: Arm) -> bool:
        arm.servo_to(lowered(arm, FIXTURE), duration_s=0.5, force_limit_n=80.0)
        self._world.clock.sleep_until(self._world.clock.now_s() + 0.1)
        for _ in range(20):
            if arm.read().fault:
                return True
            self._world.clock.sleep_until(self._world.clock.now_s() + 0.02)
        return False


class TestSoftSimulatedArm(TestSimulatedArm):
    """The softest and heaviest arm that the options allow yet keeps its promises, if it is given time."""

    settle_s = 1.0

    def make_arm(self) -> Arm:
        self._world = World(WorldOptions(), FIXTURE)
        soft = ArmOptions(lateral_stiffness_n_m=400.0, axial_stiffness_n_m=400.0, mass_kg=3.0, gripper="collet")
        return SimulatedArm(soft, self._world)


class TestSimulatedCamera(CameraContract):
    def make_camera(self) -> Camera:
        self._world = World(WorldOptions(), FIXTURE)
        SimulatedArm(ArmOptions(), self._world).connect()
        return SimulatedCamera(LEFT, self._world)

    def make_clock(self) -> Clock:
        return self._world.clock


class TestSimulatedWorld(SimulationContract):
    def make_setup(self) -> Setup:
        world = World(WorldOptions(), FIXTURE)
        cameras = (SimulatedCamera(LEFT, world), SimulatedCamera(CameraOptions(azimuth_rad=0.8), world))
        return Setup(world, SimulatedArm(ArmOptions(), world), cameras)


# --- broken worlds ---


class Paper(SimulationContract):
    """A world without contacts, and with a thread that may forget that it was turned."""

    forgets = False

    def make_setup(self) -> Setup:
        world = FakeWorld(FIXTURE)
        if self.forgets:
            world.turned_rad = lambda: 0.0  # type: ignore[method-assign]
        return Setup(world, world.arm, (FakeCamera(world.clock),))


class Forgetful(Paper):
    forgets = True


class Bare(Paper):
    """A world in which nothing is there before it is installed."""

    def make_setup(self) -> Setup:
        setup = super().make_setup()
        setup.arm.read = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        return setup


@pytest.mark.parametrize(
    ("suite", "test", "promise"),
    [
        (Paper(), "test_a_socket_pushes_back", "fixes a socket"),
        (Forgetful(), "test_a_thread_is_screwed_in", "grows while a threaded plug is screwed in"),
        (Bare(), "test_arm_and_cameras_work_before_anything_is_installed", "before `install`"),
    ],
)
def test_a_broken_world_is_found(suite: SimulationContract, test: str, promise: str) -> None:
    with ExitStack() as stack, pytest.raises(pytest.fail.Exception, match=promise):
        getattr(suite, test)(Setups(suite, stack))


def test_a_thread_on_paper_is_screwed_in() -> None:
    with ExitStack() as stack:
        Paper().test_a_thread_is_screwed_in(Setups(Paper(), stack))
