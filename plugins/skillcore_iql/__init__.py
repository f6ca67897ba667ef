"""The IQL learner."""
