"""Every transport, in the order of every list and table.

Adding one is a new file with one class, and a line in TRANSPORTS: the command line's choices,
`ipcbench list`, the contract tests and the bench scripts all read this tuple.
"""

from ipcbench.errors import unknown_name
from ipcbench.transports.base import Transport
from ipcbench.transports.inet import Inet
from ipcbench.transports.inet6 import Inet6
from ipcbench.transports.null import Null
from ipcbench.transports.pipe import Pipe
from ipcbench.transports.sysv_shm import SysvShm
from ipcbench.transports.unix import Unix

TRANSPORTS: tuple[Transport, ...] = (
    Unix(),
    Inet(),
    Inet6(),
    Pipe(),
    SysvShm(),
    Null(),
)


def get_transport(name: str) -> Transport:
    """The transport of this name; UsageError with the nearest known name otherwise."""
    for transport in TRANSPORTS:
        if transport.name == name:
            return transport
    raise unknown_name("transport", name, (transport.name for transport in TRANSPORTS))
