"""Insertion of connectors: the skill, its collector and baselines, and the library of connectors."""
