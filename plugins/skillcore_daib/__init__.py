"""DAIB representations and reward model."""
