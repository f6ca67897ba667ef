"""Opens every device of a cell, reads it, and says all that is wrong at once. Moves nothing.

Each device is held to what `skillcore.interfaces` promises of it, and to what the cell file says. What is merely
worth knowing (an arm parked outside its workspace) is a note and no fault. Whatever happens, every device is
closed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skillcore.cell_config import Driver, LoadedCell
from skillcore.clock import WallClock
from skillcore.errors import DeviceError, SkillcoreError
from skillcore.interfaces import Arm, ArmLimits, Camera, Clock, Simulation
from skillcore.parts import Context
from skillcore.solids import Extrusion, Material, Mating, Outline
from skillcore.types import ArmState, Frame, Intrinsics, Pose

MAX_AGE_S = 0.2
"""How old a reading may be: no older than an open cell allows."""

READ_APART_S = 0.1
"""Time between the two readings of a device."""

FRAME_TRIES = 10
"""How often a camera is read until it delivers another frame than the first."""

_CLOCK_SLACK_S = 0.05


@dataclass(slots=True)
class DeviceReport:
    """What was found out about one device.

    read: what it delivered, in words; empty if it failed or was not tried, because the simulation it lives in failed.
    faults: errors, each with its cure. notes: what is worth knowing and no fault.
    """

    device: str
    driver: Driver
    read: str = ""
    tried: bool = True
    faults: list[SkillcoreError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def status(self) -> str:
        if self.faults:
            return "fault"
        return "ok" if self.tried else "not tried"

    def expect(self, holds: bool, what: str, cure: str = "") -> bool:
        """Notes a fault unless `holds`; returns `holds`."""
        if not holds:
            maker = f"this breaks the promises of skillcore.interfaces: tell the makers of {self.maker}"
            self.faults.append(DeviceError(what, cure=cure or maker))
        return holds

    @property
    def maker(self) -> str:
        return self.driver.part.source.distribution

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Makes an error into a fault of this device."""
        try:
            yield
        except SkillcoreError as error:
            self.faults.append(error)
        except Exception as error:  # noqa: BLE001 - a driver may raise anything
            self.expect(False, f"raised {type(error).__name__}: {error}")


Opened = list[tuple[DeviceReport, Callable[[], None]]]
"""What is to be closed, in the order in which it was made, and where to tell of it if that fails."""


def check_cell(cell: LoadedCell) -> list[DeviceReport]:
    """Checks every device: simulation, arm, cameras, in this order.

    Faults are returned and never raised. The caller holds the cell's lock.
    """
    opened: Opened = []
    reports: list[DeviceReport] = []
    try:
        _check_devices(cell, reports, opened)
    finally:
        _close_all(opened)
    return reports


def _check_devices(cell: LoadedCell, reports: list[DeviceReport], opened: Opened) -> None:
    fixture = cell.config.fixture.socket_from_base
    simulation: Simulation | None = None
    clock: Clock = WallClock()
    if cell.simulation is not None:
        world = DeviceReport("simulation", cell.simulation)
        reports.append(world)
        with world.collecting():
            made: Simulation = cell.simulation.make(Context(name="simulation", fixture=fixture))
            opened.append((world, made.close))
            simulation, clock = made, made.clock
    connected: list[tuple[DeviceReport, Any]] = []
    names = {"arm": cell.arm, **{f"camera {key}": driver for key, driver in cell.cameras.items()}}
    for name, driver in names.items():
        report = DeviceReport(name, driver)
        reports.append(report)
        if cell.simulation is not None and simulation is None:
            report.tried = False
            continue
        with report.collecting():
            device: Any = driver.make(Context(driver.key, clock, simulation, fixture))
            opened.append((report, device.close))
            if isinstance(device, Arm):
                _check_limits(device.limits, cell, report)
            device.connect()
            connected.append((report, device))
    if simulation is not None:
        # Only now, since a simulated world is made of what lives in it.
        with reports[0].collecting():
            _check_simulation(simulation, fixture, reports[0])
    for report, device in connected:
        with report.collecting():
            if isinstance(device, Arm):
                _check_arm(device, cell, clock, report)
            else:
                _check_camera(device, cell, clock, report)


def _close_all(opened: Opened) -> None:
    """Closes what was opened, last first, all of it even if some fails or Ctrl-C comes in between."""
    interrupted: BaseException | None = None
    for report, close in reversed(opened):
        try:
            with report.collecting():
                close()
        except BaseException as error:  # noqa: BLE001 - raised again when the others are closed
            interrupted = interrupted or error
    if interrupted is not None:
        raise interrupted


# --- simulation ---------------------------------------------------------------------------------------------


