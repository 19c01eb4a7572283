"""The tree of errors, each with its exit code on the command line.

Messages are written for the user: what failed, for what, and what to type instead.
Only `cli` (and the worker, which is a program of its own) prints them.
"""

import errno
from collections.abc import Iterable

EXIT_OK = 0
EXIT_INTERNAL = 1
EXIT_USAGE = 2
EXIT_CASES_FAILED = 3
EXIT_GATE_TRIPPED = 4
EXIT_IMPRECISE = 5
EXIT_NOT_JUDGED = 6
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


_ADVICE = {
    errno.EMFILE: "this process may open no more files; raise its limit with ulimit -n",
    errno.ENFILE: "the machine has no more open files; raise them with sysctl fs.file-max",
    errno.ENOMEM: "no memory is left; free some, or raise ulimit -v",
    errno.ENOSPC: "no space is left; free some, or set TMPDIR to a folder that has some",
    errno.EFBIG: "a file may grow no longer (RLIMIT_FSIZE); raise its limit with ulimit -f",
    errno.EDQUOT: "the disk quota is used up; free some, or set TMPDIR to another folder",
    errno.EADDRNOTAVAIL: "no port is free; widen sysctl net.ipv4.ip_local_port_range",
    errno.EROFS: "a file system is read-only; set TMPDIR to a folder that can be written",
}


_NO_PROCESS = "this user may start no more processes; end some, or raise ulimit -u"


def explain(error: BaseException) -> str:
    """Explains an error in one line: what failed and, if a resource ran out, what would help."""
    if isinstance(error, MemoryError):
        return _ADVICE[errno.ENOMEM]
    if isinstance(error, OSError) and error.errno in _ADVICE:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{_ADVICE[error.errno]}"
    return str(error) or type(error).__name__


def explain_start(error: OSError) -> str:
    """Explains a failure to start a process, where EAGAIN means the user's limit (fork(2))."""
    return _NO_PROCESS if error.errno == errno.EAGAIN else explain(error)


def explain_write(error: OSError) -> str:
    """Explains a failure to write a file that the user named: only a limit has advice."""
    return _ADVICE[errno.EFBIG] if error.errno == errno.EFBIG else str(error.strerror)


def explain_with_type(error: BaseException) -> str:
    """Explains an error in one line, with its type in front unless a resource ran out."""
    name = "" if is_shortage(error) else f"{type(error).__name__}: "
    return f"{name}{explain(error)}"


def is_shortage(error: BaseException) -> bool:
    """Whether a resource of the system ran out, rather than this program being wrong."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _ADVICE)
