"""What stands for the vendor's controller and its library: it counts in millimetres, and moves another arm."""

from __future__ import annotations

from dataclasses import dataclass

from skillcore.errors import DeviceError
from skillcore.interfaces import Arm, Guidable
from skillcore.types import ArmState, Pose

Millimetres = tuple[float, float, float]
Rotation = tuple[float, float, float]
"""A rotation vector in rad."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place of the tool as the controller takes it."""

    position_mm: Millimetres
    rotvec_rad: Rotation

    @classmethod
    def of(cls, pose: Pose) -> Target:
        """A pose in m, in millimetres."""
        x, y, z = (float(value) * 1e3 for value in pose.position_m)
        turn_x, turn_y, turn_z = (float(value) for value in pose.rotvec_rad)
        return cls((x, y, z), (turn_x, turn_y, turn_z))

    @property
    def pose(self) -> Pose:
        """The same in m."""
        return Pose.from_rotvec([value * 1e-3 for value in self.position_mm], self.rotvec_rad)


class Controller:
    """Takes targets in millimetres and speeds in mm/s."""

    def __init__(self, moved: Arm) -> None:
        self._moved = moved

    def switch_on(self) -> None:
        self._moved.connect()

    def switch_off(self) -> None:
        self._moved.close()

    @property
    def greatest_force_n(self) -> float:
        return self._moved.limits.force_n

    @property
    def greatest_turn_speed_rad_s(self) -> float:
        return self._moved.limits.turn_speed_rad_s

    def state(self) -> ArmState:
        return self._moved.read()

    def tare(self) -> None:
        self._moved.zero_wrench()

    def go(self, target: Target, *, speed_mm_s: float, force_limit_n: float) -> None:
        self._moved.move_to(target.pose, speed_m_s=speed_mm_s * 1e-3, force_limit_n=force_limit_n)

    def follow(self, target: Target, *, duration_s: float, force_limit_n: float) -> Target:
        return Target.of(self._moved.servo_to(target.pose, duration_s=duration_s, force_limit_n=force_limit_n))

    def halt(self) -> None:
        self._moved.stop()

    def acknowledge(self) -> None:
        self._moved.recover()

    def let_go(self, on: bool) -> None:
        """Lets a hand guide the arm, or ends that. Raises DeviceError if the arm can't be guided."""
        if not isinstance(self._moved, Guidable):
            raise DeviceError("this arm cannot be guided by hand", cure="use one of the series six")
        if on:
            self._moved.start_freedrive()
        else:
            self._moved.end_freedrive()
