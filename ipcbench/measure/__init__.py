"""Measuring: makes the processes, times the loops and keeps what was measured."""