def _check_simulation(simulation: Simulation, fixture: Pose, report: DeviceReport) -> None:
    simulation.install(_plain_mating(), seed=0)
    simulation.new_episode(seed=0)
    clock = simulation.clock
    before = clock.now_s()
    clock.sleep_until(before + READ_APART_S)
    passed = clock.now_s() - before
    report.expect(passed >= READ_APART_S - 1e-9, f"its clock slept {passed:.3g} s of {READ_APART_S} s")
    socket = simulation.socket_from_base
    if report.expect(is_pose(socket), "the pose of its socket is no pose"):
        between = fixture.inverse() @ socket
        offset, turn = float(np.linalg.norm(between.position_m)), float(np.linalg.norm(between.rotvec_rad))
        away = f"{offset * 1e3:.1f} mm and {np.degrees(turn):.1f} deg"
        report.expect(
            offset < 0.001 and turn < 0.02,
            f"its socket is {away} from the fixture of the cell file",
            "the simulation must mount it at the fixture it is given, or the fixture must be corrected",
        )
        report.read = f"socket at {_in_mm(socket.position_m)}"


def _plain_mating() -> Mating:
    """A square peg and its hole, so that the world has something in it."""
    grey = Material((0.5, 0.5, 0.5))
    plug = Extrusion(_square(0.010), (-0.03, 0.0), grey)
    socket = Extrusion(_square(0.040), (0.0, 0.012), grey, holes=(_square(0.0104),))
    return Mating("check", (plug,), (socket,), depth_m=0.010, friction=0.2, resistance_n=1.0)


def _square(side_m: float) -> Outline:
    return 0.5 * side_m * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


# --- arm ----------------------------------------------------------------------------------------------------


def _check_arm(arm: Arm, cell: LoadedCell, clock: Clock, report: DeviceReport) -> None:
    first = arm.read()
    clock.sleep_until(clock.now_s() + READ_APART_S)
    second = arm.read()
    now = clock.now_s()
    if not (_check_state(first, report) and _check_state(second, report)):
        return
    report.expect(second.sequence > first.sequence, "a later reading has no higher sequence number")
    _check_times(first.time_s, second.time_s, now, report)
    offset = second.tcp_from_base.position_m - np.array(cell.config.fixture.position_m)
    force = float(np.linalg.norm(second.wrench.force_n))
    moved = float(np.linalg.norm(second.tcp_from_base.position_m - first.tcp_from_base.position_m))
    report.read = f"TCP {_in_mm(offset)} from the fixture, force {force:.1f} N"
    if not cell.config.safety.workspace.contains(offset):
        report.notes.append(f"the TCP is outside the workspace, {_in_mm(offset)} from the fixture")
    if force > cell.config.safety.force_limit_n:
        report.notes.append(f"{force:.0f} N at rest: the tool touches something, or the wrench is to be zeroed")
    if moved > 0.002:
        report.notes.append(f"the arm moved by {moved * 1e3:.1f} mm while nothing was commanded")


def _check_state(state: ArmState, report: DeviceReport) -> bool:
    pose = report.expect(is_pose(state.tcp_from_base), "the TCP's pose is no pose of finite numbers")
    twist = report.expect(is_vector(state.twist, 6), "the twist is no vector of 6 finite numbers")
    forces = is_vector(state.wrench.force_n, 3) and is_vector(state.wrench.torque_nm, 3)
    cure = "check the force sensor: its cable, its power, its settings in the controller"
    wrench = report.expect(forces, "the wrench is not made of finite numbers", cure)
    time = report.expect(bool(np.isfinite(state.time_s)), "the time of a reading is no finite number")
    if state.fault is not None:
        cure = "clear it at the controller, then check again"
        report.expect(False, f"the controller reports a fault: {state.fault}", cure)
    return pose and twist and wrench and time


def _check_limits(limits: ArmLimits, cell: LoadedCell, report: DeviceReport) -> None:
    control, safety = cell.config.control, cell.config.safety
    for own, of_cell, needed, field_name, unit in (
        (limits.speed_m_s, safety.speed_limit_m_s, control.step_m * control.rate_hz, "step_m", "m/s"),
        (
            limits.turn_speed_rad_s,
            safety.turn_speed_limit_rad_s,
            control.turn_step_rad * control.rate_hz,
            "turn_step_rad",
            "rad/s",
        ),
        (limits.force_n, safety.force_limit_n, 0.0, "", "N"),
    ):
        if not report.expect(bool(np.isfinite(own)) and own > 0.0, f"a limit of {own} {unit} is no limit"):
            continue
        if own < needed * (1 - 1e-9):
            what = f"an action of 1 asks for {needed:g} {unit}, and the arm's own limit is {own:g} {unit}"
            report.expect(False, what, f"lower control.{field_name} or control.rate_hz in the cell file")
        elif own < of_cell:
            report.notes.append(f"the arm's own limit of {own:g} {unit} is tighter than the cell's, and is kept")


