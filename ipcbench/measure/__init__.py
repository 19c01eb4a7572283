"""Measurement: starts the processes, times the loops and keeps the results."""
