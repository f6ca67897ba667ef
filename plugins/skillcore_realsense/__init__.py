"""Intel RealSense cameras, real ones and those of a twin."""
