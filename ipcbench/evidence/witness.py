"""One call for whoever runs a pair: look now, and judge."""

import struct

from ipcbench.evidence.kernel import CannotLook, look
from ipcbench.evidence.verdict import Expected, Finding, judged


def inspect(server_pid: int, known: frozenset[str], expected: Expected) -> Finding:
    """What the kernel says of this process and its server, while both are alive.

    `known` is what this process held before the link was made. Messages must have gone both ways
    that the workload has: of System V objects the kernel tells only who used them last. Never
    raises for what it can't see; that is a verdict too.
    """
    try:
        seen = look(server_pid, known)
    except CannotLook as error:
        return Finding("not witnessed", str(error))
    except (ValueError, LookupError, struct.error) as error:
        reason = f"a table of this kernel has another form: {type(error).__name__}: {error}"
        return Finding("not witnessed", " ".join(reason.split()))
    return judged(expected, seen)
