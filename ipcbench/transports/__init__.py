"""Every transport, in the order of every list and table.

Adding one is a new file with one class, and a line in TRANSPORTS: the command line's choices,
`ipcbench list`, the contract tests and the bench scripts all read this tuple.
"""

import re

from ipcbench.errors import unknown_name
from ipcbench.transports.base import Transport
from ipcbench.transports.delayed import Delayed
from ipcbench.transports.inet import Inet
from ipcbench.transports.inet6 import Inet6
from ipcbench.transports.memcpy import Memcpy
from ipcbench.transports.null import Null
from ipcbench.transports.pipe import Pipe
from ipcbench.transports.sysv_shm import SysvShm, SysvShmSpin
from ipcbench.transports.unix import Unix

_VARIANT = re.compile(
    r"(?P<base>[a-z0-9-]+)(?:\+(?P<delay>[0-9]{1,6})(?P<unit>ns|us))?(?:@[0-9]+)?"
)

TRANSPORTS: tuple[Transport, ...] = (
    Unix(),
    Inet(),
    Inet6(),
    Pipe(),
    SysvShm(),
    SysvShmSpin(),
    Memcpy(),
    Null(),
)


def get_transport(name: str) -> Transport:
    """The transport of this name; UsageError with the nearest known name otherwise.

    Two forms exist beside the listed names, for the selftest: `unix@3` is `unix` under another
    name, `pipe+20us` (or `+500ns`) is `pipe` with a server that waits so long.
    """
    match = _VARIANT.fullmatch(name)
    base = match["base"] if match else name
    for transport in TRANSPORTS:
        if transport.name == base:
            return _variant(transport, match)
    raise unknown_name("transport", name, (transport.name for transport in TRANSPORTS))


def _variant(transport: Transport, match: re.Match[str] | None) -> Transport:
    if match is None or match["delay"] is None:
        return transport
    return Delayed(transport, int(match["delay"]) * (1000 if match["unit"] == "us" else 1))
