"""Listeners to the events of a run: the live view, plain lines, the log, warnings so far."""
