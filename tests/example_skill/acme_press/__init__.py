"""Press a button with a finger: a skill for skillcore that uses nothing but what `skillcore` offers by name."""