# --- cameras ------------------------------------------------------------------------------------------------


def _check_camera(camera: Camera, cell: LoadedCell, clock: Clock, report: DeviceReport) -> None:
    first = camera.read(MAX_AGE_S)
    second = first
    for _ in range(FRAME_TRIES):
        clock.sleep_until(clock.now_s() + READ_APART_S)
        second = camera.read(MAX_AGE_S)
        if second.sequence != first.sequence:
            break
    now = clock.now_s()
    if not _check_frame(second, report):
        return
    if report.expect(
        second.sequence > first.sequence,
        f"delivers frame {first.sequence} again and again",
        "unplug it and plug it in again; check that it has a USB port of its own",
    ):
        _check_times(first.time_s, second.time_s, now, report)
    _check_intrinsics(camera.intrinsics, second, report)
    height, width = second.image.shape[:2]
    depth = "" if second.depth_m is None else " with depth"
    report.read = f"{width}x{height}{depth}, {max(0.0, now - second.time_s) * 1e3:.0f} ms old"
    if min(height, width) < cell.config.views.size_px:
        report.notes.append(f"its images are smaller than the views ({cell.config.views.size_px} px)")
    if float(second.image.std()) < 1.0:
        report.notes.append("its image is of one colour: is the lens covered, or the light off?")


def _check_frame(frame: Frame, report: DeviceReport) -> bool:
    image = frame.image
    shaped = isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.size > 0
    if not report.expect(shaped, f"delivers an image of shape {np.shape(image)}, and not (H, W, 3)"):
        return False
    if not report.expect(image.dtype == np.uint8, f"delivers an image of {image.dtype}, and not of uint8"):
        return False
    depth = frame.depth_m
    if depth is not None:
        fits = isinstance(depth, np.ndarray) and depth.shape == image.shape[:2] and depth.dtype == np.float32
        report.expect(fits, "its depth is not (H, W) float32, as large as the image")
    return report.expect(bool(np.isfinite(frame.time_s)), "the time of a frame is no finite number")


def _check_intrinsics(intrinsics: Intrinsics, frame: Frame, report: DeviceReport) -> None:
    height, width = frame.image.shape[:2]
    told = (intrinsics.width_px, intrinsics.height_px)
    report.expect(told == (width, height), f"its intrinsics are for {told[0]}x{told[1]}, its images {width}x{height}")
    lengths = np.array([intrinsics.fx_px, intrinsics.fy_px, intrinsics.cx_px, intrinsics.cy_px])
    focal = bool(np.all(np.isfinite(lengths)) and np.all(lengths[:2] > 0.0))
    report.expect(focal, f"its focal lengths and centre are not those of a camera: {_listed(lengths)} px")


def _check_times(first_s: float, second_s: float, now_s: float, report: DeviceReport) -> None:
    report.expect(second_s > first_s, f"a later reading is not of a later time: {first_s:g} s, {second_s:g} s")
    age = now_s - second_s
    cure = "the device must tell the time of the cell's clock; check the load of this computer"
    report.expect(age <= MAX_AGE_S + _CLOCK_SLACK_S, f"its newest reading is {age:.2f} s old", cure)
    report.expect(age >= -_CLOCK_SLACK_S, f"its newest reading is {-age:.2f} s in the future", cure)


# --- what is a proper value, as the suites of `skillcore.testing` ask too ---------------------------------------


def is_vector(value: object, length: int) -> bool:
    """Whether this is a numpy vector of so many finite numbers."""
    return isinstance(value, np.ndarray) and value.shape == (length,) and bool(np.isfinite(value).all())


def is_pose(pose: Pose) -> bool:
    """Whether position and rotation are finite and the rotation is one."""
    rotation = pose.rotation
    if not (is_vector(pose.position_m, 3) and isinstance(rotation, np.ndarray) and rotation.shape == (3, 3)):
        return False
    proper = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) and np.linalg.det(rotation) > 0.0
    return bool(proper)


def _in_mm(offset_m: Any) -> str:
    return "[" + ", ".join(f"{float(value) * 1e3 + 0.0:.1f}" for value in np.round(offset_m, 4)) + "] mm"


def _listed(values: Any) -> str:
    return "[" + ", ".join(f"{float(value) + 0.0:.4g}" for value in np.round(values, 6)) + "]"
