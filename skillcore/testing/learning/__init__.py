"""What every representation, reward model and learner must do, as tests. They need pytest and torch.

    from skillcore.testing.learning import LearnerContract

    class TestMyLearner(LearnerContract):
        def make_learner(self, feature_dim: int) -> Learner:
            return MyLearner(MyOptions(), feature_dim=feature_dim)

Whether something learns well is not asked here: only that it keeps to what is promised, so that practice can be
interrupted, resumed and shipped.
"""

from skillcore.testing.learning.learner import LearnerContract
from skillcore.testing.learning.representation import PlainRepresentation, RepresentationContract
from skillcore.testing.learning.reward_model import RewardModelContract

__all__ = ["LearnerContract", "PlainRepresentation", "RepresentationContract", "RewardModelContract"]
