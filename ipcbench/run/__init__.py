"""The driver's process: a request becomes a plan, a plan launches, launches a file."""
