"""A recipe that was spelled out stays the same, and names every option of its parts."""

from __future__ import annotations

import pytest

from skillcore.errors import ConfigError, UnknownNameError
from skillcore.learning.recipe import PartChoice, Recipe, completed
from skillcore.plugins import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.discover()


def test_every_option_is_spelled_out(registry: Registry) -> None:
    recipe = completed(Recipe(learner=PartChoice(name="rlpd", options={"hidden": 32})), registry)
    assert recipe.learner.options["hidden"] == 32
    assert recipe.learner.options["critics"] > 1
    inner = recipe.reward_model.options["representation_options"]
    assert inner["code_dim"] > 1
    assert completed(recipe, registry) == recipe


def test_wrong_names_and_options_are_told(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match="rlpf"):
        completed(Recipe(learner=PartChoice(name="rlpf")), registry)
    with pytest.raises(ConfigError, match="hiden"):
        completed(Recipe(learner=PartChoice(name="rlpd", options={"hiden": 3})), registry)
