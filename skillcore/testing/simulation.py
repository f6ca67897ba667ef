"""What every simulated world must do, as tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pytest

from skillcore.cell_check import is_pose
from skillcore.interfaces import Arm, Camera, Shown, Simulation
from skillcore.solids import Extrusion, Material, Mating, Thread
from skillcore.testing.promises import promised, promised_silence
from skillcore.types import Array, Pose

CONTACT_N = 1.0
TURN_STEP_RAD = 0.1


@dataclass(frozen=True, slots=True)
class Setup:
    """A world and the devices that live in it, none of them connected."""

    simulation: Simulation
    arm: Arm
    cameras: tuple[Camera, ...]


class SimulationContract:
    """Subclass it as `class TestMyWorld(SimulationContract)` and fill in `make_setup`."""

    steps = 4
    turning_steps = 24
    period_s = 0.1

    def make_setup(self) -> Setup:
        """A new world with an arm and at least one camera."""
        raise NotImplementedError("fill in make_setup")

    @pytest.fixture
    def setups(self) -> Iterator[Setups]:
        """Makes connected set-ups on demand, and closes them afterwards."""
        with ExitStack() as stack:
            yield Setups(self, stack)

    def readings(self, setup: Setup, *, look: int, episode: int) -> list[Array]:
        """Everything that is read in a short episode that ends in contact with the socket's face."""
        # One mating for all: a world may keep what it has built for it, and must not let that show.
        setup.simulation.install(PEG, seed=look)
        return self.episode(setup, episode=episode)

    def episode(self, setup: Setup, *, episode: int, ask: bool = False) -> list[Array]:
        """An episode of the installed mating. ask: whether it is asked at every step what the pixels show."""
        world, arm = setup.simulation, setup.arm
        world.new_episode(seed=episode)
        face = world.socket_from_base
        arm.move_to(face @ Pose.from_xyz_yaw(0.004, -0.003, -0.004, 0.05), speed_m_s=0.1, force_limit_n=50.0)
        arm.zero_wrench()
        values: list[Array] = []
        for step in range(self.steps):
            goal = face @ Pose.from_xyz_yaw(0.004, -0.003, -0.004 + 0.002 * (step + 1), 0.0)
            arm.servo_to(goal, duration_s=self.period_s, force_limit_n=20.0)
            world.clock.sleep_until(world.clock.now_s() + self.period_s)
            if ask:
                world.shown()
            state = arm.read()
            plug = world.plug_from_socket()
            values += [state.tcp_from_base.as_vector(), state.tcp_from_base.rotation, state.twist]
            values += [state.wrench.as_vector(), plug.position_m, plug.rotation, np.array(world.turned_rad())]
            values += [np.asarray(camera.read(0.2).image, np.float64) for camera in setup.cameras]
        return values

    # --- time ---

    def test_time_passes_only_while_somebody_sleeps(self, setups: Setups) -> None:
        setup = setups.connected()
        setup.simulation.install(PEG, seed=1)
        clock = setup.simulation.clock
        before = clock.now_s()
        setup.arm.read()
        for camera in setup.cameras:
            camera.read(0.2)
        moved = clock.now_s() - before
        promised(moved == 0.0, "Simulation.clock: time passes only while somebody sleeps on it", f"{moved} s")
        clock.sleep_until(before + 0.5)
        slept = clock.now_s() - before
        promised(
            abs(slept - 0.5) < 0.01, "Clock.sleep_until returns when now_s() has reached time_s", f"{slept} of 0.5 s"
        )
        clock.sleep_until(before)
        promised(clock.now_s() >= before + slept, "Clock.sleep_until returns at once for a time that has passed")

    def test_time_never_goes_back(self, setups: Setups) -> None:
        setup = setups.connected()
        world = setup.simulation
        times = [world.clock.now_s()]
        for installed in (PEG, PEG, plain_mating()):
            world.install(installed, seed=1)
            times.append(world.clock.now_s())
            for seed in (2, 3):
                world.new_episode(seed=seed)
                times.append(world.clock.now_s())
                world.clock.sleep_until(times[-1] + 0.3)
                times.append(world.clock.now_s())
        steady = all(later >= earlier for earlier, later in itertools.pairwise(times))
        promised(steady, "Clock.now_s never goes back, whatever is installed or begun", times)
        passed = times[-1] - times[0]
        promised(passed < 2.0, "Simulation.clock passes only while somebody sleeps on it", f"{passed} s of 1.8 s slept")

    # --- what is in it ---

    def test_arm_and_cameras_work_before_anything_is_installed(self, setups: Setups) -> None:
        setup = setups.connected()
        with promised_silence("Simulation: arm and cameras can be read, and the arm moved, before `install`"):
            goal = setup.arm.read().tcp_from_base @ Pose.from_xyz_yaw(0.0, 0.0, -0.004, 0.0)
            setup.arm.move_to(goal, speed_m_s=0.02, force_limit_n=20.0)
            for camera in setup.cameras:
                camera.read(0.2)

    def test_a_socket_pushes_back(self, setups: Setups) -> None:
        setup = setups.connected()
        setup.simulation.install(PEG, seed=4)
        self.episode(setup, episode=5)
        push_n = float(setup.arm.read().wrench.force_n[2])
        promised(
            push_n < -CONTACT_N, "Simulation.install fixes a socket: what presses on its face is pushed back", push_n
        )

    def test_a_thread_is_screwed_in(self, setups: Setups) -> None:
        setup = setups.connected()
        world = setup.simulation
        world.install(threaded_mating(), seed=1)
        world.new_episode(seed=3)
        turned = [world.turned_rad()]
        promised(turned[0] == 0.0, "Simulation.turned_rad is 0 before the thread takes hold", turned[0])
        face = world.socket_from_base
        setup.arm.move_to(face @ Pose.from_xyz_yaw(0.0, 0.0, -0.004, 0.0), speed_m_s=0.05, force_limit_n=50.0)
        # Gripped askew as it may be, the plug itself is led in.
        tcp_from_plug = world.plug_from_socket().inverse() @ face.inverse() @ setup.arm.read().tcp_from_base
        for step in range(self.turning_steps):
            # First in as far as it goes, then turned.
            yaw = max(0.0, TURN_STEP_RAD * (step - self.turning_steps // 2))
            goal = face @ Pose.from_xyz_yaw(0.0, 0.0, 0.012, yaw) @ tcp_from_plug
            setup.arm.servo_to(goal, duration_s=self.period_s, force_limit_n=20.0)
            world.clock.sleep_until(world.clock.now_s() + self.period_s)
            turned.append(world.turned_rad())
        promised(turned[-1] > TURN_STEP_RAD, "Simulation.turned_rad grows while a threaded plug is screwed in", turned)

    def test_an_episode_begins_above_the_socket(self, setups: Setups) -> None:
        setup = setups.connected()
        world = setup.simulation
        world.install(PEG, seed=1)
        world.new_episode(seed=3)
        promised(is_pose(world.socket_from_base), "Simulation.socket_from_base is a pose", world.socket_from_base)
        plug = world.plug_from_socket()
        promised(is_pose(plug), "Simulation.plug_from_socket is a pose", plug)
        promised(plug.position_m[2] < 0.0, "Simulation.new_episode puts the arm back above the socket", plug.position_m)
        tcp = (world.socket_from_base.inverse() @ setup.arm.read().tcp_from_base).position_m
        promised(tcp[2] < 0.0, "Simulation.new_episode puts the arm back above the socket", tcp)
        turned = world.turned_rad()
        promised(turned == 0.0, "Simulation.turned_rad is 0 without a thread", turned)

    def test_it_tells_what_pixels_show(self, setups: Setups) -> None:
        setup = setups.connected()
        world = setup.simulation
        world.install(PEG, seed=1)
        world.new_episode(seed=3)
        shown = world.shown()
        if shown is None:
            pytest.skip("this simulation cannot tell what its pixels show")
        promised(len(shown) == len(setup.cameras), "Simulation.shown has an array for each camera", len(shown))
        for part, camera in zip(shown, setup.cameras, strict=True):
            size = camera.read(0.2).image.shape[:2]
            promised(part.shape == size, "Simulation.shown is as large as the camera's image", (part.shape, size))
            promised(set(np.unique(part)) <= set(Shown), "Simulation.shown holds values of Shown", np.unique(part))
        seen = {Shown(value) for part in shown for value in np.unique(part)}
        promised(Shown.PLUG in seen, "Simulation.shown tells which pixels show the plug that is in the gripper", seen)

    def test_asking_what_pixels_show_changes_nothing(self, setups: Setups) -> None:
        silent, asked = setups.connected(), setups.connected()
        for setup in (silent, asked):
            setup.simulation.install(PEG, seed=4)
        first = self.episode(silent, episode=5)
        asked.simulation.shown()
        second = self.episode(asked, episode=5, ask=True)
        promised(_alike(first, second), "Simulation.shown changes no reading")

    def test_close_may_be_called_twice(self, setups: Setups) -> None:
        setup = setups.connected()
        setup.arm.close()
        with promised_silence("Simulation.close may be called twice"):
            setup.simulation.close()
            setup.simulation.close()

    # --- chance ---

    def test_the_same_seeds_give_the_same_readings(self, setups: Setups) -> None:
        first = self.readings(setups.connected(), look=4, episode=5)
        second = self.readings(setups.connected(), look=4, episode=5)
        promised(_alike(first, second), "Simulation: the same seeds and commands give the same readings bit for bit")

    def test_what_came_before_does_not_show(self, setups: Setups) -> None:
        fresh, used = setups.connected(), setups.connected()
        self.readings(used, look=8, episode=1)
        self.episode(used, episode=2)
        promised(
            _alike(self.readings(fresh, look=4, episode=5), self.readings(used, look=4, episode=5)),
            "Simulation: the same seeds give the same readings, whatever was installed before",
        )
        self.episode(used, episode=6)
        promised(
            _alike(self.episode(fresh, episode=5), self.episode(used, episode=5)),
            "Simulation: the same seeds give the same readings, whatever episodes went before",
        )

    def test_other_seeds_give_other_readings(self, setups: Setups) -> None:
        setup = setups.connected()
        first = self.readings(setup, look=4, episode=5)
        other_grasp = self.readings(setup, look=4, episode=6)
        promised(not _alike(first, other_grasp), "Simulation.new_episode: `seed` draws how the plug is grasped")
        other_look = self.readings(setup, look=7, episode=5)
        promised(not _alike(first, other_look), "Simulation.install: `seed` draws the look of cell and parts")


class Setups:
    """Connected set-ups of a suite."""

    def __init__(self, suite: SimulationContract, stack: ExitStack) -> None:
        self._suite = suite
        self._stack = stack

    def connected(self) -> Setup:
        """A new one, its arm connected first and its cameras in order."""
        setup = self._suite.make_setup()
        self._stack.callback(setup.simulation.close)
        devices: tuple[Arm | Camera, ...] = (setup.arm, *setup.cameras)
        for device in devices:
            self._stack.callback(device.close)
            device.connect()
        return setup


def plain_mating() -> Mating:
    """A square peg of 8 mm and its hole in a face of 40 mm."""
    grey, steel = Material((0.4, 0.4, 0.45)), Material((0.7, 0.7, 0.72), gloss=0.6)
    square = 0.5 * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    socket = Extrusion(0.040 * square, (0.0, 0.012), grey, holes=(0.0084 * square,))
    return Mating(
        name="plain peg",
        plug=(Extrusion(0.008 * square, (-0.030, 0.0), steel),),
        socket=(socket,),
        depth_m=0.010,
        friction=0.2,
        resistance_n=1.0,
    )


PEG = plain_mating()


def threaded_mating() -> Mating:
    """The same with a round peg that is screwed in at its seat."""
    angles = np.linspace(-np.pi, np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    (peg,), (socket,) = PEG.plug, PEG.socket
    thread = Thread(pitch_m=0.0005, turn_rad=1.0)
    return replace(
        PEG,
        name="screw",
        plug=(replace(peg, outline=0.004 * circle),),
        socket=(replace(socket, holes=(0.0043 * circle,)),),
        thread=thread,
    )


def _alike(first: list[Array], second: list[Array]) -> bool:
    return len(first) == len(second) and all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
