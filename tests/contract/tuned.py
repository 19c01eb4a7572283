"""Transports with knobs set, which the contract tests run over beside the listed ones."""

from ipcbench.transports.base import Transport
from ipcbench.transports.registry import get_transport, transports

TERMS = (
    "sysv-shm:wait=adaptive",
    "sysv-shm:wait=spin:slots=2",
    "posix-shm:wait=adaptive",
    "posix-shm:wait=adaptive:spin=0",
    "mmap-file:wait=spin",
    "memfd-eventfd:wait=adaptive:slots=7",
    "shm-futex:wait=adaptive:spin=1us:slots=4",
    "mp-shared-memory:wait=adaptive",
)


def all_transports() -> list[Transport]:
    """Every transport that is listed, and those above."""
    return [*transports(), *map(get_transport, TERMS)]
