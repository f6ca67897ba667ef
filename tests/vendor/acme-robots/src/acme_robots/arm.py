"""The driver of an Acme six: between metres here and millimetres there."""

from __future__ import annotations

from skillcore.interfaces import Arm, ArmLimits
from skillcore.types import ArmState, Pose

from acme_robots.controller import Controller, Target
from acme_robots.options import SixOptions


class Six(Arm):
    """A person can guide it by hand, so that `skill teach` works."""

    def __init__(self, options: SixOptions, controller: Controller) -> None:
        self._options = options
        self._controller = controller

    def connect(self) -> None:
        self._controller.switch_on()

    def close(self) -> None:
        self._controller.switch_off()

    @property
    def limits(self) -> ArmLimits:
        controller = self._controller
        return ArmLimits(self._options.speed_m_s, controller.greatest_turn_speed_rad_s, controller.greatest_force_n)

    def read(self) -> ArmState:
        return self._controller.state()

    def zero_wrench(self) -> None:
        self._controller.tare()

    def move_to(self, tcp_from_base: Pose, *, speed_m_s: float, force_limit_n: float) -> None:
        target = Target.of(tcp_from_base)
        self._note("go", target)
        speed_mm_s = 1e3 * min(speed_m_s, self._options.speed_m_s)
        self._controller.go(target, speed_mm_s=speed_mm_s, force_limit_n=force_limit_n)

    def servo_to(self, tcp_from_base: Pose, *, duration_s: float, force_limit_n: float) -> Pose:
        target = Target.of(tcp_from_base)
        self._note("follow", target)
        return self._controller.follow(target, duration_s=duration_s, force_limit_n=force_limit_n).pose

    def stop(self) -> None:
        self._controller.halt()

    def recover(self) -> None:
        self._controller.acknowledge()

    def start_freedrive(self) -> None:
        """See `skillcore.interfaces.Guidable`."""
        self._controller.let_go(True)

    def end_freedrive(self) -> None:
        """See `skillcore.interfaces.Guidable`."""
        self._controller.let_go(False)

    def _note(self, command: str, target: Target) -> None:
        if self._options.journal is not None:
            with self._options.journal.open("a", encoding="utf-8") as file:
                file.write(",".join([command, *(f"{value:.3f}" for value in target.position_mm)]) + "\n")
