"""What is packaged: every first-party package and the bundle that ships are within the limits."""

from __future__ import annotations

from pathlib import Path

import skillcore_insertion
from skillcore.learning.bundles import read_card

PRETRAINED = Path(skillcore_insertion.__file__).parent / "pretrained"
MOST_BYTES = 16_000_000


def test_the_bundle_that_ships_is_whole_and_small() -> None:
    card = read_card(PRETRAINED)
    assert card.command.startswith("skill pretrain insertion")
    assert card.variant == ""
    assert set(card.files) == {path.name for path in PRETRAINED.glob("*.safetensors")}
    assert sum(path.stat().st_size for path in PRETRAINED.iterdir()) <= MOST_BYTES


def test_its_threshold_was_chosen_on_connectors_it_was_not_trained_on() -> None:
    card = read_card(PRETRAINED)
    at = card.figures["reward model on validation variants"]["at threshold"]
    assert at["false_positives"] <= 0.01
    assert len(card.reward["validation_variants"]) >= 8
