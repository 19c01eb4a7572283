"""Evidence from the kernel's tables of what joins two processes, without the measuring code."""
