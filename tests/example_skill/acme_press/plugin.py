"""Registers the skill."""

from skillcore import Context, Part, StrictModel, hookimpl


class PressOptions(StrictModel):
    """There is nothing to choose."""


def make_press(options, context: Context):
    from acme_press.skill import PressSkill

    return PressSkill()


@hookimpl
def skillcore_skills():
    return {"press": Part(PressOptions, make_press, "press a button with a finger")}
