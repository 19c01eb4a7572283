"""Explains an exhausted resource of the system in one line, with what would help."""

import errno

_ADVICE = {
    errno.EMFILE: "this process may open no more files; raise its limit with ulimit -n",
    errno.ENFILE: "the machine has no more open files; raise them with sysctl fs.file-max",
    errno.ENOMEM: "no memory is left; free some, or raise ulimit -v",
    errno.ENOSPC: "no space is left; free some, or set TMPDIR to a folder that has some",
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


def explain_with_type(error: BaseException) -> str:
    """Explains an error in one line, with its type in front unless a resource ran out."""
    name = "" if is_shortage(error) else f"{type(error).__name__}: "
    return f"{name}{explain(error)}"


def is_shortage(error: BaseException) -> bool:
    """Whether a resource of the system ran out, rather than this program being wrong."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _ADVICE)
