"""A simulated cell that needs pip and nothing else: contact physics by MuJoCo, images by ray casting without GL."""
