"""`python -m ipcbench`, the `ipcbench` script, and how a bench script asks its question."""

import sys

from ipcbench.cli import ask, main

__all__ = ["ask", "main"]

if __name__ == "__main__":
    sys.exit(main())
