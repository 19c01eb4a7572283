"""This machine and its kernel: CPUs, limits, processes, signals, scratch directories, the lock."""
