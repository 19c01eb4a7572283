"""The tree of errors, each with its exit code on the command line.

Messages are written for the user: what failed, for what, and what to type instead.
Only `cli` (and the worker, which is a program of its own) prints them.
"""

from collections.abc import Iterable

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_CASES_FAILED = 3
EXIT_GATE_TRIPPED = 4
EXIT_IMPRECISE = 5
EXIT_INTERRUPTED = 130


class IpcbenchError(Exception):
    """An error that ipcbench can explain in one line."""

    exit_code = EXIT_INTERNAL


class UsageError(IpcbenchError):
    """A request that can't be done as it was written."""

    exit_code = EXIT_USAGE


class ResultsError(UsageError):
    """A result file that can't be read, written or understood."""


class LaunchFailed(IpcbenchError):
    """A launch that yields no number; the message is the reason shown for the case."""

    exit_code = EXIT_CASES_FAILED


class CheckFailed(LaunchFailed):
    """A message that arrived with other content than was sent."""


class PeerDied(LaunchFailed):
    """The end of the pair's other process before its work was done."""


class Interrupted(IpcbenchError):
    """A signal that asked the run to end."""

    exit_code = EXIT_INTERRUPTED


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that isn't among `known`, with the nearest one that is."""
    import difflib  # loaded late: workers start often

    names = list(known)
    nearest = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known are: {', '.join(names)}"
    return UsageError(f"unknown {kind} {name!r}; {hint}")
