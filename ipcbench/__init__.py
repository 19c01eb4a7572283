"""Measures how two processes on one machine can talk, and says how sure it is."""

__version__ = "0.1.0"
