"""The twin of a cell: a robot controller that speaks the vendor's protocols, with a simulated world behind it."""
