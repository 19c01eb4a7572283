"""Entry points: `python -m ipcbench`, the `ipcbench` script, and `ask` for bench scripts."""

import sys

from ipcbench.cli.main import ask, main

__all__ = ["ask", "main"]

if __name__ == "__main__":
    sys.exit(main())
