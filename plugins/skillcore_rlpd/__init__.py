"""An RLPD-like learner."""
