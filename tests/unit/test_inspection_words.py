"""What `skill inspect` says where there is nothing to tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from skillcore.interfaces import Shown
from skillcore.learning.inspection import Frames
from skillcore.learning.saliency import SUCCESS, Saliency
from skillcore.reports.inspection import Study, Subject
from skillcore.types import Observation

COUNT = 6


@pytest.fixture
def study() -> Study:
    """A reward model that looks at the socket, and one that nothing speaks for in any image."""
    shown = np.full((COUNT, 1, 8, 8), Shown.SOCKET, np.uint8)
    shown[:, :, :4] = 0
    images = np.full((COUNT, 1, 8, 8, 3), 90, np.uint8)
    seen = Observation(images=images, pose=np.zeros((COUNT, 6), np.float32), wrench=np.zeros((COUNT, 6), np.float32))
    frames = Frames(observations=seen, episode=np.arange(COUNT) // 2, step=np.arange(COUNT) % 2, shown=shown)

    def found(title: str, heat: float) -> tuple[Subject, Saliency]:
        maps = np.full((COUNT, 1, 1, 8, 8), heat, np.float32)
        bundle = cast(Any, SimpleNamespace(folder=Path("bundles") / title.lower()))
        values = np.zeros((COUNT, 1), np.float32)
        return Subject(title, bundle), Saliency(outputs=(SUCCESS,), values=values, maps=maps, layer="conv1")

    return Study.of("reward model", frames, [found("ERM", 0.0), found("DAIB", 1.0)])


def test_a_network_that_nothing_speaks_for_has_no_figure_and_no_difference(study: Study) -> None:
    words = "\n".join(study.words())
    assert "nan" not in words.lower()
    assert "success          50% (" in words
    assert "no saliency in 6 of 6" in words
    assert "not known: no frame has saliency in both" in words


def test_its_sheet_says_so(study: Study) -> None:
    lines = study.reward_sheet("a plug", ("left",), ("trial 1", "trial 2", "trial 3")).lines
    assert "ERM: nothing speaks for it in any frame" in lines
    assert any(line.startswith("DAIB: 50% (") and line.endswith("of it on plug and socket") for line in lines)
