"""Begins packages for new parts: `skill plugins new`."""
