"""A benchmark of inter-process communication on one machine, with an interval for each number."""

__version__ = "0.1.0"
