"""The parts of tools/alarm."""
