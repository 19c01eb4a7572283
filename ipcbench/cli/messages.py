"""Messages to the user: one line on stderr each."""

import sys

from ipcbench.text import printable


def say(message: str) -> None:
    """Prints one line on stderr; control characters, as in a file's name, are escaped."""
    print(f"ipcbench: {printable(message)}", file=sys.stderr, flush=True)


class Messages:
    """Messages of a command that may have been told to be quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def note(self, message: str) -> None:
        """Prints a line of information, unless the command is to be quiet."""
        if not self._quiet:
            say(message)
