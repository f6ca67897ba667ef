"""The skill as `gymnasium.make("skillcore/Press-v0")` makes it."""

from skillcore import SkillEnv


class PressEnv(SkillEnv):
    """Presses a button, on the simulated cell if no other is named. Options are those of `SkillEnv`."""

    def __init__(self, *, cell="sim", button: str = "green_22", **options) -> None:
        super().__init__("press", button, cell=cell, **options)
