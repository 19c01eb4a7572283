"""What the system has run out of, in words, and what would help."""

import errno

_ADVICE = {
    errno.EMFILE: "this process may open no more files; raise its limit with ulimit -n",
    errno.ENFILE: "the machine has no more open files; raise them with sysctl fs.file-max",
    errno.EAGAIN: "this user may start no more processes; end some, or raise ulimit -u",
    errno.ENOMEM: "no memory is left; free some, or raise ulimit -v",
    errno.ENOSPC: "no space is left; free some, or set TMPDIR to a folder that has some",
    errno.EDQUOT: "the disk quota is used up; free some, or set TMPDIR to another folder",
    errno.EADDRNOTAVAIL: "no port is free; widen sysctl net.ipv4.ip_local_port_range",
    errno.EROFS: "a file system is read-only; set TMPDIR to a folder that can be written",
}


def in_words(error: BaseException) -> str:
    """What failed and, where something ran out, what would help; one line."""
    if isinstance(error, MemoryError):
        return _ADVICE[errno.ENOMEM]
    if isinstance(error, OSError) and error.errno in _ADVICE:
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{_ADVICE[error.errno]}"
    return str(error) or type(error).__name__


def is_shortage(error: BaseException) -> bool:
    """Whether it is the system, and not this program, that couldn't go on."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _ADVICE)
