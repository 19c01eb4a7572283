"""Messages to the user: one line on stderr each."""

import sys
from argparse import Namespace

from ipcbench.text import printable


def note(args: Namespace, message: str) -> None:
    """Prints a line of information on stderr, unless --quiet was given."""
    if not args.quiet:
        say(message)


def say(message: str) -> None:
    """Prints one line on stderr; control characters, as in a file's name, are escaped."""
    print(f"ipcbench: {printable(message)}", file=sys.stderr, flush=True)
