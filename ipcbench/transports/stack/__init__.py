"""The rungs of the stack: what programs put on a socket, one layer a module. See ipcbench.rungs."""
