"""Universal Robots e-Series arms, through ur_rtde. So far run on the twin only, never on a real robot."""
