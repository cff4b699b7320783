"""What the engine shows: counters, the live screen, the summary."""
