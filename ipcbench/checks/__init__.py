"""Checks of the machine (doctor), the tool (selftest) and the mechanisms (evidence)."""
