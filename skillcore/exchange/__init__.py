"""Data of other tools: episodes written for them, and theirs taken into an episode store."""
