"""What an installation of ipcbench says of itself to a driver: `python -P -m ipcbench.run.about`.

It prints one line of JSON with the keys below, and this is all that two installations must have in
common before the driver of one may start the workers of the other. The names of keys stay; a key
may be added. Cases are named by arguments, `latency/unix/1k/python`, and answered one by one.

    ipcbench, code_version      versions of the package, and of its code
    worker_protocol, format     numbers that must be the driver's own
    python, implementation, free_threaded
    build                       properties of its build that change its speed
    versions                    libraries that a launch depends on
    native                      null, or the reason why there is no loop in C
    cases                       for each case null, or the reason why it can't be measured
"""

import json
import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from ipcbench import __version__
from ipcbench.case import Case
from ipcbench.errors import UsageError
from ipcbench.measure import drivers
from ipcbench.measure.tether import PROTOCOL
from ipcbench.results.folder import code_version
from ipcbench.results.migration import FORMAT
from ipcbench.system.surroundings import python_build
from ipcbench.transports.base import Traffic
from ipcbench.transports.registry import get_transport

MODULE = "ipcbench.run.about"
_VERSIONS_OF = ("pyperf", "sysv_ipc", "psutil")


def library_versions() -> str:
    """The versions of the installed libraries that a launch depends on: `pyperf 2.9.0, ...`."""
    found = []
    for name in _VERSIONS_OF:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue  # an installation may do without, and lack transports
    return ", ".join(found)


def about(cases: Sequence[str]) -> dict[str, object]:
    """What this installation is, and why it can't measure some of these cases."""
    import platform

    return {
        "ipcbench": __version__,
        "code_version": code_version(),
        "worker_protocol": PROTOCOL,
        "format": FORMAT,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "free_threaded": "free-threading" in sys.version,
        "build": python_build(),
        "versions": library_versions(),
        "native": drivers.unavailable("native"),
        "cases": {case: _rejected(case) for case in cases},
    }


def _rejected(text: str) -> str | None:
    """The reason why a worker of this installation would refuse the case; None if it wouldn't."""
    try:
        case = Case.parse(text)
        transport = get_transport(case.transport)
        traffic = Traffic.of(case)
        return transport.unavailable() or drivers.rejects(case) or transport.rejects(traffic)
    except UsageError as error:  # an earlier version may not know the case
        return str(error)


if __name__ == "__main__":
    import_module("ipcbench.measure.worker")  # what it needs and lacks must be said now

    print(json.dumps(about(sys.argv[1:])))
