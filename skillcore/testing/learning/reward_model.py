"""What every reward model must do, as tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from skillcore.episodes import ReplayCache
from skillcore.errors import BundleError
from skillcore.interfaces import RewardModel
from skillcore.learning.training import silent
from skillcore.testing.learning.made_up import DOMAINS, SIZE_PX, VIEWS, made_up_data
from skillcore.testing.learning.modules import exported, offered, plain_files
from skillcore.testing.learning.representation import PlainRepresentation
from skillcore.testing.promises import promised, promised_error


class RewardModelContract:
    """Subclass it as `class TestMyRewardModel(RewardModelContract)` and fill in `make_reward_model`."""

    def make_reward_model(self, *, views: int, size_px: int, domains: int) -> RewardModel:
        """A new one for `views` square images of `size_px` and so many domains."""
        raise NotImplementedError("fill in make_reward_model")

    def make(self) -> RewardModel:
        """A new one for the made-up data."""
        torch.manual_seed(0)
        return self.make_reward_model(views=VIEWS, size_px=SIZE_PX, domains=DOMAINS)

    @pytest.fixture
    def trained(self) -> RewardModel:
        """One that was trained."""
        model = self.make()
        model.fit(made_up_data(0), seed=0, progress=silent)
        return model

    def test_scores_are_probabilities(self, trained: RewardModel) -> None:
        scores = _scores(trained, made_up_data(1))
        promised(scores.dtype == np.float32 and scores.ndim == 1, "scores are (batch,) float32", scores.shape)
        within = bool(((scores >= 0.0) & (scores <= 1.0)).all())
        promised(within, "scores are probabilities", (scores.min(), scores.max()))

    def test_scoring_repeats_and_each_frame_stands_for_itself(self, trained: RewardModel) -> None:
        data = made_up_data(1)
        together = _scores(trained, data)
        frames = np.arange(3)
        alone = np.concatenate(
            [trained.score(data.observations(frames[i : i + 1]), data.past(frames[i : i + 1])) for i in range(3)]
        )
        promised(bool(np.array_equal(together, _scores(trained, data))), "scoring the same frames gives the same")
        promised(bool(np.allclose(alone, together[:3], atol=1e-4)), "a frame's score does not depend on its batch")

    def test_it_learns_what_is_plain_to_see(self, trained: RewardModel) -> None:
        before, gap = _gap(self.make()), _gap(trained)
        promised(gap > max(0.0, before), "after training, successes score higher than failures", (before, gap))

    def test_training_follows_from_its_seed(self, trained: RewardModel) -> None:
        again = self.make()
        again.fit(made_up_data(0), seed=0, progress=silent)
        data = made_up_data(1)
        same = np.array_equal(_scores(trained, data), _scores(again, data))
        promised(bool(same), "RewardModel.fit does the same for the same seeds")

    def test_frames_of_which_nobody_knows_are_no_failures(self) -> None:
        model = self.make()
        model.fit(made_up_data(0, unknown=DOMAINS - 1), seed=0, progress=silent)
        gap = _gap(model)
        promised(gap > 0.0, "RewardModel.fit leaves out frames whose success is unknown (-1)", gap)

    def test_it_may_begin_from_any_representation(self) -> None:
        torch.manual_seed(1)
        model = self.make()
        start = PlainRepresentation(views=VIEWS, size_px=SIZE_PX)
        model.fit(made_up_data(0), seed=0, progress=silent, start=start)
        gap = _gap(model)
        promised(gap > 0.0, "RewardModel.fit may begin from `start`, and trains whatever encoder that is", gap)

    def test_it_comes_back_from_its_files(self, trained: RewardModel, tmp_path: Path) -> None:
        trained.save(tmp_path)
        plain_files(tmp_path, "RewardModel.save")
        other = self.make()
        other.load(tmp_path)
        data = made_up_data(1)
        same = np.array_equal(_scores(trained, data), _scores(other, data))
        promised(bool(same), "RewardModel.load reads what save wrote")

    def test_its_module_scores_alike(self, trained: RewardModel) -> None:
        """Skipped where none is offered: it is optional."""
        module = offered(trained, "scoring_module")
        data, frames = made_up_data(1), np.arange(7)
        now, past = data.observations(frames), data.past(frames)
        arrays = (now["images"], now["pose"], now["wrench"], past["pose"], past["wrench"])
        inputs = tuple(torch.from_numpy(np.array(one)) for one in arrays)
        scores = trained.score(now, past)
        for what, run in (
            ("RewardModel.scoring_module", module),
            (
                "RewardModel.scoring_module, exported,",
                exported(module, *(one[:2] for one in inputs), what="RewardModel.scoring_module"),
            ),
        ):
            with torch.no_grad():
                found = run(*inputs)
            promised(tuple(found.shape) == (7,), f"{what} returns (batch,)", tuple(found.shape))
            gap = float(np.abs(found.numpy() - scores).max())
            promised(gap < 1e-5, f"{what} scores as RewardModel.score does", gap)

    def test_missing_files_are_told_of(self, tmp_path: Path) -> None:
        with promised_error(BundleError, "RewardModel.load raises BundleError where its files are missing"):
            self.make().load(tmp_path)

    def test_sight_is_differentiable(self, trained: RewardModel) -> None:
        sight = trained.sight
        if sight is None:
            pytest.skip("it shows no sight: `skill inspect` cannot explain it")
        promised(len(sight.representations) > 0, "Sight.representations names what it looks through")
        images = torch.rand((5, VIEWS, 3, SIZE_PX, SIZE_PX), generator=torch.Generator().manual_seed(0))
        logit = sight.logit(images.requires_grad_(True))
        promised(tuple(logit.shape) == (5,), "Sight.logit returns (batch,)", tuple(logit.shape))
        promised(bool(torch.isfinite(logit).all()), "Sight.logit returns finite log-odds", logit.detach())
        (gradient,) = torch.autograd.grad(logit.sum(), images, allow_unused=True)
        promised(gradient is not None and bool(gradient.any()), "Sight.logit can be differentiated by the images")


def _gap(model: RewardModel) -> float:
    """By how much successes score higher than failures."""
    data = made_up_data(1)
    scores = _scores(model, data)
    return float(scores[data.success == 1].mean() - scores[data.success == 0].mean())


def _scores(model: RewardModel, data: ReplayCache) -> NDArray[np.float32]:
    frames = np.arange(data.frames)
    return model.score(data.observations(frames), data.past(frames))
