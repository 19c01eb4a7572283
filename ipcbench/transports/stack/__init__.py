"""The rungs of the ladder on top of a socket; `ipcbench.rungs` is their table."""
