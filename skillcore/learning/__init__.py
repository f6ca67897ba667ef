"""Learning: collecting, pretraining, practising, judging, and the bundles that keep what was learned."""
